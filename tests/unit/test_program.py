"""Do parts become one program, and is the lesson's own program what the lesson says of it?"""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from labkit.check.mydocker import check_part
from labkit.check.peers import Start
from labkit.check.program import LESSONS, MINE, PARTS, Program, lessons_part, whole_program
from labkit.check.verdict import Verdict
from labkit.errors import LabError
from labkit.show.peers import peers_html, peers_text, rows_of
from labkit.widgets.peers import Starts

REPOSITORY = Path(__file__).resolve().parents[2]
MOST_LINES = 400  # of the five parts: "in about 300 lines", and what is said of them


@pytest.fixture
def program(tmp_path: Path) -> Program:
    return Program(tmp_path / "mydocker")


def test_the_frame_alone_is_a_program(program: Program) -> None:
    """It names the command that is not written yet, and ends with 1."""
    program.begin()
    done = subprocess.run([sys.executable, program.path, "ps"], capture_output=True, text=True)

    assert {} == program.owners()
    assert (1, "mydocker: the part with ps is not written yet\n") == (done.returncode, done.stderr)


def test_the_lessons_parts_stand_in_for_earlier_ones(program: Program) -> None:
    """Earlier ones alone; what the learner writes then takes their place, and a second text that of the first."""
    program.write("C", "first = 1\n")
    assert {"A": LESSONS, "B": LESSONS, "C": MINE} == program.owners()

    program.write("A", "mine = 1\n")
    program.write("C", "second = 2\n")
    text = program.path.read_text()

    assert {"A": MINE, "B": LESSONS, "C": MINE} == program.owners()
    assert "mine = 1" in text and "second = 2" in text
    assert "first" not in text.partition("part C")[2].partition("end of the parts")[0]
    assert "def do_pull" not in text


def test_pasted_solutions_are_the_whole_program(program: Program, tmp_path: Path) -> None:
    """But for whose the parts are."""
    for part in PARTS:
        program.write(part, lessons_part(part))
    owners = whole_program(tmp_path / "whole", tmp_path / "nothing")

    assert set(owners.values()) == {LESSONS}
    assert program.path.read_text().replace(MINE, LESSONS) == (tmp_path / "whole").read_text()


def test_a_learners_part_is_in_the_whole_program(program: Program, tmp_path: Path) -> None:
    """And the learner's file stays as it was."""
    program.write("A", "mine = 1\n")
    before = program.path.read_text()

    assert {"A": MINE, "B": LESSONS, "C": LESSONS, "D": LESSONS, "E": LESSONS} == whole_program(
        tmp_path / "whole", program.path
    )
    assert "mine = 1" in (tmp_path / "whole").read_text()
    assert before == program.path.read_text()


@pytest.mark.parametrize(
    ("part", "text", "words"),
    [("F", "a = 1", "There is no part 'F'"), ("", "a = 1", "no part"), ("A", "def (", "Part A is no Python")],
)
def test_what_is_no_part_is_refused(program: Program, part: str, text: str, words: str) -> None:
    """With one sentence, and nothing is written."""
    with pytest.raises(LabError, match=words):
        program.write(part, text)
    assert not program.path.exists()


def test_the_program_is_short_and_sound(tmp_path: Path) -> None:
    """Ruff finds nothing in it but the order of imports, which a reader needs in lines of one length."""
    whole_program(tmp_path / "mydocker.py", tmp_path / "nothing")
    ruff = str(Path(sys.executable).with_name("ruff"))
    config = f"--config={REPOSITORY / 'pyproject.toml'}"
    options = ["--no-cache", "--ignore=I001", config]
    linted = subprocess.run([ruff, "check", *options, tmp_path / "mydocker.py"], capture_output=True, text=True)
    lines = sum(len(lessons_part(part).splitlines()) for part in PARTS)

    assert 0 == linted.returncode, linted.stdout
    assert lines <= MOST_LINES


def test_the_program_imports_nothing_of_the_lab_but_system_calls(tmp_path: Path) -> None:
    """A learner can read all of it."""
    whole_program(tmp_path / "mydocker", tmp_path / "nothing")
    imports = [
        node for node in ast.walk(ast.parse((tmp_path / "mydocker").read_text())) if isinstance(node, ast.ImportFrom)
    ]

    assert {"pathlib", "labkit.linux.syscalls"} == {node.module for node in imports}


def test_a_part_of_the_lesson_is_no_try(program: Program) -> None:
    """The check looks at the learner's parts alone."""
    program.write("B", "x = 1\n")

    assert Verdict(attempted=False) == check_part(program, "A")


def test_a_row_differs_where_one_answer_is_missing_or_another() -> None:
    """In the text, and in the page, which escapes what a program has said."""
    ours, theirs = {"pid": "1", "name": "<a>"}, {"pid": "1", "name": "b", "logs": "x"}

    assert [True, False, False] == [same for _, _, _, same in rows_of(ours, theirs)]
    assert "differs" == peers_text(ours, theirs).splitlines()[2].split()[-1]
    assert "&lt;a&gt;" in peers_html(("mydocker", "docker"), ours, theirs)


def test_the_text_of_starts_has_relations_alone() -> None:
    """The slowest is named, by the quickest start of each."""
    starts = [Start("runc run", (0.2, 9.0)), Start("mydocker run", (0.3,)), Start("docker run", (0.5, 0.6))]

    assert "docker run takes longer than runc run\ndocker run takes longer than mydocker run" == repr(Starts(starts))
    assert Starts(starts)._repr_mimebundle_()["image/png"]
