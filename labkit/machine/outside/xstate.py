"""How does a User-Mode Linux that is older than the host's processor boot?

A kernel before 6.13 keeps fewer bytes of a process's extended state than a processor with AMX has, and the host
takes back the whole state only. `xstate.c`, a library that is loaded before libc, makes up the difference, and says
why that is right. gcc builds it as a machine boots, and only where it is needed.
"""

import ctypes
import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

from labkit.errors import MachineError
from labkit.linux import syscalls

__all__ = ["is_needed", "open_library", "read_size"]

SOURCE = Path(__file__).with_name("xstate.c")
KEPT_BYTES = 2696  # of a process's extended state, by a kernel before 6.13: HOST_FP_SIZE of arch/x86/um
FIRST_WITHOUT = (6, 13)  # "um: Support xsave area larger than 2696 bytes": this kernel asks the host for the size

# <sys/ptrace.h>, <elf.h>
PTRACE_TRACEME, PTRACE_GETREGSET, NT_X86_XSTATE = 0, 0x4204, 0x202
ROOM_BYTES = 1 << 16

_libc = ctypes.CDLL(None, use_errno=True)


class _IoVector(ctypes.Structure):  # struct iovec of readv(2)
    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]


def is_needed(version: tuple[int, int]) -> bool:
    """Whether a User-Mode Linux of this version, as (6, 1), cannot boot on this host without the library.

    Raises OSError where a process may not trace its child.
    """
    return version < FIRST_WITHOUT and read_size() > KEPT_BYTES


def read_size() -> int:
    """How many bytes of extended state the host keeps of a process: PTRACE_GETREGSET with NT_X86_XSTATE, ptrace(2).

    It is asked of a child that stops at once. Raises OSError where a process may not trace its child.
    """
    parent = os.getpid()
    child = os.fork()
    if child == 0:
        syscalls.die_with_parent(parent, signal.SIGKILL)
        if _libc.ptrace(PTRACE_TRACEME, 0, None, None) != 0:
            os._exit(ctypes.get_errno())
        os.kill(os.getpid(), signal.SIGSTOP)
    _, status = os.waitpid(child, 0)
    if not os.WIFSTOPPED(status):
        number = os.waitstatus_to_exitcode(status)
        raise OSError(number, os.strerror(number))
    try:
        room = ctypes.create_string_buffer(ROOM_BYTES)
        vector = _IoVector(ctypes.addressof(room), ROOM_BYTES)
        if _libc.ptrace(PTRACE_GETREGSET, child, ctypes.c_long(NT_X86_XSTATE), ctypes.byref(vector)) != 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        return int(vector.length)
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def open_library(run_dir: Path, memory_dir: Path) -> int:
    """Build the library; give a descriptor of it, to be passed on: LD_PRELOAD=/proc/self/fd/N loads it.

    gcc works in `run_dir`, which may forbid executable mappings. The library lies in `memory_dir`, which allows them,
    as a file without a name: it goes when its last user does. Raises MachineError with gcc's words and the cure.
    """
    built = run_dir / "xstate.so"
    command = ["gcc", "-O2", "-Wall", "-shared", "-fPIC", "-o", str(built), str(SOURCE)]
    try:
        done = subprocess.run(
            command, env={**os.environ, "TMPDIR": str(run_dir)}, capture_output=True, text=True, check=False
        )
    except OSError as error:
        raise _not_built(str(error)) from error
    if done.returncode != 0:
        raise _not_built(" ".join(done.stderr.split())[-300:])
    with built.open("rb") as source, tempfile.TemporaryFile(dir=memory_dir) as library:
        shutil.copyfileobj(source, library)
        library.flush()
        return os.dup(library.fileno())


def _not_built(words: str) -> MachineError:
    return MachineError(
        "On this processor, Debian's User-Mode Linux needs a small library, and gcc does not build it: "
        f"{words}. Run: apt-get install gcc libc6-dev, as root."
    )
