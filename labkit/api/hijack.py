"""How do a client and a container's process talk both ways over one connection?

The client asks to change the protocol (RFC 9110, "Upgrade"); the engine answers 101, or 200 as it did before, and
from then on the connection carries the process's input one way and its output the other (Engine API, "Attach to a
container"). Each direction can end by itself.

    with engine.hijack("POST", "/containers/x/attach", query={"stream": True, "stdin": True, "stdout": True}) as talk:
        talk.send(b"hello\\n")
        talk.close_write()
        for frame in talk.frames(): ...
"""

from collections.abc import Iterator
from threading import Lock

from labkit.api.connection import Connection
from labkit.api.http import Exchange
from labkit.api.stream import RECORDED_BODY_BYTES, AtEnd, Stream
from labkit.errors import EngineError, EngineProtocolError

__all__ = ["Hijack", "Talk"]


class Talk(Stream[bytes]):
    """A stream that can be answered. It is recorded when it has ended, with the first 64 KiB of each direction.

    One thread may read while others send. `patience_s` is how long the engine may take nothing of what is sent.
    """

    def __init__(self, connection: Connection, opened: Exchange, at_end: AtEnd, patience_s: float) -> None:
        super().__init__(connection, opened, at_end, lambda pieces: pieces)
        self._patience_s = patience_s
        self._sending = Lock()
        self._sent = bytearray(opened.request.body[:RECORDED_BODY_BYTES])

    def send(self, data: bytes) -> None:
        """Send all of `data`; raises EngineTimeout if nothing of it is taken, EngineProtocolError after the end."""
        try:
            self._check_open()
            self._push(self._wrap(data))
        except (EngineError, ValueError):  # ValueError: poll(2) of a socket that another thread has closed just now
            self._check_open()
            raise
        with self._sending:
            self._sent += data[: RECORDED_BODY_BYTES - len(self._sent)]

    def _check_open(self) -> None:
        if self._over or self._stopped:
            raise EngineProtocolError(f"{self._opened.request}: this conversation is over: open another one")

    def _push(self, raw: bytes) -> None:
        with self._sending:  # two messages at once would be torn
            self._connection.push(raw, self._patience_s)

    def _wrap(self, data: bytes) -> bytes:
        return data

    def _pieces(self) -> Iterator[bytes]:
        return self._upgraded() if self.answer.status == 101 else super()._pieces()

    def _upgraded(self) -> Iterator[bytes]:
        return self._connection.read_to_close()

    def _end(self, *, reusable: bool) -> None:
        if not self._over:
            request = self._opened.request._replace(body=bytes(self._sent))
            self._opened = self._opened._replace(request=request)
        super()._end(reusable=False)  # what was hijacked speaks HTTP no more


class Hijack(Talk):
    """The raw streams of a container's process: its input to be sent, its output to be read.

    With a terminal the output is plain bytes; without one it comes in `frames`.
    """

    def close_write(self) -> None:
        """End the input: the process reads end-of-file (if stdin was opened with StdinOnce), and can still write."""
        with self._sending:  # what is still being sent comes before the end
            self._connection.close_write(self._patience_s)
