"""What went over the wire, in which order?

A sequence diagram: the client's line of life on the left, the engine's on the right; each exchange is one arrow there
and one back. Where the connection was taken over (attach, exec), what went over it follows, an arrow for each piece,
coloured and named by its stream. Values in, text or HTML out; an exchange opens on a click, or by keyboard, and shows
its bytes.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from html import escape
from typing import NamedTuple, Protocol

from labkit.api.frames import STDERR, STDIN, STDOUT, SYSTEM_ERROR
from labkit.dump import dump, hex_dump
from labkit.show.still import cut, frame_svg, mask, xml_safe

__all__ = ["WireExchange", "wire_html", "wire_svg", "wire_text"]

NOTHING = "nothing went over the wire"
VERSION = re.compile(r"^/v\d+\.\d+(?=/)")
SHOWN = 60  # exchanges, the newest
FRAME_HEAD_BYTES = 8
HALF_ROW = 8  # bytes in a row of a hex dump, where it has half of the width
SHOWN_PARTS = 12  # of what went over a connection that was taken over
LEFT_PX, RIGHT_PX, ROW_PX, TOP_PX = 60, 740, 46, 34
BAD, GOOD = "#b3261e", "#1a6e3c"
STREAMS = {STDIN: "stdin", STDOUT: "stdout", STDERR: "stderr", SYSTEM_ERROR: "system error"}
COLOURS = {"stdin": "#6b6b6b", "stdout": "#1a73c8", "stderr": "#c4400c"}


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

    It may have more, as those of `labkit.api.tap` do: `head_s`, `note`, `pieces` and `frames`.
    """

    @property
    def request(self) -> WireRequest: ...
    @property
    def answer(self) -> WireAnswer: ...
    @property
    def seconds(self) -> float: ...


class Part(NamedTuple):
    """What went over a connection that was taken over: "up" or "down", the name of the stream, the bytes."""

    direction: str
    stream: str
    data: bytes


def wire_text(exchanges: Iterable[WireExchange], *, query: bool = True) -> str:
    """One line per exchange, without what differs from run to run: versions, ids, times, sizes.

    Without `query`, also without what differs between generations of the docker command: queries, and how often it
    asks for the engine's version before it goes on.
    """
    shown = exchanges if query else _without_repeated_pings(exchanges)
    lines = [f"{_request_line(one, query)}  ->  {_status_line(one)}{_totals(one)}" for one in shown]
    return "\n".join(lines) or f"({NOTHING})"


def wire_html(exchanges: Iterable[WireExchange], forgotten: int = 0) -> str:
    """The diagram, top to bottom, in the colours of the page's theme; `forgotten` is how many came before these."""
    every = list(exchanges)
    shown = every[-SHOWN:]
    if not shown:
        return f"<em>{NOTHING}</em>"
    first = forgotten + len(every) - len(shown)
    note = f"<em>… {first} before</em>" if first else ""
    rows = note + "".join(_html_row(one, number) for number, one in enumerate(shown, first))
    life = "2px solid var(--jp-border-color1,#888)"
    return (
        '<div role="group" aria-label="wire view" style="max-width:60em;color:var(--jp-ui-font-color1);'
        'font-family:var(--jp-code-font-family,monospace);font-size:var(--jp-code-font-size,13px);line-height:1.4">'
        '<div style="display:flex;justify-content:space-between;font-weight:600"><span>client</span><span>engine</span>'
        f'</div><div style="border-left:{life};border-right:{life};margin:0 2em">{rows}</div></div>'
    )


def _html_row(one: WireExchange, number: int) -> str:
    theme = "var(--jp-error-color1,#b3261e)" if one.answer.status >= 400 else "var(--jp-success-color1,#1a6e3c)"
    # The light theme's green is too pale to be read; some of the text's own colour helps in every theme.
    colour = f"color-mix(in srgb,{theme} 75%,var(--jp-ui-font-color1,#000))"
    line = "flex:1;align-self:center;border-top:1px"
    there = f'<span style="{line} solid"></span>&#9654;'
    back = f'&#9664;<span style="{line} dashed"></span>'
    size = f", {len(one.answer.body)} bytes" if one.answer.body else ""
    took = f"{escape(_status_line(one))}{size}, {_took(one)}"
    parts = _parts(one)
    return (
        f'<details data-key="{number}" style="padding:3px 0"><summary style="cursor:pointer;padding-left:8px">'
        f"{escape(_request_line(one))}"
        f'<div style="display:flex">{there}</div><div style="display:flex;color:{colour}">{back}'
        f'<span style="padding:0 8px">{took}</span></div>{_parts_html(parts)}</summary>'
        '<div style="display:grid;grid-template-columns:1fr 1fr;gap:8px;padding:4px 8px">'
        f"{_message_html('request', one.request.head, one.request.body)}"
        f"{_message_html('answer', one.answer.head, one.answer.body)}</div>{_bytes_html(parts)}</details>"
    )


def _took(one: WireExchange) -> str:
    """An answer's head may come long before its end: that of `wait` comes at once."""
    head_s: float | None = getattr(one, "head_s", None)
    whole = f"{one.seconds * 1000:.0f} ms"
    return whole if head_s is None or one.seconds - head_s < 0.01 else f"{head_s * 1000:.0f} ms, the end after {whole}"


def _parts(one: WireExchange) -> list[Part]:
    """The pieces in the order in which they went, those of the engine taken apart into frames if they are frames."""
    frames = list(getattr(one, "frames", ()))
    parts: list[Part] = []
    came = taken = 0
    for piece in getattr(one, "pieces", ()):
        if piece.direction == "up":
            parts.append(Part("up", "stdin", piece.data))
        elif not frames and not taken:
            parts.append(Part("down", "bytes", piece.data))
        else:
            came += len(piece.data)
            while frames and taken + FRAME_HEAD_BYTES + len(frames[0].payload) <= came:
                stream, payload = frames.pop(0)
                taken += FRAME_HEAD_BYTES + len(payload)
                parts.append(Part("down", STREAMS[stream], payload))
    return parts


def _parts_html(parts: Sequence[Part]) -> str:
    rows = [_part_html(part) for part in parts[:SHOWN_PARTS]]
    more = len(parts) - len(rows)
    return "".join(rows) + (f"<div><em>… and {more} more</em></div>" if more else "")


def _part_html(part: Part) -> str:
    colour = f"color-mix(in srgb,{COLOURS.get(part.stream, '#6b6b6b')} 70%,var(--jp-ui-font-color1,#000))"
    line = f'<span style="flex:1;align-self:center;border-top:3px solid {COLOURS.get(part.stream, "#6b6b6b")}"></span>'
    label = f'<span style="padding:0 8px">{part.stream}: {escape(_first_words(part.data))}</span>'
    row = f"{label}{line}&#9654;" if part.direction == "up" else f"&#9664;{line}{label}"
    return f'<div class="part" style="display:flex;color:{colour}">{row}</div>'


def _first_words(data: bytes) -> str:
    return cut(repr(data.decode("utf-8", "replace"))[1:-1], 50)


def _bytes_html(parts: Sequence[Part]) -> str:
    if not parts:
        return ""
    dumps = [f"{part.direction} {part.stream}, {len(part.data)} bytes\n{hex_dump(part.data)}" for part in parts]
    text = "\n".join(dumps[:SHOWN_PARTS])
    return f'<div style="padding:0 8px 4px">{_pre_html("bytes", text)}</div>'


def _totals(one: WireExchange) -> str:
    """How many bytes of each stream there were; a terminal's are not counted, as they differ from run to run."""
    totals: Counter[str] = Counter()
    for part in _parts(one):
        totals[part.stream] += len(part.data)
    if "bytes" in totals or not totals:
        return ""
    return ", then " + ", ".join(f"{stream} {totals[stream]} bytes" for stream in COLOURS if stream in totals)


def _message_html(name: str, head: bytes, body: bytes) -> str:
    return _pre_html(name, head.decode("latin-1").replace("\r\n", "\n") + dump(body, row=HALF_ROW))


def _pre_html(name: str, text: str) -> str:
    style = (
        "margin:0;padding:4px 6px;max-height:20em;overflow:auto;white-space:pre-wrap;"
        "overflow-wrap:anywhere;word-break:normal;"  # JupyterLab would break lines within words, and within a byte
        "background:var(--jp-layout-color2,#eee);color:var(--jp-content-font-color1)"
    )
    return f'<pre tabindex="0" aria-label="{name}" style="{style}">{escape(text)}</pre>'


def wire_svg(exchanges: Iterable[WireExchange], *, query: bool = True) -> str:
    """The diagram as a still picture, without versions, ids, times and bodies; `query` as in `wire_text`."""
    shown = list(exchanges if query else _without_repeated_pings(exchanges))
    height = TOP_PX + ROW_PX * max(1, len(shown))
    lives = [
        f'<text x="{x}" y="18" text-anchor="middle" font-weight="bold">{name}</text>'
        f'<line x1="{x}" x2="{x}" y1="26" y2="{height}" stroke="#888"/>'
        for x, name in ((LEFT_PX, "client"), (RIGHT_PX, "engine"))
    ]
    arrows = [_svg_row(one, TOP_PX + ROW_PX * number, query) for number, one in enumerate(shown)]
    return frame_svg([*lives, *(arrows or [f'<text x="80" y="50">{NOTHING}</text>'])], LEFT_PX + RIGHT_PX, height)


def _svg_row(one: WireExchange, y: int, query: bool) -> str:
    colour = BAD if one.answer.status >= 400 else GOOD
    answer = escape(_status_line(one) + _totals(one))
    return (
        f'<text x="{LEFT_PX + 10}" y="{y + 10}">{escape(cut(_request_line(one, query), 88))}</text>'
        f'<path d="M{LEFT_PX} {y + 15} H{RIGHT_PX - 2} m-6 -4 l6 4 l-6 4" fill="none" stroke="#444"/>'
        f'<text x="{RIGHT_PX - 10}" y="{y + 28}" text-anchor="end" fill="{colour}">{answer}</text>'
        f'<path d="M{RIGHT_PX} {y + 33} H{LEFT_PX + 2} m6 -4 l-6 4 l6 4" fill="none" stroke="{colour}" '
        'stroke-dasharray="5 3"/>'
    )


def _without_repeated_pings(exchanges: Iterable[WireExchange]) -> Iterator[WireExchange]:
    """Leave out a ping right after a ping: before it creates, docker 29 asks twice."""
    before = ""
    for one in exchanges:
        line = _request_line(one)
        if not (line == before and line.endswith(" /_ping")):
            yield one
        before = line


def _request_line(one: WireExchange, query: bool = True) -> str:
    target = VERSION.sub("", one.request.target)
    return xml_safe(f"{one.request.method} {mask(target if query else target.partition('?')[0])}")


def _status_line(one: WireExchange) -> str:
    if one.answer.status == 0:  # it has not come, or never will
        return xml_safe(str(getattr(one, "note", "")) or one.answer.reason)
    return xml_safe(f"{one.answer.status} {one.answer.reason}".rstrip())
