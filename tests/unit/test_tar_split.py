"""Does a directory become its exact tar again, and is a record that lies refused?"""

import base64
import gzip
import io
import json
from hashlib import sha256
from typing import Any, BinaryIO

import pytest

from labkit.errors import ImageError
from labkit.images import tar_split
from labkit.images.tar_split import Content, Piece, changed_files, read_pieces, rebuild
from tests.unit.stores import make_tar, split_tar

FILES = {"a": b"alpha" * 400, "d/b": b"", "d/c": bytes(range(256)) * 9}
TAR = make_tar(FILES)
SPLIT = split_tar(TAR)


def opener(files: dict[str, bytes]) -> Any:
    def open_file(path: str) -> BinaryIO:
        if path not in files:
            raise FileNotFoundError(2, "No such file or directory")
        return io.BytesIO(files[path])

    return open_file


def build(split: bytes = SPLIT, files: dict[str, bytes] = FILES) -> bytes:
    return b"".join(rebuild(io.BytesIO(split), opener(files), "here"))


def packed(*lines: object) -> bytes:
    return gzip.compress("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines).encode())


def test_the_exact_tar_comes_back() -> None:
    """Byte for byte, so that its digest is the diff_id."""
    assert sha256(TAR).digest() == sha256(build()).digest()


def test_a_long_file_comes_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory does not grow with a file."""
    monkeypatch.setattr(tar_split, "CHUNK", 100)

    pieces = list(rebuild(io.BytesIO(SPLIT), opener(FILES), "here"))

    assert 20 + 24 + 4 == len(pieces)  # 2,000 and 2,304 bytes of files, and four pieces of the tar itself
    assert TAR == b"".join(pieces)


def test_a_name_that_is_no_utf8() -> None:
    """It stands in name_raw, and is looked up with its own bytes."""
    line = {"type": 1, "name_raw": base64.b64encode(b"\xff").decode(), "size": 2, "payload": None, "position": 0}

    assert [Content("\udcff", 2, None)] == list(read_pieces(io.BytesIO(packed(line)), "here"))


def test_an_empty_record_is_an_empty_tar() -> None:
    """A layer without a byte has a record without a line."""
    assert b"" == build(packed(""))


@pytest.mark.parametrize("end", range(1, len(SPLIT) - 1, 37))
def test_a_record_that_is_cut_off_is_refused(end: int) -> None:
    """Wherever it is cut, there is an error that says the line: never a shorter tar."""
    with pytest.raises(ImageError, match=r"^line \d+ of here: "):
        build(SPLIT[:end])


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (["{"], "no JSON"),
        (["[" * 100_000], "no JSON"),
        (['"text"'], "no entry with the position 0"),
        ([{"type": 2, "payload": "", "position": 1}], "no entry with the position 0"),
        ([{"type": 2, "payload": "?", "position": 0}], "its payload is no base64"),
        ([{"type": 2, "payload": 5, "position": 0}], "its payload is no base64"),
        ([{"type": 3, "position": 0}], "an entry of type 3"),
        ([{"type": 1, "name": 7, "size": 1, "position": 0}], "without a name"),
        ([{"type": 1, "name": "a", "size": -1, "position": 0}], "without a size"),
        ([{"type": 1, "name": "a", "size": 1e999, "position": 0}], "without a size"),
        ([{"type": 1, "name": "a", "size": 1, "payload": "AAAA", "position": 0}], "a checksum of 3 bytes"),
        ([{"type": 1, "name": "../../etc/shadow", "size": 1, "position": 0}], "leads out of the image"),
        ([{"type": 1, "name": "a\u0000b", "size": 1, "position": 0}], "holds a NUL"),
    ],
)
def test_a_record_that_lies_is_refused(lines: list[object], words: str) -> None:
    """What is no piece of a tar is named, with its line, in one line that a terminal can show."""
    with pytest.raises(ImageError, match=words) as caught:
        build(packed(*lines))

    assert str(caught.value).startswith("line 1 of here: ") and str(caught.value).isprintable()


def test_what_is_no_gzip_is_refused() -> None:
    """Some other file in its place."""
    with pytest.raises(ImageError, match="cannot be unpacked"):
        build(b"not a gzip file")


def test_a_bomb_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A line without an end, and lines without an end, are left at a limit."""
    monkeypatch.setattr(tar_split, "LONGEST_LINE", 1000)
    with pytest.raises(ImageError, match="line 1 of here: larger than"):
        build(gzip.compress(b"x" * 10_000_000))
    monkeypatch.setattr(tar_split, "MOST_BYTES", 5000)
    with pytest.raises(ImageError, match=r"line \d+ of here: larger than"):
        build(gzip.compress(b"\n" * 100_000))


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"alpha", "1,995 bytes shorter"), (FILES["a"] + b"!", "longer than the 2,000 bytes"), (None, "cannot be read")],
)
def test_a_file_of_another_size_is_named(content: bytes | None, words: str) -> None:
    """The tar would be another one: there is none."""
    files = FILES | {"a": content} if content is not None else {"d/c": FILES["d/c"]}
    with pytest.raises(ImageError, match=f"^here: the file a .*{words}"):
        build(files=files)


def test_a_file_that_was_changed_is_named() -> None:
    """Size and checksum tell; the digest of the whole would only tell that there is one."""
    changed = FILES | {"d/c": FILES["d/c"][::-1]}

    assert [] == changed_files(io.BytesIO(SPLIT), opener(FILES), "here")
    assert ["d/c"] == changed_files(io.BytesIO(SPLIT), opener(changed), "here")
    assert ["a", "d/c"] == changed_files(io.BytesIO(SPLIT), opener({}), "here")
    assert sha256(TAR).digest() != sha256(build(files=changed)).digest()


def test_pieces_are_told_apart() -> None:
    """Bytes of the tar, and places of files."""
    kinds = [type(piece) for piece in read_pieces(io.BytesIO(SPLIT), "here")]

    assert [Piece, Content, Piece, Content, Piece, Content, Piece] == kinds
