"""How does a machine whose files lie in memory get a disk, so that one sees what the kernel counts and limits there?

A file with an ext4 in it becomes a disk by a loop device (labkit.linux.loop). The disk ends with its mount, and that
with the machine, however it ends.

    disk = open_disk(Path("/run/disk"))
    docker run --device-write-bps /dev/slow:1mb -v /run/disk/files:/disk ...
    close_disk(Path("/run/disk"))
"""

import os
import stat
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from labkit.linux.loop import mount_file
from labkit.linux.syscalls import MNT_DETACH, umount2

__all__ = ["Disk", "close_disk", "open_disk"]

BYTES = 64 << 20  # of a file full of holes: only what is written takes memory


class Disk(NamedTuple):
    """A disk of 64 MiB: the node in /dev by which docker names it, and the directory of its files."""

    device: Path
    files: Path


def open_disk(place: Path, name: str = "slow") -> Disk:
    """Make a disk in the empty directory `place`, as /dev/`name`; one that was made there before goes first.

    Raises OSError where the kernel gives no loop device or no ext4, and FileNotFoundError without mke2fs(8).
    """
    close_disk(place, name)
    files, file = place / "files", place / "disk"
    files.mkdir(parents=True)
    with file.open("wb") as new:
        new.truncate(BYTES)
    try:
        subprocess.run(["mke2fs", "-q", "-F", file], check=True, stdin=subprocess.DEVNULL, capture_output=True)
        mount_file(file, files, "ext4")
    except subprocess.CalledProcessError as error:
        close_disk(place, name)
        raise OSError(f"mke2fs: {error.stderr.decode(errors='replace')}") from None
    except OSError:
        close_disk(place, name)
        raise
    device = Path("/dev", name)
    os.mknod(device, stat.S_IFBLK | 0o600, os.stat(place / "loop").st_rdev)
    return Disk(device, files)


def close_disk(place: Path, name: str = "slow") -> None:
    """Take a disk away, if it is there. Containers that still use it keep it until they end."""
    with suppress(OSError):
        umount2(place / "files", MNT_DETACH)
    with suppress(FileNotFoundError):
        (place / "files").rmdir()
    for left in (place / "disk", place / "loop", Path("/dev", name)):
        left.unlink(missing_ok=True)
