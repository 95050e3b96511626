"""How does one read a layer that is compressed, without being flooded?

Readers, one on the other: each gives bytes by offset, as `labkit.images.tar.walk` asks for them. A reader of a file can
be asked for any offset; the others go forward only, and hold one piece at a time, so that the memory does not grow with
the bytes. What a layer is compressed with is told by its first bytes, never by its name or media type.
Sources: RFC 1952 (gzip, read by ISA-L), RFC 8878 (zstd).
"""

import os
from collections.abc import Callable
from typing import Protocol

from labkit.images.hashing import Digester
from labkit.images.tar import Reader

__all__ = [
    "FileReader",
    "Inflated",
    "Part",
    "Passing",
    "Pipe",
    "Sequential",
    "Watched",
    "compression_of",
    "open_layer",
]

PIECE = 2**18  # bytes that are held at a time
MOST_UNCHECKED = 2**30  # bytes that any compressed layer may become,
MOST_TIMES = 200  # and so many times its own size besides; what people pack shrinks to a tenth
_WINDOW = 27  # log2 of the memory in which a zstd frame may refer back: 128 MB, as zstd's own program allows
MOST_MEMBERS = 2_000_000  # of gzip, or frames of zstd; some tools write one for each file
_FEED = 2**12  # bytes that a member is given first


class FileReader:
    """A stretch of a file that is open, read in place; without `size_bytes` to its end."""

    __slots__ = ("_fd", "_start", "end")

    def __init__(self, fd: int, start: int = 0, size_bytes: int | None = None) -> None:
        self._fd, self._start = fd, start
        self.end: int = os.fstat(fd).st_size - start if size_bytes is None else size_bytes

    def part(self, offset: int, size_bytes: int) -> "FileReader":
        return FileReader(self._fd, self._start + offset, size_bytes)

    def read_at(self, offset: int, size: int) -> bytes:
        if offset + size > self.end:
            size = max(0, self.end - offset)
        return os.pread(self._fd, size, self._start + offset)

    def read_into(self, buffer: memoryview, offset: int) -> int:
        """Fill a buffer from an offset; give how many bytes there were."""
        return os.preadv(self._fd, [buffer], self._start + offset)


class Part:
    """A stretch of what another reader reads."""

    __slots__ = ("_source", "_start", "end")

    def __init__(self, source: Reader, start: int, size_bytes: int) -> None:
        self._source, self._start = source, start
        self.end: int = size_bytes

    def read_at(self, offset: int, size: int) -> bytes:
        return self._source.read_at(self._start + offset, min(size, max(0, self.end - offset)))


class Watched:
    """Another reader, which tells `progress` how far it is: an offset in it, and `before` it so many bytes."""

    __slots__ = ("_before", "_progress", "_source", "end")

    def __init__(self, source: Reader, progress: Callable[[int], None], before: int) -> None:
        self._source, self._progress, self._before = source, progress, before
        self.end = source.end

    def read_at(self, offset: int, size: int) -> bytes:
        self._progress(self._before + offset)
        return self._source.read_at(offset, size)


class Sequential:
    """A reader that goes forward only: an offset below the piece that it holds is an error of the caller."""

    def __init__(self, digester: Digester | None = None) -> None:
        self.end: int | None = None
        self._piece = b""
        self._start = 0
        self._digester = digester

    def next_piece(self) -> bytes:
        """Give the bytes that follow; none at their end. ValueError says what is wrong with them."""
        raise NotImplementedError

    def read_at(self, offset: int, size: int) -> bytes:
        begin = offset - self._start
        if begin >= 0 and begin + size <= len(self._piece):
            return self._piece[begin : begin + size]
        if begin < 0:
            raise IndexError(f"offset {offset} has passed: the reader is at {self._start}")
        while begin > len(self._piece) and self._advance(b""):
            begin = offset - self._start
        while begin + size > len(self._piece) and self._advance(self._piece[begin:]):
            begin = offset - self._start
        return self._piece[begin : begin + size] if begin <= len(self._piece) else b""

    def finish(self) -> int:
        """Read what is left, for its digest; give the number of all bytes."""
        while self._advance(b""):
            pass
        assert self.end is not None
        return self.end

    def _advance(self, kept: bytes) -> bool:
        if self.end is not None:
            return False
        piece = self.next_piece()
        if not piece:
            self.end = self._start + len(self._piece)
            return False
        if self._digester:
            self._digester.update(piece)
        self._start += len(self._piece) - len(kept)
        self._piece = kept + piece
        return True


class Pipe(Sequential):
    """What comes from a function that reads on, as of a pipe or of an engine's answer."""

    def __init__(self, read: Callable[[int], bytes]) -> None:
        super().__init__()
        self._read = read

    def next_piece(self) -> bytes:
        return self._read(PIECE)


class Passing(Sequential):
    """Another reader's bytes, from first to last, with their digest."""

    def __init__(self, source: Reader, digester: Digester | None = None) -> None:
        super().__init__(digester)
        self._source, self._position = source, 0

    def next_piece(self) -> bytes:
        piece = self._source.read_at(self._position, PIECE)
        self._position += len(piece)
        return piece


class Decompressor(Protocol):
    """One member of gzip, or one frame of zstd; as bz2.BZ2Decompressor of the standard library."""

    @property
    def eof(self) -> bool: ...

    @property
    def needs_input(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int = -1) -> bytes: ...


class Inflated(Sequential):
    """The bytes that were compressed; ValueError from it where they are damaged, cut off, or too many."""

    def __init__(self, source: Reader, compression: str, digester: Digester | None = None) -> None:
        super().__init__(digester)
        self._source, self._compression = source, compression
        self._position = self._given = self._members = 0
        self._input, self._used = b"", 0
        self._member: Decompressor | None = None
        self._feed = _FEED

    def next_piece(self) -> bytes:
        while True:
            if self._member is None:
                if not self._is_more(4):
                    return b""
                self._member, self._feed = self._open_member(), _FEED
            elif self._member.needs_input and not self._is_more(1):
                raise ValueError(f"the {self._compression} data is cut off after {self._position:,} bytes")
            piece = self._inflate(self._member)
            if piece:
                self._given += len(piece)
                if self._given > MOST_UNCHECKED + MOST_TIMES * self._position:
                    raise ValueError(
                        f"{self._position:,} bytes of {self._compression} become more than {self._given:,}: "
                        f"labkit stops at {MOST_TIMES} times and 1 GiB"
                    )
                return piece

    def _is_more(self, least: int) -> bool:
        """Have input of that many bytes at hand, if there are; tell whether there is any."""
        while len(self._input) - self._used < least:
            more = self._source.read_at(self._position, PIECE)
            if not more:
                break
            self._input, self._used = self._input[self._used :] + more, 0
            self._position += len(more)
        return len(self._input) > self._used

    def _inflate(self, member: Decompressor) -> bytes:
        # A member may be a few bytes: it is fed little at first, since it copies what it does not use.
        data = self._input[self._used : self._used + self._feed] if member.needs_input else b""
        self._used += len(data)
        self._feed = min(2 * self._feed, PIECE)
        try:
            piece = member.decompress(data, PIECE)
        except Exception as error:  # each library has errors of its own
            words = str(error).rstrip(".")
            raise ValueError(f"damaged {self._compression} data before byte {self._position:,} ({words})") from None
        if member.eof:
            self._used -= len(member.unused_data)
            self._member = None
        return piece

    def _open_member(self) -> Decompressor:
        self._members += 1
        if self._members > MOST_MEMBERS:
            raise ValueError(f"{self._compression} data in more than {MOST_MEMBERS:,} pieces")
        if compression_of(self._input[self._used : self._used + 4]) != self._compression:
            where = self._position - len(self._input) + self._used
            raise ValueError(f"no {self._compression} data at byte {where:,}, where more of it was expected")
        return _open_gzip() if self._compression == "gzip" else _open_zstd()


def compression_of(head: bytes) -> str:
    """Tell by the first four bytes: "gzip", "zstd", "bzip2", "xz", or "" for what is none of these."""
    if head[:3] == b"\x1f\x8b\x08":
        return "gzip"
    if head[:4] == b"\x28\xb5\x2f\xfd" or (head[1:4] == b"\x2a\x4d\x18" and head[0] & 0xF0 == 0x50):
        return "zstd"
    return "bzip2" if head[:3] == b"BZh" else "xz" if head[:4] == b"\xfd7zX" else ""


def open_layer(source: Reader, digester: Digester | None = None) -> Reader:
    """Give a reader of the tar in a blob: the blob itself, or what it becomes; `digester` is for what it becomes.

    ValueError for a compression that no layer may have.
    """
    compression = compression_of(source.read_at(0, 4))
    if compression in ("gzip", "zstd"):
        return Inflated(source, compression, digester)
    if compression:
        raise ValueError(f"a layer compressed by {compression}; layers are plain, gzip or zstd")
    return source


def _open_gzip() -> Decompressor:
    from isal import igzip_lib  # only now: most layers of an archive are plain

    return igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP)


def _open_zstd() -> Decompressor:
    from backports import zstd

    return zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: _WINDOW})
