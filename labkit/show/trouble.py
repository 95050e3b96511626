"""What does a lesson say, in one line, of an error?

What happened, in the words of who refused, and the way out. Only errors that labkit knows have such a line; of any
other, Python's own traceback says more.
"""

import re
from collections.abc import Sequence
from html import escape
from traceback import FrameSummary

from labkit.cells import Cell, find_maker, find_maker_of_container, find_maker_of_image
from labkit.errors import EngineRefusal, LabError

__all__ = ["explain_error", "fold_html", "name_cell"]

TAKEN = re.compile(r'container name "/?([^"]+)" is already in use')
MISSING = re.compile(r"(?i)no such (container|image): *([^\s,]+)")
TWICE = re.compile(r"(?i)\b(no such (?:container|image): *\S+): (?=\1)")  # an engine says it twice of an image
RUN_ABOVE = "Choose Run > Run All Above Selected Cell."
LINE_LETTERS = 60
FOLD = "font-size:var(--jp-code-font-size,13px);color:var(--jp-ui-font-color2,#555)"


def explain_error(error: BaseException, cells: Sequence[Cell] = (), running: int = 0, *, ours: bool = False) -> str:
    """The sentence for an error, without its type; "": there is none, and the traceback is to be shown.

    `cells` are the notebook's code cells, `running` the number of the one that failed; `ours`: labkit itself raised it.
    """
    match error:
        case EngineRefusal():
            sentence = _explain_refusal(error, cells, running)
        case NameError(name=str(name)) if maker := find_maker(cells, name, running):
            sentence = _send_to(maker, name, running)
        case NameError():
            sentence = ""
        case AssertionError():
            sentence = str(error)
        case KeyboardInterrupt():
            sentence = "You stopped this cell."
        case LabError():
            sentence = str(error)
        case _:
            sentence = str(error) if ours else ""
    return " ".join(sentence.split())


def _explain_refusal(error: EngineRefusal, cells: Sequence[Cell], running: int) -> str:
    if error.status == 409 and (taken := TAKEN.search(error.message)):
        name = taken[1]
        return (
            f"There is a container named {name} already: this cell, or another one, ran before. "
            f'lesson.remove("{name}") removes that container. Then run this cell again.'
        )
    if error.status == 404 and (missing := MISSING.search(error.message)):
        kind, name = missing[1].lower(), missing[2].rstrip(".:")
        find = find_maker_of_image if kind == "image" else find_maker_of_container
        if maker := find(cells, name, running):
            return f"{TWICE.sub('', str(error))}. {_send_to(maker, name, running)}"
    return TWICE.sub("", str(error))


def _send_to(maker: Cell, name: str, running: int) -> str:
    """The sure way first: who runs one cell alone may be sent on to the next."""
    if 0 < running < maker.number:
        return f"`{name}` is made further down, {name_cell(maker)}. Run that cell first."
    return f"{RUN_ABOVE} (`{name}` is made {name_cell(maker)}.)"


def name_cell(cell: Cell) -> str:
    """How a sentence names the cell that makes something, by what a reader of the page sees: heading and first line."""
    if cell.number == 1:
        return "by the set-up cell, the first code cell of this notebook"
    where = f'under the heading "{cell.heading}" ' if cell.heading else ""
    line = cell.source.strip().partition("\n")[0].partition("  # ")[0]
    if len(line) > LINE_LETTERS:
        line = line[:LINE_LETTERS].rstrip() + " ..."
    return f"{where}by the cell that begins with `{line}`"


def fold_html(frames: Sequence[FrameSummary], words: str) -> str:
    """Where an error came from, folded away: the lines that led to it, and what it said itself."""
    lines = [f"{frame.filename}, line {frame.lineno}, in {frame.name}\n    {frame.line}" for frame in frames]
    text = escape("\n".join([*lines, words]))
    return (
        f'<details class="labkit-where" style="{FOLD}"><summary>Where it happened</summary><pre>{text}</pre></details>'
    )
