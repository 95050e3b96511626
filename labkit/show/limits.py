"""Where does the kernel keep the limits of a container, in either version of control groups?

A table: what `docker run` is told, the file of version 1, the file of version 2, and the value that is there now. The
column of the version that this machine has is marked. The text has both, and no value that differs from run to run.
"""

from collections.abc import Sequence
from html import escape
from typing import NamedTuple

from labkit.show.look import PAGE, figure, mark, with_code
from labkit.show.still import frame_svg, text_svg, words_svg

__all__ = ["Row", "limits_html", "limits_svg", "limits_text"]

CAPTION = (
    "This machine has <b>version {0}</b> of control groups: its column is marked. The last column holds what the "
    "kernel says now, in that file. Only the kernel writes a counter."
)
STILL_CAPTION = "[ ]: the version of this machine. Below the line: counters, which only the kernel writes."
HEADS = ("", "docker run", "version 1", "version 2", "now")
COLUMNS_PX = (10, 150, 260, 500, 650)
ROW_PX = 20
STYLE = (
    "<style>.lk .lkg-table{overflow-x:auto}.lk .lkg-table table{border-collapse:collapse;margin:0;width:100%;"
    "font-size:var(--lk-size);color:var(--lk-ink)}.lk .lkg-table tr{background:none}"
    ".lk .lkg-table :is(th,td){padding:4px 12px;text-align:left;border-bottom:1px solid var(--lk-line);background:none;"
    "color:inherit;overflow-wrap:anywhere;max-width:none}.lk .lkg-table td.lkg-here{background:var(--lk-soft);"
    "box-shadow:inset 3px 0 var(--lk-kernel);font-weight:600}.lk .lkg-table td.lkg-other{color:var(--lk-dim)}"
    ".lk .lkg-table tr.lkg-first :is(th,td){border-top:2px solid var(--lk-line)}</style>"
)


class Row(NamedTuple):
    """A limit or a counter: what `docker run` is told ("" for a counter), its file in each version, its value now."""

    what: str
    flag: str
    v1: str
    v2: str
    value: str

    @property
    def is_counter(self) -> bool:
        return not self.flag


def limits_html(rows: Sequence[Row], version: int) -> str:
    """The table on a live page."""
    heads = "".join(
        f'<th scope="col">{mark("kernel") + " " if head == f"version {version}" else ""}{escape(head)}</th>'
        for head in HEADS
    )
    lines = "".join(
        f'<tr{" class=lkg-first" if _is_first(rows, number) else ""}><th scope="row">{escape(row.what)}</th>'
        f"<td>{with_code(f'`{row.flag}`') if row.flag else ''}</td>"
        + "".join(
            f'<td class="{"lkg-here" if which == version else "lkg-other"}"><code>{escape(file)}</code></td>'
            for which, file in ((1, row.v1), (2, row.v2))
        )
        + f"<td>{escape(row.value)}</td></tr>"
        for number, row in enumerate(rows)
    )
    body = f'<div class="lkg-table"><table><thead><tr>{heads}</tr></thead><tbody>{lines}</tbody></table></div>'
    return figure("limits and their files", body, caption=CAPTION.format(version), style=STYLE)


def limits_text(rows: Sequence[Row]) -> str:
    """The files of both versions; of the values those of the limits, which are the same in every run."""
    lines = [(row.what, row.v1, row.v2, "" if row.is_counter else row.value) for row in rows]
    widths = [max(len(line[column]) for line in [HEADS_OF_TEXT, *lines]) for column in range(4)]
    told = ([f"{word:<{width}}" for word, width in zip(line, widths, strict=True)] for line in [HEADS_OF_TEXT, *lines])
    return "\n".join("  ".join(line).rstrip() for line in told)


HEADS_OF_TEXT = ("what", "version 1", "version 2", "limit")


def limits_svg(rows: Sequence[Row], version: int) -> str:
    """The table as a still picture; it differs from version to version, and from run to run."""
    heads = [f"[{head}]" if head == f"version {version}" else head for head in HEADS]
    parts = [
        text_svg(word, x, 24 + ROW_PX * number, columns=32, rows=1)
        for number, line in enumerate([heads, *((row.what, row.flag, row.v1, row.v2, row.value) for row in rows)])
        for x, word in zip(COLUMNS_PX, line, strict=True)
    ]
    height = 34 + ROW_PX * (len(rows) + 1)
    for number in range(len(rows)):
        if _is_first(rows, number):
            y = 30 + ROW_PX * number
            parts.append(f'<path d="M{COLUMNS_PX[0]} {y}H750" stroke="{PAGE["dim"][0]}"/>')
    parts.append(words_svg(STILL_CAPTION, COLUMNS_PX[0], height + 6))
    return frame_svg(parts, 760, height + 20, differs=True)


def _is_first(rows: Sequence[Row], number: int) -> bool:
    """Does the part of the counters begin here?"""
    return number > 0 and rows[number].is_counter and not rows[number - 1].is_counter
