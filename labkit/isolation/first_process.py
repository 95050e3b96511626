"""What does the first process of a container do, before it becomes the program?

STEPS are done one after another, by a process that is in its new namespaces already. Before each step the process
tells its name and the time, so that whoever waits knows how long each took, and in which one it failed.
The last step is execve(2): the process stays the same, and its program is the container's from then on.
"""

import ctypes
import errno
import fcntl
import os
import select
import signal
import socket
import struct
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from labkit.isolation import privileges, rootfs
from labkit.isolation.defences import Defences
from labkit.isolation.spec import Spec
from labkit.isolation.users import find_user, home_of
from labkit.linux import syscalls
from labkit.linux.cgroups import Group
from labkit.linux.mounts import RESOLVE_NO_MAGICLINKS, openat2

__all__ = ["STEPS", "OnStep", "Order", "answer_signals_as_new", "become", "check_cwd", "execute", "tell_error"]

OnStep = Callable[[str], object]

_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 1  # <linux/sockios.h>, <linux/if.h>
_AT_FDCWD = -100
_answer_signal = ctypes.CDLL(None).signal  # Python's own looks each number up in tables of names
TELLS, HEARS, ROOT = 3, 4, 5  # the descriptors of the first process, besides its streams
_WORDS = {
    errno.ENOENT: "there is no such program in the container (or its interpreter is not there)",
    errno.EACCES: "this is no file that the user may execute",
    errno.ENOEXEC: "this is no program: it begins neither as ELF nor with #!",
    errno.E2BIG: "the arguments and the environment are together longer than the kernel takes",
    errno.ELOOP: "this name leads through a link of /proc to a program outside of the container",
}


class Order(NamedTuple):
    """All that the first process needs. Descriptors: its stdin, stdout, stderr; `tells`, where it tells its steps;
    `hears`, which ends when its shim does, and where a byte comes when its network is ready."""

    spec: Spec
    group: Group
    streams: tuple[int, int, int]
    tells: int
    hears: int
    has_network: bool
    defences: Defences
    on_step: OnStep | None
    sources: dict[int, int] = {}  # from rootfs.open_sources


def become(order: Order) -> None:
    """Do all steps. Returns only if one has failed, after its words were told."""
    tells = order.tells
    try:
        _leave_session(order)
        order, tells = order._replace(tells=TELLS, hears=HEARS), TELLS
        for name, step in STEPS:
            _tell(tells, f"{time.perf_counter_ns()} {name}")
            if order.on_step is not None:
                order.on_step(name)
            step(order)
    except BaseException as error:  # whatever it is, the caller is told of it in one line
        tell_error(tells, error)


def _tell(where: int, line: str) -> None:
    os.write(where, line.encode(errors="replace") + b"\n")


def tell_error(where: int, error: BaseException) -> None:
    """Tell of an error, in one line that begins with `!`."""
    words = str(error)
    if isinstance(error, OSError):
        words = (error.strerror or "") + (f": {error.filename}" if error.filename else "")
    _tell(where, f"! {type(error).__name__}: {words}".replace("\n", " "))


def _leave_session(order: Order) -> None:
    """End with the shim, answer signals as a new program does, and keep no descriptor of others."""
    tells, hears = (fcntl.fcntl(each, fcntl.F_DUPFD_CLOEXEC, 10) for each in (order.tells, order.hears))
    _die_with_shim(hears)
    os.setsid()
    answer_signals_as_new()
    streams = [fcntl.fcntl(each, fcntl.F_DUPFD_CLOEXEC, 10) for each in order.streams]
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    for number, pipe in ((TELLS, tells), (HEARS, hears)):
        os.dup2(pipe, number, inheritable=False)
    if order.defences.closes_descriptors:
        privileges.close_descriptors(ROOT)
    os.dup2(0, ROOT, inheritable=False)  # until there is a root directory, nothing else is to have this number


def answer_signals_as_new() -> None:
    """Answer each signal as a new program does: what is ignored or blocked stays so over execve(2)."""
    for number in range(1, signal.NSIG):
        _answer_signal(number, 0)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _die_with_shim(hears: int) -> None:
    """Be killed when the shim ends: PR_SET_PDEATHSIG of prctl(2); at once, if it has ended already."""
    syscalls.prctl(1, signal.SIGKILL)
    poller = select.poll()
    poller.register(hears, 0)
    if any(event & select.POLLHUP for _, event in poller.poll(0)):
        os._exit(1)


def _join_group(order: Order) -> None:
    if order.group.version == 1:  # in version 2 the process was born there
        order.group.join()
    if order.spec.oom_score_adj is not None:
        with open("/proc/self/oom_score_adj", "w") as file:
            file.write(str(order.spec.oom_score_adj))
    # A cgroup namespace begins at the group in which its maker is.
    if "cgroup" in order.spec.namespaces:
        syscalls.unshare(syscalls.CLONE_NEWCGROUP)


def _mount_root(order: Order) -> None:
    order.sources.update(rootfs.open_sources(order.spec))
    root = rootfs.mount_root(order.spec.root)
    os.dup2(root, ROOT, inheritable=False)
    os.close(root)


def _mount_all(order: Order) -> None:
    rootfs.mount_all(ROOT, order.spec, order.group.directories, order.sources, order.defences)


def _name(order: Order) -> None:
    if "uts" in order.spec.namespaces:
        if order.spec.hostname:
            syscalls.sethostname(order.spec.hostname)
        if order.spec.domainname:
            syscalls.setdomainname(order.spec.domainname)


def _wait_for_network(order: Order) -> None:
    if "network" in order.spec.namespaces:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
            request = struct.pack("16sh14x", b"lo", 0)
            name, flags = struct.unpack("16sh14x", fcntl.ioctl(any_socket, _SIOCGIFFLAGS, request))
            fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sh14x", name, flags | _IFF_UP))
    if order.has_network and not os.read(order.hears, 1):
        os._exit(1)  # the shim has ended


def _limit(order: Order) -> None:
    privileges.write_rlimits(order.spec.rlimits)
    os.umask(0o022 if order.spec.umask is None else order.spec.umask)


def _give_up(order: Order) -> None:
    """Go to the working directory, and become the user, with what that user may do."""
    spec = order.spec
    user = find_user(spec.user)
    try:
        os.chdir(spec.cwd)
    except FileNotFoundError:
        os.makedirs(spec.cwd)
        os.chdir(spec.cwd)
    if order.defences.checks_cwd:
        check_cwd(spec.cwd)
    if order.defences.hides_runtime:
        privileges.forbid_peeking()
    if not any(each.startswith("HOME=") for each in spec.env):
        os.environ["HOME"] = home_of(user.uid)
    privileges.give_up(spec, user.uid, user.gid, user.more_gids)
    if user.uid:
        _die_with_shim(order.hears)  # the kernel forgets this when a process changes its user


def check_cwd(cwd: str) -> None:
    """Raise PermissionError where it is outside of the root directory: getcwd(2) gives no path then."""
    try:
        inside = os.getcwd().startswith("/")
    except FileNotFoundError:
        inside = False
    if not inside:
        raise PermissionError(errno.EPERM, "the working directory is outside of the container", cwd)


def _execute(order: Order) -> None:
    spec = order.spec
    env = dict(each.split("=", 1) for each in spec.env if "=" in each)
    env.setdefault("HOME", os.environ.get("HOME", "/"))
    execute(spec.args, env, order.defences)


def execute(args: Sequence[str], env: dict[str, str], defences: Defences) -> None:
    """Execute a program, which is looked for in PATH as a shell does. Raises OSError with the reason."""
    program = args[0]
    places = [program] if "/" in program else [f"{place or '.'}/{program}" for place in env.get("PATH", "").split(":")]
    reason: OSError | None = None
    for place in places:
        try:
            if defences.hides_runtime:
                os.close(openat2(_AT_FDCWD, place, os.O_PATH, RESOLVE_NO_MAGICLINKS))
            os.execve(place, list(args), env)
        except OSError as error:
            if reason is None or error.errno not in (errno.ENOENT, errno.ENOTDIR):
                reason = error
    number = (reason.errno if reason is not None else None) or errno.ENOENT
    raise OSError(number, _WORDS.get(number, os.strerror(number)), program)


STEPS: Sequence[tuple[str, Callable[[Order], None]]] = (
    ("join groups", _join_group),
    ("private mounts", lambda order: rootfs.make_private()),
    ("root directory", _mount_root),
    ("mounts", _mount_all),
    ("devices", lambda order: rootfs.make_devices(ROOT, order.spec, order.defences)),
    ("hidden paths", lambda order: rootfs.hide(ROOT, order.spec, order.defences)),
    ("sysctl", lambda order: rootfs.write_sysctl(ROOT, order.spec, order.defences)),
    ("pivot_root", lambda order: rootfs.enter(ROOT, order.spec, order.defences)),
    ("names", _name),
    ("network", _wait_for_network),
    ("limits", _limit),
    ("privileges", _give_up),
    ("program", _execute),
)
