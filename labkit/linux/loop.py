"""How does the file system in a file become a directory, and how is nothing of that left behind?

A loop device shows a file as a disk. Loop devices belong to the whole kernel, also where a machine has namespaces of
its own. So one is attached and marked to be detached (LO_FLAGS_AUTOCLEAR) in one system call; the mount is then all
that holds it. When the last mount is gone, with its namespace and however that ended, the kernel detaches the file.
Source: loop(4), LOOP_CONFIGURE of <linux/loop.h> (Linux 5.8).
"""

import errno
import fcntl
import os
import stat
import struct
from contextlib import ExitStack
from pathlib import Path

from labkit.linux.syscalls import mount

__all__ = ["mount_file"]

CONTROL = os.makedev(10, 237)
MAJOR = 7
LOOP_CTL_GET_FREE = 0x4C82
LOOP_CONFIGURE = 0x4C0A
LO_FLAGS_AUTOCLEAR = 4
# struct loop_config: fd, block_size, and in its loop_info64: 5 numbers of 64 bits, 3 of 32, the flags, the file's name,
# 112 bytes of encryption and reserved ones; 64 bytes reserved.
CONFIG = struct.Struct("=II 40x 12x I 64s 112x 64x")
TRIES = 20  # another process may take the free device first


def mount_file(file: Path, point: Path, fstype: str) -> None:
    """Mount the file system of that type in `file` at `point`, for as long as somebody holds the mount.

    The device's node is made beside the file, under the name `loop`, where devices must be allowed (mount(8), nodev).
    It stays there, as /proc/mounts names it. So this needs no /dev/loop0.
    Raises OSError, whose filename tells what is refused: the loop device (`loop-control`), or the mount (`point`).
    """
    node = file.with_name("loop")
    device = _attach(file, node)
    try:
        mount(str(node), point, fstype)
    finally:
        os.close(device)  # the mount holds the device now; where there is none, the kernel detaches it


def _attach(file: Path, node: Path) -> int:
    """Attach the file to a free loop device; give a descriptor of the device, whose node is then `node`."""
    control = file.with_name("loop-control")
    os.mknod(control, stat.S_IFCHR | 0o600, CONTROL)
    with ExitStack() as held:
        held.callback(control.unlink)
        contents = os.open(file, os.O_RDWR | os.O_CLOEXEC)
        held.callback(os.close, contents)
        door = os.open(control, os.O_RDWR | os.O_CLOEXEC)
        held.callback(os.close, door)
        for _ in range(TRIES):
            number = fcntl.ioctl(door, LOOP_CTL_GET_FREE)
            os.mknod(node, stat.S_IFBLK | 0o600, os.makedev(MAJOR, number))
            device = os.open(node, os.O_RDWR | os.O_CLOEXEC)
            try:
                fcntl.ioctl(
                    device, LOOP_CONFIGURE, CONFIG.pack(contents, 0, LO_FLAGS_AUTOCLEAR, os.fsencode(file)[:63])
                )
                return device
            except OSError as error:
                os.close(device)
                node.unlink()
                if error.errno != errno.EBUSY:
                    raise OSError(error.errno, error.strerror, str(control)) from error
        raise OSError(errno.EBUSY, os.strerror(errno.EBUSY), str(control))
