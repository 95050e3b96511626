"""What has happened in the engine, to which object, and in which order?

A timeline, top to bottom: each object (container, network, volume, image) has a lane, each event a mark on it, and
the words beside it. Values in, text or HTML out; an event opens on a click, or by keyboard, and shows its JSON.
What the engine says is in the Engine API's reference under "Monitor events"; of it only Type, Action, Actor and
timeNano are used, as API 1.52 has nothing else, and none of them is believed.
"""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from html import escape
from typing import Any, NamedTuple

from labkit.show.still import cut, frame_svg, mask, xml_safe

__all__ = ["KINDS", "Event", "choose_events", "events_html", "events_svg", "events_text", "read_events"]

KINDS = ("container", "network", "volume", "image")
NOTHING = "no events"
SHOWN = 60  # events that are drawn, the newest
MAX_WORDS, MAX_NAME, MAX_LINE, MAX_JSON = 200, 60, 90, 4000  # characters: what is kept, what is drawn
MAX_TIME_NS = 1 << 63
ROW_PX = 22
LANES_PX, LANE_PX = 400, (7, 18)  # lanes are narrower where there are many

ENDS = {"delete", "destroy", "die", "disconnect", "exec_die", "kill", "remove", "stop", "unmount", "untag"}
TROUBLE = {"oom", "health_status: unhealthy"}
COLOURS = {"begin": "#1a73c8", "end": "#6b6b6b", "trouble": "#c4400c"}
STYLE = (
    "<style>.labkit-events{max-width:70em;max-height:36em;overflow:auto;color:var(--jp-ui-font-color1);"
    "font-family:var(--jp-code-font-family,monospace);font-size:var(--jp-code-font-size,13px);line-height:22px}"
    ".labkit-events summary{cursor:pointer;display:flex;white-space:nowrap}"
    ".labkit-events summary:hover{background:var(--jp-layout-color2,#eee)}"
    ".labkit-events svg{flex:none;margin:0 8px}"
    ".labkit-events path{stroke:var(--jp-border-color1,#888)}"
    ".labkit-events time{flex:none;width:6em;text-align:right}"
    ".labkit-events pre{margin:0 0 4px 6em;padding:4px 6px;max-height:20em;overflow:auto;white-space:pre-wrap;"
    "overflow-wrap:anywhere;word-break:normal;line-height:1.4;background:var(--jp-layout-color2,#eee);"
    "color:var(--jp-content-font-color1)}"
    + "".join(
        # Some of the text's own colour helps in every theme.
        f".labkit-events .{meaning}{{stroke:none;fill:color-mix(in srgb,{hue} 70%,var(--jp-ui-font-color1,#000))}}"
        for meaning, hue in COLOURS.items()
    )
    + "</style>"
)
IDENTITY = re.compile(r"(?:sha256:)?[0-9a-f]{64}")
MADE_UP = re.compile(r"[a-z]+_[a-z]+[0-9]?")  # the shape of the names that Docker gives to what is not named


class Event(NamedTuple):
    """One event, cut to what can be drawn; `json` is all of it, to be read.

    `number` counts those that were read; `with_name` is the container that an event of something else is about.
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


class Drawing(NamedTuple):
    """The events to be drawn, the lane of each, the rows from which to which each lane goes, and what is not drawn."""

    events: Sequence[Event]
    lanes: list[int]
    spans: list[tuple[int, int]]
    left_out: int
    hidden: int

    @property
    def lane_px(self) -> float:
        narrow, wide = LANE_PX
        return min(wide, max(narrow, LANES_PX / max(1, len(self.spans))))

    @property
    def width_px(self) -> float:
        return self.lane_px * len(self.spans)


def read_events(said: Iterable[object]) -> Iterator[Event]:
    """Take what the engine says, one JSON object after the other; what is missing or of a wrong type becomes "".

    A container keeps its name for the events of networks and volumes that tell only its identity.
    """
    names: dict[str, str] = {}
    for number, one in enumerate(said):
        actor = _part(one, "Actor")
        attributes = _part(actor, "Attributes")
        kind, identity, action = _words(_get(one, "Type")), _words(_get(actor, "ID")), _words(_get(one, "Action"))
        name = _words(attributes.get("name")) or identity
        partner = _words(attributes.get("container"))
        if kind == "container":
            names[identity] = name
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
    drawing = _lay_out(_in_one_order(events), left_out)
    return "\n".join([*_notes(drawing), *map(_line, _masked(drawing.events))]) or f"({NOTHING})"


def events_html(events: Sequence[Event], left_out: int = 0, hidden: int = 0) -> str:
    """The timeline in the colours of the page's theme: the newest 60 events.

    It also says how many there were before, and how many of those that are kept were `hidden` by a choice.
    """
    drawing = _lay_out(events, left_out, hidden)
    begin = next((event.time_ns for event in drawing.events if event.time_ns is not None), None)
    rows = "".join(_html_row(drawing, row, begin) for row in range(len(drawing.events)))
    notes = "".join(f"<div><em>{note}</em></div>" for note in _notes(drawing))
    return (
        f'{STYLE}<div class="labkit-events" data-follow="1" role="group" aria-label="events view">'
        f"{notes}{rows or f'<em>{NOTHING}</em>'}</div>"
    )


def events_svg(events: Sequence[Event], left_out: int = 0) -> str:
    """The timeline as a still picture of what `events_text` tells."""
    drawing = _lay_out(_in_one_order(events), left_out)
    heads = _notes(drawing) if drawing.events else [NOTHING]
    top = ROW_PX * len(heads)
    parts = [
        f'<g transform="translate(10 {top + ROW_PX * row})">{_lanes_svg(drawing, row)}</g>'
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


def _lay_out(events: Sequence[Event], left_out: int, hidden: int = 0) -> Drawing:
    shown = events[-SHOWN:]
    numbers: dict[tuple[str, str], int] = {}
    lanes = [numbers.setdefault((event.kind, event.identity), len(numbers)) for event in shown]
    rows: dict[int, list[int]] = {}
    for row, lane in enumerate(lanes):
        rows.setdefault(lane, []).append(row)
    spans = [(found[0], found[-1]) for found in rows.values()]
    return Drawing(shown, lanes, spans, left_out + len(events) - len(shown), hidden)


def _notes(drawing: Drawing) -> list[str]:
    notes = {"earlier events are left out": drawing.left_out, "events are hidden by the filters": drawing.hidden}
    return [f"… {count} {words}" for words, count in notes.items() if count]


def _html_row(drawing: Drawing, row: int, begin: int | None) -> str:
    event = drawing.events[row]
    since = "" if begin is None or event.time_ns is None else f"{(event.time_ns - begin) / 1e9:+.2f} s"
    lanes = _lanes_svg(drawing, row)
    kind, name, what = (escape(cut(words, MAX_NAME)) for words in (event.kind, event.name, _what(event)))
    return (
        f'<details data-key="{event.number}"><summary><time>{since}</time>'
        f'<svg width="{drawing.width_px:g}" height="{ROW_PX}" aria-hidden="true">{lanes}</svg>'
        f"<span>{kind} <b>{name}</b> {what}</span></summary>"
        f'<pre tabindex="0" aria-label="event">{escape(event.json, quote=False)}</pre></details>'
    )


def _lanes_svg(drawing: Drawing, row: int) -> str:
    """One row of all lanes: the lines of those that go on here, and the mark of this row's event on its own."""
    middle, lane_px = ROW_PX / 2, drawing.lane_px
    path = ""
    for lane, (first, last) in enumerate(drawing.spans):
        if first <= row <= last and first < last:
            top, bottom = (middle if row == first else 0), (middle if row == last else ROW_PX)
            path += f"M{lane_px * (lane + 0.5):g} {top:g}V{bottom:g}"
    x = lane_px * (drawing.lanes[row] + 0.5)
    guide = f'<path d="M{x:g} {middle:g}H{drawing.width_px:g}" stroke="#888" opacity="0.4"/>'
    mark = _mark(_meaning(drawing.events[row]), x, middle)
    return f'<path d="{path}" stroke="#888"/>{guide}{mark}'


def _mark(meaning: str, x: float, y: float) -> str:
    """A disc begins something, a square ends it, a triangle is trouble: to be told apart without their colours."""
    style = f'class="{meaning}" fill="{COLOURS[meaning]}"'
    match meaning:
        case "trouble":
            return f'<path d="M{x - 6:g} {y + 5:g}h12l-6 -11z" {style}/>'
        case "end":
            return f'<rect x="{x - 4:g}" y="{y - 4:g}" width="8" height="8" {style}/>'
    return f'<circle cx="{x:g}" cy="{y:g}" r="4.5" {style}/>'


def _meaning(event: Event) -> str:
    if event.action in TROUBLE or event.detail.startswith("exit code") and event.detail != "exit code 0":
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
    for key, words in (("exitCode", "exit code"), ("signal", "signal")):
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
