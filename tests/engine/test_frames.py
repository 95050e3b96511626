"""Do frames survive any cut of their bytes, and are lies found out before they cost memory?"""

from collections.abc import Iterator
from random import Random
from struct import pack

import pytest

from labkit.api.frames import MAX_PAYLOAD_BYTES, STDERR, STDIN, STDOUT, SYSTEM_ERROR, Frame, build_frame, parse_frames
from labkit.errors import EngineProtocolError

FRAMES = [
    Frame(STDOUT, b"hello\n"),
    Frame(STDERR, b""),
    Frame(STDIN, b"\x01\x00\x00\x00\x00\x00\x00\x01x"),  # a payload that looks like a frame
    Frame(SYSTEM_ERROR, b"\0" * 9),
    Frame(STDOUT, b"z"),
]
RAW = b"".join(build_frame(*frame) for frame in FRAMES)


@pytest.mark.parametrize("size", range(1, len(RAW) + 1))
def test_pieces_of_one_size(size: int) -> None:
    """The frames are the same whatever the pieces' size."""
    assert FRAMES == list(parse_frames(RAW[start : start + size] for start in range(0, len(RAW), size)))


@pytest.mark.parametrize("cut", range(len(RAW) + 1))
def test_two_pieces(cut: int) -> None:
    """One cut anywhere, with an empty piece in it, changes nothing."""
    assert FRAMES == list(parse_frames([RAW[:cut], b"", RAW[cut:]]))


@pytest.mark.parametrize("seed", range(50))
def test_random_pieces(seed: int) -> None:
    """Many cuts at once change nothing."""
    cuts = sorted(Random(seed).choices(range(len(RAW) + 1), k=8))
    assert FRAMES == list(parse_frames(RAW[a:b] for a, b in zip([0, *cuts], [*cuts, len(RAW)], strict=True)))


@pytest.mark.parametrize("length", range(1, len(build_frame(1, b"four"))))
def test_a_cut_frame(length: int) -> None:
    """An end within a header or a payload is an error, after the whole frames were handed out."""
    frames = parse_frames([build_frame(2, b"whole") + build_frame(1, b"four")[:length]])

    assert Frame(2, b"whole") == next(frames)
    with pytest.raises(EngineProtocolError, match=f"ended within a frame, {length} bytes into it"):
        next(frames)


@pytest.mark.parametrize("length", [MAX_PAYLOAD_BYTES + 1, 2**31, 2**32 - 1])
def test_a_lying_length(length: int) -> None:
    """A length up to 4 GiB is refused as soon as it is read, before anything is gathered."""
    taken = []

    def pieces() -> Iterator[bytes]:
        yield pack(">B3xI", STDOUT, length)
        taken.append("more")
        yield b"x" * 1024

    with pytest.raises(EngineProtocolError, match=f"announces {length} bytes"):
        list(parse_frames(pieces()))
    assert [] == taken


def test_the_longest_payload() -> None:
    """Exactly the limit passes, both ways."""
    payload = bytes(MAX_PAYLOAD_BYTES)
    assert [Frame(STDOUT, payload)] == list(parse_frames([build_frame(STDOUT, payload)]))


@pytest.mark.parametrize("start", [b"h", b"hi\r\n", b"/ # ls\r\n", b"\x04", b"\x01\x01", b"\x01\0\0\x01", b"\xff" * 8])
@pytest.mark.parametrize("size", [1, 8])
def test_what_is_no_header(start: bytes, size: int) -> None:
    """The plain output of a terminal is found out, even if it is shorter than a header."""
    with pytest.raises(EngineProtocolError, match="no frame header: does the container have a terminal"):
        list(parse_frames(start[at : at + size] for at in range(0, len(start), size)))


def test_a_frame_is_handed_out_at_once() -> None:
    """A frame does not wait for the bytes after it."""

    def pieces() -> Iterator[bytes]:
        yield build_frame(STDOUT, b"now")
        raise AssertionError("asked for more first")

    assert Frame(STDOUT, b"now") == next(parse_frames(pieces()))


def test_nothing_is_no_frame() -> None:
    """An empty stream is a container that said nothing."""
    assert [] == list(parse_frames([])) == list(parse_frames([b"", b""]))


@pytest.mark.parametrize("stream", [-1, 4, 256])
def test_a_stream_that_is_none(stream: int) -> None:
    """Only four numbers can be written."""
    with pytest.raises(ValueError, match="are all there are"):
        build_frame(stream, b"")


def test_a_payload_that_is_too_long() -> None:
    """What the parser would refuse is not built."""
    with pytest.raises(ValueError, match="cut them into pieces"):
        build_frame(STDOUT, bytes(MAX_PAYLOAD_BYTES + 1))
