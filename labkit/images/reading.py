"""How does one read the files of a store, when a name or a link in it may lead elsewhere?

No link is followed, nothing but a regular file is read, and nothing larger than it may be. Source: openat(2).
"""

import os
import re
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, TypeVar

from labkit.errors import ImageError
from labkit.images.oci import LARGEST_DOCUMENT

__all__ = ["list_names", "open_below", "read_each", "read_small"]

PIECE = 2**20

T = TypeVar("T")


def open_below(directory: Path, path: str) -> BinaryIO:
    """Open a regular file below a directory, whatever a name or a link in it says. OSError where there is none."""
    *parents, name = path.split("/")
    folder = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for parent in parents:
            inner = os.open(parent, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=folder)
            os.close(folder)
            folder = inner
        # O_NONBLOCK: a FIFO would have an open wait for its other end.
        file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    finally:
        os.close(folder)
    opened = open(file, "rb")
    if not stat.S_ISREG(os.fstat(file).st_mode):
        opened.close()
        raise OSError(0, "it is no regular file", path)
    return opened


def read_small(path: Path, limit: int = LARGEST_DOCUMENT) -> bytes:
    """Read a file of at most `limit` bytes. ImageError for a larger one, and for what cannot be read.

    A file that is not there is a FileNotFoundError.
    """
    try:
        with open_below(path.parent, path.name) as file:
            data = bytearray()
            # In pieces: a read of so many bytes would first take memory for all of them.
            while len(data) <= limit and (piece := file.read(min(PIECE, limit + 1 - len(data)))):
                data += piece
    except FileNotFoundError:
        raise
    except OSError as error:
        raise ImageError(str(path), f"it cannot be read: {error.strerror}") from error
    if len(data) > limit:
        raise ImageError(str(path), f"larger than {limit:,} bytes")
    return bytes(data)


def read_each(folder: Path, form: re.Pattern[str], read: Callable[[Path], T]) -> dict[str, T]:
    """Read each entry whose name has the form, by its name; one that goes away meanwhile is left out."""
    found = {}
    for name in list_names(folder):
        if form.fullmatch(name):
            with suppress(FileNotFoundError, NotADirectoryError):
                found[name] = read(folder / name)
    return found


def list_names(folder: Path) -> list[str]:
    """Name what is in a directory, sorted; nothing where there is none. ImageError where it cannot be read."""
    try:
        return sorted(os.listdir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise ImageError(str(folder), f"it cannot be read: {error.strerror}") from error
