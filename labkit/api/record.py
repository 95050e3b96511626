"""What is kept of what was said, and what is not?

An exchange grows while it is heard, and can be looked at meanwhile: a `RecordedExchange` is how it stands. Everything
has a limit, and says what was left out. What `labkit.api.secrets` names is masked before anything is kept; HTTP/2 is
counted, not kept, since BuildKit carries passwords in it.

`labkit.api.conversation` tells the exchanges apart.
"""

import re
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal, NamedTuple

from labkit.api.frames import Frame, parse_frames
from labkit.api.http import Answer, Exchange, Request
from labkit.api.secrets import MASK, hides_answer, hides_request
from labkit.errors import EngineProtocolError, NotHeard

__all__ = ["Direction", "OpenExchange", "RecordedExchange", "Piece", "Record", "find_exchange"]

KEPT_EXCHANGES = 500
KEPT_BYTES = 64 * 1024  # of each direction of an exchange
KEPT_PIECES = 1000
NAMED_EXCHANGES = 12  # in an error

NO_ANSWER = Answer(0, "no answer yet", {}, b"", b"")

_TAKES_THE_CONNECTION = re.compile(r"/(containers/[^/]+/attach|exec/[^/]+/start)")
# In bytes that were not understood: what may stand before a secret.
_SECRET_WORD = re.compile(rb"x-registry-|authorization|/auth|/secrets|/swarm|password|token", re.IGNORECASE)
LONGEST_WORD = 16

Direction = Literal["up", "down"]  # to the engine, and back from it


class Piece(NamedTuple):
    """Bytes that came in one go: when, in seconds since the exchange began; "up" or "down"; and what."""

    seconds: float
    direction: Direction
    data: bytes


@dataclass(frozen=True, slots=True)
class RecordedExchange:
    """One exchange as it stood when it was asked for; header names are in lower case.

    `began_s` counts from the opening of the record. `head_s` and `seconds` count from there: to the end of the answer's
    head (None: it has not come), and to the last byte so far. `note` says why an exchange did not finish, was not
    understood, or broke. An answer of status 0 has not come; a request "(bytes)" is none.

    `pieces` is what followed the heads once the connection was no longer HTTP: attach, exec, an upgrade, or bytes that
    were not understood. `left_out_bytes` were heard and not kept: of each direction 64 KiB are, and 1000 pieces in all.
    """

    connection: int
    began_s: float
    request: Request
    answer: Answer
    head_s: float | None
    seconds: float
    finished: bool
    note: str
    pieces: tuple[Piece, ...]
    left_out_bytes: int

    @property
    def exchange(self) -> Exchange:
        """The same as the engine client records it, with `json()` and `text`."""
        return Exchange(self.request, self.answer, self.seconds)

    @property
    def frames(self) -> tuple[Frame, ...]:
        """The frames of a container's output, in the pieces down or in the answer's body; none where there are none.

        Engines before 23 say the same of a stream with frames and of a terminal's, so the bytes decide: a frame has
        three zero bytes near its start, which a terminal does not show.
        """
        down = b"".join(piece.data for piece in self.pieces if piece.direction == "down")
        frames: list[Frame] = []
        with suppress(EngineProtocolError):  # cut within a frame, or no frames
            for frame in parse_frames([down or self.answer.body]):
                frames.append(frame)
        return tuple(frames)

    def __str__(self) -> str:
        return str(self.exchange)


def find_exchange(heard: Sequence[RecordedExchange], method: str, path: str) -> RecordedExchange:
    """The first exchange with that method and path, whatever else a client asks before and after it.

    `path` is without version and query; a * stands for one part of it: "/exec/*/start". Raises NotHeard, with what
    was heard.
    """
    pattern = re.escape(path).replace(r"\*", "[^/]+")
    for one in heard:
        if one.request.method == method and re.fullmatch(pattern, one.request.path):
            return one
    named = ", ".join(str(one.request) for one in heard[:NAMED_EXCHANGES])
    more = f" and {len(heard) - NAMED_EXCHANGES} more" if len(heard) > NAMED_EXCHANGES else ""
    raise NotHeard(f"Nobody said {method} {path}. What was heard: {named or 'nothing'}{more}.")


class Record:
    """The latest 500 exchanges of any number of connections, 130 MB at most; `forgotten` counts the earlier ones.

    `changes` grows with everything that is heard: a view asks for it, and looks at the exchanges only if it grew.
    """

    def __init__(self) -> None:
        self.changes = 0
        self.forgotten = 0
        self._kept: deque[OpenExchange] = deque()

    @property
    def exchanges(self) -> list[RecordedExchange]:
        """What was heard so far, in the order in which the requests came."""
        return [one.value() for one in self._kept]

    def clear(self) -> None:
        """Forget the exchanges; those that are still going on will not come back."""
        self.changes += 1
        self._kept.clear()

    def add(self, growing: "OpenExchange") -> None:
        """Keep one more, and forget the oldest if there are too many."""
        self._kept.append(growing)
        if len(self._kept) > KEPT_EXCHANGES:
            self._kept.popleft()
            self.forgotten += 1


class OpenExchange:
    """An exchange while it is still going on."""

    def __init__(self, connection: int, began_s: float, request: Request) -> None:
        self.request = request
        self.answer: Answer | None = None
        self.asked = self.answered = False
        self.is_understood = True
        self.note = ""
        self.last_s = began_s
        self._connection, self._began_s = connection, began_s
        self._head_s: float | None = None
        self._room = {"up": KEPT_BYTES, "down": KEPT_BYTES}
        self._bodies = {"up": bytearray(), "down": bytearray()}
        self._pieces: list[Piece] = []
        self._left_out_bytes = 0
        self._secret = {"up": hides_request(request.path), "down": hides_answer(request.method, request.path)}
        self._unsure = {"up": b"", "down": b""}
        self._value: RecordedExchange | None = None

    @property
    def finished(self) -> bool:
        """Both sides said all of it."""
        return self.asked and self.answered

    @property
    def may_take_the_connection(self) -> bool:
        """Its answer says whether what follows is HTTP."""
        return "upgrade" in self.request.headers or bool(_TAKES_THE_CONNECTION.fullmatch(self.request.path))

    def gives_the_connection(self, answer: Answer) -> bool:
        """True for 101, and for the 200 that attach and exec get without asking for an upgrade."""
        told_length = not answer.headers.keys().isdisjoint({"content-length", "transfer-encoding"})
        path = self.request.path
        return answer.status == 101 or (
            answer.status == 200 and not told_length and bool(_TAKES_THE_CONNECTION.fullmatch(path))
        )

    def answer_with(self, answer: Answer, at_s: float) -> None:
        """Take the answer's head."""
        self.answer, self.last_s = answer, at_s
        self._head_s = at_s - self._began_s
        if answer.status == 101 and answer.headers.get("upgrade", "").lower() == "h2c":
            self._secret = {"up": True, "down": True}
            self.note = "HTTP/2 from here on: counted, not kept"

    def add_body(self, direction: Direction, data: bytes, at_s: float) -> None:
        """Take the next part of the request's body ("up") or the answer's."""
        self.last_s = at_s
        if self._secret[direction]:
            self._bodies[direction][:] = MASK.encode()
        else:
            self._bodies[direction] += self._cut(direction, data)

    def add_piece(self, direction: Direction, data: bytes, at_s: float) -> None:
        """Take bytes that are not HTTP."""
        self.last_s = at_s
        shown = data if self.is_understood else self._up_to_secrets(direction, data)
        if self._secret[direction] and self.is_understood or len(self._pieces) >= KEPT_PIECES:
            shown = b""
        self._left_out_bytes += len(data) - len(shown)
        if shown := self._cut(direction, shown):
            self._pieces.append(Piece(at_s - self._began_s, direction, shown))

    def close(self, why: str) -> None:
        """Take it that nothing more will come, and `why`."""
        self.note = self.note or why
        self.answer = self.answer or NO_ANSWER._replace(reason="no answer")
        self._value = self.value()

    def value(self) -> RecordedExchange:
        """It as it stands."""
        if self._value is not None:
            return self._value
        heard = RecordedExchange(
            connection=self._connection,
            began_s=self._began_s,
            request=self.request._replace(body=bytes(self._bodies["up"])),
            answer=(self.answer or NO_ANSWER)._replace(body=bytes(self._bodies["down"])),
            head_s=self._head_s,
            seconds=self.last_s - self._began_s,
            finished=self.finished,
            note=self.note,
            pieces=tuple(self._pieces),
            left_out_bytes=self._left_out_bytes,
        )
        if self.finished:
            self._value = heard
        return heard

    def _cut(self, direction: Direction, data: bytes) -> bytes:
        kept = data[: self._room[direction]]
        self._room[direction] -= len(kept)
        self._left_out_bytes += len(data) - len(kept)
        return kept

    def _up_to_secrets(self, direction: Direction, data: bytes) -> bytes:
        """Cut bytes that were not understood before what may be a secret, and leave out all that follow."""
        if self._secret[direction]:
            return b""
        before = self._unsure[direction]
        self._unsure[direction] = (before + data)[-LONGEST_WORD:]
        word = _SECRET_WORD.search(before + data)
        self._secret[direction] = word is not None
        return data[: max(word.start() - len(before), 0)] if word else data
