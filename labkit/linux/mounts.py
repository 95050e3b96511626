"""How is a file system attached to an open directory, so that no name is looked up twice?

mount(2) takes a path, and follows each symlink in it. Whoever writes in a container's root directory can put a symlink
where a runtime is about to mount something. The newer calls make a mount that lies nowhere yet, and attach it to a
descriptor. The descriptor was opened once, by a lookup that cannot leave the root directory.
Sources: openat2(2), fsopen(2), fsconfig(2), fsmount(2), open_tree(2), move_mount(2), mount_setattr(2) (Linux 5.12).
"""

import ctypes
import os
import struct
from collections.abc import Iterable

__all__ = [
    "MOUNT_ATTR_NOATIME",
    "MOUNT_ATTR_NODEV",
    "MOUNT_ATTR_NOEXEC",
    "MOUNT_ATTR_NOSUID",
    "MOUNT_ATTR_RDONLY",
    "MOUNT_ATTR_STRICTATIME",
    "RESOLVE_BENEATH",
    "RESOLVE_IN_ROOT",
    "RESOLVE_NO_MAGICLINKS",
    "RESOLVE_NO_SYMLINKS",
    "attach",
    "clone_tree",
    "make_file_system",
    "openat2",
    "set_attributes",
]

# <linux/openat2.h>
RESOLVE_NO_MAGICLINKS, RESOLVE_NO_SYMLINKS, RESOLVE_BENEATH, RESOLVE_IN_ROOT = 0x02, 0x04, 0x08, 0x10

# <linux/mount.h>
MOUNT_ATTR_RDONLY, MOUNT_ATTR_NOSUID, MOUNT_ATTR_NODEV = 0x1, 0x2, 0x4
MOUNT_ATTR_NOEXEC, MOUNT_ATTR_NOATIME, MOUNT_ATTR_STRICTATIME = 0x8, 0x10, 0x20
_ATIME = 0x70
_FSOPEN_CLOEXEC, _FSMOUNT_CLOEXEC = 1, 1
_FSCONFIG_SET_FLAG, _FSCONFIG_SET_STRING, _FSCONFIG_CMD_CREATE = 0, 1, 6
_OPEN_TREE_CLONE, _OPEN_TREE_CLOEXEC = 1, os.O_CLOEXEC
_MOVE_MOUNT_F_EMPTY_PATH, _MOVE_MOUNT_T_EMPTY_PATH = 0x4, 0x40

# <linux/fcntl.h>
_AT_FDCWD, _AT_SYMLINK_NOFOLLOW, _AT_EMPTY_PATH, _AT_RECURSIVE = -100, 0x100, 0x1000, 0x8000

# <asm-generic/unistd.h>: these calls have the same numbers on every processor
_OPEN_TREE, _MOVE_MOUNT, _FSOPEN, _FSCONFIG, _FSMOUNT, _OPENAT2, _MOUNT_SETATTR = 428, 429, 430, 431, 432, 437, 442

_syscall = ctypes.CDLL(None, use_errno=True).syscall
_syscall.restype = ctypes.c_long

Option = tuple[str, str | None]  # of a file system: a name and its value; None where the name says all


def openat2(directory: int, path: str, flags: int, resolve: int) -> int:
    """Open a path below an open directory; `resolve` (RESOLVE_...) says what the lookup may not do: openat2(2).

    Returns a descriptor, which is closed when a program is executed. Raises OSError: EXDEV or ELOOP where the path
    leads where it may not.
    """
    how = struct.pack("=3Q", flags | os.O_CLOEXEC, 0, resolve)
    return _call(_OPENAT2, path, directory, os.fsencode(path), how, len(how))


def make_file_system(fstype: str, options: Iterable[Option] = (), attributes: int = 0, source: str = "") -> int:
    """Mount a file system nowhere yet, as fsopen, fsconfig and fsmount do; give its descriptor.

    `attributes` (MOUNT_ATTR_...) are the mount's, `options` the file system's own. Files can be made in it before it
    is attached. Raises OSError, whose filename is the file system's type.
    """
    context = _call(_FSOPEN, fstype, fstype.encode(), _FSOPEN_CLOEXEC)
    try:
        for name, value in (("source", source or fstype), *options):
            command = _FSCONFIG_SET_FLAG if value is None else _FSCONFIG_SET_STRING
            text = None if value is None else os.fsencode(value)
            _call(_FSCONFIG, f"{fstype}, option {name}", context, command, name.encode(), text, 0)
        _call(_FSCONFIG, fstype, context, _FSCONFIG_CMD_CREATE, None, None, 0)
        return _call(_FSMOUNT, fstype, context, _FSMOUNT_CLOEXEC, attributes)
    finally:
        os.close(context)


def clone_tree(path: str, directory: int = _AT_FDCWD, *, recursive: bool = False) -> int:
    """Copy the mount in which a file or directory lies, from there on, as `mount --bind` does; give its descriptor.

    The copy lies nowhere yet. A symlink at the end of the path is not followed. With the path "" `directory` itself is
    copied. Raises OSError.
    """
    flags = _OPEN_TREE_CLONE | _OPEN_TREE_CLOEXEC | (_AT_RECURSIVE if recursive else 0)
    flags |= _AT_SYMLINK_NOFOLLOW if path else _AT_EMPTY_PATH
    return _call(_OPEN_TREE, path, directory, os.fsencode(path), flags)


def set_attributes(mount: int, attributes: int, *, recursive: bool = False) -> None:
    """Add MOUNT_ATTR_... to a mount, and to those in it: mount_setattr(2). Raises OSError."""
    how = struct.pack("=4Q", attributes, _ATIME if attributes & _ATIME else 0, 0, 0)  # one of these at a time
    flags = _AT_EMPTY_PATH | (_AT_RECURSIVE if recursive else 0)
    _call(_MOUNT_SETATTR, "", mount, b"", flags, how, len(how))


def attach(mount: int, target: int) -> None:
    """Attach a mount that lies nowhere yet to an open file or directory: move_mount(2). Raises OSError."""
    _call(_MOVE_MOUNT, "", mount, b"", target, b"", _MOVE_MOUNT_F_EMPTY_PATH | _MOVE_MOUNT_T_EMPTY_PATH)


def _call(number: int, subject: str, *arguments: object) -> int:
    result = int(_syscall(number, *arguments))
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), *([subject] if subject else []))
    return result
