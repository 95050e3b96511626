"""What do lower, upper and merged hold, path by path, and which of them does a program see?

Three columns. What comes from the lower directory has the colour of the image, what comes from the upper one that of
the container, in each column: so one sees where a program's file comes from. A mark, as a whiteout, is dashed and has a
cross.
"""

from collections.abc import Collection, Sequence
from html import escape
from textwrap import wrap

from labkit.images.overlay import WHITEOUT, Directories, Entry, Row, name_kind, rows_of
from labkit.show.look import ROLES, figure, mark, mark_svg, read_css
from labkit.show.still import cut, frame_svg, text_svg, words_svg, xml_safe

__all__ = ["MEANINGS", "explain_row", "size_words", "union_html", "union_svg", "union_text"]

LOWER, UPPER, TROUBLE = "engine", "container", "trouble"
COLUMNS = (
    ("lower", "the image: only read", LOWER),
    ("upper", "the write layer", UPPER),
    ("merged", "what a program sees", ""),
)
MEANINGS = {
    "lower": "comes from lower; upper has nothing",
    "new": "lies in upper alone",
    "covers": "upper covers lower",
    "merges": "{} directories, shown as one",
    "opaque": "opaque: nothing of lower is seen in it",
    "whiteout": "the whiteout hides what is in lower",
    "hidden": "still in lower, and hidden by what is above",
}
STYLE = f"<style>{read_css('union')}</style>"
CAPTION = (
    "Look at the column <b>merged</b>: the colour of a cell says whether the file comes from lower or from upper. "
    "What is written goes to upper. Lower never changes."
)
STILL_PX = (0, 190, 340, 490, 640)  # of a picture: path, lower, upper, merged, meaning
ROW_PX, TOP_PX, WIDTH_PX = 40, 56, 850
SAYS_COLUMNS = 27  # of what it means, in two lines: the picture fits on a page


def size_words(size_bytes: int) -> str:
    """A number of bytes as docker writes it: of 1000.

    >>> size_words(20_000_005), size_words(7)
    ('20 MB', '7 bytes')
    """
    if size_bytes == 1:
        return "1 byte"
    for unit, size in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if size_bytes >= size:
            return f"{size_bytes / size:.3g} {unit}"
    return f"{size_bytes} bytes"


def explain_row(row: Row) -> str:
    """What the overlay makes of a path, in a few words."""
    below = any(entry.kind != WHITEOUT for _, entry in row.lower)
    if row.state == "whiteout" and not below:
        return "a whiteout that hides nothing"
    return MEANINGS[row.state].format(1 + _merging(row))


def union_html(
    directories: Directories, *, changed: Collection[str] = (), chosen: str | None = None, caption: str = CAPTION
) -> str:
    """The three columns. Where `chosen` is given, a row can be chosen, and that path is; "" chooses none."""
    heads = "".join(
        f'<th scope="col">{mark(role) + " " if role else ""}{name}<small>{words}</small></th>'
        for name, words, role in COLUMNS
    )
    rows = "".join(_row_html(row, row.path in changed, chosen) for row in rows_of(directories))
    role = 'role="grid" ' if chosen is not None else ""
    table = (
        f'<div class="u-table"><table class="u-grid" {role}aria-label="lower, upper, merged">'
        f'<thead><tr><th scope="col">path</th>{heads}<th scope="col">what it means</th></tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )
    return figure("union view", table, caption=caption, style=STYLE)


def _row_html(row: Row, is_changed: bool, chosen: str | None) -> str:
    choice = "" if chosen is None else f' aria-selected="{str(row.path == chosen).lower()}" tabindex="-1"'
    kind = ' class="u-changed"' if is_changed else ""
    return (
        f'<tr data-path="{escape(xml_safe(row.path))}"{choice}{kind}><th scope="row">{escape(_name(row))}</th>'
        f"{_lower_html(row)}{_cell_html(row.upper, UPPER)}{_cell_html(row.merged, _provider(row))}"
        f'<td class="u-says">{escape(explain_row(row))}</td></tr>'
    )


def _lower_html(row: Row) -> str:
    """The lower cell; where several have the path, those that another lower directory hides are struck out."""
    if len(row.lower) < 2:
        return _cell_html(row.lower[0][1] if row.lower else None, LOWER)
    seen = max(1, _merging(row))
    shown = "".join(
        f'<span class="{"u-more" if place < seen else "u-more u-below"}">lower {number}: {escape(_words(entry))}</span>'
        for place, (number, entry) in enumerate(row.lower)
    )
    return f'<td class="u-cell lk-fill-{LOWER}">{shown}</td>'


def _cell_html(entry: Entry | None, role: str) -> str:
    if entry is None:
        return '<td class="u-cell"></td>'
    is_mark = entry.kind == WHITEOUT or entry.is_opaque
    sign = f"{mark(TROUBLE)} " if is_mark else ""
    text = f"<code>{escape(xml_safe(entry.text))}</code>" if entry.text else ""
    more = "".join(f'<span class="u-more">{escape(words)}</span>' for words in _more(entry))
    look = "u-mark" if is_mark else f"lk-fill-{role}"
    words = escape(_words(entry)).replace("c 0,0", "c&nbsp;0,0")
    return f'<td class="u-cell {look}">{sign}{words}{text}{more}</td>'


def union_text(directories: Directories) -> str:
    """The three columns as text."""
    table = [("path", "lower", "upper", "merged", "")]
    table += [
        (_name(row), _lower_words(row), _words(row.upper), _words(row.merged), explain_row(row))
        for row in rows_of(directories)
    ]
    widths = [max(len(line[column]) for line in table) for column in range(4)]
    return "\n".join(
        "  ".join([*(cell.ljust(width) for cell, width in zip(line, widths, strict=False)), line[4]]).rstrip()
        for line in table
    )


def union_svg(directories: Directories) -> str:
    """The three columns as a still picture."""
    path_px, says_px = STILL_PX[0] + 8, STILL_PX[4]
    parts = [words_svg("path", path_px, 24, 700), words_svg("what it means", says_px, 24, 700)]
    for (name, words, role), x in zip(COLUMNS, STILL_PX[1:4], strict=True):
        parts += [mark_svg(role, x + 6, 19)] if role else []
        parts += [words_svg(name, x + (18 if role else 0), 24, 700), text_svg(words, x, 42, columns=20, rows=1)]
    rows = rows_of(directories)
    for number, row in enumerate(rows):
        y = TOP_PX + number * ROW_PX
        parts.append(text_svg(_name(row), path_px, y + 22, columns=25, rows=1))
        lower = row.lower[0][1] if row.lower else None
        parts += _cell_svg(lower, LOWER, STILL_PX[1], y)
        parts += _cell_svg(row.upper, UPPER, STILL_PX[2], y) + _cell_svg(row.merged, _provider(row), STILL_PX[3], y)
        says = wrap(explain_row(row), SAYS_COLUMNS)
        parts.append(
            text_svg("\n".join(says), says_px, y + (22 if len(says) == 1 else 15), columns=SAYS_COLUMNS, rows=2)
        )
    return frame_svg(parts, WIDTH_PX, TOP_PX + len(rows) * ROW_PX + 8)


def _cell_svg(entry: Entry | None, role: str, x: float, y: float) -> list[str]:
    if entry is None:
        return []
    is_mark = entry.kind == WHITEOUT or entry.is_opaque
    ink = ROLES[TROUBLE if is_mark else role].light
    look = 'fill="none" stroke-dasharray="4 3" stroke-width="2"' if is_mark else f'fill="{ink}" fill-opacity="0.12"'
    second = entry.text or next(iter(_more(entry)), "")
    return [
        f'<rect x="{x:g}" y="{y + 2:g}" width="138" height="{ROW_PX - 6}" rx="4" stroke="{ink}" {look}/>',
        *([mark_svg(TROUBLE, x + 12, y + 14)] if is_mark else []),
        text_svg(cut(_words(entry), 18), x + (22 if is_mark else 6), y + 18, columns=18, rows=1),
        text_svg(second, x + 6, y + 31, columns=18, rows=1),
    ]


def _merging(row: Row) -> int:
    """How many lower directories are shown as one here: from the topmost on, until one hides what lies below it."""
    number = 0
    for entry in _entries(row):
        if entry.kind != "directory":
            break
        number += 1
        if entry.is_opaque:
            break
    return number


def _provider(row: Row) -> str:
    """The role of the directory from which the merged entry comes."""
    return LOWER if row.upper is None else UPPER


def _name(row: Row) -> str:
    parts = xml_safe(row.path).split("/")
    is_directory = any(one is not None and one.kind == "directory" for one in (row.merged, row.upper, *_entries(row)))
    return "  " * (len(parts) - 1) + parts[-1] + ("/" if is_directory else "")


def _entries(row: Row) -> Sequence[Entry]:
    return [entry for _, entry in row.lower]


def _lower_words(row: Row) -> str:
    if len(row.lower) < 2:
        return _words(row.lower[0][1] if row.lower else None)
    return ", ".join(f"{number}: {_words(entry)}" for number, entry in row.lower)


def _words(entry: Entry | None) -> str:
    """What an entry is, on one line: a whiteout with its device numbers, a file with its bytes."""
    if entry is None:
        return ""
    if entry.kind == WHITEOUT:
        return "whiteout (c 0,0)"
    return f"{entry.kind}, {size_words(entry.size_bytes)}" if entry.kind == "file" else name_kind(entry)


def _more(entry: Entry) -> list[str]:
    """What else the disk says of it."""
    found = []
    if entry.kind == "file" and entry.mode & 0o111:
        found.append(f"mode {entry.mode:o}")
    if entry.names > 1:
        found.append(f"{entry.names} names")
    if entry.redirect:
        found.append(f"redirect to {xml_safe(entry.redirect)}")
    if entry.is_metacopy:
        found.append("its content is still in lower (metacopy)")
    return found
