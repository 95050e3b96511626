"""What does `docker run` ask for, where nothing is said?

Sources: moby, oci/defaults.go, oci/caps/defaults.go, daemon/daemon_unix.go.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from labkit.isolation.seccomp import DOCKER
from labkit.isolation.spec import DEVICES, NAMESPACES, Capabilities, Mount, Root, Spec, User, capability_bits

__all__ = ["KERNEL_FILE_SYSTEMS", "KEPT", "MASKED", "PATH", "READ_ONLY", "SYSCTL", "directory_root", "docker_spec"]

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
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
