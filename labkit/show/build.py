"""Which lines of a Dockerfile were built, and which came from the cache?

One row a line, from the top as in the file; what was built has the colour of the engine, which had to work.
"""

from collections.abc import Sequence
from html import escape

from labkit.images.build_log import BUILT, CACHED, FAILED, Step
from labkit.show.look import figure, mark, mark_svg, with_code
from labkit.show.still import cut, frame_svg, words_svg, wrap_words, xml_safe

__all__ = ["build_html", "build_svg", "build_text", "explain_build"]

ROW_PX, WIDTH_PX, COLUMNS = 30, 760, 64
STYLE = (
    "<style>.lk .b-rows{list-style:none;margin:0;padding:8px 12px}"
    ".lk .b-rows li{display:flex;gap:12px;align-items:center;padding:3px 10px;margin:3px 0;"
    "border:1px solid var(--lk-line);border-radius:6px}"
    ".lk .b-rows code{flex:1;overflow-wrap:anywhere}"
    ".lk .b-how{display:inline-flex;gap:6px;align-items:center;white-space:nowrap}</style>"
)


def build_html(steps: Sequence[Step], words: str) -> str:
    """The rows, with a sentence below them."""
    rows = "".join(_row(step) for step in steps)
    body = f'<ul class="lk-card b-rows" role="status">{rows}</ul>'
    return figure("lines of a build", body, caption=with_code(words), style=STYLE)


def _row(step: Step) -> str:
    works = step.how in (BUILT, FAILED)
    sign = mark("trouble" if step.how == FAILED else "engine") if works else ""
    look = ' class="lk-fill-engine"' if works else ' class="lk-dim"'
    return f'<li{look}><code>{escape(step.line)}</code><span class="b-how">{sign}{step.how}</span></li>'


def build_text(steps: Sequence[Step], words: str) -> str:
    """The same as text, for a test and for those who see no picture."""
    width = max((len(step.how) for step in steps), default=0)
    return "\n".join([*(f"{step.how:<{width}} | {step.line}" for step in steps), words])


def build_svg(steps: Sequence[Step], words: str) -> str:
    """The same as a still picture."""
    parts = []
    for number, step in enumerate(steps):
        y = 8 + number * ROW_PX
        works = step.how in (BUILT, FAILED)
        ground = 'fill="#e4e5f6" stroke="#4a4fb0"' if works else 'fill="#fff" stroke="#c4c9d0"'
        parts.append(f'<rect x="8" y="{y}" width="{WIDTH_PX - 16}" height="{ROW_PX - 6}" rx="6" {ground}/>')
        line = escape(xml_safe(cut(step.line, COLUMNS)))
        parts.append(f'<text x="20" y="{y + 16}" font-size="13">{line}</text>')
        if works:
            parts.append(mark_svg("engine", 606, y + 12))
        parts.append(words_svg(step.how, 620, y + 17))
    top = 8 + len(steps) * ROW_PX
    rows = wrap_words(words)
    parts += [words_svg(row, 8, top + 18 + 20 * number) for number, row in enumerate(rows)]
    return frame_svg(parts, WIDTH_PX, top + 16 + 20 * len(rows))


def explain_build(steps: Sequence[Step], changed: str) -> str:
    """One sentence: how many lines the cache had, and why the others were built."""
    later = steps[1:]  # the first one is FROM
    built = [step.line for step in later if step.how != CACHED]
    if not built:
        return "Each line came from the cache."
    if len(built) == 1:
        return f"`{changed}` changed. Only the line `{built[0]}` was built again."
    after = len(built) - 1
    return (
        f"`{changed}` changed. The line `{built[0]}` was built again. "
        f"The {'line' if after == 1 else f'{after} lines'} after it {'was' if after == 1 else 'were'} built again, too."
    )
