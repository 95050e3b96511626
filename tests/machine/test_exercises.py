"""Is an exercise judged right on a real machine: untouched, after each usual mistake, and after the solution?"""

from pathlib import Path
from typing import Any, NamedTuple

import nbformat
import pytest
from nbclient import NotebookClient

from labkit.check.solution import parse_solution
from tests.machine.host import KINDS
from tests.machine.mistakes import MISTAKES

NOTEBOOKS = sorted((Path(__file__).resolve().parents[2] / "notebooks").glob("*.ipynb"))
SOLUTIONS = NOTEBOOKS[0].parent / "solutions"
LEAST_MISTAKES = 3
BEGIN_ANEW = """
for one in engine.get("/containers/json", query={"all": True}).json():
    engine.delete(f"/containers/{one['Id']}", query={"force": True})
for one in engine.get("/images/json").json():
    for name in one["RepoTags"] or []:
        if name != "busybox:latest":
            engine.delete(f"/images/{name}")
"""


class Try(NamedTuple):
    """What a learner did, and what the check has said then."""

    exercise: str
    code: str
    verdict: str


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
    """Every lesson has an exercise, every exercise three mistakes or more, and nothing is left over."""
    found = {path.name: [name for name, _, _ in exercises(nbformat.read(path, 4))] for path in NOTEBOOKS}
    names = sorted(name for some in found.values() for name in some)
    counted = {name: sum(mistake.exercise == name for mistake in MISTAKES) for name in names}

    assert all(found.values()), found
    assert names == sorted(path.stem for path in SOLUTIONS.glob("*.py"))
    assert {mistake.exercise for mistake in MISTAKES} == set(names)
    assert [] == [name for name, count in counted.items() if count < LEAST_MISTAKES]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("lesson", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_check_judges_right(lesson: Path, kind: str, state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Untouched it is not attempted, a mistake is named, the solution is done; all on one machine."""
    monkeypatch.setenv("LABKIT_MACHINE", kind)

    assert [] == misjudged(judge_exercises(lesson))


def misjudged(tries: list[Try]) -> list[Try]:
    """Those whose verdict is not what it should be."""
    words = {(exercise, code): words for exercise, code, words in MISTAKES}
    return [one for one in tries if not says(one.verdict, words.get(one[:2], "done" if one.code else "not attempted"))]


def says(verdict: str, words: str) -> bool:
    return words in verdict and (words in ("done", "not attempted") or verdict.startswith("not yet: "))


def judge_exercises(lesson: Path) -> list[Try]:
    """What the checks say, on one machine of this environment, of every try of every exercise of a lesson."""
    notebook = nbformat.read(lesson, 4)
    client = NotebookClient(
        notebook,
        kernel_name="docker-lab",
        timeout=120,
        allow_errors=True,
        resources={"metadata": {"path": str(lesson.parent)}},
    )
    opening = next(cell for cell in notebook.cells if cell.cell_type == "code")
    tries = []
    with client.setup_kernel():
        run(client, opening)
        for name, answer, check in exercises(notebook):
            solution = parse_solution((SOLUTIONS / f"{name}.py").read_text()).code  # as a learner pastes it
            codes = ["", *(mistake.code for mistake in MISTAKES if mistake.exercise == name), solution]
            for code in codes:
                run(client, nbformat.v4.new_code_cell(BEGIN_ANEW))
                answer.source = code
                run(client, answer)
                tries.append(Try(name, code, verdict_of(run(client, check))))
    return tries


def run(client: NotebookClient, cell: Any) -> Any:
    client.nb.cells.append(cell)
    return client.execute_cell(cell, len(client.nb.cells) - 1)


def verdict_of(cell: Any) -> str:
    """The text of what the check gives, or the error that it raised."""
    for output in cell.outputs:
        if output.output_type == "error":
            return f"{output.ename}: {output.evalue}"
    return "\n".join(output.data["text/plain"] for output in cell.outputs if output.output_type == "execute_result")


def test_a_wrong_verdict_is_seen() -> None:
    """A mistake that is called done, or is not named, and a solution that is not enough."""
    mistake = MISTAKES[0]
    right = [
        Try("00-a", "", "not attempted"),
        Try("00-a", mistake.code, f"not yet: there is {mistake.words} pet"),
        Try("00-a", "the solution", "done"),
    ]
    wrong = [
        Try("00-a", "", "done"),
        Try("00-a", mistake.code, "not attempted"),
        Try("00-a", mistake.code, "not yet: something else"),
        Try("00-a", "the solution", "not yet: no"),
    ]

    assert wrong == misjudged(right + wrong)
