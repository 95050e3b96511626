"""How do the processes of `docker exec` get into a container, one making the next?

A column is a process, and time goes down. A step has the colour of the container once the process has joined its
namespaces, as has what comes of that process.
"""

from collections.abc import Sequence
from html import escape
from typing import NamedTuple

from labkit.isolation.tracing import Process, Step
from labkit.show.look import ROLES, figure
from labkit.show.still import cut, frame_svg, text_svg, words_svg, wrap_words

__all__ = ["entering_html", "entering_svg", "entering_text", "name_process"]

OUTSIDE, INSIDE, TROUBLE = "engine", "container", "trouble"
CAPTION = (
    "Time goes down; each column is a process. Look at the line under each name: the steps of a process "
    "with <b>one thread</b> are C code, which runs before the Go runtime starts. Find <code>setns</code>: from there "
    "on a step has the colour of the container."
)
STYLE = (
    "<style>.lke{container-type:inline-size}"
    ".lke-grid{display:grid;gap:6px clamp(3px,1cqw,10px);font-size:clamp(.75em,2.1cqw,1em)}"
    ".lke-head{font-weight:600;border-bottom:2px solid}.lke-head small{display:block;font-weight:400}"
    ".lke-step{border:1px solid;border-radius:4px;padding:.15em .4em;overflow-wrap:anywhere}"
    ".lke-step b{font-family:monospace}</style>"
)
ERROR_CAPTION = (
    "Time goes down; each column is a process. Look at the <b>red steps</b>: who finds the error, and who tells it on."
)
STDERR = "2"
COLUMN_PX, ROW_PX, TOP_PX = 205, 46, 60
COLUMNS = 25  # characters of a step's words


class Placed(NamedTuple):
    """A step, the column and the row in which it stands, and whether its process is in the container by then."""

    step: Step
    column: int
    row: int
    role: str


def name_process(process: Process, processes: Sequence[Process]) -> str:
    """The program that it begins with: its own, or that of the process that made it."""
    if process.steps and process.steps[0].what == "execve":
        return _shorten(process.steps[0].words)
    parent = next((one for one in processes if one.number == process.parent), None)
    return name_process(parent, processes) if parent else "a process"


def count_threads(process: Process) -> str:
    """Does Go's runtime run in it?"""
    return "Go: several threads" if process.did("thread") else "C: one thread"


def say(step: Step) -> tuple[str, str]:
    """A step's call, and what it is for."""
    match step.what:
        case "thread":
            return "clone", "threads: Go starts"
        case "process":
            return "clone", f"makes process {step.words}"
        case "execve":
            return "execve", f"becomes {_shorten(step.words)}"
        case "setns":
            return "setns", f"joins {step.words}"
        case "capset":
            return "capset", "gives up capabilities"
        case "look":
            return "stat", f"finds no {step.words} in PATH"
        case _:
            return "write", "prints the error" if step.words == STDERR else "the error, into a pipe"


def entering_html(processes: Sequence[Process]) -> str:
    """The columns, as a grid."""
    caption = ERROR_CAPTION if any(process.did("look") for process in processes) else CAPTION
    heads = "".join(
        f'<div class="lke-head" style="grid-column:{process.number};grid-row:1">'
        f"{process.number}. {escape(name_process(process, processes))}<small>{count_threads(process)}</small></div>"
        for process in processes
    )
    steps = "".join(
        f'<div class="lke-step lk-fill-{one.role}" style="grid-column:{one.column};grid-row:{one.row + 2}">'
        f"<b>{say(one.step)[0]}</b> {escape(say(one.step)[1])}</div>"
        for one in _place(processes)
    )
    columns = f"grid-template-columns:repeat({len(processes)},minmax(0,1fr))"
    body = f'<div class="lke"><div class="lke-grid" style="{columns}">{heads}{steps}</div></div>'
    return figure("the processes of an exec", body, caption=caption, keys=(OUTSIDE, INSIDE), style=STYLE)


def entering_text(processes: Sequence[Process]) -> str:
    """A block of lines for each process. Which namespaces a container has is not told: engines differ in that."""
    lines = []
    for process in processes:
        lines.append(f"{process.number}. {name_process(process, processes)} ({count_threads(process)})")
        for step in process.steps:
            call, words = say(step)
            lines.append(f"     {call:<7} {'joins namespaces of the container' if call == 'setns' else words}")
    return "\n".join(lines)


def entering_svg(processes: Sequence[Process]) -> str:
    """The columns as a still picture."""
    placed = _place(processes)
    parts = []
    for process in processes:
        x = 8 + (process.number - 1) * COLUMN_PX
        parts.append(words_svg(cut(f"{process.number}. {name_process(process, processes)}", COLUMNS), x, 22, 700))
        parts.append(words_svg(count_threads(process), x, 42))
    for one in placed:
        ink = ROLES[one.role].light
        x, y = 8 + (one.column - 1) * COLUMN_PX, TOP_PX + one.row * ROW_PX
        call, words = say(one.step)
        parts.append(
            f'<rect x="{x}" y="{y}" width="{COLUMN_PX - 12}" height="{ROW_PX - 6}" rx="4" stroke="{ink}" '
            f'fill="{ink}" fill-opacity="0.12"/>'
        )
        parts.append(words_svg(call, x + 6, y + 17, 700) + text_svg(words, x + 6, y + 33, columns=COLUMNS, rows=1))
    bottom = TOP_PX + (max((one.row for one in placed), default=0) + 1) * ROW_PX
    rows = wrap_words("Time goes down. Blue: outside the container. Brown: inside, after setns.")
    parts += [words_svg(row, 8, bottom + 20 + 20 * number) for number, row in enumerate(rows)]
    return frame_svg(parts, 8 + len(processes) * COLUMN_PX, bottom + 10 + 20 * len(rows), differs=True)


def _place(processes: Sequence[Process]) -> list[Placed]:
    """Give each step a row: a process begins below the step that made it; the error is told upwards at the end."""
    begins = {1: 0}
    inside: dict[int, bool] = {}
    placed: list[Placed] = []
    late: list[tuple[Process, Step]] = []
    for process in processes:
        row = begins.get(process.number, 0)
        is_in = inside.get(process.parent, False)
        for step in process.steps:
            if step.what == "write":
                late.append((process, step))
                continue
            is_in = is_in or step.what == "setns"
            role = TROUBLE if step.what == "look" else INSIDE if is_in else OUTSIDE
            placed.append(Placed(step, process.number, row, role))
            row += 1
            if step.what == "process":
                begins[int(step.words)] = row
        inside[process.number] = is_in
    row = max((one.row for one in placed), default=-1) + 1
    for number, (process, step) in enumerate(reversed(late)):
        placed.append(Placed(step, process.number, row + number, TROUBLE))
    return placed


def _shorten(words: str) -> str:
    """The program and the first word after its options: `runc --root R exec ID true` is `runc exec`.

    >>> _shorten("/usr/sbin/runc --root /run/x exec 0123 true")
    'runc exec'
    """
    first, *rest = words.split() or [""]
    program = first.rpartition("/")[2]
    known = [word for word in rest if word in ("exec", "init", "run", "create")][:1]
    return " ".join([program, *known])
