"""What went over the wire, in which order?

A sequence diagram: the client's line of life on the left, the engine's on the right; each exchange is one arrow there
and one back. Values in, text or HTML out; an exchange opens on a click, or by keyboard, and shows its bytes.
"""

import re
from collections.abc import Iterable
from html import escape
from typing import Protocol

from labkit.dump import dump
from labkit.show.still import cut, frame_svg, mask

__all__ = ["WireExchange", "wire_html", "wire_svg", "wire_text"]

NOTHING = "nothing went over the wire"
VERSION = re.compile(r"^/v\d+\.\d+(?=/)")
LEFT_PX, RIGHT_PX, ROW_PX, TOP_PX = 60, 740, 46, 34
BAD, GOOD = "#b3261e", "#1a6e3c"


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
    """What a view needs of an exchange; those that `labkit.engine` records have it."""

    @property
    def request(self) -> WireRequest: ...
    @property
    def answer(self) -> WireAnswer: ...
    @property
    def seconds(self) -> float: ...


def wire_text(exchanges: Iterable[WireExchange]) -> str:
    """One line per exchange, without what differs from run to run: versions, ids, times, sizes."""
    lines = [f"{_request_line(one)}  ->  {_status_line(one)}" for one in exchanges]
    return "\n".join(lines) or f"({NOTHING})"


def wire_html(exchanges: Iterable[WireExchange]) -> str:
    """The diagram, top to bottom, in the colours of the page's theme."""
    rows = "".join(_html_row(one) for one in exchanges)
    if not rows:
        return f"<em>{NOTHING}</em>"
    life = "2px solid var(--jp-border-color1,#888)"
    return (
        '<div role="group" aria-label="wire view" style="max-width:60em;color:var(--jp-ui-font-color1);'
        'font-family:var(--jp-code-font-family,monospace);font-size:var(--jp-code-font-size,13px);line-height:1.4">'
        '<div style="display:flex;justify-content:space-between;font-weight:600"><span>client</span><span>engine</span>'
        f'</div><div style="border-left:{life};border-right:{life};margin:0 2em">{rows}</div></div>'
    )


def _html_row(one: WireExchange) -> str:
    theme = "var(--jp-error-color1,#b3261e)" if one.answer.status >= 400 else "var(--jp-success-color1,#1a6e3c)"
    # The light theme's green is too pale to be read; some of the text's own colour helps in every theme.
    colour = f"color-mix(in srgb,{theme} 75%,var(--jp-ui-font-color1,#000))"
    line = "flex:1;align-self:center;border-top:1px"
    there = f'<span style="{line} solid"></span>&#9654;'
    back = f'&#9664;<span style="{line} dashed"></span>'
    size = f", {len(one.answer.body)} bytes" if one.answer.body else ""
    took = f"{escape(_status_line(one))}{size}, {one.seconds * 1000:.0f} ms"
    return (
        '<details style="padding:3px 0"><summary style="cursor:pointer;padding-left:8px">'
        f"{escape(_request_line(one))}"
        f'<div style="display:flex">{there}</div><div style="display:flex;color:{colour}">{back}'
        f'<span style="padding:0 8px">{took}</span></div></summary>'
        '<div style="display:grid;grid-template-columns:1fr 1fr;gap:8px;padding:4px 8px">'
        f"{_message_html('request', one.request.head, one.request.body)}"
        f"{_message_html('answer', one.answer.head, one.answer.body)}</div></details>"
    )


def _message_html(name: str, head: bytes, body: bytes) -> str:
    style = (
        "margin:0;padding:4px 6px;max-height:20em;overflow:auto;white-space:pre-wrap;overflow-wrap:anywhere;"
        "background:var(--jp-layout-color2,#eee);color:var(--jp-content-font-color1)"
    )
    text = head.decode("latin-1").replace("\r\n", "\n") + dump(body)
    return f'<pre tabindex="0" aria-label="{name}" style="{style}">{escape(text)}</pre>'


def wire_svg(exchanges: Iterable[WireExchange]) -> str:
    """The diagram as a still picture, without versions, ids, times and bodies."""
    shown = list(exchanges)
    height = TOP_PX + ROW_PX * max(1, len(shown))
    lives = [
        f'<text x="{x}" y="18" text-anchor="middle" font-weight="bold">{name}</text>'
        f'<line x1="{x}" x2="{x}" y1="26" y2="{height}" stroke="#888"/>'
        for x, name in ((LEFT_PX, "client"), (RIGHT_PX, "engine"))
    ]
    arrows = [_svg_row(one, TOP_PX + ROW_PX * number) for number, one in enumerate(shown)]
    return frame_svg([*lives, *(arrows or [f'<text x="80" y="50">{NOTHING}</text>'])], LEFT_PX + RIGHT_PX, height)


def _svg_row(one: WireExchange, y: int) -> str:
    colour = BAD if one.answer.status >= 400 else GOOD
    return (
        f'<text x="{LEFT_PX + 10}" y="{y + 10}">{escape(cut(_request_line(one), 88))}</text>'
        f'<path d="M{LEFT_PX} {y + 15} H{RIGHT_PX - 2} m-6 -4 l6 4 l-6 4" fill="none" stroke="#444"/>'
        f'<text x="{RIGHT_PX - 10}" y="{y + 28}" text-anchor="end" fill="{colour}">{escape(_status_line(one))}</text>'
        f'<path d="M{RIGHT_PX} {y + 33} H{LEFT_PX + 2} m6 -4 l-6 4 l6 4" fill="none" stroke="{colour}" '
        'stroke-dasharray="5 3"/>'
    )


def _request_line(one: WireExchange) -> str:
    return f"{one.request.method} {mask(VERSION.sub('', one.request.target))}"


def _status_line(one: WireExchange) -> str:
    return f"{one.answer.status} {one.answer.reason}".rstrip()
