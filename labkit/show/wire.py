"""What went over the wire, in which order?

Each exchange is one arrow to the engine and one back. Values in, text or HTML out; bodies open on a click.
"""

import re
from collections.abc import Iterable
from html import escape
from typing import Protocol

__all__ = ["WireExchange", "wire_html", "wire_svg", "wire_text"]

MAX_BODY_CHARACTERS = 2000
ROW_PX = 44
IDENTITY = re.compile(r"\b[0-9a-f]{12}(?:[0-9a-f]{52})?\b")
VERSION = re.compile(r"^/v\d+\.\d+(?=/)")
BAD, GOOD = "#b3261e", "#1a6e3c"


class WireRequest(Protocol):
    @property
    def method(self) -> str: ...
    @property
    def target(self) -> str: ...
    @property
    def body(self) -> bytes: ...


class WireAnswer(Protocol):
    @property
    def status(self) -> int: ...
    @property
    def reason(self) -> str: ...
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
    """One line per exchange, without what differs from run to run: versions, ids, times."""
    lines = [f"{_request_line(one)}  ->  {one.answer.status} {one.answer.reason}".rstrip() for one in exchanges]
    return "\n".join(lines) or "(nothing went over the wire)"


def wire_html(exchanges: Iterable[WireExchange]) -> str:
    """A sequence diagram, top to bottom; a request or an answer with a body opens on a click or by keyboard."""
    rows = "".join(_html_row(one) for one in exchanges)
    head = "<tr><th>client</th><th></th><th>engine</th><th>ms</th></tr>"
    style = "color:var(--jp-ui-font-color1);font-family:var(--jp-code-font-family);text-align:left"
    return f'<table style="{style}">{head}{rows}</table>' if rows else "<em>nothing went over the wire</em>"


def wire_svg(exchanges: Iterable[WireExchange]) -> str:
    """The diagram as a still picture, legible on light and dark pages; no times and no bodies."""
    shown = list(exchanges)
    height = 40 + ROW_PX * len(shown)
    arrows = "".join(_svg_row(one, 40 + ROW_PX * number) for number, one in enumerate(shown))
    lanes = "".join(
        f'<text x="{x}" y="18" text-anchor="middle" font-weight="bold">{name}</text>'
        f'<line x1="{x}" x2="{x}" y1="26" y2="{height}" stroke="#888"/>'
        for x, name in ((60, "client"), (660, "engine"))
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 720 {height}" width="720" height="{height}" role="img" '
        f'font-family="monospace" font-size="13"><rect width="100%" height="100%" fill="#fff"/>{lanes}{arrows}</svg>'
    )


def _request_line(one: WireExchange) -> str:
    return f"{one.request.method} {IDENTITY.sub('<id>', VERSION.sub('', one.request.target))}"


def _html_row(one: WireExchange) -> str:
    colour = BAD if one.answer.status >= 400 else GOOD
    answer = f'<b style="color:{colour}">{one.answer.status}</b> {escape(one.answer.reason)}'
    return (
        f"<tr><td>{_foldable(escape(_request_line(one)), one.request.body)}</td><td>&rarr; &larr;</td>"
        f"<td>{_foldable(answer, one.answer.body)}</td><td>{one.seconds * 1000:.0f}</td></tr>"
    )


def _foldable(line: str, body: bytes) -> str:
    if not body:
        return line
    text = body[: 4 * MAX_BODY_CHARACTERS].decode("utf-8", "replace")[:MAX_BODY_CHARACTERS]
    more = " &hellip;" if len(body) > MAX_BODY_CHARACTERS else ""
    return f"<details><summary>{line}</summary><pre>{escape(text)}{more}</pre></details>"


def _svg_row(one: WireExchange, y: int) -> str:
    colour = BAD if one.answer.status >= 400 else GOOD
    answer = escape(f"{one.answer.status} {one.answer.reason}".rstrip())
    line = escape(_request_line(one)[:70])
    return (
        f'<text x="70" y="{y + 10}">{line}</text>'
        f'<path d="M60 {y + 14} H652 m-6 -4 l6 4 l-6 4" fill="none" stroke="#444"/>'
        f'<text x="650" y="{y + 28}" text-anchor="end" fill="{colour}">{answer}</text>'
        f'<path d="M660 {y + 32} H68 m6 -4 l-6 4 l6 4" fill="none" stroke="{colour}" stroke-dasharray="5 3"/>'
    )
