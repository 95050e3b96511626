"""What is a container, as a value?

The words are those of the OCI runtime specification (config.md, config-linux.md). `labkit.isolation.docker_defaults`
fills them in as `docker run` does; `labkit.isolation.bundle` reads them from a config.json.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from labkit.isolation.seccomp import Rule

__all__ = [
    *("CAPABILITIES", "DEVICES", "NAMESPACES", "Capabilities", "Device", "Limits", "Mount", "Rlimit", "Root", "Spec"),
    *("User", "capability_bits"),
]

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
    unpack: Callable[[int, str], tuple[str, ...]] | None = None  # where there is an archive: labkit.isolation.layers
    is_read_only: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """All that makes one container different from another. Nothing in it is looked up later but a user's name."""

    args: tuple[str, ...]
    root: Root
    name: str = ""
    env: tuple[str, ...] = ("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",)
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
    seccomp: "tuple[Rule, ...]" = ()
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


# OCI runtime specification, config-linux.md, "Default Devices"
DEVICES = (
    *(Device("/dev/null", 1, 3), Device("/dev/zero", 1, 5), Device("/dev/full", 1, 7), Device("/dev/random", 1, 8)),
    *(Device("/dev/urandom", 1, 9), Device("/dev/tty", 5, 0)),
)
