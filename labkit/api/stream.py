"""How is an answer read while it is still being written, and stopped from elsewhere?

One thread reads, and waits for most of its time; any thread may end that.
"""

from collections.abc import Callable, Iterator
from threading import RLock
from time import monotonic
from typing import Generic, Self, TypeVar

from labkit.api.connection import Connection
from labkit.api.frames import Frame, parse_frames
from labkit.api.http import Exchange
from labkit.errors import EngineError

__all__ = ["RECORDED_BODY_BYTES", "AtEnd", "Stream"]

RECORDED_BODY_BYTES = 64 * 1024
AtEnd = Callable[[Connection, Exchange], None]  # keeps the connection, if it is `reusable`, or closes it
T = TypeVar("T")


class Stream(Generic[T]):
    """An answer's body, piece by piece. `close` works from any thread, and ends the iteration quietly.

    `opened` holds the request, the answer's head, and when the exchange began (monotonic clock, in seconds).
    """

    def __init__(
        self,
        connection: Connection,
        opened: Exchange,
        at_end: AtEnd,
        parse: Callable[[Iterator[bytes]], Iterator[T]],
    ) -> None:
        self.answer = opened.answer
        self._connection, self._opened, self._at_end = connection, opened, at_end
        self._seen = bytearray()
        self._stopped = self._over = False
        self._reading = RLock()
        self._frames: Iterator[Frame] | None = None
        self._items = parse(self._note(self._pieces()))

    def frames(self: "Stream[bytes]") -> Iterator[Frame]:
        """Take the pieces apart into frames: what a container without a terminal says (`labkit.api.frames`).

        Every call gives the same iterator, so that none loses what another has begun to read.
        """
        if self._frames is None:
            self._frames = self._parse_frames()
        return self._frames

    def _parse_frames(self: "Stream[bytes]") -> Iterator[Frame]:
        try:
            yield from parse_frames(self)
        except EngineError:
            if not self._stopped:  # stopped within a frame: that was asked for
                raise

    def close(self) -> None:
        """Stop, and close the connection: the engine learns from that that nobody listens any more."""
        self._stopped = True
        if not self._over:
            self._connection.wake()  # a reader in another thread returns now, and gives the lock back
        with self._reading:
            self._end(reusable=False)

    def __iter__(self) -> "Stream[T]":
        return self

    def __next__(self) -> T:
        with self._reading:
            if self._over or self._stopped:
                raise StopIteration
            try:
                return next(self._items)
            except StopIteration:
                self._end(reusable=self._connection.reusable)
                raise
            except BaseException as error:  # a keyboard interrupt too leaves half an answer behind
                self._end(reusable=False)
                if self._stopped and isinstance(error, EngineError):
                    raise StopIteration from None
                raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _pieces(self) -> Iterator[bytes]:
        return self._connection.read_body(self._opened.request.method, self.answer)

    def _note(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            if len(self._seen) < RECORDED_BODY_BYTES:
                self._seen += piece[: RECORDED_BODY_BYTES - len(self._seen)]
            yield piece

    def _end(self, *, reusable: bool) -> None:
        if not self._over:
            self._over = True
            request, answer, began, _ = self._opened
            exchange = Exchange(request, answer._replace(body=bytes(self._seen)), monotonic() - began)
            # Once close() was called it may wake this connection at any moment: nobody else can have it.
            self._connection.reusable = reusable and not self._stopped
            self._at_end(self._connection, exchange)
