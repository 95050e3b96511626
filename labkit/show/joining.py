"""Which namespaces let a process in, by the number of its threads?

A row is a process, a column is a kind of namespace. A cell where it got in has the colour of the container, one where
the kernel refused has a cross and the errno.
"""

from collections.abc import Sequence
from html import escape

from labkit.isolation.refusals import Joins
from labkit.show.look import ROLES, figure, mark, mark_svg
from labkit.show.still import frame_svg, text_svg, words_svg

__all__ = ["joins_html", "joins_svg", "joins_text", "name_row"]

KINDS = ("uts", "ipc", "net", "pid", "cgroup", "mnt", "user")  # every kernel has these
IN = "joins"
STYLE = (
    "<style>.lkj{container-type:inline-size;overflow-x:auto}"
    ".lkj table{border-collapse:separate;border-spacing:clamp(2px,.5cqw,4px);font-size:clamp(.7em,2.1cqw,1em)}"
    ".lkj th{text-align:left;font-weight:600}.lkj th code{font-size:1em}"
    ".lkj td{border:1px solid;border-radius:4px;padding:.15em clamp(.2em,.7cqw,.5em);white-space:nowrap}"
    ".lkj .lkj-new td{border-width:2px}</style>"
)
CAPTION = "Look at the cells with a cross: there the kernel refuses, and says why by an <b>errno</b>."
NAME_PX, CELL_PX, ROW_PX, TOP_PX = 284, 72, 34, 40


def name_row(joins: Joins) -> str:
    """Who tried, in words."""
    threads = "1 thread" if joins.threads == 1 else f"{joins.threads} threads"
    return f"{threads}, after unshare(CLONE_FS)" if joins.own_fs else threads


def joins_html(rows: Sequence[Joins], *, new: Joins | None = None, caption: str = CAPTION) -> str:
    """All kinds that the kernel has; the row `new` has a thicker edge."""
    kinds = [kind for kind in (*KINDS, "time") if any(kind in row.refusals for row in rows)]
    heads = "".join(f'<th scope="col"><code>{kind}</code></th>' for kind in kinds)
    body = "".join(
        f'<tr{" class=lkj-new" if row is new else ""}><th scope="row">{escape(name_row(row))}</th>'
        f"{''.join(_cell_html(row.refusals.get(kind)) for kind in kinds)}</tr>"
        for row in rows
    )
    table = (
        f'<div class="lkj"><table aria-label="who joins which namespace"><thead><tr>'
        f'<th scope="col">the process has</th>{heads}</tr></thead><tbody>{body}</tbody></table></div>'
    )
    return figure("joining namespaces", table, caption=caption, style=STYLE)


def _cell_html(refusal: str | None) -> str:
    if refusal is None:
        return "<td></td>"
    if refusal:
        return f'<td class="lk-fill-trouble">{mark("trouble")} {escape(refusal)}</td>'
    return f'<td class="lk-fill-container">{IN}</td>'


def joins_text(rows: Sequence[Joins]) -> str:
    """The kinds that every kernel has, as text."""
    width = max([len("the process has"), *(len(name_row(row)) for row in rows)])
    lines = ["  ".join(["the process has".ljust(width), *(kind.ljust(6) for kind in KINDS)])]
    for row in rows:
        cells = [(row.refusals.get(kind, "-") or IN).ljust(6) for kind in KINDS]
        lines.append("  ".join([name_row(row).ljust(width), *cells]))
    return "\n".join(line.rstrip() for line in lines)


def joins_svg(rows: Sequence[Joins]) -> str:
    """The kinds that every kernel has, as a still picture."""
    parts = [words_svg("the process has", 8, 24, 700)]
    parts += [words_svg(kind, NAME_PX + number * CELL_PX + 6, 24, 700) for number, kind in enumerate(KINDS)]
    for line, row in enumerate(rows):
        y = TOP_PX + line * ROW_PX
        parts.append(words_svg(name_row(row), 8, y + 20))
        for number, kind in enumerate(KINDS):
            parts += _cell_svg(row.refusals.get(kind, "-"), NAME_PX + number * CELL_PX, y)
    return frame_svg(parts, NAME_PX + len(KINDS) * CELL_PX + 8, TOP_PX + len(rows) * ROW_PX + 8)


def _cell_svg(refusal: str, x: float, y: float) -> list[str]:
    ink = ROLES["trouble" if refusal else "container"].light
    return [
        f'<rect x="{x + 2:g}" y="{y + 2:g}" width="{CELL_PX - 4}" height="{ROW_PX - 6}" rx="4" stroke="{ink}" '
        f'fill="{ink}" fill-opacity="0.12"/>',
        *([mark_svg("trouble", x + 12, y + 16)] if refusal else []),
        text_svg(refusal or IN, x + (22 if refusal else 10), y + 20, columns=7, rows=1),
    ]
