"""Where may the files of a machine lie?

Each place is tried: something is written there, and for a kernel's memory something is mapped from there as a program.
"""

import mmap
import os
import re
import stat
import tempfile
from pathlib import Path

from labkit.errors import MachineError
from labkit.machine.outside.memory import NEEDED_MIB, UML_MEMORY_MIB, promised_mib
from labkit.machine.problem import Problem

__all__ = ["find_memory_dir", "find_state_dir", "memory_dir", "state_dir"]

MAX_SOCKET_PATH = 107  # sun_path of unix(7), less the final zero


def state_dir() -> Path:
    """The directory in which each machine of this user has its own; made if need be.

    Raises MachineError when it cannot be made or belongs to somebody else.
    """
    return _or_raise(find_state_dir())


def memory_dir(room_mib: int = UML_MEMORY_MIB) -> Path:
    """Where the file can lie that is a user-mode kernel's memory: room, and executable mappings, are needed.

    Raises MachineError that names each place tried, and what was wrong with it.
    """
    return _or_raise(find_memory_dir(room_mib))


def _or_raise(found: Path | Problem) -> Path:
    if isinstance(found, Problem):
        raise MachineError(str(found))
    return found


def find_state_dir() -> Path | Problem:
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


def find_memory_dir(room_mib: int) -> Path | Problem:
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
