r"""What was said on a connection that somebody else holds?

The bytes of both directions come in as they were overheard, split anywhere; exchanges come out: a request, its answer,
and when. Two readers, one for each direction, are generators: each runs until it needs bytes that have not come, and
goes on when they have. So they read as if they could wait (RFC 9112), and nothing here touches a socket.

>>> record = Record()
>>> talk = Conversation(record, 1)
>>> talk.hear("up", b"GET /_ping HTTP/1.1\r\nHost: docker\r\n\r\n", 0.0)
>>> talk.hear("down", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK", 0.25)
>>> [(str(one.request), one.answer.body, one.seconds, one.finished) for one in record.exchanges]
[('GET /_ping', b'OK', 0.25, True)]

What is no HTTP/1 is kept as pieces of bytes.
"""

import re
from collections import deque
from collections.abc import Callable, Generator, Mapping
from typing import TypeVar

from labkit.api.http import (
    MAX_HEAD_BYTES,
    MAX_LINE_BYTES,
    Request,
    parse_chunk_size,
    parse_head,
    parse_length,
    parse_request,
)
from labkit.api.record import KEPT_EXCHANGES, Direction, OpenExchange, Record
from labkit.errors import EngineProtocolError

__all__ = ["Conversation"]

START_BYTES = 33  # of a head, by which one sees whether it may be one

NO_REQUEST = Request("(bytes)", "", {}, b"", b"")
CLOSED_FIRST = {"up": "the client closed first", "down": "the engine closed first", None: "the connection ended"}
DIRECTIONS: tuple[Direction, ...] = ("down", "up")

_METHOD_START = re.compile(rb"[!-~]{1,32}(?: |\Z)")

T = TypeVar("T")
Steps = Generator[None, None, T]  # pauses where bytes are missing


class Conversation:
    """What is said on one connection, number `number`; it never raises, whatever it hears. Times are in seconds."""

    def __init__(self, record: Record, number: int) -> None:
        self._record, self._number = record, number
        self._now = 0.0
        self._voices: dict[Direction, _Reader] = {"up": _Reader(), "down": _Reader()}
        self._readers: dict[Direction, Steps[None]] = {"up": self._read_requests(), "down": self._read_answers()}
        self._spoken: dict[Direction, OpenExchange | None] = {"up": None, "down": None}
        self._unanswered: deque[OpenExchange] = deque()
        self._open: list[OpenExchange] = []
        self._raw: OpenExchange | None = None  # to whom every byte belongs from here on
        self._first_to_end: Direction | None = None

    def hear(self, direction: Direction, data: bytes, at_s: float) -> None:
        """Take what one side said, at a time that never goes back."""
        self._now = at_s
        self._voices[direction].bytes += data
        self._go_on()

    def end(self, direction: Direction, at_s: float) -> None:
        """Take it that this side will say no more."""
        self._now = at_s
        self._first_to_end = self._first_to_end or direction
        self._voices[direction].ended = True
        self._go_on()

    def close(self, why: str = "", *, cut: bool = False) -> None:
        """Take it that the connection is over; `why` if it did not end by one side closing it.

        What a connection was given away to ends with it, and has finished, unless a third party `cut` it.
        """
        self._record.changes += 1
        for direction in DIRECTIONS:
            if self._raw is None and self._voices[direction].bytes:
                self._give_up(direction, f"{why or 'the connection ended'}, within a head")
        if self._raw is not None and self._raw.is_understood and not cut:
            self._raw.asked = self._raw.answered = True
        for growing in self._open:
            growing.close(why or ("" if growing.finished else CLOSED_FIRST[self._first_to_end]))
        self._open.clear()

    def fail(self, why: str, at_s: float) -> None:
        """Take it that there was no way to the engine."""
        self._now = at_s
        self._give_up("up", why)
        self.close(why, cut=True)

    def _go_on(self) -> None:
        """Let both read on: the answer first, since what the client's next bytes are may depend on it."""
        self._record.changes += 1
        for direction in DIRECTIONS:
            if self._raw is None:
                try:
                    next(self._readers[direction], None)
                except Exception as error:  # whatever a reader stumbles over, the bytes go on
                    self._give_up(direction, str(error) or repr(error))
        if self._raw is not None:
            self._take_pieces(self._raw)
        self._open = [growing for growing in self._open if not growing.finished]

    def _read_requests(self) -> Steps[None]:
        voice = self._voices["up"]
        while (yield from voice.has_more()):
            began_s = self._now
            growing = self._begin(began_s, (yield from voice.head(_may_be_request, parse_request)))
            self._spoken["up"] = growing
            self._unanswered.append(growing)
            yield from voice.body(growing.request.headers, self._keeper(growing, "up"), to_end=False)
            growing.asked, growing.last_s = True, self._now
            while growing.may_take_the_connection and growing.answer is None:
                if len(voice.bytes) > MAX_HEAD_BYTES:
                    raise EngineProtocolError("the client went on long before it was answered")
                yield
            self._spoken["up"] = None

    def _read_answers(self) -> Steps[None]:
        voice = self._voices["down"]
        while (yield from voice.has_more()):
            if not self._unanswered:
                raise EngineProtocolError("the engine spoke without being asked")
            growing = self._spoken["down"] = self._unanswered[0]
            answer = yield from voice.head(_may_be_answer, parse_head)
            if growing.gives_the_connection(answer):
                growing.answer_with(answer, self._now)
                self._raw = growing
                return
            if answer.status < 200:  # 100 Continue: the answer is still to come
                continue
            self._unanswered.popleft()
            growing.answer_with(answer, self._now)
            if growing.request.method != "HEAD" and answer.status not in (204, 304):
                yield from voice.body(answer.headers, self._keeper(growing, "down"), to_end=True)
            growing.answered, growing.last_s = True, self._now
            self._spoken["down"] = None

    def _begin(self, began_s: float, request: Request) -> OpenExchange:
        if len(self._open) >= KEPT_EXCHANGES:
            raise EngineProtocolError(f"{len(self._open)} requests wait for their answers")
        growing = OpenExchange(self._number, began_s, request)
        self._open.append(growing)
        self._record.add(growing)
        return growing

    def _keeper(self, growing: OpenExchange, direction: Direction) -> Callable[[bytes], None]:
        return lambda data: growing.add_body(direction, data, self._now)

    def _give_up(self, direction: Direction, why: str) -> None:
        """Keep everything from here on as pieces: of the exchange that was being spoken, or of none."""
        raw = self._spoken[direction]
        if raw is None:
            raw = OpenExchange(self._number, self._now, NO_REQUEST)
            self._open.append(raw)
            self._record.add(raw)
        raw.note, raw.is_understood = why, False
        self._raw = raw
        self._take_pieces(raw)

    def _take_pieces(self, raw: OpenExchange) -> None:
        for direction, voice in self._voices.items():
            if voice.bytes:
                raw.add_piece(direction, voice.take(len(voice.bytes)), self._now)


class _Reader:
    """The bytes of one direction that were heard and not yet understood."""

    def __init__(self) -> None:
        self.bytes = bytearray()
        self.ended = False

    def take(self, count: int) -> bytes:
        """Remove the first `count` bytes, or as many as there are."""
        taken = bytes(self.bytes[:count])
        del self.bytes[:count]
        return taken

    def has_more(self) -> Steps[bool]:
        """Wait for the next byte; False if the end comes instead."""
        while not self.bytes and not self.ended:
            yield
        return bool(self.bytes)

    def head(self, may_begin: Callable[[bytes], bool], parse: Callable[[bytes], T]) -> Steps[T]:
        """Wait for a whole head; see by its first bytes that it is none, since its end may never come."""
        while len(self.bytes) < START_BYTES and may_begin(bytes(self.bytes)) and b"\r\n\r\n" not in self.bytes:
            yield
        if not may_begin(bytes(self.bytes[:START_BYTES])):
            raise EngineProtocolError("this is not HTTP/1")
        head = yield from self._until(b"\r\n\r\n", MAX_HEAD_BYTES)
        try:
            return parse(head)
        except EngineProtocolError:
            self.bytes[:0] = head  # they were no head, but they were said
            raise

    def body(self, headers: Mapping[str, str], keep: Callable[[bytes], None], *, to_end: bool) -> Steps[None]:
        """Give a body away as it comes; `to_end`: one that tells no length lasts as long as the connection."""
        if "transfer-encoding" in headers:
            yield from self._chunks(headers["transfer-encoding"], keep)
        elif "content-length" in headers:
            yield from self._exactly(parse_length(headers["content-length"]), keep)
        elif to_end:
            while (yield from self.has_more()):
                keep(self.take(len(self.bytes)))

    def _chunks(self, coding: str, keep: Callable[[bytes], None]) -> Steps[None]:
        if coding.lower() != "chunked":
            raise EngineProtocolError(f"Transfer-Encoding {coding[:80]!r} is not chunked")
        while size := parse_chunk_size((yield from self._until(b"\r\n", MAX_LINE_BYTES))[:-2]):
            yield from self._exactly(size, keep)
            yield from self._until(b"\r\n", 2)
        trailer_bytes = 0
        while (line := (yield from self._until(b"\r\n", MAX_LINE_BYTES))) != b"\r\n":
            trailer_bytes += len(line)
            if trailer_bytes > MAX_HEAD_BYTES:
                raise EngineProtocolError(f"the trailer is over {MAX_HEAD_BYTES} bytes")

    def _exactly(self, count: int, keep: Callable[[bytes], None]) -> Steps[None]:
        while count:
            while not self.bytes:
                yield
            data = self.take(count)
            count -= len(data)
            keep(data)

    def _until(self, mark: bytes, limit: int) -> Steps[bytes]:
        searched = 0
        while (end := self.bytes.find(mark, searched)) < 0 and len(self.bytes) < limit:
            searched = max(len(self.bytes) - len(mark) + 1, 0)
            yield
        if end < 0 or end + len(mark) > limit:
            raise EngineProtocolError(f"what should end within {limit} bytes does not")
        return self.take(end + len(mark))


def _may_be_request(start: bytes) -> bool:
    return _METHOD_START.match(start) is not None


def _may_be_answer(start: bytes) -> bool:
    return b"HTTP/1.".startswith(start[:7])
