"""Which colour and shape does a thing have, in every view?

A request is the same blue, solid arrow in each picture, what a process writes to stdout the same disc. A colour never
stands alone: each role has a mark of its own shape, and words beside it.

    figure("wire view", body, caption="Look at ...", keys=("request", "answer"))      a view on a live page
    f'<span class="lk-ink-stdout">{mark("stdout")} stdout</span>'                     a role's ink, and its mark
    f'<div class="lk-fill-engine">...</div>'                                          a role's pale ground and its edge
    method_chip("POST"), status_chip(201, "Created")
    mark_svg("stdout", 20, 20), ROLES["stdout"].light                                 in a still picture, on white

On a live page colours are CSS variables: `var(--lk-stdout)`. They follow the theme of JupyterLab (it marks the page
with `data-jp-theme-light`), and of VS Code. Each ink has a contrast of 4.5 or more on each ground of its theme
(WCAG 2.2, success criterion 1.4.3), and roles that stand side by side differ for colour-blind eyes; a test computes
both.
"""

import re
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import NamedTuple

__all__ = [
    *("GROUNDS", "PAGE", "ROLES", "STYLE", "Role"),
    *("figure", "legend", "mark", "mark_svg", "method_chip", "read_css", "status_chip", "with_code"),
]


class Role(NamedTuple):
    """The inks of a role on a light and a dark page, the name of its shape, and its words in a legend."""

    light: str
    dark: str
    shape: str
    words: str


ROLES = {
    # What goes over a wire.
    "request": Role("#0b57b0", "#7ab8ff", "arrow", "request"),
    "answer": Role("#0f6b3a", "#63d297", "arrow back", "answer"),
    "trouble": Role("#b3261e", "#ff8073", "cross", "error"),
    "missing": Role("#545c66", "#b4bcc6", "ring", "not found"),
    "stdin": Role("#8a1c5c", "#e184c6", "triangle", "stdin"),
    "stdout": Role("#00687a", "#8ce8f5", "disc", "stdout"),
    "stderr": Role("#a3440a", "#ffb074", "diamond", "stderr"),
    # Who speaks, and what there is.
    "you": Role("#3d4a5c", "#c3cedb", "person", "you"),
    "engine": Role("#4a4fb0", "#adb3ff", "square", "engine"),
    "container": Role("#75580a", "#e8c55c", "box", "container"),
    "kernel": Role("#5d5348", "#cdbfae", "hexagon", "kernel object"),
    # The parts of a request or an answer, where they are compared.
    "method": Role("#0b57b0", "#7ab8ff", "arrow", "method"),
    "path": Role("#8a1c5c", "#e184c6", "triangle", "path"),
    "body": Role("#75580a", "#e8c55c", "box", "body"),
    "status": Role("#0f6b3a", "#63d297", "arrow back", "status"),
    # What a layer of an image is, what it does to a path, and what that costs.
    "layer": Role("#3f5d80", "#9fbbe0", "bars", "layer"),
    "added": Role("#046a4a", "#63d297", "plus", "added"),
    "changed": Role("#8a5200", "#ffd24d", "wave", "changed"),
    "hidden": Role("#b5174b", "#ff8073", "struck", "hidden"),
    "lost": Role("#6b3fa0", "#c0a8ff", "hatched", "bytes lost below"),
    # What a control group counts, and what it does to who wants more.
    "used": Role("#75580a", "#e8c55c", "box", "used"),
    "limit": Role("#1f2328", "#f4f6f8", "dashes", "limit"),
    "throttled": Role("#6b3fa0", "#c0a8ff", "hatched", "had to wait"),
    "killed": Role("#b5174b", "#ff8073", "cross", "killed"),
    "refused": Role("#8a1c5c", "#e184c6", "diamond", "refused"),
    "frozen": Role("#00687a", "#8ce8f5", "pause", "frozen"),
}
# The page's own ink, a paler one for what matters less, lines, the ground of panels, and the grounds of notebooks.
PAGE = {
    "ink": ("#1f2328", "#e9ebee"),
    "dim": ("#545c66", "#b4bcc6"),
    "line": ("#c4c9d0", "#4f555d"),
    "soft": ("#f3f5f8", "#23262a"),
}
GROUNDS = {"light": ("#ffffff", PAGE["soft"][0]), "dark": ("#111111", "#212121", PAGE["soft"][1])}

SIZE_PX = 12
# Each in a square of 12, the first point at its left or top.
SHAPES = {
    "arrow": '<path d="M0 6H10M6.5 2.5 10 6 6.5 9.5" fill="none" stroke="{0}" stroke-width="2"/>',
    "arrow back": '<path d="M12 6H2M5.5 2.5 2 6 5.5 9.5" fill="none" stroke="{0}" stroke-width="2"'
    ' stroke-dasharray="3.5 1.5"/>',
    "cross": '<path d="M2 2 10 10M10 2 2 10" fill="none" stroke="{0}" stroke-width="2.5"/>',
    "ring": '<circle cx="6" cy="6" r="4" fill="none" stroke="{0}" stroke-width="2"/>',
    "triangle": '<path d="M2 1 11 6 2 11Z" fill="{0}"/>',
    "disc": '<circle cx="6" cy="6" r="4.5" fill="{0}"/>',
    "diamond": '<path d="M6 0.5 11.5 6 6 11.5 0.5 6Z" fill="{0}"/>',
    "person": '<path d="M6 6.4A2.9 2.9 0 1 1 6 0.6 2.9 2.9 0 0 1 6 6.4M0.8 12C1 6 11 6 11.2 12Z" fill="{0}"/>',
    "square": '<rect x="1" y="1" width="10" height="10" rx="2" fill="{0}"/>',
    "box": '<rect x="1.5" y="1.5" width="9" height="9" fill="none" stroke="{0}" stroke-width="2.5"/>',
    "hexagon": '<path d="M3.2 1H8.8L11.8 6 8.8 11H3.2L0.2 6Z" fill="{0}"/>',
    "bars": '<path d="M1 2.5H11M1 6H11M1 9.5H11" fill="none" stroke="{0}" stroke-width="2.2"/>',
    "plus": '<path d="M6 1.5V10.5M1.5 6H10.5" fill="none" stroke="{0}" stroke-width="2.5"/>',
    "wave": '<path d="M1 7.5C3 2.5 5 4 6 6S9 9.5 11 4.5" fill="none" stroke="{0}" stroke-width="2.5"/>',
    "struck": '<path d="M3 1.5H9V10.5H3ZM0 6H12" fill="none" stroke="{0}" stroke-width="1.8"/>',
    "dashes": '<path d="M0 6H3M4.5 6H7.5M9 6H12" fill="none" stroke="{0}" stroke-width="2.5"/>',
    "pause": '<path d="M3.5 1.5V10.5M8.5 1.5V10.5" fill="none" stroke="{0}" stroke-width="2.8"/>',
    "hatched": '<path d="M1 5 5 1M1 11 11 1M7 11 11 7" fill="none" stroke="{0}" stroke-width="2"/>',
}


def _variables(theme: int) -> str:
    inks = {name: pair[theme] for name, pair in PAGE.items()} | {name: role[theme] for name, role in ROLES.items()}
    return "".join(f"--lk-{name}:{ink};" for name, ink in inks.items())


def read_css(name: str) -> str:
    """The rules of a view: a file beside this one, its comment and its ends of lines left out."""
    text = Path(__file__).with_name(f"{name}.css").read_text()
    return re.sub(r"/\*.*?\*/|\n *", "", text, flags=re.DOTALL)


# With each view once: a view may be alone on its page.
STYLE = (
    f"<style>{read_css('look')}.lk{{{_variables(0)}}}"
    f':is(body[data-jp-theme-light="false"],body.vscode-dark) .lk{{{_variables(1)}}}'
    + "".join(
        f".lk .lk-ink-{name}{{color:var(--lk-{name})}}"
        f".lk .lk-fill-{name}{{background:color-mix(in srgb,var(--lk-{name}) 14%,var(--lk-ground));"
        f"border-color:var(--lk-{name})}}"
        for name in ROLES
    )
    + "</style>"
)


def figure(name: str, body: str, *, caption: str = "", keys: Sequence[str] = (), style: str = "") -> str:
    """Put a view's HTML into the frame that every view has, with a caption that says what to look for.

    `name` is for those who do not see the picture; `keys` are the roles that the legend explains; `style` holds the
    view's own rules, `<style>` and all. `caption` is HTML: `with_code` makes it from
    a text.
    """
    words = f"<figcaption>{caption}</figcaption>" if caption else ""
    frame = f'<figure class="lk" role="group" aria-label="{escape(name)}">{body}{words}{legend(keys)}</figure>'
    return f"{STYLE}{style}{frame}"


def with_code(text: str) -> str:
    """Escape a text; what stands between backticks becomes code, as in Markdown."""
    parts = escape(text).split("`")
    return "".join(f"<code>{part}</code>" if number % 2 else part for number, part in enumerate(parts))


def legend(keys: Sequence[str]) -> str:
    """Name each role beside its mark."""
    items = "".join(f"<span>{mark(key)}{escape(ROLES[key].words)}</span>" for key in keys)
    return f'<div class="lk-legend">{items}</div>' if keys else ""


def mark(role: str) -> str:
    """A role's mark, 12 px, in its colour of the page's theme; the words are beside it."""
    shape = SHAPES[ROLES[role].shape].format(f"var(--lk-{role})")
    return f'<svg class="lk-mark" viewBox="0 0 12 12" aria-hidden="true">{shape}</svg>'


def mark_svg(role: str, x: float, y: float) -> str:
    """A role's mark in a still picture, its middle at (x, y)."""
    half = SIZE_PX / 2
    return (
        f'<g transform="translate({x - half:g} {y - half:g})">{SHAPES[ROLES[role].shape].format(ROLES[role].light)}</g>'
    )


def method_chip(method: str) -> str:
    """A request's method."""
    return f'<span class="lk-chip lk-ink-request">{escape(method)}</span>'


def status_chip(status: int, reason: str = "") -> str:
    """An answer's status; from 400 on it is trouble, and has a cross; that there is no such thing is often none."""
    role = "missing" if status == 404 else "trouble" if status >= 400 else "answer"
    sign = "" if role == "answer" else f"{mark(role)} "
    return f'<span class="lk-chip lk-chip-round lk-ink-{role}">{sign}{escape(f"{status} {reason}".rstrip())}</span>'
