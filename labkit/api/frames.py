r"""How do stdout and stderr share one connection?

The engine puts 8 bytes before each piece of a container's output: the stream's number, three zero bytes,
and the length as a big-endian 32-bit number (Engine API, "Attach to a container", stream format). A
container with a terminal has no frames.

>>> list(parse_frames([b"\x01\x00\x00\x00\x00\x00", b"\x00\x03hi\n"]))
[Frame(stream=1, payload=b'hi\n')]

The two streams are separate pipes: nothing says which of two frames was written first.
"""

from collections.abc import Iterable, Iterator
from struct import Struct
from typing import NamedTuple

from labkit.errors import EngineProtocolError

__all__ = ["STDERR", "STDIN", "STDOUT", "SYSTEM_ERROR", "Frame", "build_frame", "parse_frames"]

STDIN, STDOUT, STDERR, SYSTEM_ERROR = range(4)
MAX_PAYLOAD_BYTES = 16 * 1024 * 1024
_HEADER = Struct(">B3sI")


class Frame(NamedTuple):
    """One piece of output: the number of its stream (1 stdout, 2 stderr), and its bytes."""

    stream: int
    payload: bytes


def build_frame(stream: int, payload: bytes) -> bytes:
    r"""Put the 8-byte header before the payload; raises ValueError for a stream that is none, or over 16 MiB.

    >>> build_frame(STDERR, b"no\n")
    b'\x02\x00\x00\x00\x00\x00\x00\x03no\n'
    """
    if not STDIN <= stream <= SYSTEM_ERROR:
        raise ValueError(f"stream {stream}: 0 stdin, 1 stdout, 2 stderr and 3 system error are all there are")
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise ValueError(f"{len(payload)} bytes are too many: cut them into pieces of {MAX_PAYLOAD_BYTES}")
    return _HEADER.pack(stream, b"\0\0\0", len(payload)) + payload


def parse_frames(pieces: Iterable[bytes]) -> Iterator[Frame]:
    """Hand out each frame as soon as its last byte is there, however the bytes were split into pieces.

    Raises EngineProtocolError for a header that cannot be one, a payload over 16 MiB, an end within a frame.
    """
    pending = bytearray()
    for piece in pieces:
        pending += piece
        while frame := _take_frame(pending):
            yield frame
    if pending:
        raise EngineProtocolError(f"the stream ended within a frame, {len(pending)} bytes into it")


def _take_frame(pending: bytearray) -> Frame | None:
    """Remove the first frame from `pending` and return it; None if it is not complete."""
    if pending[:1] > bytes([SYSTEM_ERROR]) or any(pending[1:4]):  # before the header is complete: it may never be
        start = bytes(pending[: _HEADER.size])
        raise EngineProtocolError(f"{start!r} is no frame header: does the container have a terminal?")
    if len(pending) < _HEADER.size:
        return None
    stream, _, length = _HEADER.unpack_from(pending)
    if length > MAX_PAYLOAD_BYTES:
        raise EngineProtocolError(f"a frame announces {length} bytes: over {MAX_PAYLOAD_BYTES} is a lie")
    end = _HEADER.size + length
    if len(pending) < end:
        return None
    payload = bytes(pending[_HEADER.size : end])
    del pending[:end]
    return Frame(stream, payload)
