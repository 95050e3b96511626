"""What can this host do, and what is the cure for what it cannot?

Each check gives the problems that it found: one sentence on what was found, one on what to do. The same checks run
before a machine boots, so the notebook and `labkit doctor` say the same. They are quick, and look for known reasons;
`labkit doctor` besides boots a machine of each kind in which they find nothing, before it says "ok".
"""

import _thread
import ctypes
import errno
import mmap
import os
import platform
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from labkit.errors import EngineUnfit, MachineError
from labkit.linux.proc import read_effective_capabilities
from labkit.machine import KINDS
from labkit.machine.engine_programs import describe_engine, require_engine
from labkit.machine.inside.busybox import BUSYBOX, is_static
from labkit.machine.outside.kernel import PROGRAM, Kernel, NoKernel, find_kernel, find_program
from labkit.machine.outside.memory import group_memory_mib, host_memory_mib, promised_mib
from labkit.machine.outside.ports import reserve
from labkit.machine.request import PATHS, read_engine_dir

__all__ = [
    "KINDS",
    "Problem",
    "boot_once",
    "check",
    "check_port",
    "choose_kind",
    "describe_kernel",
    "examine",
    "memory_dir",
    "name_port_problem",
    "require",
    "require_kernel",
    "require_memory",
    "state_dir",
]

PACKAGES = {  # program: Debian package
    "dockerd": "docker.io",
    "containerd": "containerd",
    "runc": "runc",
    "docker": "docker.io",
    str(BUSYBOX): "busybox-static",
    "iptables": "iptables",
    "ip": "iproute2",
    "modprobe": "kmod",
    "slirp4netns": "slirp4netns",
    # what the lessons use besides
    "curl": "curl",
    "strace": "strace",
    "gcc": "gcc",
    "docker-registry": "docker-registry",
    "mkfs.btrfs": "btrfs-progs",
    "fuse-overlayfs": "fuse-overlayfs",
    "mke2fs": "e2fsprogs",
    "openssl": "openssl",
    "docker-compose": "docker-compose",
    "rootlesskit": "rootlesskit",
    "newuidmap": "uidmap",
    "nsenter": "util-linux",
}
UML_MEMORY_MIB = 512
NEEDED_PROCESSES = 100  # threads count, too: a machine with its engine and a few containers, and what is beside it
# What a machine comes to hold: with its engine and a few containers; all of its memory, and the processes beside it.
NEEDED_MIB = {"native": 250, "uml": UML_MEMORY_MIB + 38}
MAX_WORDS = 1000  # of a machine that failed
MAX_SOCKET_PATH = 107  # sun_path of unix(7), less the final zero
CAP_SYS_ADMIN = 21


@dataclass(frozen=True, slots=True)
class Problem:
    """What was found, and the cure."""

    found: str
    cure: str

    def __str__(self) -> str:
        return f"{self.found} {self.cure}"


def examine() -> dict[str, Any]:
    """What `labkit doctor --json` prints: {"machine": the kind to be used or None, "kinds": {kind: {"ok",
    "problems": [{"found", "cure"}]}}, "host": [...] problems with the surroundings: HOME, ports, "kernel": that of
    `uml` machines, as describe_kernel gives it, "engine": {"program", "version", "image_store"}}. A kind is ok when a
    machine of it has just run a command: that takes as long as its boot.
    """
    kinds = {kind: check(kind) or [*_check_engine()] or boot_once(kind) for kind in KINDS}
    host = [*_check_home(), *_check_headers(), *check_port()]
    chosen = None
    try:
        chosen = choose_kind()
    except MachineError as error:
        host.append(Problem(str(error), "Set LABKIT_MACHINE to one of them, or unset it."))
    possible = [kind for kind in KINDS if not kinds[kind]]
    if chosen == os.environ.get("LABKIT_MACHINE") and possible and chosen not in possible:
        host.append(Problem(f"LABKIT_MACHINE={chosen} cannot boot here.", f"Set it to {possible[0]}, or unset it."))
    elif chosen and possible and chosen not in possible:
        host.append(Problem(f"The kind used here, {chosen}, does not boot.", f"Set LABKIT_MACHINE={possible[0]}."))
    return {
        "machine": chosen if chosen and not kinds[chosen] else None,
        "kinds": {
            kind: {"ok": not problems, "problems": [asdict(problem) for problem in problems]}
            for kind, problems in kinds.items()
        },
        "engine": _describe_engine(),
        "host": [asdict(problem) for problem in host],
        "kernel": describe_kernel(),
    }


def describe_kernel() -> dict[str, Any] | None:
    """The kernel of user-mode machines here: {"program", "release", "own", "processes": "by seccomp" or "by ptrace",
    "quicker": what would make it quicker, or ""}. None where there is none that runs.
    """
    kernel = _find_kernel() if platform.system() == "Linux" else None
    if kernel is None or isinstance(kernel, Problem):
        return None
    if not kernel.is_own:
        quicker = "`make kernel` builds the lab's own, with which a machine is two to three times as fast."
    elif kernel.needs_ptrace:
        quicker = "This host forbids seccomp(2) to a process, with which this kernel would be twice as fast."
    else:
        quicker = ""
    return {
        "program": str(kernel.program),
        "release": kernel.release,
        "own": kernel.is_own,
        "processes": "by ptrace" if kernel.needs_ptrace else "by seccomp",
        "quicker": quicker,
    }


def choose_kind(wanted: str | None = None) -> str:
    """The kind asked for, or else by LABKIT_MACHINE, or else what fits: native for root, uml for everybody else.

    Where root is let have no namespaces, and so no native machine, uml fits if it can boot.
    Raises MachineError for a kind that does not exist.
    """
    kind = wanted or os.environ.get("LABKIT_MACHINE") or "auto"
    if kind == "auto":
        if not _may_administrate():
            return "uml"
        return "uml" if check("native") and not check("uml") else "native"
    if kind not in KINDS:
        raise MachineError(f"LABKIT_MACHINE is {kind!r}: the kinds of machine are native, uml and auto.")
    return kind


def check(kind: str) -> list[Problem]:
    """What keeps a machine of this kind from booting here and now; nothing means it can."""
    found = list(_check_system(kind))
    if not found:
        found += _check_programs(kind)
        found += _check_busybox(BUSYBOX)
        found += _problem(_find_state_dir())
        found += _check_memory(kind)
        found += _check_processes()
        found += _check_uml() if kind == "uml" else _check_native()
    return found


def boot_once(kind: str) -> list[Problem]:
    """What `labkit run -- true` says when it fails; nothing means that a machine and its engine came up, and ended.

    One kind after the other: two machines at once need more memory than one.
    """
    if sys.stderr.isatty():
        print(f"labkit: booting a {kind} machine, to be sure ...", file=sys.stderr)
    here = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join(filter(None, [here, os.environ.get("PYTHONPATH")]))
    done = subprocess.run(
        [sys.executable, "-P", "-m", "labkit.cli", "run", "--machine", kind, "--", "true"],
        env={**os.environ, "PYTHONPATH": path},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode == 0:
        return []
    words = " ".join(done.stderr.split())[-MAX_WORDS:].removeprefix("labkit: ") or f"status {done.returncode}"
    return [Problem(f"A machine was booted, and failed: {words}", f"Try again: labkit run --machine {kind} -- true")]


def check_port() -> list[Problem]:
    """What keeps a notebook's kernel from having a port on 127.0.0.1, and its client from reaching it."""
    try:
        with reserve(0) as port, socket.socket() as client:
            port.listen()
            client.settimeout(1)
            client.connect(port.getsockname())
    except OSError as error:
        return [name_port_problem(error)]
    return []


def name_port_problem(error: OSError) -> Problem:
    """What is said of a port that cannot be had."""
    if error.errno in (errno.EMFILE, errno.ENFILE):
        return Problem(
            f"No more files can be opened ({error.strerror}), and a kernel needs ports.",
            "Shut down kernels that you are not using (Kernel > Shut Down), or raise the limit: ulimit -n.",
        )
    return Problem(
        f"No port on 127.0.0.1 can be had and reached ({error.strerror or error}).",
        "If the interface lo is down (ip link show lo), run as root: ip link set lo up. If it is up, all ports "
        "of net.ipv4.ip_local_port_range are taken: end a program that holds many (ss -tanp).",
    )


def require(kind: str) -> None:
    """Raise MachineError, with what was found and the cure, when this host cannot carry a machine of this kind."""
    problems = check(kind)
    if problems:
        words = " ".join(str(problem).strip() for problem in problems)
        raise MachineError(f"{words} (`labkit doctor` says the same in a terminal.)")


def require_memory(kind: str) -> None:
    """Raise MachineError when there is no memory for another machine of this kind."""
    for problem in _check_memory(kind):
        raise MachineError(str(problem))


def require_kernel() -> Kernel:
    """The kernel of a user-mode machine. Raises MachineError, with the cure, where there is none that runs."""
    found = find_kernel()
    if found is None:
        raise MachineError("There is no User-Mode Linux. Run: apt-get install user-mode-linux, or `make kernel`.")
    return found


def state_dir() -> Path:
    """The directory in which each machine of this user has its own; made if need be.

    Raises MachineError when it cannot be made or belongs to somebody else.
    """
    return _or_raise(_find_state_dir())


def memory_dir(room_mib: int = UML_MEMORY_MIB) -> Path:
    """Where the file can lie that is a user-mode kernel's memory: room, and executable mappings, are needed.

    Raises MachineError that names each place tried, and what was wrong with it.
    """
    return _or_raise(_find_memory_dir(room_mib))


def _problem(found: Path | Problem) -> list[Problem]:
    return [found] if isinstance(found, Problem) else []


def _or_raise(found: Path | Problem) -> Path:
    if isinstance(found, Problem):
        raise MachineError(str(found))
    return found


def _find_state_dir() -> Path | Problem:
    path = Path(os.environ.get("LABKIT_TMPDIR") or tempfile.gettempdir()).resolve() / f"labkit-{os.getuid()}"
    if path.parts[1] in ("dev", "proc", "sys"):  # a user-mode kernel has its own there, and would not see it
        return Problem(f"{path} lies on a file system of the kernel.", "Name another directory in LABKIT_TMPDIR.")
    if re.search(r"[\s,]", str(path)):  # it stands on the command line of a user-mode kernel
        return Problem(f"{path} has a space or a comma in its name.", "Name another directory in LABKIT_TMPDIR.")
    try:
        path.mkdir(mode=0o700, exist_ok=True)
        owner = path.lstat()
        if owner.st_uid != os.getuid() or not stat.S_ISDIR(owner.st_mode):
            return Problem(f"{path} belongs to somebody else.", "Name a directory of your own in LABKIT_TMPDIR.")
        with tempfile.TemporaryFile(dir=path) as file:
            file.write(bytes(65536))
            file.flush()
    except OSError as error:
        return Problem(
            f"Nothing can be written under {path} ({error.strerror}).",
            "Free some space, or name a writable directory with room in LABKIT_TMPDIR.",
        )
    if len(os.fsencode(path)) > MAX_SOCKET_PATH - len("/12345678/uml/lab/mconsole"):
        return Problem(f"{path} is too long a name for sockets.", "Name a shorter directory in LABKIT_TMPDIR.")
    return path


def _find_memory_dir(room_mib: int) -> Path | Problem:
    tried: dict[str, str] = {}
    for name in (os.environ.get("LABKIT_TMPDIR"), "/dev/shm", os.environ.get("TMPDIR"), "/tmp", "/var/tmp"):
        if name and name not in tried:
            trouble = _try_memory_dir(name, room_mib)
            if trouble is None:
                return Path(name)
            tried[name] = trouble
    return Problem(
        f"No directory can hold the machine's memory ({'; '.join(f'{name}: {why}' for name, why in tried.items())}).",
        f"Name one in LABKIT_TMPDIR that has {room_mib} MiB free on a file system not mounted noexec.",
    )


def _try_memory_dir(name: str, room_mib: int) -> str | None:
    try:
        with tempfile.TemporaryFile(dir=name) as file:
            file.write(bytes(mmap.PAGESIZE))
            file.flush()
            mmap.mmap(file.fileno(), mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_EXEC).close()
        room = os.statvfs(name)
    except PermissionError as error:
        return "it forbids executable mappings (noexec)" if error.filename is None else "not writable"
    except OSError as error:
        return str(error.strerror)
    # Of the machines that run, too, each has such a file, which still grows; where, is not known of another user's.
    free_mib = max(0, (room.f_bavail * room.f_frsize >> 20) - promised_mib(NEEDED_MIB["uml"]))
    return None if free_mib >= room_mib else f"only {free_mib} MiB free of the {room_mib} needed"


def _check_system(kind: str) -> Iterator[Problem]:
    system, processor = platform.system(), platform.machine()
    if system != "Linux":
        yield Problem(
            f"This is {system}, and a lab machine needs Linux.",
            "Work in a Linux virtual machine, or on Binder.",
        )
    elif processor not in ("x86_64", "aarch64"):
        yield Problem(
            f"A lab machine runs on x86-64 and arm64, and this processor is {processor}.",
            "Use another computer, or Binder.",
        )
    elif kind == "uml" and processor != "x86_64":
        yield Problem(
            f"User-Mode Linux exists for x86-64, and this processor is {processor}.",
            "Use the native kind as root: LABKIT_MACHINE=native.",
        )


def _check_programs(kind: str) -> Iterator[Problem]:
    packages = {**PACKAGES, "docker": _package_of_docker()}
    if kind == "uml" and find_program() is None:
        packages[PROGRAM] = "user-mode-linux"
    path = ":".join([read_engine_dir(), os.environ.get("PATH", ""), PATHS])
    missing = {program: package for program, package in packages.items() if shutil.which(program, path=path) is None}
    if missing:
        *others, last = missing
        names = f"programs {', '.join(others)} and {last} are" if others else f"program {last} is"
        wanted = " ".join(dict.fromkeys(missing.values()))
        yield Problem(f"The {names} missing.", f"Run: apt-get install {wanted} (or `make setup`), as root.")


def _check_engine() -> Iterator[Problem]:
    try:
        require_engine()
    except EngineUnfit as error:
        yield Problem(error.found, error.cure)


def _describe_engine() -> dict[str, str]:
    with suppress(EngineUnfit):  # it is told with the kinds
        return describe_engine()
    return {}


def _package_of_docker() -> str:
    """Debian 12 and its relatives have the docker command in docker.io, Debian from 13 on in docker-cli."""
    with suppress(OSError):  # a system that does not say which one it is
        release = platform.freedesktop_os_release()
        if release["ID"] == "debian" and release.get("VERSION_ID") != "12":
            return "docker-cli"
    return "docker.io"


def _check_busybox(program: Path) -> Iterator[Problem]:
    if program.exists() and not is_static(program):
        yield Problem(
            f"{program} is the dynamic one: in an image, where its libraries are not, it does not run.",
            "Run: apt-get install busybox-static (or `make setup`), as root: it replaces the package busybox.",
        )


def _check_memory(kind: str) -> Iterator[Problem]:
    free, where = min(
        (host_memory_mib(NEEDED_MIB["uml"]), "on this host"),
        (group_memory_mib(NEEDED_MIB["uml"]), "within this container's limit"),
    )
    needed = NEEDED_MIB[kind]
    if free < needed:
        yield Problem(
            f"There is no memory for another machine: {max(0, free)} MiB are free {where}, and it takes {needed}.",
            "Shut down the kernel of a lesson that you are not using (Kernel > Shut Down), then start this one again.",
        )


def _check_processes() -> Iterator[Problem]:
    room = _room_for_processes(NEEDED_PROCESSES)
    if room < NEEDED_PROCESSES:
        yield Problem(
            f"Only {room} more processes can be started here, and a machine takes {NEEDED_PROCESSES}.",
            "Raise the limit: `ulimit -u` shows that of a user, pids.max of a control group that of a container "
            "(docker run --pids-limit). Or shut down kernels that you are not using (Kernel > Shut Down).",
        )


def _room_for_processes(wanted: int) -> int:
    """How many threads can be started here and now, up to `wanted`, of 255 at most: tried, in a child.

    RLIMIT_NPROC counts all of a user's, the kernel does not tell how many those are, and each control group above may
    have a limit.
    """
    try:
        pid = os.fork()
    except BlockingIOError:
        return 0
    if pid == 0:
        started = 1
        with suppress(RuntimeError):
            _thread.stack_size(1 << 16)
            never = _thread.allocate_lock()
            never.acquire()
            while started < wanted:
                _thread.start_new_thread(never.acquire, ())
                started += 1
        os._exit(started)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _check_native() -> Iterator[Problem]:
    if not _may_administrate():
        yield Problem(
            "The native kind needs root with CAP_SYS_ADMIN.",
            "Use the uml kind: LABKIT_MACHINE=uml (or leave it to auto).",
        )
        return
    refusal = _try_namespaces()
    if refusal:
        yield Problem(
            f"This host lets root have no namespaces and mounts ({refusal}).",
            "Use the uml kind: LABKIT_MACHINE=uml. In a container, --privileged lifts it.",
        )
    if not Path("/dev/net/tun").exists():
        yield Problem(
            "/dev/net/tun is missing, which a machine's network needs.",
            "Load it (modprobe tun), or pass it to this container (--device /dev/net/tun).",
        )


def _try_namespaces() -> str:
    """Do in a child what a native machine begins with; give the kernel's refusal, or nothing."""
    from labkit.linux import syscalls  # where there is no Linux, this file is read all the same

    pid = os.fork()
    if pid == 0:
        try:
            syscalls.unshare(syscalls.CLONE_NEWNS | syscalls.CLONE_NEWNET | syscalls.CLONE_NEWPID)
            syscalls.mount("", "/", "", syscalls.MS_REC | syscalls.MS_PRIVATE)
        except OSError as error:
            os._exit(error.errno or 1)
        os._exit(0)
    number = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return os.strerror(abs(number)) if number else ""


def _may_administrate() -> bool:
    if platform.system() != "Linux" or os.geteuid() != 0:
        return False
    return bool(read_effective_capabilities() >> CAP_SYS_ADMIN & 1)


def _check_uml() -> Iterator[Problem]:
    kernel = _find_kernel()
    if isinstance(kernel, Problem):
        yield kernel
    elif kernel is not None:
        yield from _check_kernel(kernel)
    yield from _problem(_find_memory_dir(UML_MEMORY_MIB))


def _check_kernel(kernel: Kernel) -> Iterator[Problem]:
    if kernel.needs_ptrace and not _may_trace():
        yield Problem(
            "This host forbids ptrace(2), by which User-Mode Linux runs its processes.",
            "Set kernel.yama.ptrace_scope to 2 or less, or start this container with a profile that permits ptrace.",
        )
    # Of a kernel that somebody names, nobody knows whether it was built with any: its boot tells.
    if not kernel.is_own and not os.environ.get("LABKIT_KERNEL") and not kernel.modules.is_dir():
        yield Problem(
            f"The modules of {kernel.program}, Linux {kernel.release}, are missing: {kernel.modules} is not there.",
            "Install them: apt-get install --reinstall user-mode-linux.",
        )


def _find_kernel() -> Kernel | Problem | None:
    try:
        return find_kernel()
    except NoKernel as error:
        return Problem(error.found, error.cure)


def _may_trace() -> bool:
    """May a process have itself traced? Tried in a child: PTRACE_TRACEME of ptrace(2)."""
    pid = os.fork()
    if pid == 0:
        os._exit(0 if ctypes.CDLL(None).ptrace(0, 0, None, None) == 0 else 1)
    _, status = os.waitpid(pid, 0)
    if os.WIFSTOPPED(status):
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        return True
    return os.waitstatus_to_exitcode(status) == 0


def _check_headers() -> Iterator[Problem]:
    """gcc alone compiles no program. That it is missing is told with the other programs."""
    if shutil.which("gcc") is None:
        return
    done = subprocess.run(
        ["gcc", "-fsyntax-only", "-x", "c", "-"], input=b"#include <stdio.h>\n", capture_output=True, check=False
    )
    if done.returncode != 0:
        yield Problem(
            "gcc is here, but it finds no stdio.h: the lesson that compiles C needs the headers of libc.",
            "Run: apt-get install libc6-dev (or `make setup`), as root.",
        )


def _check_home() -> Iterator[Problem]:
    home = os.path.expanduser("~")  # "~" itself for a user without HOME that no list of users has
    if not os.access(home, os.W_OK):
        yield Problem(
            f"The home directory {home} is not writable, and JupyterLab keeps its settings there.",
            "Set HOME to a directory that is.",
        )
