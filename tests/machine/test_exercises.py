"""Does each folded solution satisfy its checker, on a real machine, and is there one for each exercise?"""

from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from tests.machine.host import KINDS

NOTEBOOKS = sorted((Path(__file__).resolve().parents[2] / "notebooks").glob("*.ipynb"))
SOLUTIONS = NOTEBOOKS[0].parent / "solutions"


def exercises(notebook: Any) -> list[tuple[str, Any, Any]]:
    """The exercises of a notebook: the name of its solution, the learner's cell, and the check below it."""
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    return [
        (tag.removeprefix("exercise-"), cell, code[number + 1])
        for number, cell in enumerate(code)
        for tag in cell.metadata.get("tags", [])
        if tag.startswith("exercise-")
    ]


def test_each_exercise_has_a_solution_and_each_solution_an_exercise() -> None:
    """Every lesson has an exercise, and no solution is left over."""
    found = {path.name: [name for name, _, _ in exercises(nbformat.read(path, 4))] for path in NOTEBOOKS}

    assert all(found.values()), found
    assert sorted(f"{name}.py" for names in found.values() for name in names) == sorted(
        path.name for path in SOLUTIONS.iterdir()
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("solution", sorted(SOLUTIONS.iterdir()), ids=lambda path: path.stem)
def test_a_solution_satisfies_its_check(
    solution: Path, kind: str, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the lesson's first cell and the solution, nothing else, the check says done."""
    monkeypatch.setenv("LABKIT_MACHINE", kind)

    assert ["done"] == judge_solution(solution)


def judge_solution(solution: Path) -> list[str]:
    """What the check says after the lesson's first cell and the solution, on a machine of this environment."""
    (path,) = (path for path in NOTEBOOKS if path.stem.partition("-")[0] == solution.stem.partition("-")[0])
    notebook = nbformat.read(path, 4)
    answer, check = next(cells for name, *cells in exercises(notebook) if name == solution.stem)
    answer.source = solution.read_text()
    opening = next(cell for cell in notebook.cells if cell.cell_type == "code")
    notebook.cells = [opening, answer, check]

    NotebookClient(notebook, kernel_name="docker-lab", timeout=120, resources={"metadata": {"path": "."}}).execute()
    return [output.data["text/plain"] for output in check.outputs]
