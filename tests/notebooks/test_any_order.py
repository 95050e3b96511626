"""May every code cell of every lesson be run again, and in any order, and does the tool see where it may not?"""

from pathlib import Path
from typing import Any

import nbformat

from tests.notebooks.any_order import judge, orders


def cell_with(*outputs: Any, tags: tuple[str, ...] = ()) -> Any:
    cell = nbformat.v4.new_code_cell("print()", outputs=list(outputs))
    cell.metadata["tags"] = list(tags)
    return cell


def error(*traceback: str, value: str = "no") -> Any:
    return nbformat.v4.new_output("error", ename="E", evalue=value, traceback=list(traceback))


def test_a_traceback_is_a_fault() -> None:
    """Several parts, or one of several lines; the error's first line is told."""
    assert "E: no" == judge(cell_with(error("-----", "E  Traceback", "E: no")))
    assert "E: no" == judge(cell_with(error("E\nTraceback", value="no\nmore")))


def test_one_sentence_is_none() -> None:
    """Nor is an output without an error, nor an error that the lesson shows on purpose."""
    assert "" == judge(cell_with(error("\x1b[31mE\x1b[0m: run the cell above first")))
    assert "" == judge(cell_with(nbformat.v4.new_output("stream", name="stdout", text="fine\n")))
    assert "" == judge(cell_with(error("E", "Traceback"), tags=("raises-exception",)))


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
