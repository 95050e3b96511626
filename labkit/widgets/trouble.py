"""How is an error shown in a lesson?

As one line that says what happened and the way out (`labkit.show.trouble`), with a fold that says where. The cell has
failed all the same: Run All stops, and the stored output is an error.

An IPython extension: a machine's kernel loads it when it starts, so that it serves before the set-up cell has run.
What it needs it imports at once: after a chroot, no module can be found.
"""

import os
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from traceback import FrameSummary, extract_tb
from types import TracebackType
from typing import Any

from IPython.display import display

from labkit.cells import Cell, parse_cells
from labkit.errors import EngineUnreachable, ExperimentError, LabError
from labkit.linux.orphans import end_orphans, ticks
from labkit.linux.place import Place, count_threads, explain_change, explain_threads, read_place
from labkit.show.trouble import explain_error, fold_html

__all__ = ["load_ipython_extension", "read_lesson_cells", "warn_of_waiting"]

SHOWN = (LabError, AssertionError, NameError, OSError, RuntimeError, KeyboardInterrupt)
DISPLACED = (
    EngineUnreachable,
    ExperimentError,
    OSError,
    RuntimeError,
)  # what fails when this Python has been taken elsewhere
SYSCALLS = str(Path(__file__).resolve().parents[1] / "linux/syscalls.py")
PACKAGE = str(Path(__file__).resolve().parents[1])
FOLLOWING = r"docker(?: container)? (?:attach|events|stats|logs .*-f|run .*-(?:it|ti|i)\b)"
WAITS = re.compile(rf"^\s*!\s*((?:.*\b)?{FOLLOWING}.*)$", re.MULTILINE)

_began: Place | None = None
_cell_began = 0  # clock ticks


def load_ipython_extension(shell: Any) -> None:
    """Have the errors of this kernel's cells shown so; note where this Python is, before cells can move it."""
    global _began
    _began = read_place()
    shell.set_custom_exc(SHOWN, show_error)
    shell.events.register("pre_run_cell", _begin_cell)
    shell.events.register("post_run_cell", lambda result: _end_cell(shell, result.info.raw_cell or ""))


def show_error(
    shell: Any, kind: type[BaseException], error: BaseException, tb: TracebackType | None, tb_offset: int | None = None
) -> None:
    """Show an error that a cell raised: as one line where there is one, else as Python does."""
    frames = extract_tb(tb)
    source = shell.user_ns.get("In", [""])[-1]
    sentence = _explain_place(error) or _explain_threads(error, frames)
    if not sentence:
        cells = read_lesson_cells(source)
        running = next((cell.number for cell in cells if cell.source.strip() == source.strip()), 0)
        sentence = explain_error(error, cells, running, ours=frames[-1].filename.startswith(PACKAGE))
    if not sentence:
        shell.showtraceback((kind, error, tb), tb_offset=tb_offset)
        return
    shell._showtraceback(kind, error, [f"\x1b[0;31m{kind.__name__}\x1b[0m: {sentence}"])
    fold = fold_html(_name_files(shell, frames), f"{kind.__name__}: {error}")
    display({"text/html": fold, "text/plain": ""}, raw=True)  # type: ignore[no-untyped-call]


def _explain_place(error: BaseException) -> str:
    if _began is None or not isinstance(error, DISPLACED):
        return ""
    change = explain_change(_began, read_place())
    # What an engine that cannot be reached advises, to start dockerd again, is no cure here.
    return f"{error}. {change}" if change and not isinstance(error, EngineUnreachable) else change


def _explain_threads(error: BaseException, frames: Sequence[FrameSummary]) -> str:
    calls = [frame.name for frame in frames if frame.filename == SYSCALLS]
    if not calls or not isinstance(error, OSError):
        return ""
    return explain_threads(calls[0], error.errno or 0, count_threads())


def read_lesson_cells(source: str) -> tuple[Cell, ...]:
    """The code cells of the notebook in this directory that has a cell of that text.

    A kernel is not told which notebook it serves. Where the cell was changed and not saved, it is the open lesson's
    notebook; before a lesson is open, the set-up cell is known, as it is much the same in all.
    """
    opened = getattr(sys.modules.get("labkit.lesson"), "_opened", None)
    lesson = opened.name if opened else ""
    notebooks = dict(sorted(_read_notebooks(), key=lambda found: found[0] != lesson))  # the open one first
    for cells in notebooks.values():
        if any(cell.source.strip() == source.strip() for cell in cells):
            return cells
    return notebooks.get(lesson) or next(iter(notebooks.values()), ())[:1]


def _read_notebooks() -> Iterator[tuple[str, tuple[Cell, ...]]]:
    for path in sorted(Path.cwd().glob("*.ipynb")):
        with suppress(OSError, ValueError):
            yield path.stem, parse_cells(path.read_text())


def _name_files(shell: Any, frames: Sequence[FrameSummary]) -> list[FrameSummary]:
    """The frames from the cell on, with names that are the same on every computer."""
    named: list[FrameSummary] = []
    for frame in frames:
        label = shell.compile.format_code_name(frame.filename)
        if label is None and not named:  # IPython's own
            continue
        name = " ".join(label) if label else os.path.relpath(frame.filename, os.path.dirname(PACKAGE))
        named.append(FrameSummary(_after_packages(name), frame.lineno, frame.name, line=frame.line))
    return named


def _after_packages(name: str) -> str:
    return re.sub(r"^.*(?:site-packages|dist-packages|lib/python[\d.]+)/", "", name)


def _begin_cell(info: Any) -> None:
    global _cell_began
    _cell_began = ticks()
    if words := warn_of_waiting(info.raw_cell or ""):
        print(words)


def _end_cell(shell: Any, source: str) -> None:
    """End what an interrupted `!` line leaves: IPython kills the shell alone, and swallows the interrupt."""
    was_killed = shell.user_ns.get("_exit_code", 0) < 0  # by a signal
    if "!" in source and was_killed and (names := end_orphans(_cell_began)):
        print("ended with the line:", ", ".join(names))


def warn_of_waiting(source: str) -> str:
    """What to say before a cell whose `!` line waits for ever, as docker attach does; "": nothing."""
    found = WAITS.search(source)
    if found is None:
        return ""
    return f"`{found[1].strip()}` may not end by itself: if the cell hangs, Kernel > Interrupt ends it."
