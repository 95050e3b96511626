"""What has happened in the engine, to which object, and when?

Time runs downwards. Each object (container, network, volume, image) has a line of life: a container's shows its states,
created, running, paused, ended, until it is gone. Each event is a pin on its object's line, and the words beside it.
Values in, text or HTML out; an event opens on a click, or by keyboard, and shows its JSON.
What the engine says is in the Engine API's reference under "Monitor events"; of it only Type, Action, Actor and
timeNano are used, as API 1.52 has nothing else, and none of them is believed.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from typing import Any, NamedTuple

from labkit.show.axis import gap, scale, short, tick, ticks_html
from labkit.show.look import ROLES, SHAPES, figure, mark, read_css
from labkit.show.still import cut, frame_svg, mask, xml_safe

__all__ = ["KINDS", "Event", "choose_events", "events_html", "events_svg", "events_text", "lay_out", "read_events"]

KINDS = ("container", "network", "volume", "image")
NOTHING = "no events"
KEPT_OBJECTS = 5000  # of which it is known when they were first heard of
SHOWN = 60  # events that are drawn, the newest
MAX_WORDS, MAX_NAME, MAX_LINE, MAX_JSON = 200, 60, 90, 4000  # characters: what is kept, what is drawn
MAX_TIME_NS = 1 << 63
ROW_PX = 22
LANES_PX, LANE_PX = 320, (7, 20)  # lanes are narrower where there are many
WIDE_PX = 26  # what an ordinary time between two events takes

ENDS = {"delete", "destroy", "die", "disconnect", "exec_die", "kill", "remove", "stop", "unmount", "untag"}
TROUBLE = {"oom", "health_status: unhealthy"}
STATUS = "exit status"
PINS = {"begin": "disc", "end": "box", "trouble": "cross"}
OBJECTS = {"container": "container", "network": "kernel"}  # the roles in which they are drawn; others are the engine's
STATES = {
    **{"create": "created", "start": "running", "restart": "running", "unpause": "running"},
    **{"pause": "paused", "die": "exited", "destroy": "gone"},
}
BEFORE = {"create": "", "start": "created", "unpause": "paused", "destroy": "exited"}  # else it was running
BEGINNINGS, GONE = {"create", "pull", "import", "load"}, {"destroy", "delete", "remove"}  # of what is no container
# How a state looks: the width of its line, its dashes, and whether it is hollow.
LINES: dict[str, tuple[float, str, bool]] = {
    "created": (8, "", True),
    "running": (8, "", False),
    "paused": (8, "3 3", False),
    "exited": (2, "2 4", False),
}
LINES["there"] = (3, "", False)
STATE_WORDS = {"created": "created", "running": "runs", "paused": "paused", "exited": "ended"}
STYLE = f"<style>{read_css('events')}</style>"
IDENTITY = re.compile(r"(?:sha256:)?[0-9a-f]{64}")
MADE_UP = re.compile(r"[a-z]+_[a-z]+[0-9]?")  # the shape of the names that Docker gives to what is not named


class Event(NamedTuple):
    """One event, cut to what can be drawn; `json` is all of it, to be read.

    `number` counts those that were read, and `born` is that of the first about the same object; `with_name` is the
    container that an event of something else is about.
    """

    number: int
    kind: str
    identity: str
    name: str
    action: str
    with_name: str
    detail: str
    time_ns: int | None
    json: str
    born: int = 0


class Drawing(NamedTuple):
    """The events to be drawn, the lane of each, what each lane is in and from which row on, and what is not drawn.

    `along` holds a lane's state before the first row and after each; `gaps` is the room above each row for the time
    that has passed, and that time where it is squeezed.
    """

    events: Sequence[Event]
    lanes: list[int]
    lives: list["Life"]
    along: list[list[str]]
    gaps: list[tuple[float, float | None]]
    tick_s: float
    left_out: int
    hidden: int

    @property
    def lane_px(self) -> float:
        narrow, wide = LANE_PX
        return min(wide, max(narrow, LANES_PX / max(1, len(self.lives))))

    @property
    def width_px(self) -> float:
        return self.lane_px * len(self.lives)


class Life(NamedTuple):
    """An object's role in the colours, and its states: each from a row on, the first where it is first known."""

    role: str
    states: list[tuple[int, str]]

    def along(self, rows: int) -> list[str]:
        """The state in which it comes to row 0, and the one in which it leaves each row."""
        changes = dict(self.states)  # of several in one row the last counts
        state = next((state for row, state in reversed(self.states) if row < 0), "")
        return [state] + [state := changes.get(row, state) for row in range(rows)]


def read_events(said: Iterable[object]) -> Iterator[Event]:
    """Take what the engine says, one JSON object after the other; what is missing or of a wrong type becomes "".

    A container keeps its name for the events of networks and volumes that tell only its identity.
    """
    names: dict[str, str] = {}
    born: dict[tuple[str, str], int] = {}
    for number, one in enumerate(said):
        actor = _part(one, "Actor")
        attributes = _part(actor, "Attributes")
        kind, identity, action = _words(_get(one, "Type")), _words(_get(actor, "ID")), _words(_get(one, "Action"))
        name = _words(attributes.get("name")) or identity
        partner = _words(attributes.get("container"))
        if kind == "container":
            names[identity] = name
        first = born.setdefault((kind, identity), number)
        if len(born) > KEPT_OBJECTS:
            del born[next(iter(born))]
        yield Event(
            number=number,
            kind=kind or "?",
            identity=identity,
            name=_short(name) or "?",
            action=action or "?",
            with_name=_short(names.get(partner, partner)),
            detail=_detail(attributes),
            time_ns=_time(_get(one, "timeNano")),
            json=_json(one),
            born=first,
        )
        if (kind, action) == ("container", "destroy"):
            names.pop(identity)


def choose_events(events: Iterable[Event], kind: str = "", action: str = "", name: str = "") -> list[Event]:
    """Keep the events of a kind whose action, and whose object or container, have these words in them; "" takes all."""
    return [
        event
        for event in events
        if kind in ("", event.kind) and action in event.action and (name in event.name or name in event.with_name)
    ]


def events_text(events: Sequence[Event], left_out: int = 0) -> str:
    """One line per event, without what differs from run to run or between engines.

    That is identities, times, names that Docker made up, and the order in which a container's death is told.
    """
    drawing = lay_out(_in_one_order(events), left_out)
    return "\n".join([*_notes(drawing), *map(_line, _masked(drawing.events))]) or f"({NOTHING})"


def events_html(events: Sequence[Event], left_out: int = 0, hidden: int = 0) -> str:
    """The timeline in the colours of the page's theme: the newest 60 events.

    It also says how many there were before, and how many of those that are kept were `hidden` by a choice.
    """
    drawing = lay_out(events, left_out, hidden)
    rows = "".join(_html_row(drawing, row) for row in range(len(drawing.events)))
    notes = "".join(f'<div class="lk-head lk-dim">{note}</div>' for note in _notes(drawing))
    if not rows:
        return figure("events view", f"{notes}<em>{NOTHING}</em>", style=STYLE)
    lanes = f'style="--lanes:{drawing.width_px:g}px"'
    # The notes have a place of their own, also while there are none: a note that comes later would take that of the
    # rows, which then would no longer be at their end.
    body = f'<div class="lk-card"><div>{notes}</div><div class="e-body" data-follow="1" {lanes}>{rows}</div></div>'
    return figure("events view", body, caption=_caption(drawing), style=STYLE)


def _caption(drawing: Drawing) -> str:
    words = "Time runs downwards, and each line is one object. A pin is an event: press it to read its JSON."
    found = {state for life in drawing.lives for _, state in life.states}
    states = "".join(f"<span>{_swatch(state)}{words}</span>" for state, words in STATE_WORDS.items() if state in found)
    pins = "".join(
        f'<span><svg class="lk-mark" viewBox="0 0 12 12">{SHAPES[shape].format("var(--lk-dim)")}</svg>{name}</span>'
        for name, shape in (("begins", "disc"), ("ends", "box"))
    )
    trouble = f"<span>{mark('trouble')}trouble</span>" if "trouble" in map(_meaning, drawing.events) else ""
    return f'{words}<span class="lk-legend">{states}{pins}{trouble}</span>'


def _swatch(state: str) -> str:
    line = _line_svg(state, "M6 0V16", "var(--lk-container)", "var(--lk-ground)")
    return f'<svg width="12" height="16" aria-hidden="true">{line}</svg>'


def events_svg(events: Sequence[Event], left_out: int = 0) -> str:
    """The timeline as a still picture of what `events_text` tells, its rows at equal distances."""
    ordered = [event._replace(time_ns=None) for event in _in_one_order(events)]
    drawing = lay_out(ordered, left_out)
    heads = _notes(drawing) if drawing.events else [NOTHING]
    top = ROW_PX * len(heads)
    ink = {name: role.light for name, role in ROLES.items()}
    parts = [
        f'<g transform="translate(10 {top + ROW_PX * row})">{_lanes_svg(drawing, row, ink, "#fff")}</g>'
        for row in range(len(drawing.events))
    ]
    x = drawing.width_px + 20
    lines = [_line(one) for one in _masked(drawing.events)]
    words = [
        f'<text x="{10 if row < len(heads) else x:g}" y="{ROW_PX * row + 15}">{escape(line)}</text>'
        for row, line in enumerate([*heads, *lines])
    ]
    return frame_svg([*parts, *words], 800, top + ROW_PX * len(drawing.events) + 4)


def _in_one_order(events: Iterable[Event]) -> list[Event]:
    """Put a container's death before its networks let go of it: Docker 20.10 tells it so, 28.5 the other way round."""
    ordered: list[Event] = []
    for event in events:
        place = len(ordered)
        while event.action == "die" and place and _lets_go(ordered[place - 1], event):
            place -= 1
        ordered.insert(place, event)
    return ordered


def _lets_go(event: Event, dead: Event) -> bool:
    return event.action == "disconnect" and event.with_name == dead.name


def lay_out(events: Sequence[Event], left_out: int, hidden: int = 0) -> Drawing:
    """Choose what is drawn; a state that began before that is known all the same."""
    shown = events[-SHOWN:]
    first = len(events) - len(shown)
    born = {(event.kind, event.identity): event.born for event in reversed(shown)}
    numbers = {key: lane for lane, key in enumerate(sorted(born, key=born.__getitem__))}  # a lane stays where it is
    lanes = [numbers[event.kind, event.identity] for event in shown]
    states: dict[tuple[str, str], list[tuple[int, str]]] = {key: [] for key in numbers}
    for row, event in enumerate(events, -first):
        if (found := states.get((event.kind, event.identity))) is not None:
            if not found and (before := _before(event)):
                found.append((min(row, 0) - 1, before))
            if state := _state(event):
                if row < 0:
                    found.clear()  # of those above the first row only the last is of use
                found.append((row, state))
    lives = [Life(OBJECTS.get(kind, "engine"), states[kind, identity]) for kind, identity in numbers]
    times = [event.time_ns / 1e9 for event in shown if event.time_ns is not None]
    px_per_s = scale(times, WIDE_PX) if len(times) == len(shown) else 0.0
    gaps = [gap(after - before, px_per_s, ROW_PX) for before, after in zip(times, times[1:], strict=False)]
    gaps = [(0.0, None), *gaps] if px_per_s else [(0.0, None)] * len(shown)
    along = [life.along(len(shown)) for life in lives]
    return Drawing(shown, lanes, lives, along, gaps, tick(px_per_s), left_out + first, hidden)


def _state(event: Event) -> str:
    if event.kind == "container":
        return STATES.get(event.action, "")
    return "gone" if event.action in GONE else "there" if event.action in BEGINNINGS else ""


def _before(event: Event) -> str:
    """What an object was in before the first event that is known of it."""
    if event.kind == "container":
        return BEFORE.get(event.action, "running")
    return "" if event.action in BEGINNINGS else "there"


def _notes(drawing: Drawing) -> list[str]:
    notes = {"earlier events are left out": drawing.left_out, "events are hidden by the filters": drawing.hidden}
    return [f"… {count} {words}" for words, count in notes.items() if count]


def _html_row(drawing: Drawing, row: int) -> str:
    event, begin = drawing.events[row], drawing.events[0].time_ns
    room, squeezed_s = drawing.gaps[row]
    since = (event.time_ns or 0) - begin if begin is not None and event.time_ns is not None else 0
    above = drawing.events[max(row - 1, 0)].time_ns
    ruler = ""
    if row and begin is not None and above is not None:
        ruler = ticks_html((above - begin) / 1e9, since / 1e9, room + ROW_PX, drawing.tick_s, squeezed_s)
    ink = {name: f"var(--lk-{name})" for name in ROLES}
    lanes = _lanes_svg(drawing, row, ink, "var(--lk-ground)")
    kind, name, what = (escape(cut(words, MAX_NAME)) for words in (event.kind, event.name, _what(event)))
    size = f'width="{drawing.width_px:g}" height="{ROW_PX + room:g}"'
    style = f' style="--gap:{room:g}px"' if room else ""
    return (
        f'<details data-key="{event.number}"{style}><summary>{ruler}<time class="lk-at">{_since(since)}</time>'
        f'<svg class="e-lanes" {size} aria-hidden="true">{lanes}</svg>'
        f"<span>{kind} <b>{name}</b> {what}</span></summary>"
        f'<div><pre tabindex="0" aria-label="event">{escape(event.json, quote=False)}</pre></div></details>'
    )


def _since(nanoseconds: int) -> str:
    """The clock of an engine may go back."""
    return f"-{short(-nanoseconds / 1e9)}" if nanoseconds < 0 else short(nanoseconds / 1e9)


def _lanes_svg(drawing: Drawing, row: int, ink: Mapping[str, str], ground: str) -> str:
    """One row of all lanes: the lines of those that go on here, and the pin of this row's event."""
    room, lane_px = drawing.gaps[row][0], drawing.lane_px
    middle, bottom = room + ROW_PX / 2, room + ROW_PX
    paths: dict[tuple[str, str], str] = {}
    for lane, life in enumerate(drawing.lives):
        x = lane_px * (lane + 0.5)
        before, after = drawing.along[lane][row : row + 2]
        spans = [(before, 0.0, bottom)] if before == after else [(before, 0.0, middle), (after, middle, bottom)]
        for state, begin, end in spans:
            if state in LINES:
                key = (life.role, state)
                paths[key] = paths.get(key, "") + f"M{x:g} {begin:g}V{end:g}"
    lines = _lines_svg(paths, lane_px, ink, ground)
    lane = drawing.lanes[row]
    pin = _pin(
        _meaning(drawing.events[row]), drawing.lives[lane].role, (lane_px * (lane + 0.5), middle), lane_px, ink, ground
    )
    return lines + pin


def _lines_svg(paths: Mapping[tuple[str, str], str], lane_px: float, ink: Mapping[str, str], ground: str) -> str:
    return "".join(_line_svg(state, path, ink[role], ground, lane_px) for (role, state), path in paths.items())


def _line_svg(state: str, path: str, ink: str, ground: str, lane_px: float = LANE_PX[1]) -> str:
    width, dashes, is_hollow = LINES[state]
    width = min(width, lane_px * 0.5)
    dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
    line = f'<path d="{path}" stroke="{ink}" stroke-width="{width:g}"{dashed}/>'
    return line + (f'<path d="{path}" stroke="{ground}" stroke-width="{width / 2:g}"/>' if is_hollow else "")


def _pin(
    meaning: str, role: str, place: tuple[float, float], lane_px: float, ink: Mapping[str, str], ground: str
) -> str:
    """A disc begins something, a box ends it, a cross is trouble: to be told apart without their colours."""
    shape = SHAPES[PINS[meaning]].format(ink["trouble" if meaning == "trouble" else role])
    size = min(1.0, lane_px / 12)
    x, y = (at - 6 * size for at in place)
    scaled = f" scale({size:g})" if size < 1 else ""
    return (
        f'<g transform="translate({x:g} {y:g}){scaled}" class="{meaning}">'
        f'<circle cx="6" cy="6" r="8" fill="{ground}"/>{shape}</g>'
    )


def _meaning(event: Event) -> str:
    if event.action in TROUBLE or event.detail.startswith(STATUS) and event.detail != f"{STATUS} 0":
        return "trouble"
    return "end" if event.action in ENDS else "begin"


def _line(event: Event) -> str:
    return cut(f"{event.kind} {cut(event.name, MAX_NAME)}: {_what(event)}", MAX_LINE)


def _what(event: Event) -> str:
    partner = f" {cut(event.with_name, MAX_NAME)}" if event.with_name else ""
    detail = f" ({event.detail})" if event.detail else ""
    return f"{event.action}{partner}{detail}"


def _masked(events: Iterable[Event]) -> Iterator[Event]:
    made_up: dict[str, str] = {}

    def hide(name: str) -> str:
        if MADE_UP.fullmatch(name):
            return made_up.setdefault(name, f"<name {len(made_up) + 1}>")
        return mask(name)

    for event in events:
        name, partner = hide(event.name), hide(event.with_name)
        yield event._replace(name=name, with_name=partner, action=mask(event.action))


def _get(value: object, key: str) -> object:
    return value.get(key) if isinstance(value, dict) else None


def _part(value: object, key: str) -> dict[str, Any]:
    part = _get(value, key)
    return part if isinstance(part, dict) else {}


def _words(value: object, limit: int = MAX_WORDS) -> str:
    """One line of text that can be drawn: no end of line, no control, nothing that turns the writing around."""
    if not isinstance(value, str):
        return ""
    line = "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in value[: limit + 1])
    return cut(line, limit).strip()


def _short(name: str) -> str:
    return name.removeprefix("sha256:")[:12] if IDENTITY.fullmatch(name) else name


def _detail(attributes: dict[str, Any]) -> str:
    for key, words in (("exitCode", STATUS), ("signal", "signal")):
        if value := _words(attributes.get(key), 12):
            return f"{words} {value}"
    return ""


def _time(value: object) -> int | None:
    return value if type(value) is int and 0 <= value < MAX_TIME_NS else None


def _json(value: object) -> str:
    try:
        text = json.dumps(value, indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):  # nested as deep as Python reads, and deeper than it writes
        return "(this event is nested too deeply to be shown)"
    return xml_safe(cut(text, MAX_JSON))
