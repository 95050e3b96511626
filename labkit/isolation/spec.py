"""What is a container, as a value?

The words are those of the OCI runtime specification (config.md, config-linux.md). `docker_spec` fills them in as
`docker run` does; `labkit.isolation.bundle` reads them from a config.json.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from labkit.isolation.seccomp import DOCKER, Rule

__all__ = [
    *("CAPABILITIES", "DEVICES", "KERNEL_FILE_SYSTEMS", "MASKED", "NAMESPACES", "PATH", "READ_ONLY"),
    *(
        "Capabilities",
        "Device",
        "Limits",
        "Mount",
        "Rlimit",
        "Root",
        "Spec",
        "User",
        "capability_bits",
        "directory_root",
        "docker_spec",
    ),
]

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
NAMESPACES = ("mount", "pid", "uts", "ipc", "network", "cgroup")

# <linux/capability.h>, in the order of their numbers
CAPABILITIES = (
    *("CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP"),
    *("LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW", "IPC_LOCK", "IPC_OWNER"),
    *("SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT", "SYS_ADMIN", "SYS_BOOT", "SYS_NICE"),
    *("SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD", "LEASE", "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP"),
    *("MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG", "WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ", "PERFMON", "BPF"),
    "CHECKPOINT_RESTORE",
)
# What Docker leaves to root in a container: moby, oci/caps/defaults.go
KEPT = (
    *("CHOWN", "DAC_OVERRIDE", "FSETID", "FOWNER", "MKNOD", "NET_RAW", "SETGID", "SETUID", "SETFCAP", "SETPCAP"),
    *("NET_BIND_SERVICE", "SYS_CHROOT", "KILL", "AUDIT_WRITE"),
)
# moby, oci/defaults.go
MASKED = (
    *("/proc/asound", "/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list"),
    *("/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware"),
)
READ_ONLY = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")


# In its own network a container may do what root's programs alone could: moby, daemon/daemon_unix.go
SYSCTL = {"net.ipv4.ip_unprivileged_port_start": "0", "net.ipv4.ping_group_range": "0 2147483647"}


@dataclass(frozen=True, slots=True)
class Mount:
    """Something to mount in the container: `fstype` "bind" shows a file or directory `source` of the host."""

    destination: str
    fstype: str
    source: str = ""
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Device:
    """A device node: `kind` is "c" or "b"."""

    path: str
    major: int
    minor: int
    kind: str = "c"
    mode: int = 0o666
    uid: int = 0
    gid: int = 0


@dataclass(frozen=True, slots=True)
class Rlimit:
    """A limit of one process, by the name of getrlimit(2), as "NOFILE"."""

    name: str
    soft: int
    hard: int


@dataclass(frozen=True, slots=True)
class Limits:
    """What the container's control groups allow; None: no limit. `cpus` counts processors, as 0.5."""

    memory_bytes: int | None = None
    memory_and_swap_bytes: int | None = None
    cpus: float | None = None
    cpu_shares: int | None = None
    cpuset_cpus: str = ""
    pids: int | None = None
    only_these_devices: bool = True  # other devices cannot be opened, even where a node is made


@dataclass(frozen=True, slots=True)
class User:
    """Who the program runs as. `name` ("nobody", "1000:100") is looked up in the container's /etc/passwd, if given."""

    uid: int = 0
    gid: int = 0
    more_gids: tuple[int, ...] = ()
    name: str = ""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """The five sets of capabilities(7), as bits."""

    bounding: int = 0
    effective: int = 0
    permitted: int = 0
    inheritable: int = 0
    ambient: int = 0


@dataclass(frozen=True, slots=True)
class Root:
    """The root directory: `layers`, the topmost first, under a writable layer in memory; or `directory` as it is.

    `archive` is the file of an image, as `docker save` writes it: its layers are unpacked into memory.
    `upper` is a directory of the host for the writable layer (in it `diff` and `work`), which then stays.
    """

    layers: tuple[str, ...] = ()
    directory: str = ""
    upper: str = ""
    archive: str = ""
    is_read_only: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """All that makes one container different from another. Nothing in it is looked up later but a user's name."""

    args: tuple[str, ...]
    root: Root
    name: str = ""
    env: tuple[str, ...] = (f"PATH={PATH}",)
    cwd: str = "/"
    user: User = User()
    umask: int | None = None
    hostname: str = ""
    domainname: str = ""
    namespaces: tuple[str, ...] = NAMESPACES
    mounts: tuple[Mount, ...] = ()
    devices: tuple[Device, ...] = ()
    masked_paths: tuple[str, ...] = ()
    readonly_paths: tuple[str, ...] = ()
    sysctl: Mapping[str, str] = field(default_factory=dict)
    capabilities: Capabilities | None = None  # None: as the caller has them
    no_new_privileges: bool = False
    seccomp: tuple[Rule, ...] = ()
    rlimits: tuple[Rlimit, ...] = ()
    limits: Limits = Limits()
    oom_score_adj: int | None = None


def capability_bits(names: Sequence[str]) -> int:
    """The bits of capabilities by their names, as "CAP_CHOWN" or "CHOWN"; raises ValueError for another name."""
    bits = 0
    for name in names:
        short = name.upper().removeprefix("CAP_")
        if short not in CAPABILITIES:
            raise ValueError(f"there is no capability {name!r}: capabilities(7) lists them")
        bits |= 1 << CAPABILITIES.index(short)
    return bits


_SECURE = ("nosuid", "noexec", "nodev")
KERNEL_FILE_SYSTEMS = (
    Mount("/proc", "proc", "proc", _SECURE),
    Mount("/dev", "tmpfs", "tmpfs", ("nosuid", "strictatime", "mode=755", "size=65536k")),
    Mount("/dev/pts", "devpts", "devpts", ("nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5")),
    Mount("/sys", "sysfs", "sysfs", (*_SECURE, "ro")),
    Mount("/sys/fs/cgroup", "cgroup", "cgroup", (*_SECURE, "ro")),
    Mount("/dev/mqueue", "mqueue", "mqueue", _SECURE),
    Mount("/dev/shm", "tmpfs", "shm", (*_SECURE, "mode=1777", "size=65536k")),
)
# OCI runtime specification, config-linux.md, "Default Devices"
DEVICES = (
    *(Device("/dev/null", 1, 3), Device("/dev/zero", 1, 5), Device("/dev/full", 1, 7), Device("/dev/random", 1, 8)),
    *(Device("/dev/urandom", 1, 9), Device("/dev/tty", 5, 0)),
)


def docker_spec(root: Root, args: Sequence[str], /, *, env: Sequence[str] = (), **changes: Any) -> Spec:
    """The container that `docker run` makes of a root directory and a command.

    `env` is added to PATH; `changes` are fields of Spec, and take the place of what Docker has there. Unlike
    Docker's, the program can gain no privileges (no_new_privs), as with `docker run --security-opt no-new-privileges`.
    """
    kept = capability_bits(KEPT)
    user = changes.get("user", User(name="0"))
    is_root = not user.uid and user.name in ("", "0", "root")
    capabilities = Capabilities(kept, kept, kept) if is_root else Capabilities(kept)
    is_private = os.path.exists("/sys/fs/cgroup/cgroup.controllers")  # as Docker: only in version 2
    settings: dict[str, Any] = {
        "namespaces": NAMESPACES if is_private else NAMESPACES[:-1],
        "mounts": KERNEL_FILE_SYSTEMS,
        "devices": DEVICES,
        "masked_paths": MASKED,
        "readonly_paths": READ_ONLY,
        "capabilities": capabilities,
        "no_new_privileges": True,
        "seccomp": DOCKER,
        "sysctl": SYSCTL,
        "user": user,
    } | changes
    paths = () if any(each.startswith("PATH=") for each in env) else (f"PATH={PATH}",)
    names = (f"HOSTNAME={settings['hostname']}",) if settings.get("hostname") else ()
    return Spec(args=tuple(args), root=root, env=(*paths, *names, *env), **settings)


def directory_root(path: str | Path) -> Root:
    """A directory as the only layer: what the container writes does not come into it."""
    return Root(layers=(str(Path(path).absolute()),))
