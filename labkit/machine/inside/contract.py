"""How do the namespaces of a process become a computer that a lesson can rely on?

A root file system that is writable and vanishes, devices, control groups, a name, a network, an environment: what
docs/machine.md promises of the inside, made with the system calls that containers are made of. The functions
are called in this order, by PID 1; a `uml` machine needs `configure_network`, a `native` one `copy_shells`.
Source: mount(2), pivot_root(2), overlayfs.rst of the kernel, cgroups(7), cgroup_namespaces(7).
"""

import os
import re
import shutil
import subprocess
import sys
from contextlib import nullcontext, suppress
from pathlib import Path

from labkit.linux import syscalls
from labkit.linux.delegation import delegate, step_aside
from labkit.linux.proc import read_memberships, read_mounts
from labkit.machine.boot_log import STATE
from labkit.machine.modules import load_overlay
from labkit.machine.request import GUEST_IP, PATHS, Request

__all__ = [
    "configure_network",
    "copy_shells",
    "make_root",
    "mount_kernel_file_systems",
    "set_environment",
    "set_names",
]

STAGING = Path("/run")  # a directory that every host has, and that the new root does not take from the host


# --- the root file system -------------------------------------------------------------------------------------


def make_root(request: Request) -> None:
    """Put a writable layer in memory over the host's files, and make that the root: mount(2), pivot_root(2)."""
    if request.kind == "uml":
        syscalls.mount("proc", "/proc", "proc")
    syscalls.mount("lab", STAGING, "tmpfs", data=f"mode=755,size={_room(request.kind)}")
    if request.kind == "uml":
        load_overlay(STAGING)
    root = STAGING / "root"
    root.mkdir()
    _overlay("/", root, "root")
    # A user-mode kernel sees through its host's mounts; under the host's own kernel each is a file system apart.
    if request.kind == "native":
        needed, wanted = _mounts_to_carry(request.needed_paths())
        for number, point in enumerate(sorted(needed | wanted)):  # outer ones first
            # What nobody needs may be of a kind that cannot be a lower layer: the machine does without.
            with suppress(OSError) if point not in needed else nullcontext():
                _overlay(point, root / point.lstrip("/"), f"mount{number}")
    os.chdir(root)
    syscalls.pivot_root(".", ".")
    syscalls.umount2(".", syscalls.MNT_DETACH)
    os.chdir("/")
    # As systemd has it on every host; without it `docker run -v /x:/y:rshared` is refused. The host is not among the
    # peers: this namespace's mounts were made private first, and new peer groups begin here (mount_namespaces(7)).
    syscalls.mount("", "/", "", syscalls.MS_REC | syscalls.MS_SHARED)


def _overlay(lower: str, target: Path, name: str) -> None:
    upper, work = STAGING / name / "upper", STAGING / name / "work"
    for directory in (upper, work):
        directory.mkdir(parents=True, exist_ok=True)
    os.chmod(upper, 0o755)
    escaped = re.sub(r"([\\:,])", r"\\\1", lower)  # these part the options and the layers
    syscalls.mount("lab", target, "overlay", data=f"lowerdir={escaped},upperdir={upper},workdir={work}")


def _room(kind: str, share: str = "50%") -> str:
    """How much a learner may write before a place in memory is full, as an option of tmpfs."""
    if kind == "uml":
        return share  # of the machine's own memory
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return f"{max(128, min(2048, total // 8 // 2**20))}m"


def _mounts_to_carry(paths: list[Path]) -> tuple[set[str], set[str]]:
    """The mount points, besides the root, that hold one of the paths; and those of other disks."""
    disks = {line.split()[0] for line in Path("/proc/filesystems").open() if not line.startswith("nodev")}
    mounts = {mount.point: mount.fstype for mount in read_mounts()}
    needed = {_mount_point_of(path, set(mounts)) for path in paths} - {"/"}
    hidden = {"proc", "sys", "dev", "run", "boot"}
    wanted = {
        point
        for point, fstype in mounts.items()
        if fstype in disks and point != "/" and Path(point).parts[1] not in hidden and os.path.isdir(point)
    }
    return needed, wanted


def _mount_point_of(path: Path, points: set[str]) -> str:
    return next(str(parent) for parent in (path, *path.parents) if str(parent) in points)


# --- what the kernel shows, and names ---------------------------------------------------------------------------


def mount_kernel_file_systems(kind: str) -> None:
    """Mount /proc, /sys, /dev, the cgroups, and the places in memory."""
    secure = syscalls.MS_NOSUID | syscalls.MS_NODEV | syscalls.MS_NOEXEC
    syscalls.mount("proc", "/proc", "proc", secure)
    syscalls.mount("sysfs", "/sys", "sysfs", secure)
    if kind == "uml":
        _map_more_at_once(secure)
    _make_devices(kind)
    for name, fstype, data in (
        ("/dev/pts", "devpts", "newinstance,ptmxmode=0666,mode=620,gid=5"),
        ("/dev/shm", "tmpfs", f"mode=1777,size={_room(kind)}"),
        ("/dev/mqueue", "mqueue", ""),
    ):
        Path(name).mkdir(exist_ok=True)
        syscalls.mount(fstype, name, fstype, syscalls.MS_NOSUID, data)
    if not os.path.lexists("/dev/ptmx"):
        os.symlink("pts/ptmx", "/dev/ptmx")
    # /etc/docker holds the keys and the configuration of the host's own engine, which this one is not to read.
    for place in ("/run", "/var/lib/docker", "/etc/docker"):
        Path(place).mkdir(parents=True, exist_ok=True)
        syscalls.mount("lab", place, "tmpfs", data=f"mode=755,size={_room(kind, '75%')}")
    Path("/run/lock").mkdir()
    Path("/run/lock").chmod(0o1777)
    if kind == "uml":
        _mount_cgroups_of_its_own()
    else:
        mount_cgroups()
    _end_cpuinfo()


def _map_more_at_once(flags: int) -> None:
    """Have the first use of a page of a file map the pages around it, too, as far as they are in memory: of 1 MiB.

    Each first use stops a process for 15 us in a user-mode kernel, which looks 64 KiB around by itself. The knob lies
    in debugfs: fault_around_bytes, mm/memory.c of the kernel's source. A kernel without debugfs goes without.
    """
    place = Path("/sys/kernel/debug")
    if place.exists():
        syscalls.mount("debugfs", place, "debugfs", flags)
        (place / "fault_around_bytes").write_text(str(1 << 20))


def _make_devices(kind: str) -> None:
    """Make /dev: what every host has in it, on top of what the drivers of a kernel of its own have made by themselves.

    The devices of a module that is not loaded yet are nodes all the same: who opens one has the kernel load it.
    A host's own kernel gives no loop devices: one that is left attached would outlive the machine, with its memory.
    """
    if kind == "uml":
        syscalls.mount("devtmpfs", "/dev", "devtmpfs", syscalls.MS_NOSUID)
    else:
        syscalls.mount("lab", "/dev", "tmpfs", syscalls.MS_NOSUID, "mode=755,size=1m")
    for name, mode, major, minor in (
        ("null", 0o666, 1, 3),
        ("zero", 0o666, 1, 5),
        ("full", 0o666, 1, 7),
        ("random", 0o666, 1, 8),
        ("urandom", 0o666, 1, 9),
        ("tty", 0o666, 5, 0),
        ("fuse", 0o666, 10, 229),
        ("net/tun", 0o666, 10, 200),
        *([("loop-control", 0o660, 10, 237)] if kind == "uml" else []),
    ):
        path = Path("/dev", name)
        path.parent.mkdir(exist_ok=True)
        if not path.exists():
            os.mknod(path, 0o020000 | mode, os.makedev(major, minor))
        path.chmod(mode)
    for name, to in (("fd", "/proc/self/fd"), ("stdin", "fd/0"), ("stdout", "fd/1"), ("stderr", "fd/2")):
        os.symlink(to, f"/dev/{name}")


def _end_cpuinfo() -> None:
    """Have /proc/cpuinfo end with an empty line, as kernels for real processors write it, and a user-mode one does not.

    procps 4.0.2, that of Debian 12, reads on to that line: without it ps, vmstat and `docker top` end with "Unable to
    get system boot time". The file is removed once it is mounted: the mount alone keeps it.

    After that no /proc is seen whole, and the kernel would let no ordinary user mount one in namespaces of their own,
    as rootless engines do (mount_too_revealing in fs/namespace.c). So another one is mounted, which nothing covers.
    """
    text = Path("/proc/cpuinfo").read_text()
    if not text.endswith("\n\n"):
        copy, whole = Path("/run/cpuinfo"), Path("/run/proc")
        copy.write_text(text + "\n")
        syscalls.mount(str(copy), "/proc/cpuinfo", flags=syscalls.MS_BIND)
        copy.unlink()
        whole.mkdir()
        syscalls.mount("proc", whole, "proc", syscalls.MS_NOSUID | syscalls.MS_NODEV | syscalls.MS_NOEXEC)


def _mount_cgroups_of_its_own() -> None:
    """Mount version 2, with the machine's own processes in a group `init`, as `native` has them.

    That group counts those of them that the kernel killed because memory ran out (labkit.machine.inside.oom).
    """
    top = Path("/sys/fs/cgroup")
    syscalls.mount("cgroup2", top, "cgroup2", syscalls.MS_NOSUID | syscalls.MS_NODEV | syscalls.MS_NOEXEC)
    step_aside(top)
    delegate(top)


def mount_cgroups() -> None:
    """Mount the host's hierarchies again, each with this machine's own group as its root: cgroup_namespaces(7)."""
    hierarchies = [",".join(membership.controllers) for membership in read_memberships()]
    top = Path("/sys/fs/cgroup")
    if hierarchies == [""]:
        syscalls.mount("cgroup2", top, "cgroup2")
        delegate(top)
        return
    syscalls.mount("lab", top, "tmpfs", data="mode=755")
    for controllers in hierarchies:
        where = top / (controllers.removeprefix("name=") or "unified")
        where.mkdir()
        try:
            if controllers:
                syscalls.mount("cgroup", where, "cgroup", data=("none," if "=" in controllers else "") + controllers)
            else:
                syscalls.mount("cgroup2", where, "cgroup2")
        except OSError:  # a hierarchy that the host has, and does not let us mount
            where.rmdir()
        else:
            for single in controllers.split(",") if "," in controllers else ():
                (top / single).symlink_to(controllers)


def set_names() -> None:
    """Call the machine `lab`, and find names through slirp4netns."""
    syscalls.sethostname("lab")
    for path, text in (
        ("/etc/hostname", "lab\n"),
        ("/etc/hosts", "127.0.0.1\tlocalhost\n127.0.1.1\tlab\n::1\tlocalhost ip6-localhost\n"),
        ("/etc/resolv.conf", "nameserver 10.0.2.3\n"),
    ):
        Path(path).unlink(missing_ok=True)  # on many hosts a link to a file of a service that is not here
        Path(path).write_text(text)


def configure_network(more: str = "", *pass_fds: int) -> None:
    """Give the user-mode kernel's network card its address; for `native` slirp4netns does the same from outside.

    `more` are further orders to ip(8), which has the descriptors `pass_fds`.
    """
    orders = f"link set lo up\naddr add {GUEST_IP}/24 dev vec0\nlink set vec0 up\nroute add default via 10.0.2.2\n"
    subprocess.run(["/sbin/ip", "-batch", "-"], input=orders + more, text=True, check=True, pass_fds=pass_fds)


def set_environment(request: Request) -> None:
    """Give programs an environment that is the same on every host; a proxy of the host's is all that it keeps."""
    paths = f"{sys.prefix}/bin:{PATHS}"
    if request.kind == "uml":
        _prefer_legacy_iptables()
        paths = f"/run/labkit/bin:{paths}"
    if request.engine:
        paths = f"{request.engine}:{paths}"
    if not any(path.is_relative_to("/root") for path in request.needed_paths()):
        syscalls.mount("lab", "/root", "tmpfs", data=f"mode=700,size={_room(request.kind)}")
    terminal = os.environ.get("TERM", "linux") if request.terminal else "dumb"
    # Nothing of the host's: a language would change outputs, and the address of its Docker does not lead anywhere.
    os.environ.clear()
    os.environ.update(
        PATH=paths,
        HOME="/root",
        USER="root",
        LANG="C.UTF-8",
        TERM=terminal,
        LABKIT_MACHINE_KIND=request.kind,
        DOCKER_CONFIG="/run/labkit/docker-cli",
        TMPDIR="/tmp",
        **request.proxies,
    )


def _prefer_legacy_iptables() -> None:
    """A user-mode kernel has the older packet filter only, whichever one the host's links name."""
    directory = STATE / "bin"
    directory.mkdir()
    for name in ("iptables", "ip6tables", "iptables-save", "ip6tables-save", "iptables-restore"):
        family, _, verb = name.partition("-")
        program = f"/usr/sbin/{family}-legacy" + (f"-{verb}" if verb else "")
        (directory / name).symlink_to(program)


def copy_shells() -> None:
    """Copy the shells, and the code of the libraries that they use, into the machine's layer.

    Under one kernel, processes that map the same file wait for one lock when they start and end (the kernel's
    i_mmap_rwsem). The shells of a fork bomb would queue there by the thousand, and each program of the host behind
    them. Opening a file for writing is what makes overlayfs copy it: overlayfs.rst of the kernel. Raises OSError
    when it cannot be copied.
    """
    show_maps = 'while read -r line; do echo "$line"; done </proc/$$/maps'  # without a second program
    for shell in filter(shutil.which, ("sh", "bash")):
        maps = subprocess.run([shell, "-c", show_maps], stdout=subprocess.PIPE, check=True).stdout
        for file in re.findall(rb" r-xp [^/]*(/.*)", maps):
            os.close(os.open(file, os.O_WRONLY))
