"""Does every stored notebook leave nbval something to compare?

nbval passes a cell that was stored unexecuted, a cell tagged `raises-exception` without its stored error, and
outputs that were stripped. These rules close those ways.
"""

import re
from pathlib import Path
from typing import Any

import nbformat
import pytest

NOTEBOOKS = sorted((Path(__file__).resolve().parents[2] / "notebooks").glob("*.ipynb"))
IDENTITY = re.compile(r"\b[0-9a-f]{12,64}\b|/tmp/\w|/home/\w|0x[0-9a-f]{6,}")
UNCOMPARED = {"nbval-ignore-output", "nbval-skip"}


def faults(notebook: Any) -> list[str]:
    """Name each fault of a notebook, with the number of its cell."""
    found = []
    if notebook.metadata.get("kernelspec", {}).get("name") != "docker-lab":
        found.append("its kernel is not docker-lab")
    code = [cell for cell in notebook.cells if cell.cell_type == "code" and cell.source.strip()]
    if not any(cell.outputs for cell in code):
        found.append("no cell has an output")
    for number, cell in enumerate(code):
        found += [f"cell {number}: {fault}" for fault in cell_faults(cell, number)]
    return found


def cell_faults(cell: Any, number: int) -> list[str]:
    tags = set(cell.metadata.get("tags", []))
    raised = any(output.output_type == "error" for output in cell.outputs)
    text = "".join(output.get("text", "") + output.get("data", {}).get("text/plain", "") for output in cell.outputs)
    rules = {
        "stored unexecuted, or out of order": cell.execution_count != number + 1,
        "an error that is not tagged raises-exception": raised and "raises-exception" not in tags,
        "tagged raises-exception, without the error": "raises-exception" in tags and not raised,
        "its output is not compared": bool(tags & UNCOMPARED),
        f"an identity in its output: {IDENTITY.findall(text)[:1]}": bool(IDENTITY.search(text)),
    }
    return [fault for fault, broken in rules.items() if broken]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_a_notebook_has_no_fault(path: Path) -> None:
    """Every shipped notebook is stored as it ran, and shows relations instead of identities."""
    assert faults(nbformat.read(path, as_version=4)) == []


def test_there_are_notebooks() -> None:
    """The test above says nothing about an empty directory."""
    assert NOTEBOOKS


def make(count: int | None = 1, text: str = "fine\n", tags: tuple[str, ...] = (), error: bool = False) -> Any:
    cell = nbformat.v4.new_code_cell("print()", execution_count=count)
    cell.metadata["tags"] = list(tags)
    cell.outputs = [nbformat.v4.new_output("stream", name="stdout", text=text)]
    if error:
        cell.outputs.append(nbformat.v4.new_output("error", ename="E", evalue="", traceback=[]))
    notebook = nbformat.v4.new_notebook(cells=[cell])
    notebook.metadata["kernelspec"] = {"name": "docker-lab", "display_name": "", "language": "python"}
    return notebook


@pytest.mark.parametrize(
    "wrong",
    [
        make(count=None),
        make(count=2),
        make(tags=("raises-exception",)),
        make(error=True),
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
