"""Does every stored notebook leave nbval something to compare?

nbval passes a cell that was stored unexecuted, a cell tagged `raises-exception` without its stored error, and
outputs that were stripped. These rules close those ways. One more keeps a lesson whole on every engine.
"""

import re
from pathlib import Path
from typing import Any

import nbformat
import pytest

NOTEBOOKS = sorted((Path(__file__).resolve().parents[2] / "notebooks").glob("*.ipynb"))
IDENTITY = re.compile(r"\b[0-9a-f]{12,64}\b|/(?:tmp|home|root|work)/\w|0x[0-9a-f]{6,}")
UNCOMPARED = {"nbval-ignore-output", "nbval-skip", "pytest-validate-ignore-output", "nbval-raises-exception"}
INDEXED = re.compile(
    r"\bexchanges\s*\["
)  # one generation of docker asks more than another, and what comes first differs
MARKER = re.compile(r"^\s*#+\s*(?:NBVAL_|PYTEST_VALIDATE_)\w+", re.MULTILINE)  # nbval obeys these as it obeys tags


def faults(notebook: Any) -> list[str]:
    """Name each fault of a notebook, with the number of its cell."""
    found = []
    if notebook.metadata.get("kernelspec", {}).get("name") != "docker-lab":
        found.append("its kernel is not docker-lab")
    if "widgets" in notebook.metadata:
        found.append("it was saved with its widgets: tools/store_outputs.py stores it without")
    code = [cell for cell in notebook.cells if cell.cell_type == "code" and cell.source.strip()]
    kinds = "".join(cell.cell_type[0] for cell in notebook.cells)
    if "ccc" in kinds:
        found.append(f"more than two code cells in a row, from cell {kinds.index('ccc')} on")
    if not any(cell.outputs for cell in code):
        found.append("no cell has an output")
    for number, cell in enumerate(code):
        found += [f"cell {number}: {fault}" for fault in cell_faults(cell, number)]
    return found


def cell_faults(cell: Any, number: int) -> list[str]:
    tags = set(cell.metadata.get("tags", []))
    raised = any(output.output_type == "error" for output in cell.outputs)
    text = "\n".join(words(output) for output in cell.outputs)
    rules = {
        "stored unexecuted, or out of order": cell.execution_count != number + 1,
        "an error that is not tagged raises-exception": raised and "raises-exception" not in tags,
        "tagged raises-exception, without the error": "raises-exception" in tags and not raised,
        "its output is not compared": bool(tags & UNCOMPARED),
        "a comment tells nbval what to do: use a tag": bool(MARKER.search(cell.source)),
        "an exchange is taken by its place: use find(method, path)": bool(INDEXED.search(cell.source)),
        f"an identity in its output: {IDENTITY.findall(text)[:1]}": bool(IDENTITY.search(text)),
    }
    return [fault for fault, broken in rules.items() if broken]


def words(output: Any) -> str:
    """All that nbval compares of one output."""
    shown = [text for kind, text in output.get("data", {}).items() if kind.startswith(("text/", "image/svg"))]
    return "\n".join([output.get("text", ""), output.get("evalue", ""), *shown])


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_a_notebook_has_no_fault(path: Path) -> None:
    """Every shipped notebook is stored as it ran, and shows relations instead of identities."""
    assert faults(nbformat.read(path, as_version=4)) == []


def test_there_are_notebooks() -> None:
    """The test above says nothing about an empty directory."""
    assert NOTEBOOKS


def test_no_solution_takes_an_exchange_by_its_place() -> None:
    """What a lesson must not do, its solutions do not show."""
    solutions = sorted((NOTEBOOKS[0].parent / "solutions").glob("*.py"))

    assert solutions
    assert [] == [path.name for path in solutions if INDEXED.search(path.read_text())]


def make(
    count: int | None = 1,
    text: str = "fine\n",
    tags: tuple[str, ...] = (),
    error: str | None = None,
    source: str = "print()",
    kernel: str = "docker-lab",
) -> Any:
    cell = nbformat.v4.new_code_cell(source, execution_count=count)
    cell.metadata["tags"] = list(tags)
    cell.outputs = [nbformat.v4.new_output("stream", name="stdout", text=text)]
    if error is not None:
        cell.outputs.append(nbformat.v4.new_output("error", ename="E", evalue=error, traceback=[]))
    notebook = nbformat.v4.new_notebook(cells=[cell])
    notebook.metadata["kernelspec"] = {"name": kernel, "display_name": "", "language": "python"}
    return notebook


@pytest.mark.parametrize(
    "wrong",
    [
        make(count=None),
        make(count=2),
        make(tags=("raises-exception",)),
        make(error="no"),
        make(error="no /home/me", tags=("raises-exception",)),
        make(source="# NBVAL_IGNORE_OUTPUT\nprint()"),
        make(source="# NBVAL_SKIP\nprint()"),
        make(source="said.exchanges[1].request"),
        make(source="print(engine.exchanges [-1:])"),
        make(kernel="python3"),
        make(tags=("nbval-skip",)),
        make(text="f00dfeedf00d\n"),
        make(text="/tmp/x\n"),
    ],
)
def test_each_fault_is_seen(wrong: Any) -> None:
    """A notebook with one fault is refused, for that fault alone."""
    assert len(faults(wrong)) == 1


def test_a_sound_notebook_passes() -> None:
    """The rules do not refuse everything."""
    assert faults(make()) == []
    assert faults(make(error="expected", tags=("raises-exception",))) == []


def test_three_code_cells_in_a_row_are_seen() -> None:
    """Between two steps there is a word on what was seen."""
    notebook = make()
    notebook.cells += [make(count=number).cells[0] for number in (2, 3)]

    assert faults(notebook) == ["more than two code cells in a row, from cell 0 on"]


def test_a_notebook_saved_in_jupyterlab_is_seen() -> None:
    """What its widgets showed on a machine that is gone is nothing that others can compare."""
    notebook = make()
    notebook.metadata["widgets"] = {"application/vnd.jupyter.widget-state+json": {"state": {}}}

    assert faults(notebook) == ["it was saved with its widgets: tools/store_outputs.py stores it without"]


def test_stripped_outputs_are_seen() -> None:
    """A notebook without any output would be compared with nothing."""
    notebook = make()
    notebook.cells[0].outputs = []

    assert faults(notebook) == ["no cell has an output"]
