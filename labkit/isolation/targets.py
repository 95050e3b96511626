"""How is a path opened in a container's root directory, when a symlink in it may lead anywhere?

The kernel does the whole lookup as if the root directory were `/` (RESOLVE_IN_ROOT), and follows no link of /proc. What
comes back is a descriptor: nobody can change afterwards what it stands for. Source: openat2(2).
"""

import os
from contextlib import suppress

from labkit.isolation.defences import Defences
from labkit.linux.mounts import RESOLVE_IN_ROOT, RESOLVE_NO_MAGICLINKS, RESOLVE_NO_SYMLINKS, openat2

__all__ = ["open_in_root", "open_target"]


def open_in_root(root: int, path: str, flags: int, *, may_be_link: bool = True) -> int:
    """Open a path below an open root directory, for reading, writing or (O_PATH) for mounting.

    Raises OSError: ELOOP for a link of /proc, and for every link where none may be there.
    """
    resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | (0 if may_be_link else RESOLVE_NO_SYMLINKS)
    return openat2(root, path, flags, resolve)


def open_target(
    root: int,
    path: str,
    defences: Defences,
    *,
    is_directory: bool = False,
    may_be_link: bool = True,
    makes: bool = True,
) -> int:
    """Open where something is to be mounted; what is missing there is made, a directory or an empty file.

    What the kernel shows (/proc, /sys) may not be reached through a symlink: programs look there by that name.
    """
    if not defences.opens_targets_in_root:
        return _open_by_name(root, path, is_directory, makes)
    try:
        return open_in_root(root, path, os.O_PATH, may_be_link=may_be_link)
    except FileNotFoundError:
        if not makes:
            raise
    parent, _, name = path.rstrip("/").rpartition("/")
    directory = open_target(root, parent or "/", defences, is_directory=True, may_be_link=may_be_link)
    with suppress(FileExistsError):  # a symlink to nowhere: the open below says so
        if is_directory:
            os.mkdir(name, 0o755, dir_fd=directory)
        else:
            os.close(os.open(name, os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644, dir_fd=directory))
    os.close(directory)
    return open_in_root(root, path, os.O_PATH, may_be_link=may_be_link)


def _open_by_name(root: int, path: str, is_directory: bool, makes: bool) -> int:
    """As runtimes did: join the two paths, and let the kernel follow what it finds."""
    joined = os.readlink(f"/proc/self/fd/{root}") + path
    if makes and is_directory:
        os.makedirs(joined, exist_ok=True)
    elif makes:
        os.close(os.open(joined, os.O_CREAT | os.O_CLOEXEC, 0o644))
    return os.open(joined, os.O_PATH | os.O_CLOEXEC)
