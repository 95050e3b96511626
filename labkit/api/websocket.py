"""How does a browser attach to a container?

Over a websocket (RFC 6455): the connection changes its protocol once, and then carries frames both ways. The engine
sends one for each write of the process, stdout and stderr merged, without the 8-byte headers of `labkit.api.frames`
(Engine API, "Attach to a container via a websocket").

>>> build_frame(BINARY, b"hi", key=b"\\0\\0\\0\\0")
b'\\x82\\x82\\x00\\x00\\x00\\x00hi'
"""

from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import suppress
from hashlib import sha1
from os import urandom
from struct import pack, unpack

from labkit.api.hijack import Talk
from labkit.api.http import Answer
from labkit.errors import EngineProtocolError

__all__ = ["BINARY", "WebSocket", "build_frame", "build_headers", "check_accept"]

MAX_FRAME_BYTES = 16 * 1024 * 1024
CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10  # opcodes: RFC 6455, section 5.2
IS_LAST, IS_MASKED = 0x80, 0x80  # bits of a frame's first byte, and of its second
RFC_6455 = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # the constant by which a server shows that it knows the protocol


def build_headers(origin: str) -> dict[str, str]:
    """Give the headers that ask for a websocket; the engine wants an origin, as browsers name theirs."""
    key = b64encode(urandom(16)).decode()
    return {"Sec-Websocket-Key": key, "Sec-Websocket-Version": "13", "Origin": origin}


def check_accept(answer: Answer, asked: Mapping[str, str]) -> None:
    """Raise EngineProtocolError unless the answer shows that the engine has understood this very request."""
    expected = b64encode(sha1((asked["Sec-Websocket-Key"] + RFC_6455).encode()).digest()).decode()
    told = answer.headers.get("sec-websocket-accept", "")
    if answer.status == 101 and told != expected:
        raise EngineProtocolError(f"Sec-WebSocket-Accept is {told[:80]!r} instead of {expected!r}: no websocket")


def build_frame(opcode: int, payload: bytes, key: bytes | None = None) -> bytes:
    """Write a client's frame: two bytes, the length, a key, and the payload masked with it (RFC 6455, section 5.3).

    `key` is four bytes, new and random for each frame unless one is given. A client has to mask what it sends, so
    that no page can make a browser send bytes of the page's choice to servers that speak something else.
    """
    key = urandom(4) if key is None else key
    length = len(payload)
    if length < 126:
        head = pack(">BB", IS_LAST | opcode, IS_MASKED | length)
    elif length < 1 << 16:
        head = pack(">BBH", IS_LAST | opcode, IS_MASKED | 126, length)
    else:
        head = pack(">BBQ", IS_LAST | opcode, IS_MASKED | 127, length)
    stretched = (key * (length // 4 + 1))[:length]
    masked = int.from_bytes(payload, "big") ^ int.from_bytes(stretched, "big")
    return head + key + masked.to_bytes(length, "big")


class WebSocket(Talk):
    """Binary frames, one a piece: what is sent is the process's input, what comes its output."""

    def _wrap(self, data: bytes) -> bytes:
        return build_frame(BINARY, data)

    def _upgraded(self) -> Iterator[bytes]:
        while self._connection.has_more():
            opcode, payload = self._read_frame()
            if opcode == CLOSE:
                return
            if opcode == PING:
                with suppress(EngineProtocolError):  # it has closed; what it said before can still be read
                    self._push(build_frame(PONG, payload))
            elif opcode != PONG:
                yield payload

    def _read_frame(self) -> tuple[int, bytes]:
        """Read one frame that the engine sent: its opcode and its payload, of at most 16 MiB."""
        first, second = self._read(2)
        opcode, length = first & 0x0F, second & 0x7F
        if first & 0x70 or second & IS_MASKED or opcode not in (CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG):
            raise self._broken(f"a frame that begins with {first:02x} {second:02x}")
        if opcode >= CLOSE and (length > 125 or not first & IS_LAST):
            raise self._broken("a control frame of more than one part, or 125 bytes")
        if length == 126:
            (length,) = unpack(">H", self._read(2))
        elif length == 127:
            (length,) = unpack(">Q", self._read(8))
        if length > MAX_FRAME_BYTES:
            raise self._broken(f"a frame of {length} bytes: over {MAX_FRAME_BYTES} is a lie")
        return opcode, self._read(length)

    def _read(self, count: int) -> bytes:
        read = bytearray()
        while len(read) < count:
            read += self._connection.read_some(count - len(read))
        return bytes(read)

    def _broken(self, what: str) -> EngineProtocolError:
        return EngineProtocolError(f"{self._opened.request}: broken websocket: {what}")
