"""Does the same OCI bundle give the same under runc and under ours? Run in a machine; prints "NAME<tab>trouble".

Each bundle is the same base with a change; its program tells what it sees.
"""

import json
import os
import re
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from functools import partial
from pathlib import Path
from typing import Any

from labkit.isolation.bundle import as_config, parse_config, read_bundle
from labkit.isolation.container import run
from labkit.isolation.docker_defaults import docker_spec
from labkit.isolation.spec import Root
from tests.machine import container_facts
from tests.machine.facts import Facts

__all__ = ["FACTS", "main"]

TELL = r"""
id; umask; pwd; hostname; cat /proc/sys/kernel/domainname; env | sort; ulimit -n
grep -E 'Cap|NoNewPrivs|Seccomp:' /proc/self/status
awk '{split($0, a, " - "); split(a[2], b, " "); print $5, b[1], $6}' /proc/self/mountinfo | grep -v sys/fs/cgroup | sort
ls -l /dev | awk '{print $1, $3, $4, $NF}' | sort
echo x > /tmp/new && echo writable; mkdir /tmp/made && echo made
cat /proc/sys/net/ipv4/ip_unprivileged_port_start; ls /sys/class/net
cat /extra/file /etc/one 2>&1; touch /extra/new 2>&1
head -c 5 /proc/timer_list | wc -c
cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max 2>/dev/null
cat /sys/fs/cgroup/pids/pids.max /sys/fs/cgroup/pids.max 2>/dev/null
cat /sys/fs/cgroup/cpu/cpu.cfs_quota_us /sys/fs/cgroup/cpu.max 2>/dev/null
cat /proc/self/oom_score_adj
exit 3
"""
Config = dict[str, Any]


def base() -> Config:
    """As Docker would write it, without its settings of the network."""
    config = as_config(docker_spec(Root(), ["sh", "-c", TELL], sysctl={}, seccomp=()))
    config["process"]["user"] = {"uid": 0, "gid": 0}
    config["linux"].pop("seccomp")
    config["hostname"] = "bundle"
    config["process"]["cwd"] = "/"
    # Said, as what is not said is inherited, and runc, being a Go program, has raised its own.
    config["process"]["rlimits"] = [{"type": "RLIMIT_NOFILE", "soft": 512, "hard": 1024}]
    return config


def change(where: str, value: Any) -> Callable[[Config], None]:
    """A change of one value, by its path."""
    *path, last = where.split(".")

    def apply(config: Config) -> None:
        for name in path:
            config = config.setdefault(name, {})
        config[last] = value

    return apply


def add_mount(*mounts: Config) -> Callable[[Config], None]:
    return lambda config: config["mounts"].extend(mounts)


def without_namespace(kind: str) -> Callable[[Config], None]:
    def apply(config: Config) -> None:
        kept = [each for each in config["linux"]["namespaces"] if each["type"] != kind]
        config["linux"]["namespaces"] = kept
        if kind == "uts":
            config.pop("hostname")

    return apply


def ambient(config: Config) -> None:
    config["process"]["user"] = {"uid": 1000, "gid": 1000}
    for name in ("bounding", "effective", "permitted", "inheritable", "ambient"):
        config["process"]["capabilities"][name] = ["CAP_NET_RAW", "CAP_CHOWN"]


REFUSE_MKDIR = {
    "defaultAction": "SCMP_ACT_ALLOW",
    "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28}],
}
BUNDLES: dict[str, Callable[[Config], None]] = {
    "plain": lambda config: None,
    "user": change("process.user", {"uid": 1000, "gid": 100, "additionalGids": [5, 6]}),
    "user of the image": change("process.user", {"uid": 65534, "gid": 65534}),
    "umask": change("process.user.umask", 0o077),
    "directory": change("process.cwd", "/home"),
    "directory that is not there": change("process.cwd", "/made/here"),
    "environment": change("process.env", ["PATH=/bin", "A=b=c", "HOME=/else"]),
    "open files": change("process.rlimits", [{"type": "RLIMIT_NOFILE", "soft": 77, "hard": 99}]),
    "out of memory first": change("process.oomScoreAdj", 500),
    "read-only root": change("root.readonly", True),
    "file system in memory": add_mount(
        {"destination": "/extra", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "size=1m", "mode=711"]}
    ),
    "file system in memory, read-only": add_mount(
        {"destination": "/extra", "type": "tmpfs", "source": "tmpfs", "options": ["ro", "nodev", "noexec"]}
    ),
    "directory of the host": add_mount(
        {"destination": "/extra", "type": "bind", "source": "host", "options": ["rbind"]}
    ),
    "directory of the host, read-only": add_mount(
        {"destination": "/extra", "type": "bind", "source": "host", "options": ["bind", "ro", "nosuid"]}
    ),
    "file of the host": add_mount(
        {"destination": "/etc/one", "type": "bind", "source": "host/file", "options": ["bind"]}
    ),
    "no privileges gained": change("process.noNewPrivileges", True),
    "privileges may be gained": change("process.noNewPrivileges", False),
    "no capability": change("process.capabilities", {}),
    "ambient capabilities": ambient,
    "filter": change("linux.seccomp", REFUSE_MKDIR),
    "nothing masked": change("linux.maskedPaths", []),
    "nothing read-only": change("linux.readonlyPaths", []),
    "more masked": change("linux.maskedPaths", ["/proc/timer_list", "/etc/passwd", "/home", "/not/there"]),
    "settings of the network": change("linux.sysctl", {"net.ipv4.ip_unprivileged_port_start": "81"}),
    "limits": change(
        "linux.resources",
        {"memory": {"limit": 33554432}, "pids": {"limit": 33}, "cpu": {"quota": 20000, "period": 100000}},
    ),
    "network of the host": without_namespace("network"),
    "name of the host": without_namespace("uts"),
    "a device": change(
        "linux.devices", [{"path": "/dev/fuse", "type": "c", "major": 10, "minor": 229, "fileMode": 0o600}]
    ),
    "a program that is not there": change("process.args", ["/nothing"]),
    "a program in a directory of PATH": change("process.args", ["echo", "found"]),
}
# What is refused with a sentence that has these words.
REFUSED: dict[str, tuple[Callable[[Config], None], str]] = {
    "hooks": (change("hooks", {"prestart": [{"path": "/bin/true"}]}), "asks for hooks"),
    "a terminal": (change("process.terminal", True), "a terminal"),
    "AppArmor": (change("process.apparmorProfile", "docker-default"), "process.apparmorProfile"),
    "SELinux": (change("process.selinuxLabel", "x"), "process.selinuxLabel"),
    "a user namespace": (change("linux.namespaces", [{"type": "user"}]), "namespace user"),
    "a namespace that is there": (
        change("linux.namespaces", [{"type": "pid", "path": "/proc/1/ns/pid"}]),
        "/proc/1/ns/pid",
    ),
    "shared mounts": (change("linux.rootfsPropagation", "shared"), "rootfsPropagation"),
    "a shared mount": (
        add_mount({"destination": "/x", "type": "bind", "source": "/", "options": ["rbind", "rshared"]}),
        "with rshared",
    ),
    "a setting of the host": (change("linux.sysctl", {"vm.swappiness": "1"}), "vm.swappiness"),
    "a list of allowed calls": (change("linux.seccomp", {"defaultAction": "SCMP_ACT_ERRNO"}), "that are allowed"),
    "a call without a number": (
        change(
            "linux.seccomp",
            {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["quux"], "action": "SCMP_ACT_ERRNO"}]},
        ),
        "quux",
    ),
    "huge pages": (change("linux.resources.hugepageLimits", [{"pageSize": "2MB", "limit": 1}]), "hugepageLimits"),
    "all devices": (change("linux.resources.devices", [{"allow": True, "access": "rwm"}]), "allows devices"),
    "no process": (lambda config: config.pop("process"), "sections process and root"),
    "a wrong number": (change("process.rlimits", [{"type": "RLIMIT_NOFILE"}]), "cannot be understood"),
}


@contextmanager
def bundle(apply: Callable[[Config], None]) -> Iterator[Path]:
    """A bundle in a directory: busybox by its image's layer, copied."""
    with tempfile.TemporaryDirectory(dir="/run", prefix="bundle") as name:
        top = Path(name)
        (top / "host").mkdir()
        (top / "host/file").write_text("of the host\n")
        layer = container_facts.read_image("busybox")[0].layers[0]
        subprocess.run(["cp", "-a", layer, top / "rootfs"], check=True)
        config = base()
        apply(config)
        (top / "config.json").write_text(json.dumps(config))
        yield top


def by_runc(top: Path) -> tuple[int, list[str]]:
    command = ["runc", "--root", str(top / "state"), "run", "--bundle", str(top), f"bundle-{os.getpid()}"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    return done.returncode, tidy(done.stdout + done.stderr)


def by_ours(top: Path) -> tuple[int, list[str]]:
    try:
        done = run(read_bundle(top), timeout_s=60)
    except container_facts.ContainerError as error:
        return 1, [str(error)]
    return done.status, tidy((done.stdout + done.stderr).decode())


def tidy(text: str) -> list[str]:
    """Without what says how often a mount is shared, and of which device it is."""
    return [re.sub(r" (master|shared):\d+", "", line) for line in text.splitlines() if not line.startswith("time=")]


def check(apply: Callable[[Config], None]) -> None:
    with bundle(apply) as top:
        mine = by_ours(top)
    with bundle(apply) as top:
        theirs = by_runc(top)
    if mine[0] == 1 or theirs[0] == 1:  # both say in words of their own why not
        assert mine[0] == theirs[0], (mine, theirs)
        return
    assert mine[0] == theirs[0], (mine, theirs)
    assert mine[1] == theirs[1], [line for line in mine[1] + theirs[1] if (line in mine[1]) != (line in theirs[1])]


def check_refusal(apply: Callable[[Config], None], words: str) -> None:
    config = deepcopy(base())
    apply(config)
    said = container_facts.refused(lambda: parse_config(config, Path("/")))
    assert words in said and said.startswith("config.json"), said


FACTS: Facts = {
    **{f"the same: {name}": partial(check, apply) for name, apply in BUNDLES.items()},
    **{f"refused: {name}": partial(check_refusal, *both) for name, both in REFUSED.items()},
}
main = container_facts.main

if __name__ == "__main__":
    main(FACTS)
