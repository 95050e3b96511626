"""Does a docker that was made by pasting the solutions of lesson 16 pass the lesson's own table?"""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from labkit.check.program import PARTS
from labkit.check.solution import parse_solution
from tests.machine.host import KINDS
from tests.machine.test_exercises import NOTEBOOKS, SOLUTIONS, run

LESSON = next(path for path in NOTEBOOKS if path.stem.startswith("16"))
COMPARE = """
from labkit.check.program import MINE, PROGRAM
ours, theirs = ask_program(PROGRAM, TOOL), ask_docker(TOOL)
print(set(program.owners().values()) == {MINE}, len(theirs))
print({question: (ours.get(question), said) for question, said in theirs.items() if ours.get(question) != said})
"""


@pytest.mark.parametrize("kind", KINDS)
def test_pasted_solutions_give_what_docker_gives(kind: str, state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten questions, and no answer differs."""
    monkeypatch.setenv("LABKIT_MACHINE", kind)
    notebook = nbformat.read(LESSON, 4)
    client = NotebookClient(
        notebook, kernel_name="docker-lab", timeout=120, resources={"metadata": {"path": str(LESSON.parent)}}
    )
    opening, push = [cell for cell in notebook.cells if cell.cell_type == "code"][:2]
    pasted = [parse_solution((SOLUTIONS / f"16-{part.lower()}.py").read_text()).code for part in PARTS]
    with client.setup_kernel():
        for code in (opening.source, push.source, *pasted, "!python3 /root/mydocker pull {TOOL}"):
            run(client, nbformat.v4.new_code_cell(code))
        compared = run(client, nbformat.v4.new_code_cell(COMPARE))

    assert "True 10\n{}\n" == compared.outputs[0].text
