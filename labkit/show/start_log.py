"""How long does each step of a dockerd's start take, and with which line does its log tell it?

Each step is a bar, from the moment at which the log tells it to the moment at which it tells the next one. A step opens
on a click, or on Enter, and shows its line.
"""

from collections.abc import Sequence
from html import escape

from labkit.daemons.start_log import STEPS, Step
from labkit.show.axis import short
from labkit.show.look import ROLES, figure
from labkit.show.still import frame_svg, text_svg

__all__ = ["start_html", "start_svg", "start_text"]

CAPTION = (
    "Time runs to the right. A bar begins where the log tells its step, and ends where the log tells the next step. "
    "The number at the right says when the bar begins. To see what a step is, and its line of the log, click on it, or "
    "go to it with Tab and press Enter."
)
STYLE = (
    "<style>"
    ".lk .lks-head,.lk .lks-row>summary{display:grid;grid-template-columns:1em 9.5em 1fr 5.5em;gap:0 8px;"
    "align-items:center;padding:3px 4px}"
    ".lk .lks-head{color:var(--lk-dim);border-bottom:1px solid var(--lk-line);margin-bottom:2px}"
    ".lk .lks-head>:first-child{grid-column:1/3}.lk .lks-head>:last-child{text-align:right}"
    ".lk .lks-row>summary{cursor:pointer;list-style:none;border-radius:4px}"
    # The page cuts off what stands out at the left edge of an output.
    ".lk .lks-row :focus-visible{outline-offset:-2px}"
    ".lk .lks-row>summary::before{content:'\\25B8';color:var(--lk-dim)}"
    ".lk .lks-row[open]>summary::before{content:'\\25BE'}"
    ".lk .lks-row>summary::-webkit-details-marker{display:none}"
    ".lk .lks-row>summary:hover,.lk .lks-row[open]>summary{background:var(--lk-soft)}"
    ".lk .lks-row b{font-weight:600;white-space:nowrap}.lk .lks-lane{position:relative;height:16px;"
    "background:linear-gradient(var(--lk-line),var(--lk-line)) 0 50%/100% 1px no-repeat}"
    ".lk .lks-lane i{position:absolute;top:0;height:16px;min-width:3px;border-radius:3px;background:var(--lk-engine)}"
    ".lk .lks-row:last-child .lks-lane i{background:var(--lk-answer)}"
    ".lk .lks-row time{text-align:right;font-family:var(--lk-code);color:var(--lk-dim)}"
    ".lk .lks-row p{margin:4px 4px 0 calc(1em + 12px)}"
    ".lk .lks-row pre{margin:4px 4px 10px calc(1em + 12px);padding:8px 12px;white-space:pre-wrap;"
    "overflow-wrap:anywhere;background:var(--lk-soft);border-left:4px solid var(--lk-engine)}"
    "</style>"
)
HEAD = "".join(f"<span>{words}</span>" for words in ("step", "time since the first line of the log", "begins at"))
NAME_PX, LANE_PX, ROW_PX = 140, 250, 26


def start_html(steps: Sequence[Step]) -> str:
    """Draw the steps of a start, one row each, in the colours of the page's theme."""
    rows = "".join(_row_html(step, *bar) for step, bar in zip(steps, _bars(steps), strict=True))
    body = f"<div class='lks-head'>{HEAD}</div>{rows}" if rows else "<em>no steps</em>"
    return figure("the start of dockerd", body, caption=CAPTION, style=STYLE)


def start_text(steps: Sequence[Step]) -> str:
    """What each step is, without times; in the order of `STEPS`, since engines differ in the order of two of them."""
    told = {step.kind for step in steps}
    return "\n".join(f"{kind.name:<16} {kind.what}" for kind in STEPS if kind in told) or "(no steps)"


def start_svg(steps: Sequence[Step]) -> str:
    """The bars as a still picture; it differs from run to run."""
    parts = []
    for number, (step, (left, width)) in enumerate(zip(steps, _bars(steps), strict=True)):
        y = 24 + number * ROW_PX
        ink = ROLES["answer" if number == len(steps) - 1 else "engine"].light
        parts += [
            text_svg(step.name, 10, y, columns=18, rows=1),
            f'<rect x="{NAME_PX + LANE_PX * left:.1f}" y="{y - 12}" width="{max(3, LANE_PX * width):.1f}" height="15" '
            f'rx="3" fill="{ink}"/>',
            text_svg(step.kind.what, NAME_PX + LANE_PX + 20, y, columns=66, rows=1),
        ]
    return frame_svg(parts, 900, 16 + len(steps) * ROW_PX, differs=True)


def _bars(steps: Sequence[Step]) -> list[tuple[float, float]]:
    """Where each step's bar begins, and how long it is, as parts of the whole."""
    whole = (steps[-1].at_s if steps else 0.0) or 1.0
    moments = [step.at_s for step in steps]
    return [
        (begin / whole, (end - begin) / whole)
        for begin, end in zip(moments, [*moments[1:], *moments[-1:]], strict=True)
    ]


def _row_html(step: Step, left: float, width: float) -> str:
    # The last bar has no length: a mark at the right end, within the lane.
    place = f"left:min({100 * left:.2f}%,100% - 3px);width:{100 * width:.2f}%"
    head = f"<b>{escape(step.name)}</b><span class='lks-lane'><i style='{place}'></i></span>"
    head += f"<time>{short(step.at_s)}</time>"
    body = f"<p>{escape(step.kind.what)}</p><pre tabindex='0'>{escape(step.line.message)}</pre>"
    return f"<details class='lks-row'><summary>{head}</summary>{body}</details>"
