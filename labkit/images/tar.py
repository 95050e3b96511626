"""Which entries does a tar hold, and where do their bytes lie?

A tar is blocks of 512 bytes: of each entry a header, then its content, filled up to a whole block. Names that are too
long for the header, and other fields, stand in entries before it, in the way of PAX ('x') or of GNU ('L', 'K'). Where
both are given, and they differ, the engine's reading counts: GNU's name goes before PAX's, PAX's before the header's,
and what is said for all entries ('g') is passed over. Nothing is unpacked, and no content is read.
Sources: tar(5) of libarchive, POSIX.1 pax, the GNU tar manual ("Basic Tar Format", "Sparse Formats").
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple, Protocol

# The lower half of Adler-32 is 1 and the sum of all bytes, modulo 65521: ISA-L adds up 30 times as fast as sum() does.
from isal.isal_zlib import adler32

from labkit.errors import ImageError
from labkit.images.paths import printable
from labkit.images.sparse import check_pax_pieces, check_pieces

__all__ = ["BLOCK", "Entry", "Fields", "Reader", "looks_like_tar", "walk"]

BLOCK = 512
LARGEST_NOTE = 2**20  # bytes of a PAX or GNU entry that only says something of the next one; the engine's limit
MOST_SPARSE_BLOCKS = 4096  # of extents: 86,000 of them

_ZEROS = bytes(BLOCK)
_KINDS = {
    b"0": "file",
    b"\0": "file",
    b"7": "file",  # contiguous
    b"1": "hardlink",
    b"2": "symlink",
    b"3": "character device",
    b"4": "block device",
    b"5": "directory",
    b"6": "fifo",
    b"S": "file",  # sparse, as old GNU tar writes it
}


class Entry(NamedTuple):
    """One entry, as it stands; `name` and `target` are not cleaned, and not UTF-8 is kept by surrogateescape."""

    name: str
    kind: str  # "file" "directory" "symlink" "hardlink" "character device" "block device" "fifo"
    size_bytes: int  # of a file, with its holes; else 0
    mode: int  # permission bits
    uid: int
    gid: int
    target: str  # of a symlink or a hard link
    offset: int  # where its content begins, in the tar
    stored_bytes: int  # of its content, in the tar


Fields = tuple[str, str, int, int, int, int, str, int, int]  # of an Entry: what is made 100,000 times is made plain


class Reader(Protocol):
    """What a tar is read from. `walk` asks for ever higher offsets."""

    @property
    def end(self) -> int | None:
        """Where the bytes end, as soon as it is known."""

    def read_at(self, offset: int, size: int) -> bytes:
        """Give bytes; fewer than `size` only where they end."""


def looks_like_tar(head: bytes) -> bool:
    """Tell by the first block whether bytes are a tar: its check sum is right, or it marks the end of an empty one."""
    if len(head) < BLOCK:
        return False
    try:
        _check_sum(head[:BLOCK])
    except ValueError:
        return head[:BLOCK] == _ZEROS
    return True


def walk(reader: Reader, where: Callable[[int], str]) -> Iterator[Fields]:
    """Give the entries in their order.

    `where` gives the words for the place of an entry by its number, from 1. ImageError where the tar is cut off, or a
    header is not what a header must be.
    """
    # This loop runs 100,000 times for a large image: what is usual is decided in the fewest steps, the rest is called.
    read_at, kinds = reader.read_at, _KINDS
    position, number = 0, 1
    limit = 2**63 if reader.end is None else reader.end
    owners: dict[bytes, tuple[int, int, int]] = {}  # mode, uid, gid by their bytes: few differ
    notes = _Notes()
    try:
        while True:
            header = read_at(position, BLOCK)
            if len(header) < BLOCK or not header[0] and header == _ZEROS:
                _check_end(reader, position, header, notes)
                return
            digits, size_digits = header[148:154], header[124:135]
            try:
                # The check sum takes its own field as eight spaces, which are 256.
                if (
                    not digits.isdigit()
                    or ((adler32(header) & 0xFFFF) - (adler32(header[148:156]) & 0xFFFF) + 256 - int(digits, 8)) % 65521
                ):
                    _check_sum(header)
                is_octal = size_digits.isdigit() and header[135] in b"\0 "
                size = int(size_digits, 8) if is_octal else _number(header[124:136], "size")
            except ValueError:  # 8 and 9 are no octal digits: say so in better words
                _check_sum(header)
                size = _number(header[124:136], "size")
            position += BLOCK
            flag = header[156:157]
            kind = kinds.get(flag)
            if kind is None:
                position = _read_note(read_at, position, flag, size, notes)
                continue
            owner = header[100:124]
            found = owners.get(owner)
            if found is None:
                found = owners[owner] = _read_owner(owner)
            mode, uid, gid = found
            end = header.find(0)
            if not 0 <= end <= 100:
                end = 100
            try:
                name = header[:end].decode()
            except UnicodeDecodeError:
                name = header[:end].decode(errors="surrogateescape")
            if header[345] and header[257:263] == b"ustar\0":
                name = f"{_text(header, 345, 155)}/{name}"
            is_usual = flag == b"0"
            target = "" if is_usual or flag not in b"12" else _text(header, 157, 100)
            length = size
            if notes.is_given:
                name, target, size, length, uid, gid = notes.apply(name, target, size, uid, gid)
                if notes.is_sparse and kind == "file":
                    check_pax_pieces(read_at, position, notes.pax, length, size)
                notes = _Notes()
            if is_usual:
                pass
            elif kind != "file":
                size = length = 0
            elif flag == b"\0" and name.endswith("/"):  # as tars of before 1988 say it, and no others
                kind, size, length = "directory", 0, 0
            elif flag == b"S":
                length = _number(header[483:495], "size")
                position, pieces = _read_pieces(read_at, position, header)
                check_pieces(pieces, length, size)
            if position + size > limit:
                raise ValueError(_cut(size, limit - position))
            yield name, kind, length, mode, uid, gid, target, position, size
            position += size + 511 & -512
            number += 1
    except ValueError as error:
        raise ImageError(where(number), str(error)) from None


class _Notes:
    """What entries before an entry say of it."""

    __slots__ = ("gnu_name", "gnu_target", "is_given", "is_sparse", "pax")

    def __init__(self) -> None:
        self.is_given = self.is_sparse = False
        self.gnu_name = self.gnu_target = ""
        self.pax: dict[str, str] = {}

    def take(self, flag: bytes, data: bytes) -> None:
        if flag == b"g":
            _parse_pax(data)  # passed over; it must be whole
            return
        self.is_given = True
        if flag == b"x":
            self.pax = _parse_pax(data)
        elif flag == b"L":
            self.gnu_name = _text(data, 0, len(data))
        else:
            self.gnu_target = _text(data, 0, len(data))

    def apply(self, name: str, target: str, size: int, uid: int, gid: int) -> tuple[str, str, int, int, int, int]:
        """Give the name, the target, the size in the tar, the size of the file, uid and gid."""
        pax = self.pax
        length = size
        if pax:
            name, target = pax.get("path", name), pax.get("linkpath", target)
            length = size = _decimal(pax, "size", size)
            uid, gid = _decimal(pax, "uid", uid), _decimal(pax, "gid", gid)
            for key in ("GNU.sparse.size", "GNU.sparse.realsize"):  # with its holes
                if key in pax:
                    self.is_sparse, length = True, _decimal(pax, key, 0)
                    name = pax.get("GNU.sparse.name", name)
        return self.gnu_name or name, self.gnu_target or target, size, length, uid, gid


def _read_note(read_at: Callable[[int, int], bytes], position: int, flag: bytes, size: int, notes: _Notes) -> int:
    """Read an entry that only says something of the next one; give where the next header is."""
    if flag not in (b"x", b"g", b"L", b"K"):
        raise ValueError(f"an entry of the unknown type '{printable(flag.decode('latin-1'))}'")
    if size > LARGEST_NOTE:
        raise ValueError(f"a header that declares {size:,} bytes of names")
    data = read_at(position, size)
    if len(data) < size:
        raise ValueError(_cut(size, len(data)))
    notes.take(flag, data)
    return position + (size + BLOCK - 1 & -BLOCK)


def _read_owner(field: bytes) -> tuple[int, int, int]:
    return _number(field[:8], "mode") & 0o7777, _number(field[8:16], "uid"), _number(field[16:], "gid")


def _parse_pax(data: bytes) -> dict[str, str]:
    """Read the records of a PAX header, as "27 path=a/name\\n"; a record without a value takes nothing away."""
    found = {}
    position = 0
    while position < len(data):
        space = data.find(b" ", position, position + 20)
        digits = data[position:space] if space > 0 else b""
        if not digits.isdigit():
            raise ValueError("a PAX header with a record that has no length")
        end = position + int(digits)
        key, equals, value = data[space + 1 : end - 1].partition(b"=")
        if end > len(data) or end <= space + 1 or data[end - 1 : end] != b"\n" or not equals:
            raise ValueError("a PAX header with a record that is not whole")
        if not key:
            raise ValueError("a PAX header with a record that has no name")
        if value and not key.startswith(b"SCHILY.xattr."):
            if b"\0" in value and key in (b"path", b"linkpath", b"GNU.sparse.name"):
                raise ValueError("a PAX header with a NUL in a name")
            found[key.decode(errors="surrogateescape")] = value.decode(errors="surrogateescape")
        position = end
    return found


def _decimal(pax: dict[str, str], key: str, default: int) -> int:
    text = pax.get(key)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit()) or len(text) > 19 or int(text) >= 2**63:
        raise ValueError(f"a PAX header whose {key} is {printable(text)!r}")
    return int(text)


def _number(field: bytes, what: str) -> int:
    """Read octal digits, or, where the first bit is set, a number of base 256."""
    if field[0] & 0x80:
        value = int.from_bytes(field, "big") & ~(0x80 << 8 * (len(field) - 1))
        if field[0] & 0x40 or value >= 2**63:
            raise ValueError(f"a header whose {what} is no number that a file can have")
        return value
    digits = field.strip(b" \0")
    if not digits:
        return 0
    if not digits.isdigit():
        digits = digits.partition(b"\0")[0].rstrip(b" ")
    try:
        if not digits.isdigit():
            raise ValueError
        return int(digits, 8)
    except ValueError:
        raise ValueError(f"a header whose {what} is {printable(field.decode('latin-1'))!r}") from None


def _text(data: bytes, start: int, length: int) -> str:
    end = data.find(b"\0", start, start + length)
    return data[start : end if end >= 0 else start + length].decode(errors="surrogateescape")


def _check_sum(header: bytes) -> None:
    """Compare the sum of the header's bytes, its own field taken as spaces, with what the field says."""
    field = header[148:156]
    said = _number(field, "check sum")
    rest = header[:148] + b" " * 8 + header[156:]
    # Some old tars add up signed bytes.
    if said != sum(rest) and said != sum(b - 256 if b > 127 else b for b in rest):
        raise ValueError("the check sum of the header is wrong")


def _check_end(reader: Reader, position: int, block: bytes, notes: _Notes) -> None:
    """Tell the end of the tar (two blocks of zeros, or no more bytes) from a tar that is cut off."""
    if notes.is_given:
        raise ValueError("the archive ends after a header that belongs to an entry")
    if len(block) == BLOCK:
        following = reader.read_at(position + BLOCK, BLOCK)
        if following.strip(b"\0"):
            raise ValueError("a block of zeros, and more after it")
    elif block or (reader.end is not None and reader.end < position):
        raise ValueError("the archive is cut off")


def _read_pieces(
    read_at: Callable[[int, int], bytes], position: int, header: bytes
) -> tuple[int, list[tuple[int, int]]]:
    """Give where the content of a sparse file of old GNU tar begins, and the pieces that header and blocks list."""
    pieces: list[tuple[int, int]] = []
    table, more = header[386:482], header[482]
    for _ in range(MOST_SPARSE_BLOCKS):
        for at in range(0, len(table), 24):
            if not table[at]:
                break
            pieces.append((_number(table[at : at + 12], "offset"), _number(table[at + 12 : at + 24], "size")))
        if not more:
            return position, pieces
        block = read_at(position, BLOCK)
        if len(block) < BLOCK:
            raise ValueError("the archive is cut off in the extents of a sparse file")
        table, more = block[:504], block[504]
        position += BLOCK
    raise ValueError(f"a sparse file with more than {MOST_SPARSE_BLOCKS:,} blocks of extents")


def _cut(declared: int, there: int) -> str:
    return f"the archive is cut off: {declared:,} bytes are declared, and {there:,} are there"
