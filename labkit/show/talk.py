"""What went over the wire, when, and what stayed open meanwhile?

Exchanges come in as they were recorded, and the rows of a picture come out: one row for each thing that happened, in
the order of time, and the spans beside them. A tube is a connection that stays open (attach, exec, wait, logs that are
followed); a life is a container's, through its states. Nothing is drawn here: `labkit.show.wire` does that.

How far apart the rows stand is told by `labkit.show.axis`.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import NamedTuple, Protocol

from labkit.api.frames import STDERR, STDIN, STDOUT, SYSTEM_ERROR, Frame, build_frame
from labkit.show.axis import gap, scale, tick
from labkit.show.still import mask, xml_safe

__all__ = [
    *("STREAMS", "VERSION", "Life", "Line", "Part", "Picture", "Row", "Talk", "Tube", "WireExchange"),
    *("lay_out", "read_talks", "request_line", "role_of", "settle", "status_line", "totals"),
]

FRAME_HEAD_BYTES = 8
STREAM_NAMES = {STDIN: "stdin", STDOUT: "stdout", STDERR: "stderr", SYSTEM_ERROR: "system error"}
STREAMS = ("stdin", "stdout", "stderr")  # in the order in which they are counted
SHOWN_PARTS = 12  # of what went over a connection that stayed open
LINE_PX, WIDE_PX = 28, 50  # a row, and what an ordinary time between two takes
COMMAND_GAP_PX = 12.0  # above a line that was typed

VERSION = re.compile(r"^/v\d+\.\d+(?=/)")
_TUBE = re.compile(r"/(containers/[^/]+/(attach|wait)|exec/[^/]+/start|events|session|grpc)")
_CONTAINER = re.compile(r"/containers/([^/?]+)(?:/([a-z]+))?")


class WireRequest(Protocol):
    @property
    def method(self) -> str: ...
    @property
    def target(self) -> str: ...
    @property
    def head(self) -> bytes: ...
    @property
    def body(self) -> bytes: ...


class WireAnswer(Protocol):
    @property
    def status(self) -> int: ...
    @property
    def reason(self) -> str: ...
    @property
    def head(self) -> bytes: ...
    @property
    def body(self) -> bytes: ...


class WireExchange(Protocol):
    """What a view needs of an exchange; those that `labkit.api.engine` records have it.

    It may have more, as those of `labkit.api.tap` do: `began_s`, `head_s`, `finished`, `note`, `pieces` and `frames`.
    """

    @property
    def request(self) -> WireRequest: ...
    @property
    def answer(self) -> WireAnswer: ...
    @property
    def seconds(self) -> float: ...


class Line(NamedTuple):
    """A line that was typed, and from when to when it ran, on the clock of the exchanges; None: it still runs."""

    text: str
    began_s: float
    ended_s: float | None


class Part(NamedTuple):
    """What went over an open connection: when, "stdin", "stdout" and so on, the words, and the frame's header."""

    at_s: float
    stream: str
    data: bytes
    header: bytes = b""


class Talk(NamedTuple):
    """An exchange with its times on the clock of the record; None: that has not come yet."""

    number: int
    one: WireExchange
    begin_s: float
    head_s: float | None
    end_s: float | None
    parts: tuple[Part, ...]

    @property
    def path(self) -> str:
        """The target without version and query."""
        return VERSION.sub("", self.one.request.target.partition("?")[0])

    @property
    def is_ping(self) -> bool:
        """The client only asks whether somebody is there, and is told so."""
        return self.path == "/_ping" and self.one.answer.status == 200

    @property
    def is_tube(self) -> bool:
        """The connection stays open until what it is about ends; one that is refused does not."""
        if self.one.answer.status >= 400:
            return False
        follows = "/logs" in self.path and re.search(r"[?&]follow=(1|true)", self.one.request.target) is not None
        return self.one.answer.status == 101 or follows or _TUBE.fullmatch(self.path) is not None

    @property
    def verb(self) -> str:
        """What the connection is for: "attach", "wait", "exec"."""
        return "exec" if self.path.startswith("/exec/") else self.path.rpartition("/")[2]


class Moment(NamedTuple):
    at_s: float
    kind: str
    talk: Talk | None = None
    part: Part | None = None
    line: Line | None = None


class Row(NamedTuple):
    """One thing that happened: "line", "ping", "request", "exchange" (with its answer), "answer", "said" or "end".

    `gap_px` is the room above it for the time that has passed; where that is too long to be drawn, `squeezed_s` tells
    how long it was.
    """

    at_s: float
    kind: str
    talks: tuple[Talk, ...] = ()
    part: Part | None = None
    line: Line | None = None
    gap_px: float = 0.0
    squeezed_s: float | None = None


class Tube(NamedTuple):
    """An open connection, from row to row, in a lane beside the engine; `last` is None while it is open."""

    talk: Talk
    lane: int
    first: int
    last: int | None


class Life(NamedTuple):
    """A container, through its states: each from a row on. The last may be "exited" or "gone"."""

    container: str
    lane: int
    states: tuple[tuple[int, str], ...]


class Picture(NamedTuple):
    """Rows from top to bottom, what is open beside them in lanes, the time between two ticks, and what is left out."""

    rows: tuple[Row, ...]
    tubes: tuple[Tube, ...]
    lives: tuple[Life, ...]
    lanes: int
    tick_s: float
    px_per_s: float

    def lane_of(self, talk: Talk) -> int | None:
        """The lane of an exchange's tube, if it has one."""
        return next((tube.lane for tube in self.tubes if tube.talk.number == talk.number), None)


def request_line(talk: Talk, query: bool = True) -> str:
    """Method and target, without version and identities."""
    target = VERSION.sub("", talk.one.request.target)
    return xml_safe(f"{talk.one.request.method} {mask(target if query else target.partition('?')[0])}")


def status_line(talk: Talk) -> str:
    """Status and reason; if there is no answer, why."""
    answer = talk.one.answer
    if answer.status == 0:  # it has not come, or never will
        return xml_safe(str(getattr(talk.one, "note", "")) or answer.reason)
    return xml_safe(f"{answer.status} {answer.reason}".rstrip())


def role_of(talk: Talk) -> str:
    """Whether its answer is an answer, trouble, or says that there is no such thing."""
    if talk.one.answer.status == 404:
        return "missing"
    return "trouble" if talk.one.answer.status >= 400 or not talk.one.answer.status else "answer"


def totals(talk: Talk) -> str:
    """How many bytes of each stream there were; a terminal's are not counted, as they differ from run to run."""
    counts: Counter[str] = Counter()
    for part in talk.parts:
        counts[part.stream] += len(part.data)
    if "bytes" in counts or not counts:
        return ""
    return ", then " + ", ".join(f"{stream} {counts[stream]} bytes" for stream in STREAMS if stream in counts)


def read_talks(exchanges: Iterable[WireExchange], first: int = 0) -> list[Talk]:
    """Put the times of exchanges on one clock, in the order in which the requests came; number them from `first`.

    An exchange that does not tell when it began, begins when the one before it ends.
    """
    talks: list[Talk] = []
    clock = 0.0
    for number, one in enumerate(exchanges, first):
        begin = float(getattr(one, "began_s", 0.0) or clock)
        head: float | None = getattr(one, "head_s", one.seconds)
        note = str(getattr(one, "note", ""))
        is_over = getattr(one, "finished", one.answer.status != 0 or note != "") or note != ""
        clock = begin + one.seconds
        head_s = None if head is None else begin + head
        talks.append(Talk(number, one, begin, head_s, clock if is_over else None, tuple(_parts(one, begin))))
    return talks


def settle(talks: Sequence[Talk], lines: Sequence[Line] = ()) -> tuple[list[Talk], list[Line]]:
    """Replace times by places in an order that is the same in each run, and on each engine.

    An answer comes right after its request. What a connection carries comes after the last request before its first
    piece, each stream once. A connection ends after the last request before its end.
    """

    def place(at_s: float) -> int:
        return sum(one.begin_s <= at_s for one in talks) - 1

    settled = []
    for number, one in enumerate(talks):
        if not one.is_tube:
            settled.append(one._replace(begin_s=number, head_s=number + 0.1, end_s=number + 0.1, parts=()))
            continue
        end_s = None if one.end_s is None else place(one.end_s) + 0.8 + number / 1e6
        said = place(one.parts[0].at_s) + 0.5 + number / 1e6 if one.parts else 0.0
        streams = {part.stream: b"" for part in sorted(one.parts, key=lambda part: part.stream)}
        for part in one.parts:
            streams[part.stream] += part.data
        parts = tuple(Part(said, stream, data) for stream, data in streams.items())
        head_s = None if one.head_s is None else number + 0.1
        settled.append(one._replace(begin_s=number, head_s=head_s, end_s=end_s, parts=parts))
    typed = []
    for line in lines:
        begin = place(line.began_s) + 0.9
        typed.append(Line(line.text, begin, begin))
    return settled, typed


def lay_out(talks: Sequence[Talk], lines: Sequence[Line] = (), *, to_scale: bool = True) -> Picture:
    """Put everything that happened into rows, and what stayed open beside them."""
    moments = sorted(_moments(talks, lines), key=lambda moment: moment.at_s)
    px_per_s = scale([moment.at_s for moment in moments], WIDE_PX) if to_scale else 0.0
    rows: list[Row] = []
    where: dict[tuple[str, int], int] = {}
    for moment in moments:
        row = _join(rows[-1], moment, px_per_s) if rows else None
        if row is None:
            rows.append(_spaced(_row(moment), rows[-1].at_s if rows else moment.at_s, px_per_s))
        else:
            rows[-1] = row
        if moment.part is not None and moment.talk is not None:
            if moment.part.stream != "stdin":  # when a container speaks first, it runs
                where.setdefault(("said", moment.talk.number), len(rows) - 1)
        elif moment.talk is not None:
            where[moment.kind, moment.talk.number] = len(rows) - 1
    tubes, lives, lanes = _spans(talks, where)
    return Picture(tuple(rows), tuple(tubes), tuple(lives), lanes, tick(px_per_s), px_per_s)


def _moments(talks: Sequence[Talk], lines: Sequence[Line]) -> Iterator[Moment]:
    for line in lines:
        yield Moment(line.began_s, "line", line=line)
    for talk in talks:
        if talk.is_ping:
            yield Moment(talk.begin_s, "ping", talk)
            continue
        yield Moment(talk.begin_s, "request", talk)
        if not talk.is_tube:
            if talk.end_s is not None:
                yield Moment(talk.end_s, "answer", talk)
            continue
        if talk.head_s is not None:
            yield Moment(talk.head_s, "answer", talk)
        for part in talk.parts[:SHOWN_PARTS]:
            yield Moment(part.at_s, "said", talk, part)
        if talk.end_s is not None:
            yield Moment(talk.end_s, "end", talk)


def _row(moment: Moment) -> Row:
    return Row(moment.at_s, moment.kind, (moment.talk,) if moment.talk else (), moment.part, moment.line)


def _join(above: Row, moment: Moment, px_per_s: float) -> Row | None:
    """Put what belongs together into one row: an answer that comes at once beside its request, pings beside pings."""
    if moment.talk is None:
        return None
    if above.kind == moment.kind == "ping":
        return above._replace(talks=(*above.talks, moment.talk))
    is_near = (moment.at_s - above.at_s) * px_per_s <= LINE_PX
    is_own = bool(above.talks) and above.talks[-1] is moment.talk
    if is_near and is_own and (above.kind, moment.kind) == ("request", "answer"):
        return above._replace(kind="exchange")
    return None


def _spaced(row: Row, before_s: float, px_per_s: float) -> Row:
    if row.kind == "line":
        return row._replace(gap_px=COMMAND_GAP_PX if row.at_s > before_s else 0.0)
    gap_px, squeezed_s = gap(row.at_s - before_s, px_per_s, LINE_PX)
    return row._replace(gap_px=gap_px, squeezed_s=squeezed_s)


def _spans(talks: Sequence[Talk], where: dict[tuple[str, int], int]) -> tuple[list[Tube], list[Life], int]:
    """Give each container as many lanes side by side as it needs, its life in the rightmost; lanes are used again."""
    owners = _owners(talks)
    groups: dict[str, list[Talk]] = {}
    for talk in talks:
        if owner := owners.get(talk.number, "") or (f"#{talk.number}" if talk.is_tube else ""):
            groups.setdefault(owner, []).append(talk)
    tubes: list[Tube] = []
    lives: list[Life] = []
    taken: list[tuple[int, int, int, float]] = []  # lanes from, to; rows from, to
    for owner, members in groups.items():
        states = [] if owner.startswith("#") else _states(members, where)
        open_ = [(one, where["request", one.number], where.get(("end", one.number))) for one in members if one.is_tube]
        if not states and not open_:
            continue
        lanes = _lanes([(first, last) for _, first, last in open_])
        width = max(lanes, default=-1) + 1 + bool(states)
        first = min([row for row, _ in states[:1]] + [first for _, first, _ in open_])
        ends = [last for _, _, last in open_] + ([states[-1][0]] if states and states[-1][1] in OVER else [])
        is_over = None not in ends and (not states or states[-1][1] in OVER)
        last_row = max((end for end in ends if end is not None), default=0) if is_over else float("inf")
        offset = 0
        while any(
            low < offset + width and offset < high and begin <= last_row and first <= end
            for low, high, begin, end in taken
        ):
            offset += 1
        taken.append((offset, offset + width, first, last_row))
        tubes += [Tube(one, offset + lane, begin, end) for (one, begin, end), lane in zip(open_, lanes, strict=True)]
        if states:
            lives.append(Life(owner, offset + width - 1, tuple(states)))
    return tubes, lives, max((high for _, high, _, _ in taken), default=0)


OVER = ("exited", "gone")


def _lanes(spans: Sequence[tuple[int, int | None]]) -> list[int]:
    """The first lane that is free, for each span in turn."""
    free_from: list[float] = []
    lanes = []
    for first, last in spans:
        lane = next((lane for lane, row in enumerate(free_from) if row < first), len(free_from))
        free_from[lane : lane + 1] = [float("inf") if last is None else last]
        lanes.append(lane)
    return lanes


def _owners(talks: Sequence[Talk]) -> dict[int, str]:
    """Which container each exchange is about, by its identity where that was told, whatever a path calls it."""
    names: dict[str, str] = {}
    owners: dict[int, str] = {}

    def known(word: str) -> str:
        return names.get(word) or next(
            (full for full in names.values() if len(word) > 11 and full.startswith(word)), word
        )

    for talk in talks:
        identity = _answer_id(talk)
        if talk.path == "/containers/create":
            if identity:
                name = re.search(r"[?&]name=([^&]+)", talk.one.request.target)
                names |= {identity: identity} | ({name[1]: identity} if name else {})
                owners[talk.number] = identity
        elif found := _CONTAINER.match(talk.path):
            if found[1] not in ("json", "prune"):
                owners[talk.number] = known(found[1])
            if found[2] == "exec" and identity:
                names[f"exec {identity}"] = known(found[1])
        elif talk.path.startswith("/exec/"):
            owners[talk.number] = names.get(f"exec {talk.path.split('/')[2]}", "")
    return owners


def _answer_id(talk: Talk) -> str:
    with suppress(ValueError, RecursionError):
        said = json.loads(talk.one.answer.body)
        if isinstance(said, dict) and isinstance(said.get("Id"), str):
            return str(said["Id"])
    return ""


def _states(talks: Sequence[Talk], where: dict[tuple[str, int], int]) -> list[tuple[int, str]]:
    """The states of one container, by what was asked and answered about it; none where that does not tell."""
    found: list[tuple[float, int, str]] = []
    top = min(where.values(), default=0)  # below a line that was typed
    for talk in talks:
        status, begin = talk.one.answer.status, where.get(("request", talk.number), 0)
        answered, ended = where.get(("answer", talk.number)), where.get(("end", talk.number))
        is_good = 0 < status < 400
        if talk.path == "/containers/create" and is_good and answered is not None:
            found.append((talk.end_s or 0.0, answered, "created"))
        elif talk.verb == "start" and talk.path.startswith("/containers/"):
            if not found:
                found.append((0.0, top, "created"))
            found.append((talk.begin_s, begin, "starting"))
            if answered is not None:
                came = (talk.end_s or 0.0, answered)
                found.append(
                    (*min([came, *_words_after(talks, where, begin)]), "running") if is_good else (*came, "created")
                )
        elif talk.verb in ("attach", "exec") and talk.is_tube and is_good and not found:
            found.append((0.0, top, "running"))
        elif talk.verb == "wait" and is_good and ended is not None:
            found.append((talk.end_s or 0.0, ended, "exited"))
        elif talk.verb in ("stop", "kill") and is_good and answered is not None:
            found.append((talk.end_s or 0.0, answered, "exited"))
        elif talk.one.request.method == "DELETE" and is_good and answered is not None and found:
            found.append((talk.end_s or 0.0, answered, "gone"))
    states: list[tuple[int, str]] = []
    for _, row, state in sorted(found):
        before = states[-1][1] if states else ""
        if state == before or before == "gone" or (state == "exited" and before == "created"):
            continue
        states.append((row, state))
    return states if any(talk.is_tube or talk.verb in ("create", "start") for talk in talks) else []


def _words_after(talks: Sequence[Talk], where: dict[tuple[str, int], int], row: int) -> Iterator[tuple[float, int]]:
    """When and in which row a container first speaks: it may be some milliseconds before the answer to its start."""
    for talk in talks:
        spoke = where.get(("said", talk.number), -1)
        if talk.verb == "attach" and spoke > row:
            yield next(part.at_s for part in talk.parts if part.stream != "stdin"), spoke


def _parts(one: WireExchange, begin_s: float) -> Iterator[Part]:
    """The pieces in the order in which they went, those of the engine taken apart into frames if they are frames."""
    frames: list[Frame] = list(getattr(one, "frames", ()))
    came = taken = 0
    for piece in getattr(one, "pieces", ()):
        at_s = begin_s + piece.seconds
        if piece.direction == "up":
            yield Part(at_s, "stdin", piece.data)
        elif not frames and not taken:
            yield Part(at_s, "bytes", piece.data)
        else:
            came += len(piece.data)
            while frames and taken + FRAME_HEAD_BYTES + len(frames[0].payload) <= came:
                stream, payload = frames.pop(0)
                taken += FRAME_HEAD_BYTES + len(payload)
                yield Part(at_s, STREAM_NAMES[stream], payload, build_frame(stream, payload)[:FRAME_HEAD_BYTES])
