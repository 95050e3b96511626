r"""How does the directory of a layer become the exact tar again, whose digest is the diff_id?

When the engine unpacks a layer it keeps the bytes of the tar that are no file's content: headers, padding, the end.
They are in tar-split.json.gz, one JSON object a line, in the order of the tar:

    {"type": 2, "payload": BASE64, "position": 0}                                 bytes of the tar
    {"type": 1, "name": "bin/sh", "size": 7, "payload": BASE64, "position": 1}    here stand the 7 bytes of this file

The payload of a file is the CRC-64 (ISO 3309) of its content; that of an entry without content is null. A name that is
not UTF-8 is in `name_raw`. Source: github.com/vbatts/tar-split, `tar/storage`; moby, `layer/layer_store.go`.

    >>> import base64, gzip, io, json
    >>> lines = [{"type": 2, "payload": base64.b64encode(b"head ").decode(), "position": 0},
    ...          {"type": 1, "name": "a", "size": 3, "payload": base64.b64encode(bytes(8)).decode(), "position": 1}]
    >>> packed = gzip.compress("\n".join(map(json.dumps, lines)).encode())
    >>> b"".join(rebuild(io.BytesIO(packed), lambda name: io.BytesIO(b"abc"), "an example"))
    b'head abc'
"""

import base64
import binascii
import gzip
import json
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import count
from typing import Any, BinaryIO, NamedTuple, TypeAlias

from labkit.errors import ImageError
from labkit.images.paths import clean, printable

__all__ = ["Content", "OpenFile", "Piece", "changed_files", "crc64", "read_pieces", "rebuild"]

LONGEST_LINE = 64 * 2**20  # bytes; a line holds the padding of a tar, and the engine's own reader has no limit
MOST_BYTES = 2**33  # of all lines: some 10 million entries
CHUNK = 2**20
_DEFLATE_ERRORS = (gzip.BadGzipFile, zlib.error, EOFError)


class Piece(NamedTuple):
    """Bytes of the tar itself."""

    data: bytes


class Content(NamedTuple):
    """The place of a file's content in the tar."""

    path: str  # inside the layer, as `labkit.images.paths.clean` gives it
    size_bytes: int
    checksum: int | None  # CRC-64; None where none is kept


OpenFile: TypeAlias = Callable[[str], BinaryIO]  # of a path inside the layer; raises OSError


def read_pieces(packed: BinaryIO, where: str) -> Iterator[Piece | Content]:
    """Read a tar-split.json.gz, piece by piece. ImageError for one that is cut off or that lies, and says where."""
    total = 0
    with gzip.GzipFile(fileobj=packed) as lines:
        for number in count():
            place = f"line {number + 1} of {where}"
            try:
                line = lines.readline(LONGEST_LINE + 1)
            except _DEFLATE_ERRORS as error:
                raise ImageError(place, f"it cannot be unpacked: {error}") from error
            total += len(line)
            if not line:
                return
            if len(line) > LONGEST_LINE or total > MOST_BYTES:
                raise ImageError(place, f"larger than {LONGEST_LINE:,} bytes, or than {MOST_BYTES:,} in all")
            if line.strip():
                yield _read_line(line, number, place)


def rebuild(packed: BinaryIO, open_file: OpenFile, where: str) -> Iterator[bytes]:
    """Give the tar of a layer, in pieces of at most 1 MiB where they are a file's.

    `packed` is its tar-split.json.gz, `open_file` opens a file of its directory. The digest of the whole is the layer's
    diff_id if no file was changed: who compares sees it, and `changed_files` names the file.
    ImageError for a record that lies or is cut off, and for a file that is missing or has another size.
    """
    for piece in read_pieces(packed, where):
        if isinstance(piece, Piece):
            yield piece.data
        elif piece.size_bytes:
            yield from _read_content(piece, open_file, where)


def changed_files(packed: BinaryIO, open_file: OpenFile, where: str) -> list[str]:
    """Name the files whose content is no longer what the layer's tar had: missing, of another size or checksum.

    In Python the checksum takes a tenth of a second for each MB.
    """
    found = []
    for piece in read_pieces(packed, where):
        if isinstance(piece, Content) and piece.size_bytes:
            try:
                checksum = 0
                for chunk in _read_content(piece, open_file, where):
                    checksum = crc64(chunk, checksum)
            except ImageError:
                found.append(piece.path)
            else:
                found += [piece.path] if piece.checksum not in (None, checksum) else []
    return found


def crc64(data: bytes, before: int = 0) -> int:
    """Give the CRC-64 of ISO 3309 of bytes that follow those whose checksum is `before`.

    >>> hex(crc64(b"123456789"))
    '0xb90956c775a41001'
    """
    value = ~before & _ONES
    for byte in data:
        value = _TABLE[(value ^ byte) & 0xFF] ^ (value >> 8)
    return ~value & _ONES


_ONES = 2**64 - 1


def _make_table() -> tuple[int, ...]:
    table = []
    for value in range(256):
        for _ in range(8):
            value = (value >> 1) ^ (0xD800000000000000 if value & 1 else 0)
        table.append(value)
    return tuple(table)


_TABLE = _make_table()


def _read_line(line: bytes, number: int, place: str) -> Piece | Content:
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ImageError(place, f"no JSON: {printable(str(error))}") from error
    if not isinstance(entry, dict) or entry.get("position") != number:
        raise ImageError(place, f"no entry with the position {number}")
    payload = _decode(entry, "payload", place)
    match entry.get("type"):
        case 2:
            return Piece(payload)
        case 1:
            return _content(entry, payload, place)
        case other:
            raise ImageError(place, f"an entry of type {printable(str(other))}; 1 is a file, 2 are bytes")


def _content(entry: dict[str, Any], payload: bytes, place: str) -> Content:
    name, size = entry.get("name", ""), entry.get("size", 0)
    if raw := _decode(entry, "name_raw", place):
        name = raw.decode(errors="surrogateescape")
    if not isinstance(name, str) or not isinstance(size, int) or isinstance(size, bool) or not 0 <= size < 2**63:
        raise ImageError(place, "a file without a name, or without a size")
    if len(payload) not in (0, 8):
        raise ImageError(place, f"a checksum of {len(payload)} bytes; it has 8")
    try:
        path = clean(name)
    except ValueError as error:
        raise ImageError(place, str(error)) from error
    return Content(path, size, int.from_bytes(payload, "big") if payload else None)


def _decode(entry: dict[str, Any], key: str, place: str) -> bytes:
    text = entry.get(key)
    if text is None:
        return b""
    try:
        return base64.b64decode(text, validate=True)
    except (TypeError, ValueError, binascii.Error) as error:
        raise ImageError(place, f"its {key} is no base64") from error


def _read_content(content: Content, open_file: OpenFile, where: str) -> Iterator[bytes]:
    """Give exactly as many bytes as the tar had."""
    left = content.size_bytes
    shown = printable(content.path)
    try:
        with closing(open_file(content.path)) as file:
            while left:
                chunk = file.read(min(left, CHUNK))
                if not chunk:
                    break
                left -= len(chunk)
                yield chunk
            is_longer = bool(file.read(1))
    except OSError as error:
        raise ImageError(where, f"the file {shown} cannot be read: {error.strerror}") from error
    if left or is_longer:
        how = f"{left:,} bytes shorter" if left else "longer"
        raise ImageError(
            where, f"the file {shown} is {how} than the {content.size_bytes:,} bytes that the layer's tar had"
        )
