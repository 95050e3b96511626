"""How does a browser attach to a container?

Over a websocket (RFC 6455): the connection changes its protocol once, and then carries messages both ways. The engine
sends one for each write of the process, stdout and stderr merged, without frames of its own (Engine API, "Attach to a
container via a websocket"). The messages' form is websocket-client's work.
"""

from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import suppress
from hashlib import sha1
from os import urandom
from typing import cast

from websocket import ABNF, WebSocketException, frame_buffer

from labkit.api.hijack import Talk
from labkit.api.http import Answer
from labkit.errors import EngineProtocolError

__all__ = ["WebSocket", "build_headers", "check_accept"]

MAX_MESSAGE_BYTES = 16 * 1024 * 1024
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


class WebSocket(Talk):
    """Binary messages, one or more a piece: what is sent is the process's input, what comes its output."""

    def _wrap(self, data: bytes) -> bytes:
        return ABNF.create_frame(data, ABNF.OPCODE_BINARY).format()

    def _upgraded(self) -> Iterator[bytes]:
        frames = _Frames(self._connection.read_some, skip_utf8_validation=True)
        while self._connection.has_more():
            try:
                frame = frames.recv_frame()
            except WebSocketException as error:
                raise EngineProtocolError(f"{self._opened.request}: broken websocket: {error}") from error
            if frame.opcode == ABNF.OPCODE_CLOSE:
                return
            if frame.opcode == ABNF.OPCODE_PING:
                with suppress(EngineProtocolError):  # it has closed; what it said before can still be read
                    self._push(ABNF.create_frame(frame.data, ABNF.OPCODE_PONG).format())
            elif frame.opcode != ABNF.OPCODE_PONG:
                yield cast(bytes, frame.data)


class _Frames(frame_buffer):
    def recv_length(self) -> None:
        super().recv_length()
        if self.length and self.length > MAX_MESSAGE_BYTES:
            raise EngineProtocolError(f"a message of {self.length} bytes: over {MAX_MESSAGE_BYTES} is a lie")
