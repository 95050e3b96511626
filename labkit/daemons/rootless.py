"""How does an ordinary user of a lab machine run a whole engine, without any right of root's?

    with start_rootless("rosa") as rosa, Engine(rosa.host) as engine:
        engine.get("/info").json()["SecurityOptions"]           name=rootless is among them
        rosa.find_process("box")                                a container's process, by its number in the machine

rootlesskit makes a user namespace, in which the user is root and has a range of further users: newuidmap(1) may write
that into its map. It makes namespaces for mounts, processes and the network, which slirp4netns connects, and starts
dockerd there. Only what is around it is done as root: the user is made before; at the end all is killed, and the user's
files are removed. Source: user_namespaces(7), rootlesskit's network.md and mount.md, docker's dockerd-rootless.sh.
"""

import json
import os
import select
import shlex
import shutil
import signal
import stat
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Self

from labkit.api.engine import Engine
from labkit.daemons.daemon import engine_answers
from labkit.daemons.ordinary_user import OrdinaryUser, make_user
from labkit.errors import MachineError
from labkit.isolation.namespaces import members, read_namespace, read_processes
from labkit.linux.syscalls import pidfd_open
from labkit.machine.last_words import find_reason

__all__ = ["RootlessEngine", "start_rootless"]

START_S, END_S, NAP_S = 60.0, 10.0, 0.02  # it needs 0.3 s; on a user-mode kernel 1 to 5
PACKAGES = {"rootlesskit": "rootlesskit", "newuidmap": "uidmap", "slirp4netns": "slirp4netns"}  # program: package
# vfs copies directories, which needs nothing of the kernel. overlay2 would take Linux 5.11 or newer, and a home that
# lies on no overlay itself: in a lab machine it does.
SETTINGS = {"storage-driver": "vfs", "features": {"containerd-snapshotter": False}}
# The network has other addresses than the machine's own, so that the machine can be reached from there. But for its
# 127.0.0.1: on that the engine of root listens, without a password. With --pidns nobody in there outlives process 1.
ROOTLESSKIT = """
rootlesskit --state-dir={runtime}/rootlesskit --pidns
    --net=slirp4netns --cidr=10.0.3.0/24 --disable-host-loopback
    --copy-up=/etc --copy-up=/run --propagation=rslave
"""
# What was copied are links to root's: the engine makes its own. The rest is where it lies by itself in a user's engine.
DOCKERD = "rm -f /run/docker /run/containerd /run/xtables.lock; exec dockerd --rootless"
# An engine's programs may lie where only root can go: then they are mounted, for these processes alone.
ENTER = 'test -z "$1" || { mount --bind "$1" /mnt; PATH=/mnt:$PATH; }; shift; exec "$@"'
KNOBS = {  # of a host's kernel, and what each is where ordinary users may make user namespaces
    "kernel.unprivileged_userns_clone": "1",
    "kernel.apparmor_restrict_unprivileged_userns": "0",
}


class RootlessEngine:
    """An engine of an ordinary user, and the user; close() ends the one and removes the other."""

    def __init__(self, user: OrdinaryUser) -> None:
        self.user = user
        self.host = f"unix://{user.runtime}/docker.sock"
        self.data = user.home / ".local/share/docker"
        self.log = user.home / "dockerd.log"
        self.command = f"{ROOTLESSKIT.strip().format(runtime=user.runtime)}\n    sh -c '{DOCKERD}'"
        self._rootlesskit: subprocess.Popen[bytes] | None = None
        self._children: dict[int, int] = {}  # of rootlesskit: what tells of the end of each

    @property
    def pid(self) -> int:
        """The process of rootlesskit, with which all others end."""
        assert self._rootlesskit is not None
        return self._rootlesskit.pid

    def start(self) -> None:
        """Start it, and wait until it answers. Raises MachineError with its last words where it does not."""
        settings = self.user.home / ".config/docker/daemon.json"
        settings.parent.mkdir(parents=True)
        settings.write_text(json.dumps(SETTINGS))
        for made in self.user.home.rglob("*"):
            os.chown(made, self.user.uid, self.user.uid)
        user = str(self.user.uid)
        become = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", "--pdeathsig=KILL"]
        with self.log.open("wb") as log:
            self._rootlesskit = subprocess.Popen(
                ["unshare", "--mount", "sh", "-euc", ENTER, "sh", _closed_programs(), *become]
                + shlex.split(self.command),
                env=self._environment(),
                cwd=self.user.home,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # an interrupt of the notebook is not meant for it
            )
        deadline = time.monotonic() + START_S
        while not engine_answers(self.user.runtime / "docker.sock"):
            has_ended = self._rootlesskit.poll() is not None
            if has_ended or time.monotonic() > deadline:
                how = "ended while it started" if has_ended else f"did not answer within {START_S:.0f} s"
                raise MachineError(
                    f"The engine of {self.user.name} {how}. Its last words: {self._last_words()}{_name_knobs()}"
                )
            time.sleep(NAP_S)
        self._watch_children()

    def find_process(self, container: str) -> int:
        """The first process of a container, by its number in the machine: the engine knows that of its own /proc.

        Raises what every call of an Engine raises, and MachineError where the container does not run.
        """
        with Engine(self.host) as engine:
            inner = engine.get(f"/containers/{container}/json").json()["State"]["Pid"]
        first = int(Path(self.user.runtime, "rootlesskit/child_pid").read_text())
        namespace = read_namespace(first, "user")
        inside = members(read_processes(), namespace) if namespace else []
        found = [process.pid for process in inside if process.pids[1:2] == (inner,)]
        if not found:
            raise MachineError(f"The container {container} does not run: start it first.")
        return found[0]

    def close(self) -> None:
        """Kill the engine and its containers, remove the user and all files; a second time does nothing."""
        if self._rootlesskit is not None and self._rootlesskit.poll() is None:
            self._watch_children()  # a start that failed has not looked
            self._rootlesskit.kill()
            self._rootlesskit.wait()
        for descriptor in self._children.values():
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(descriptor, signal.SIGKILL)
        deadline = time.monotonic() + END_S
        for descriptor in self._children.values():  # that of a PID namespace ends when all in it have ended
            select.select([descriptor], [], [], max(0.0, deadline - time.monotonic()))
            os.close(descriptor)
        self._children.clear()
        self.user.remove()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _watch_children(self) -> None:
        with suppress(OSError):  # it has ended
            for children in Path(f"/proc/{self.pid}/task").glob("*/children"):
                for child in set(map(int, children.read_text().split())) - self._children.keys():
                    self._children[child] = pidfd_open(child)

    def _last_words(self) -> str:
        """Those of dockerd: rootlesskit says after them that it has ended, and otherwise what went wrong before."""
        lines = self.log.read_text(errors="replace").splitlines()
        others = [line for line in lines if not line.startswith("[rootlesskit:")]
        return find_reason("\n".join(others or lines)) or "(none)"

    def _environment(self) -> dict[str, str]:
        """What a login gives. (On a user-mode kernel Go's signals are dear: labkit.machine.inside.engine_process.)"""
        user = {"USER": self.user.name, "HOME": str(self.user.home), "XDG_RUNTIME_DIR": str(self.user.runtime)}
        return user | {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "GODEBUG": "asyncpreemptoff=1"}


def start_rootless(name: str) -> RootlessEngine:
    """Make an ordinary user of that name, who starts an engine; return when it answers. It has no image.

    Raises MachineError with its last words when it does not answer within 60 s, where a program is missing, where there
    is such a user, and outside of a lab machine.
    """
    missing = [program for program in PACKAGES if shutil.which(program) is None]
    if missing:
        packages = " ".join(PACKAGES[program] for program in missing)
        raise MachineError(
            f"Missing for a rootless engine: {', '.join(missing)}. Run: apt-get install {packages} (or `make setup`), "
            "as root, and restart the kernel."
        )
    engine = RootlessEngine(make_user(name))
    try:
        engine.start()
    except BaseException:
        engine.close()
        raise
    return engine


def _closed_programs() -> str:
    """The directory of dockerd where it is closed to ordinary users, else ""."""
    program = Path(shutil.which("dockerd") or "/usr/sbin/dockerd")
    is_closed = any(not place.stat().st_mode & stat.S_IXOTH for place in program.parents)
    return str(program.parent) if is_closed else ""


def _name_knobs() -> str:
    """What a host's kernel forbids to ordinary users, with the cure; "" where it forbids nothing that is known."""
    for name, value in KNOBS.items():
        knob = Path("/proc/sys", name.replace(".", "/"))
        if knob.exists() and knob.read_text().strip() != value:
            return f" Ordinary users may make no user namespaces here. Run on the host, as root: sysctl {name}={value}"
    return ""
