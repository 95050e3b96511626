"""Which processes share which namespaces?

Processes are rows, kinds of namespaces are columns. Where two cells of a column have the same letter, colour and
pattern, the two processes share that namespace. Who chooses a cell reads the proof: the numbers behind /proc/PID/ns,
of the process that is chosen, of some that share its namespace, and of some that do not.

Values in (`namespace_look.Process`), HTML, text and SVG out. The page keeps the numbers: a choice asks nobody.
"""

from collections.abc import Collection, Mapping, Sequence
from html import escape

from labkit.show.look import ROLES, figure, mark, read_css
from labkit.show.namespace_look import (
    INKS,
    KINDS,
    Names,
    Placed,
    Process,
    arrange,
    ink_of,
    is_engine,
    kinds_of,
    letter_of,
    name_namespaces,
)
from labkit.show.namespace_look import STYLE as SHARED_STYLE
from labkit.show.still import cut, frame_svg, text_svg, words_svg, xml_safe

__all__ = ["CAPTION", "namespace_map_html", "namespace_map_svg", "namespace_map_text"]

STYLE = SHARED_STYLE + f"<style>{read_css('namespace_map')}</style>"
CAPTION = (
    "Read down a column: the same letter and colour mean <b>one namespace, shared</b>. Choose a letter (click, or"
    " arrow keys and Enter), and see the proof in /proc."
)
MANY_ALIKE = 4  # sisters with the same name and the same namespaces: of more the rest is folded
STILL_ROWS = 40
ROW_PX, HEAD_PX, NAME_PX, CELL_PX, SMALL_PX = 30, 68, 250, 84, 14

Labels = Mapping[int, str]  # of a process, by its pid: the name of its container, or what it is


def namespace_map_text(processes: Sequence[Process], kinds: Sequence[str] = (), labels: Labels | None = None) -> str:
    """The letters as a table, a line for each process, without any number."""
    rows, kinds, letters = _prepare(processes, kinds)
    table = [["", *kinds]]
    for process, depth in rows:
        name = "  " * depth + (labels or {}).get(process.pid, xml_safe(process.comm))
        table.append([name, *(letter_of(process, kind, letters) for kind in kinds)])
    widths = [max(len(line[column]) for line in table) for column in range(len(kinds) + 1)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in table
    )


def namespace_map_html(
    processes: Sequence[Process],
    kinds: Sequence[str] = (),
    labels: Labels | None = None,
    *,
    new: Collection[int] = (),
    caption: str = CAPTION,
) -> str:
    """The map for a live page. `kinds` are the columns (none: all that the kernel shows), `new` the pids that came."""
    rows, kinds, letters = _prepare(processes, kinds)
    heads = "".join(
        f'<th scope="col" data-kind="{kind}">{kind}<small>{KINDS[kind].words}</small></th>' for kind in kinds
    )
    body = "".join(
        _row_html(row, kinds, letters, labels or {}, row.process.pid in new, fold)
        for row, fold in zip(rows, _fold(rows), strict=True)
    )
    table = (
        '<div class="nm-scroll lk-card"><table class="nm-grid" role="grid" aria-label="processes and their namespaces">'
        f'<thead><tr><th scope="col">process<small>{len(rows)} here</small></th>{heads}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
        '<div class="nm-proof lk-card" aria-live="polite" hidden></div>'
    )
    return figure("namespace map", table, caption=caption, style=STYLE)


def namespace_map_svg(
    processes: Sequence[Process],
    kinds: Sequence[str] = (),
    labels: Labels | None = None,
    *,
    differs: bool = False,
) -> str:
    """The map as a still picture, without any number; `differs` where the processes are not the same in each run."""
    rows, kinds, letters = _prepare(processes, kinds)
    parts = [words_svg("process", 8, 24, 700)]
    for column, kind in enumerate(kinds):
        x = NAME_PX + column * CELL_PX
        parts.append(words_svg(kind, x + 4, 24, 700))
        for row, word in enumerate(KINDS[kind].words.split()):  # side by side they are wider than a column
            parts.append(_small_svg(word, x + 4, 42 + row * SMALL_PX))
    for number, (process, depth) in enumerate(rows[:STILL_ROWS]):
        y = HEAD_PX + number * ROW_PX
        name = (labels or {}).get(process.pid, process.comm)
        parts.append(text_svg(cut(xml_safe(name), 32 - 2 * depth), 8 + 12 * depth, y + 19, columns=32, rows=1))
        for column, kind in enumerate(kinds):
            letter = letter_of(process, kind, letters)
            parts += _cell_svg(letter, NAME_PX + column * CELL_PX, y)
    if len(rows) > STILL_ROWS:
        more = f"and {len(rows) - STILL_ROWS} more"
        parts.append(text_svg(more, 8, HEAD_PX + STILL_ROWS * ROW_PX + 19, columns=32, rows=1))
    height = HEAD_PX + (min(len(rows), STILL_ROWS) + (len(rows) > STILL_ROWS)) * ROW_PX + 8
    return frame_svg(parts, NAME_PX + len(kinds) * CELL_PX + 8, height, differs=differs)


def _prepare(processes: Sequence[Process], kinds: Sequence[str]) -> tuple[list[Placed], Sequence[str], Names]:
    rows = arrange(processes)
    kinds = kinds or kinds_of(processes)
    return rows, kinds, name_namespaces([row.process for row in rows], kinds)


def _fold(rows: Sequence[Placed]) -> list[int]:
    """For each row, of which fold it is a part: the pid of the first of many that are alike, 0 for no fold."""
    folds: list[int] = []
    alike: list[Placed] = []
    for row in [*rows, None]:
        if row is None or not alike or _look(row) != _look(alike[0]):
            first = alike[0].process.pid if len(alike) > MANY_ALIKE + 1 else 0
            folds += [first if place >= MANY_ALIKE else 0 for place in range(len(alike))]
            alike = []
        if row is not None:
            alike.append(row)
    return folds


def _look(row: Placed) -> tuple[object, ...]:
    one = row.process
    return row.depth, one.comm, one.ppid, [(kind, of.inode) for kind, of in one.namespaces.items()]


def _row_html(
    row: Placed,
    kinds: Sequence[str],
    letters: Names,
    labels: Labels,
    is_new: bool,
    fold: int,
) -> str:
    process = row.process
    label = labels.get(process.pid, "")
    role = _role(process, label, kinds, letters)
    chip = f' <span class="lk-chip lk-ink-{role}">{escape(xml_safe(label))}</span>' if label else ""
    sign = mark(role) + " " if role else ""
    name = (
        f'<th scope="row" style="--depth:{min(row.depth, 8)}">{sign}<b>{escape(xml_safe(process.comm))}</b> '
        f'<span class="lk-dim">{process.pid}</span>{chip}</th>'
    )
    cells = "".join(_cell_html(process, kind, letters) for kind in kinds)
    folded = f' data-fold="{fold}" hidden' if fold else ""
    return f'<tr data-pid="{process.pid}"{" class=nm-new" if is_new else ""}{folded}>{name}{cells}</tr>'


def _role(process: Process, label: str, kinds: Sequence[str], letters: Names) -> str:
    """Whose process this is: the engine's, a container's, or one that has a name and shares all with the first."""
    if is_engine(process.comm):
        return "engine"
    if not label:
        return ""
    return "you" if all(letter_of(process, kind, letters) == "A" for kind in kinds) else "container"


def _cell_html(process: Process, kind: str, letters: Names) -> str:
    letter = letter_of(process, kind, letters)
    if letter == "?":
        return '<td title="/proc may not be asked for it">?</td>'
    return f'<td class="ns-of ns-{ink_of(letter)}" data-n="{process.namespaces[kind].inode}">{letter}</td>'


def _cell_svg(letter: str, x: float, y: float) -> list[str]:
    number = 0 if letter == "?" else ink_of(letter)
    ink = ROLES[INKS[number]].light
    look = (
        f'fill="{ink}" fill-opacity="0.14" stroke="{ink}" stroke-width="2"' if number else 'fill="#fff" stroke="#999"'
    )
    return [
        f'<rect x="{x:g}" y="{y + 2:g}" width="{CELL_PX - 8}" height="{ROW_PX - 4}" rx="4" {look}/>',
        words_svg(letter, x + CELL_PX / 2 - 10, y + 20, 700),
    ]


def _small_svg(words: str, x: float, y: float) -> str:
    return f'<text x="{x:g}" y="{y:g}" font-family="sans-serif" font-size="11" fill="#545c66">{escape(words)}</text>'
