"""Where does a program that is run by hand read from, and where does what it writes stay?

In files in memory, which have no name and go with the last process that has them open: memfd_create(2).
"""

import base64
import os

__all__ = ["as_file", "pack", "read_all"]


def as_file(stdin: bytes | int) -> int:
    """A descriptor from which the program reads this."""
    if isinstance(stdin, int):
        return os.dup(stdin)
    if not stdin:
        return os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
    file = os.memfd_create("stdin")
    with open(file, "wb", closefd=False) as opened:
        opened.write(stdin)
    os.lseek(file, 0, os.SEEK_SET)
    return file


def read_all(file: int) -> bytes:
    """What a file in memory holds, without moving the place at which its writer is."""
    pieces = []
    done = 0
    while piece := os.pread(file, 1 << 20, done):
        pieces.append(piece)
        done += len(piece)
    return b"".join(pieces)


def pack(data: bytes) -> str:
    """Bytes as text, which JSON can carry."""
    return base64.b64encode(data).decode()
