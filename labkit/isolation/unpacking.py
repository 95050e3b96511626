"""How do the layers of an image's archive become directories, whatever names and links the archive has in it?

Each layer is unpacked by a process whose root directory is where it unpacks to (chroot(2)), as Docker does it: nothing
that a name or a link says leads out of there. A whiteout becomes what the kernel's overlay takes for one. Extended
attributes, as those of a program with capabilities, are not unpacked.
Sources: OCI image specification, layer.md; the kernel's overlayfs.rst.
"""

import os
import stat
import tarfile
from collections.abc import Iterator, Sequence
from typing import cast

from labkit.images.content import OPAQUE, WHITEOUT
from labkit.images.tar import Reader
from labkit.linux.syscalls import clone

__all__ = ["unpack_layers"]


def unpack_layers(layers: Sequence[Reader], place: str) -> tuple[str, ...]:
    """Unpack each layer (a tar; the bottom one first) below a directory; give their directories, topmost first.

    Only for a process of one thread. Raises OSError where a layer cannot be unpacked.
    """
    made = []
    for number, layer in enumerate(layers):
        directory = f"{place}/layer{number}"
        os.mkdir(directory)
        pid = clone(0)
        if pid == 0:
            _unpack(layer, directory)
        _, status = os.waitpid(pid, 0)
        if status != 0:
            raise OSError(os.waitstatus_to_exitcode(status), f"layer {number + 1} cannot be unpacked", "the archive")
        made.append(directory)
    return tuple(reversed(made))


def _unpack(layer: Reader, directory: str) -> None:
    status = 1
    try:
        stream = _Stream(layer)
        os.chroot(directory)
        os.chdir("/")
        os.umask(0)
        # Asked for one piece after another, as `r|` does, nothing is read twice.
        with tarfile.open(fileobj=cast("tarfile._Fileobj", stream), mode="r|") as tar:
            if hasattr(tarfile, "fully_trusted_filter"):
                tar.extraction_filter = tarfile.fully_trusted_filter
            for member in tar:
                _take(tar, member)
        status = 0
    finally:
        os._exit(status)


def _take(tar: tarfile.TarFile, member: tarfile.TarInfo) -> None:
    parent, _, name = member.name.rstrip("/").rpartition("/")
    if name == OPAQUE:
        os.setxattr(f"/{parent}", "trusted.overlay.opaque", b"y")
    elif name.startswith(WHITEOUT):
        os.makedirs(f"/{parent}", exist_ok=True)
        os.mknod(f"/{parent}/{name[len(WHITEOUT) :]}", stat.S_IFCHR, 0)
    else:
        tar.extract(member, "/", numeric_owner=True)


class _Stream:
    """What `tarfile` reads from."""

    def __init__(self, reader: Reader) -> None:
        self._pieces = self._read(reader)
        # The first piece is read now, before the root directory is another one: what it takes is imported by that.
        self._rest = next(self._pieces, b"")

    @staticmethod
    def _read(reader: Reader) -> Iterator[bytes]:
        done = 0
        while piece := reader.read_at(done, 1 << 16):
            yield piece
            done += len(piece)

    def read(self, size: int) -> bytes:
        while len(self._rest) < size and (piece := next(self._pieces, b"")):
            self._rest += piece
        given, self._rest = self._rest[:size], self._rest[size:]
        return given
