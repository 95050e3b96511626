"""Which wall of a container stops which attack?

    make_target()                      an image with a setuid program, and a file of the machine's root
    try_attacks()                      no wall stands: which attacks work? {"change the network": True, ...}
    try_attacks("seccomp")             that wall alone
    try_attacks(host=second.host)      none but those of that engine, such as a user namespace

Each attack is a line of shell in a real container of `docker run`. Each wall is an option of it, which is there or not.
An attack does no harm: it writes a setting's own value, and addresses of a network that the container alone has.
"""

import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from labkit.errors import LabError
from labkit.isolation.docker_defaults import KERNEL_FILE_SYSTEMS
from labkit.isolation.spec import Mount

__all__ = ["ATTACKS", "LENT", "WALLS", "Wall", "make_target", "options_for", "runtime_mounts", "try_attacks"]

TARGET, MAKER = "target", "maker"
VAULT = Path("/srv/vault")
PATIENCE_S = 60.0


class Wall(NamedTuple):
    """The options of `docker run` with which a wall stands, and those without."""

    up: tuple[str, ...] = ()
    down: tuple[str, ...] = ()


# docker-run(1). The first four stand unless one says otherwise. NET_ADMIN stands for all capabilities that Docker does
# not give: a machine may lack some of them itself, and then `--cap-add ALL` and `--privileged` are refused.
WALLS = {
    "capabilities": Wall(down=("--cap-add", "NET_ADMIN")),
    "seccomp": Wall(down=("--security-opt", "seccomp=unconfined")),
    "devices": Wall(down=("--device-cgroup-rule", "a *:* rwm")),
    "paths": Wall(down=("--security-opt", "systempaths=unconfined")),
    "no new rights": Wall(up=("--security-opt", "no-new-privileges")),
    "read-only root": Wall(up=("--read-only",)),
    "plain user": Wall(up=("--user", "1000")),
}
ATTACKS = {
    "change the network": "ip address add 10.9.8.7/32 dev lo",
    "mount in a user namespace": "unshare -U -r -m sh -c 'mount -t tmpfs none /tmp'",
    "open a device by its number": "mknod /dev/node c 10 229 && : < /dev/node",  # fuse: each machine has it
    "change a kernel setting": "v=$(cat /proc/sys/vm/swappiness) && echo $v > /proc/sys/vm/swappiness",
    "read the kernel's timers": 'test -n "$(head -c 9 /proc/timer_list)"',
    "be root by a setuid program": "$as_1000 /tmp/id -u | grep -qx 0",
    "replace a program": "echo x > /bin/planted",
    "read a file of root": "cat /vault/key",
}
# Programs of the machine, which busybox lacks: curl, and id and setpriv of GNU and util-linux.
LENT = tuple(
    word for path in ("/usr", "/lib", "/lib64") if os.path.isdir(path) for word in ("--volume", f"{path}:{path}:ro")
)


def make_target() -> None:
    """Make the image `target` (busybox, and `id` with the setuid bit), and a file that the machine's root alone reads.

    Raises LabError with docker's words.
    """
    VAULT.mkdir(parents=True, exist_ok=True)
    (VAULT / "key").write_text("of the machine's root\n")
    (VAULT / "key").chmod(0o600)
    _docker("rm", "--force", MAKER, may_fail=True)
    copy = "cp /usr/bin/id /tmp/id && chmod 4755 /tmp/id"
    _docker("run", "--name", MAKER, *LENT, "busybox", "sh", "-c", copy)
    _docker("commit", MAKER, TARGET)
    _docker("rm", MAKER)


def runtime_mounts() -> tuple[Mount, ...]:
    """What a container by hand needs in order to run the Python that makes it: its usual mounts, and the libraries."""
    paths = [path for path in ("/usr", "/lib", "/lib64", sys.base_prefix) if os.path.isdir(path)]
    return (*KERNEL_FILE_SYSTEMS, *(Mount(path, "bind", path, ("ro",)) for path in dict.fromkeys(paths)))


def options_for(*up: str) -> list[str]:
    """The options of `docker run` with which these walls stand and all others do not; KeyError for another name."""
    walls = {name: WALLS[name] for name in up}
    # AppArmor's profile would stand in for others, on a host that has it.
    options = ["--security-opt", "apparmor=unconfined"]
    for name, wall in WALLS.items():
        options += wall.up if name in walls else wall.down
    return options


def try_attacks(*up: str, host: str = "", options: list[str] | None = None) -> dict[str, bool]:
    """Which attacks work in a container in which these walls alone stand? With `options`, these are docker's own.

    `host` is the address of another engine. Raises LabError with docker's words when the container does not start.
    """
    where = ["--host", host] if host else []
    if host:
        _load(host)
    given = options_for(*up) if options is None else options
    volumes = ["--volume", f"{VAULT}:/vault:ro", *LENT]
    script = 'as_1000="setpriv --reuid=1000 --regid=1000 --clear-groups"; test "$(id -u)" = 0 || as_1000=\n'
    for line in ATTACKS.values():
        script += f"if ( {line} ) >/dev/null 2>&1; then echo works; else echo stopped; fi\n"
    said = _docker(*where, "run", "--rm", "--network", "none", *volumes, *given, TARGET, "sh", "-c", script).split()
    return {name: word == "works" for name, word in zip(ATTACKS, said, strict=True)}


def _load(host: str) -> None:
    """Bring the image to another engine."""
    saved = subprocess.run(["docker", "save", TARGET], capture_output=True, timeout=PATIENCE_S, check=False)
    subprocess.run(
        ["docker", "--host", host, "load"], input=saved.stdout, capture_output=True, timeout=PATIENCE_S, check=False
    )


def _docker(*words: str, may_fail: bool = False) -> str:
    done = subprocess.run(["docker", *words], capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    if done.returncode != 0 and not may_fail:
        raise LabError(f"docker {words[0]} failed: {done.stderr.strip()}")
    return done.stdout
