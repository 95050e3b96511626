"""Which wall stops which attack?

A row is an attack, a column is what stands. A cell where the wall held has the ground of the container and the word
"stopped"; one where the attack worked is empty but for a cross and the word "works". What a cell says was measured.
"""

from collections.abc import Mapping
from html import escape

from labkit.show.look import PAGE, ROLES, figure, mark, mark_svg
from labkit.show.still import frame_svg, text_svg, words_svg

__all__ = ["Measured", "walls_html", "walls_svg", "walls_text"]

Measured = Mapping[str, Mapping[str, bool]]  # of what stands: does an attack work?

HELD, WORKS = "stopped", "works"
STYLE = (
    "<style>.lkwalls{container-type:inline-size;overflow-x:auto}"
    ".lkwalls table{border-collapse:separate;border-spacing:clamp(2px,.4cqw,4px);font-size:clamp(.7em,1.58cqw,1em)}"
    ".lkwalls th{text-align:left;font-weight:600}.lkwalls thead th{vertical-align:bottom}"
    ".lkwalls td{border:1px solid;border-radius:4px;padding:.15em clamp(.2em,.5cqw,.5em);white-space:nowrap}"
    ".lkwalls td.lk-fill-container{font-weight:700;border-width:2px}"
    ".lkwalls td.lk-ink-trouble{border-color:var(--lk-line)}"
    ".lkwalls td.lkwalls-new{border-width:3px}</style>"
)
CAPTION = (
    "Read a row from left to right: which wall stops this attack? Then read a column from top to bottom: "
    "what does this wall alone let through?"
)
NAME_PX, CELL_PX, ROW_PX, TOP_PX = 230, 92, 32, 56


def walls_html(measured: Measured, *, new: str = "", caption: str = CAPTION) -> str:
    """The table; the column `new` has a thicker edge."""
    heads = "".join(f'<th scope="col">{escape(name)}</th>' for name in measured)
    body = "".join(
        f'<tr><th scope="row">{escape(attack)}</th>'
        f"{''.join(_cell_html(column[attack], is_new=name == new) for name, column in measured.items())}</tr>"
        for attack in _attacks(measured)
    )
    table = (
        '<div class="lkwalls"><table aria-label="which wall stops which attack"><thead><tr>'
        f'<th scope="col">what stands:</th>{heads}</tr></thead><tbody>{body}</tbody></table></div>'
    )
    return figure("walls", table, caption=caption, style=STYLE)


def _cell_html(works: bool, *, is_new: bool) -> str:
    edge = " lkwalls-new" if is_new else ""
    if works:
        return f'<td class="lk-ink-trouble{edge}">{mark("trouble")} {WORKS}</td>'
    return f'<td class="lk-fill-container{edge}">{HELD}</td>'


def walls_text(measured: Measured) -> str:
    """An attack on each line, and what stops it; the columns alone, or together with others, as they are named."""
    lines = []
    for attack in _attacks(measured):
        stopped_by = [name for name, column in measured.items() if not column[attack]]
        lines.append(f"{attack}: {', '.join(stopped_by) or 'nothing'}")
    return "\n".join(["what stops it:", *lines])


def walls_svg(measured: Measured) -> str:
    """The same as a still picture."""
    parts = [words_svg("what stands:", 8, TOP_PX - 12, 700)]
    for number, name in enumerate(measured):
        first, _, rest = name.rpartition(" ")
        x = NAME_PX + number * CELL_PX + 6
        if first:
            parts.append(words_svg(first, x, TOP_PX - 28, 700))
        parts.append(words_svg(rest, x, TOP_PX - 12, 700))
    attacks = _attacks(measured)
    for line, attack in enumerate(attacks):
        y = TOP_PX + line * ROW_PX
        parts.append(words_svg(attack, 8, y + 19))
        for number, column in enumerate(measured.values()):
            parts += _cell_svg(column[attack], NAME_PX + number * CELL_PX, y)
    return frame_svg(parts, NAME_PX + len(measured) * CELL_PX + 8, TOP_PX + len(attacks) * ROW_PX + 8)


def _cell_svg(works: bool, x: float, y: float) -> list[str]:
    ink = PAGE["line"][0] if works else ROLES["container"].light
    box = (
        f'<rect x="{x + 2:g}" y="{y + 2:g}" width="{CELL_PX - 4}" height="{ROW_PX - 5}" rx="4" stroke="{ink}" '
        f'fill="{ink}" fill-opacity="{0 if works else 0.2}"/>'
    )
    if works:
        return [box, mark_svg("trouble", x + 14, y + 16), text_svg(WORKS, x + 26, y + 20, columns=9, rows=1)]
    return [box, words_svg(HELD, x + 12, y + 20, 700)]


def _attacks(measured: Measured) -> list[str]:
    return list(next(iter(measured.values()), {}))
