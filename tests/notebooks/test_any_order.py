"""May every code cell of every lesson be run again, and in any order, and does the tool see where it may not?"""

import os
from pathlib import Path
from typing import Any

import nbformat
import pytest

from labkit.machine import doctor
from tests.notebooks import any_order
from tests.notebooks.any_order import judge, orders, run_all

NOTEBOOKS = sorted((Path(__file__).resolve().parents[2] / "notebooks").glob("*.ipynb"))


def cell_with(*outputs: Any, tags: tuple[str, ...] = ()) -> Any:
    cell = nbformat.v4.new_code_cell("print()", outputs=list(outputs))
    cell.metadata["tags"] = list(tags)
    return cell


def error(*traceback: str, value: str = "no") -> Any:
    return nbformat.v4.new_output("error", ename="E", evalue=value, traceback=list(traceback))


def test_a_traceback_is_a_fault() -> None:
    """Several parts, or one of several lines; the error's first line is told."""
    assert ("", "E: no") == judge(cell_with(error("-----", "E  Traceback", "E: no")))
    assert ("", "E: no") == judge(cell_with(error("E\nTraceback", value="no\nmore")))


def test_one_sentence_is_none() -> None:
    """Nor is an output without an error, nor an error that the lesson shows on purpose."""
    said = "E: run the cell above first"

    assert (said, "") == judge(cell_with(error("\x1b[31mE\x1b[0m: run the cell above first")))
    assert ("", "") == judge(cell_with(nbformat.v4.new_output("stream", name="stdout", text="fine\n")))
    assert ("", "") == judge(cell_with(error("E", "Traceback"), tags=("raises-exception",)))


def test_the_orders() -> None:
    """The set-up cell is first in each; a seed gives the same order each time, of every cell, and not the page's."""
    found = orders(9, seeds=3)

    assert [0, 0, 1, 1] == found["each cell twice"][:4]
    assert 4 == len(found) and found == orders(9, seeds=3)
    for seed in range(3):
        order = found[f"seed {seed}"]
        assert 0 == order[0] and [*range(9)] == sorted(order) != order


def test_the_command_is_documented() -> None:
    """Who writes a lesson finds it."""
    assert (
        "python -m tests.notebooks.any_order"
        in (Path(__file__).resolve().parents[2] / "docs/writing-a-lesson.md").read_text()
    )


@pytest.fixture
def native(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have machines of the kind `native`; where there can be none, say so, and fail in CI."""
    if problems := doctor.check("native"):
        words = "NOT TESTED: cells in any order. " + " ".join(map(str, problems))
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(words)
    monkeypatch.setenv("LABKIT_MACHINE", "native")


@pytest.mark.lessons
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_any_cell_may_be_run_again(path: Path, native: None) -> None:
    """Each twice in a row, and all in five orders: it says what it says, or one sentence."""
    runs = run_all([path])

    assert len({run.cell for run in runs}) > 5
    assert [] == [str(run) for run in runs if run.fault]


@pytest.mark.lessons
def test_a_lesson_with_faults(native: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A traceback on the second run and a cell that hangs are faults; a name that another cell makes is a sentence."""
    monkeypatch.setattr(any_order, "CELL_S", 4)
    sources = [
        "import time",
        "once = locals().get('once', 0) + 1\n1 / (2 - once)",
        "time.sleep(60)",
        "later = 1",
        "later",
    ]
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "x.ipynb")
    monkeypatch.setattr(any_order, "orders", lambda *_: {"mine": [0, 1, 1, 2, 4, 3, 4]})
    runs = run_all([tmp_path / "x.ipynb"])

    assert ["", "", "ZeroDivisionError: division by zero", "did not end in 4 s", "", "", ""] == [r.fault for r in runs]
    assert [5] == [
        run.cell for run in runs if "(`later` is made by the cell that begins with `later = 1`.)" in run.sentence
    ]
