"""Which User-Mode Linux does a machine run, and what does that kernel need?

    the lab's own     built by `make kernel` from Debian's linux-source and kernel.config beside this file; no modules
    Debian's          the package user-mode-linux, a kernel for every purpose with its modules
    another           the file that LABKIT_KERNEL names

The lab's own is taken where it has been built, else the linux.uml on PATH: Debian's, and in the lab's image the lab's
own. What is built lies outside the checkout, in ~/.cache/labkit/kernel/KEY/linux.uml. KEY is the version of the source
and a digest of kernel.config: with another configuration it is another kernel.
"""

import ctypes
import os
import re
import shutil
import struct
import subprocess
import zlib
from dataclasses import dataclass
from pathlib import Path

from labkit.errors import MachineError
from labkit.machine.modules import MODULES

__all__ = [
    "CONFIG",
    "MODULES",
    "PROGRAM",
    "Kernel",
    "NoKernel",
    "built_kernels",
    "cache_dir",
    "configuration_digest",
    "find_kernel",
]

CONFIG = Path(__file__).with_name("kernel.config")
PROGRAM = "linux.uml"  # by this name of a process the machines of all users are counted
SECCOMP_SINCE = (6, 16)

# <linux/seccomp.h>, <linux/filter.h>, <linux/prctl.h>, and the number of seccomp(2) on x86-64
SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, SECCOMP_RET_ALLOW = 1, 1, 0x7FFF0000
BPF_RET, PR_SET_NO_NEW_PRIVS, NR_SECCOMP = 0x06, 38, 317


class NoKernel(MachineError):
    """A file that should be a kernel does not run as one: what was found, and the cure."""

    def __init__(self, found: str, cure: str) -> None:
        super().__init__(f"{found} {cure}")
        self.found, self.cure = found, cure


@dataclass(frozen=True, slots=True)
class Kernel:
    """A program that is a kernel, and the release that it names: what `uname -r` says inside."""

    program: Path
    release: str

    @property
    def version(self) -> tuple[int, int]:
        """The first two numbers of its release."""
        major, minor = re.findall(r"\d+", self.release)[:2]
        return int(major), int(minor)

    @property
    def is_own(self) -> bool:
        """Did `make kernel` build it, with any configuration? The configuration ends its release with -lab."""
        return self.release.endswith("-lab")

    @property
    def modules(self) -> Path:
        """Where its modules would lie; a kernel that was built without any needs none."""
        return MODULES / self.release

    @property
    def needs_ptrace(self) -> bool:
        """Does it trace its processes by ptrace(2)? Newer ones do where a process may not be put under a filter.

        With seccomp(2), a process hands its system calls and page faults over by itself, which takes a third of the
        time: arch/um/os-Linux/start_up.c of the kernel's source.
        """
        return self.version < SECCOMP_SINCE or not may_filter()

    def options(self) -> list[str]:
        """What its command line says of how it runs its processes; an older kernel does not know the word."""
        if self.version < SECCOMP_SINCE:
            return []
        return ["seccomp=off" if self.needs_ptrace else "seccomp=on"]


def find_kernel() -> Kernel | None:
    """The kernel that a machine takes here; None where there is none. Raises NoKernel where it does not run."""
    program = find_program()
    return None if program is None else ask_kernel(program)


def ask_kernel(program: Path) -> Kernel:
    """Have a kernel name its release; it boots nothing. Raises NoKernel, with the cure, where it does not run."""
    try:
        asked = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        raise NoKernel(f"{program} does not run as a User-Mode Linux: {_words_of(error)}.", _cure(program)) from error
    release = asked.stdout.strip()
    if len(re.findall(r"\d+", release)[:2]) < 2:
        raise NoKernel(f"{program} is no User-Mode Linux: --version gives {release[:80]!r}.", _cure(program))
    return Kernel(program, release)


def find_program() -> Path | None:
    """The file of that kernel, without running it: LABKIT_KERNEL, or else the lab's own, or else Debian's."""
    named = os.environ.get("LABKIT_KERNEL")
    if named:
        return Path(named)
    for program in built_kernels(cache_dir()):
        return program
    installed = shutil.which(PROGRAM)
    return Path(installed) if installed else None


def may_filter() -> bool:
    """May a process put itself under a seccomp filter? Tried in a child: seccomp(2), as the kernel does it."""
    pid = os.fork()
    if pid == 0:
        allow_all = ctypes.create_string_buffer(struct.pack("HBBI", BPF_RET, 0, 0, SECCOMP_RET_ALLOW))
        program = struct.pack("HxxxxxxQ", 1, ctypes.addressof(allow_all))
        libc = ctypes.CDLL(None)
        libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        refused = libc.syscall(NR_SECCOMP, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, program)
        os._exit(1 if refused else 0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def built_kernels(shelf: Path) -> list[Path]:
    """The kernels in a directory that were built with today's configuration, the newest source first."""
    try:
        return sorted(shelf.glob(f"*-{configuration_digest()}/{PROGRAM}"), key=_numbers_of, reverse=True)
    except PermissionError:  # HOME may be another user's
        return []


def cache_dir() -> Path:
    """Where `make kernel` keeps what it has built: below XDG_CACHE_HOME, or ~/.cache."""
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(cache, "labkit/kernel")


def configuration_digest() -> str:
    """Eight hexadecimal digits that stand for the settings of kernel.config; a comment is no setting.

    It tells one configuration from the next, and guards against nothing; hashlib would load OpenSSL at each boot.
    """
    lines = CONFIG.read_text().splitlines()
    settings = "\n".join(sorted(line for line in lines if line.startswith("CONFIG_")))
    return f"{zlib.crc32(settings.encode()):08x}"


def _numbers_of(path: Path) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", path.parent.name.rpartition("-")[0])]


def _cure(program: Path) -> str:
    if os.environ.get("LABKIT_KERNEL"):
        return "Name another file in LABKIT_KERNEL, or unset it."
    if program.parent.name.endswith(configuration_digest()):
        return f"Remove {program.parent}, and run `make kernel` again."
    return "Install it anew: apt-get install --reinstall user-mode-linux."


def _words_of(error: Exception) -> str:
    if isinstance(error, subprocess.CalledProcessError):
        words = " ".join((error.stderr or "").split())
        return words[:200] or f"--version ends with status {error.returncode}"
    return str(getattr(error, "strerror", None) or error)
