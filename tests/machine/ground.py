"""On what ground can a test put a command? One with limits, or one that is bad: each played for real.

The ground is the command's own: its mount and network namespaces, its control group, its seccomp filter.
"""

import json
import os
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from shlex import quote

from tests.machine import seccomp
from tests.machine.host import wait_until

__all__ = ["ORDINARY_USER", "Ground", "MemoryGroup", "memory_group", "pids_group"]

VERSION_1 = Path("/sys/fs/cgroup/memory")
ORDINARY_USER = 1000


@dataclass(frozen=True, slots=True)
class Ground:
    """`set_up` is shell that root runs in the command's own mount namespace; `profile` is a seccomp profile.

    With `user`, the command runs as that uid with no capability, and can gain none.
    """

    set_up: str = ""
    user: int | None = None
    group: "MemoryGroup | None" = None
    has_network: bool = True
    profile: seccomp.Profile | None = None

    def command(self, *command: str) -> list[str]:
        """The command line that runs `command` on this ground; root has to start it."""
        words = ["unshare", "--mount", *(() if self.has_network else ("--net",))]
        words += ["sh", "-euc", f'{self._script()}\nexec "$@"', "sh"]
        if self.user is not None:
            words += ["setpriv", f"--reuid={self.user}", f"--regid={self.user}", "--clear-groups"]
            words += ["--no-new-privs", "--bounding-set=-all", "--inh-caps=-all", "--ambient-caps=-all"]
        if self.profile:
            words += [sys.executable, seccomp.__file__, json.dumps(self.profile)]
        return [*words, *command]

    def _script(self) -> str:
        open_way = open_the_way() if self.user is not None else ""
        joined = f"echo $$ >{self.group.path}/cgroup.procs" if self.group else ""
        lonely = "" if self.has_network else "ip link set lo up"
        return "\n".join((joined, lonely, open_way, self.set_up))


def open_the_way() -> str:
    """Shell by which root lets everybody reach this project, for itself and its children: in mounts of their own.

    Root's home is closed to others, and a project that root has cloned is often there. Each closed directory on the
    way is covered with an open one, in which nothing but the project and its Python lies. "" when the way is open.
    """
    wanted = sorted({Path(__file__).resolve().parents[2], *(Path(p).resolve() for p in (sys.prefix, sys.base_prefix))})
    paths = [path for path in wanted if not any(outer in path.parents for outer in wanted)]
    doors = [next((door for door in reversed(path.parents) if not door.stat().st_mode & 1), None) for path in paths]
    closed = {path: door for path, door in zip(paths, doors, strict=True) if door}
    if not closed:
        return ""
    words = ["mount -t tmpfs kept /mnt"]
    words += [f"mkdir /mnt/{n}; mount --bind {quote(str(path))} /mnt/{n}" for n, path in enumerate(closed)]
    words += [f"mount -t tmpfs -o mode=755 open {quote(str(door))}" for door in sorted(set(closed.values()))]
    for n, path in enumerate(closed):
        words.append(f"mkdir -p {quote(str(path))}; mount --move /mnt/{n} {quote(str(path))}")
    return "\n".join(words)


@dataclass(frozen=True, slots=True)
class MemoryGroup:
    """A control group with a limit on memory, of version 1 or 2: memory.rst, cgroup-v2.rst of the kernel."""

    path: Path

    @property
    def limit_mib(self) -> int:
        return self._read("memory.limit_in_bytes", "memory.max")

    @property
    def peak_mib(self) -> int:
        """The most that its processes ever held together, page cache and files in memory included."""
        return self._read("memory.max_usage_in_bytes", "memory.peak")

    def kills(self) -> int:
        """How many processes the kernel has killed for want of memory."""
        name = "memory.oom_control" if self._is_version_1() else "memory.events"
        return int(dict(line.split() for line in (self.path / name).open())["oom_kill"])

    def is_empty(self) -> bool:
        return not (self.path / "cgroup.procs").read_text()

    def _is_version_1(self) -> bool:
        return self.path.parent == VERSION_1

    def _read(self, version_1: str, version_2: str) -> int:
        return int((self.path / (version_1 if self._is_version_1() else version_2)).read_text()) >> 20


@contextmanager
def pids_group(limit: int) -> Iterator[str]:
    """Make a control group that holds so many processes; give the shell for a Ground that joins it. It is removed."""
    version_1 = Path("/sys/fs/cgroup/pids")
    top = version_1 if version_1.is_dir() else Path("/sys/fs/cgroup")
    path = top / f"ground-{secrets.token_hex(4)}"
    if top != version_1:
        (top / "cgroup.subtree_control").write_text("+pids")
    path.mkdir()
    try:
        (path / "pids.max").write_text(str(limit))
        yield f"echo $$ >{path}/cgroup.procs"
        assert wait_until(lambda: not (path / "cgroup.procs").read_text(), 10), "processes are left in the group"
    finally:
        os.rmdir(path)


@contextmanager
def memory_group(limit_mib: int) -> Iterator[MemoryGroup]:
    """Make a control group for a Ground; at the end it has to be empty, and is removed."""
    top = VERSION_1 if VERSION_1.is_dir() else Path("/sys/fs/cgroup")
    path = top / f"ground-{secrets.token_hex(4)}"
    if top != VERSION_1:
        (top / "cgroup.subtree_control").write_text("+memory")
    path.mkdir()
    limit = "memory.limit_in_bytes" if top == VERSION_1 else "memory.max"
    (path / limit).write_text(f"{limit_mib}M")
    group = MemoryGroup(path)
    try:
        yield group
        assert wait_until(group.is_empty, 10), "processes are left in the group"
    finally:
        os.rmdir(path)
