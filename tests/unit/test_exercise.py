"""Does the help of an exercise grow with the tries, and does what is stored stay the same?"""

import doctest
import json
import re
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest

from labkit.check import solution
from labkit.check.solution import Solution, is_released, parse_solution, read_solution
from labkit.check.verdict import Verdict
from labkit.course import list_lessons
from labkit.errors import LabError
from labkit.journal import Journal
from labkit.widgets import exercise as exercises
from labkit.widgets.exercise import Exercises

DONE, MISSING, UNTOUCHED = Verdict(True), Verdict(True, "pet has ended"), Verdict(attempted=False)
MAGIC = re.compile(r"\A%%part [A-E]\n")  # lesson 16: a part of a program, in a cell of its own
TEXT = "{http://www.w3.org/2000/svg}text"
LESSON = "00-start-here"


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Exercises:
    """The exercises of a lesson that has two hints and a solution, opened in an empty directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(exercises, "read_solution", lambda *_: Solution(("Use `-d`.", "Use `--name`."), "sh('it')\n"))
    return Exercises(LESSON, Journal("", {}))


def test_the_documented_example() -> None:
    """What the module's docstring shows is true."""
    assert doctest.testmod(solution) == doctest.TestResults(failed=0, attempted=1)


def test_hints_come_one_a_try_and_then_the_solution(opened: Exercises) -> None:
    """None with the first try; the stored text is the verdict, whichever try it was."""
    shown = [opened.check("A", MISSING) for _ in range(4)]

    assert ["not yet: pet has ended"] * 4 == [repr(view) for view in shown]
    assert [0, 1, 2, 2] == [view.html.count("<b>Hint ") for view in shown]
    assert [False, False, False, True] == ["lesson.solution" in view.html for view in shown]
    assert [f"after {count}" in view.html for count, view in enumerate(shown, 1)] == [True] * 4
    assert "<code>--name</code>" in shown[-1].html


def test_the_picture_for_a_second_visit_says_all(opened: Exercises) -> None:
    """The state, the tries, what the check saw and the hints, with no mark of code left over."""
    opened.check("A", MISSING)
    words = [text.text for text in ElementTree.fromstring(opened.check("A", MISSING).still).iter(TEXT)]
    assert ["◐ Not yet after 2 tries", "The check saw: pet has ended.", "Hint 1: Use -d."] == words
    words = [text.text for text in ElementTree.fromstring(opened.check("B", DONE).still).iter(TEXT)]
    assert ["✓ Done after 1 try"] == words


def test_what_was_not_tried_is_no_try(opened: Exercises) -> None:
    """Nor is a look at what is done already; other exercises have tries of their own."""
    for _ in range(3):
        assert "not attempted" == repr(opened.check("A", UNTOUCHED))
    assert {"A": {"done": False, "tries": 0}} == opened.seen  # the end of the lesson names it
    opened.check("B", MISSING)

    assert "Hint" not in opened.check("A", MISSING).html
    view = opened.check("A", DONE)
    assert ("done", True, False) == (repr(view), "after 2 tries" in view.html, "Hint" in view.html)


def test_what_the_check_saw_is_escaped(opened: Exercises) -> None:
    """A container may be called anything, and print anything."""
    assert "&lt;b&gt;" in opened.check("A", Verdict(True, "it says <b>")).html


def test_a_hint_may_be_asked_for(opened: Exercises) -> None:
    """Each question gives one more, without a try; a check does not take it back."""
    asked = [repr(opened.hint("A")) for _ in range(3)]

    assert "Hint 1: Use `-d`." == asked[0]
    assert "Hint 1: Use `-d`.\nHint 2: Use `--name`." == asked[1]
    assert asked[2].endswith('`lesson.solution("A")` shows a solution.')
    assert 2 == opened.check("A", MISSING).html.count("<b>Hint ")


def test_the_solution_takes_two_tries(opened: Exercises, capsys: pytest.CaptureFixture[str]) -> None:
    """Before, it is said how many are left."""
    opened.solution("A")
    opened.check("A", MISSING)
    opened.solution("A")
    opened.check("A", MISSING)
    opened.solution("A")

    more = 'The solution is shown after {}. lesson.hint("A") gives a hint.\n'
    assert more.format("2 more tries") + more.format("1 more try") + "sh('it')\n" == capsys.readouterr().out


def test_who_has_done_it_may_compare(opened: Exercises, capsys: pytest.CaptureFixture[str]) -> None:
    """Also after the first try."""
    opened.check("A", DONE)
    opened.solution("A")

    assert "sh('it')\n" == capsys.readouterr().out


def test_the_teacher_may_release_it(opened: Exercises, capsys: pytest.CaptureFixture[str]) -> None:
    """By a file beside the notebooks."""
    Path("release.json").write_text('{"solutions": ["00-a"]}')
    opened.solution("A")
    opened.solution("B")

    assert capsys.readouterr().out.startswith("sh('it')\nThe solution is shown after 2 more tries.")


@pytest.mark.parametrize(
    ("names", "released"),
    [([], False), (["00-a"], True), (["00-A"], True), (["00"], True), (["all"], True), (["01", "00-b"], False)],
)
def test_what_is_released(names: list[str], released: bool, tmp_path: Path) -> None:
    """An exercise, a lesson, or all; without the file, nothing."""
    assert not is_released(tmp_path, LESSON, "A")
    (tmp_path / "release.json").write_text(json.dumps({"solutions": names}))

    assert released is is_released(tmp_path, LESSON, "A")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"solutions": 1}', "\xff"])
def test_a_release_that_cannot_be_understood(text: str, tmp_path: Path) -> None:
    """The teacher learns what it should hold."""
    (tmp_path / "release.json").write_text(text, encoding="latin-1")

    with pytest.raises(LabError, match=r'should hold \{"solutions"'):
        is_released(tmp_path, LESSON, "A")


def test_an_exercise_without_a_file_can_be_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A teacher's own; who asks for its hint or solution hears that there is none."""
    monkeypatch.chdir(tmp_path)
    opened = Exercises("99-mine", Journal("", {}))
    ask: Callable[[str], object]
    for _ in range(4):
        assert "lesson.solution" not in opened.check("A", MISSING).html
    for ask in (opened.hint, opened.solution):
        with pytest.raises(LabError, match="99-mine has no solution of an exercise 'A'"):
            ask("A")


def test_no_other_file_is_read() -> None:
    """Whatever stands where the name of an exercise should."""
    for name in ("../../pyproject", "", "a/b", "a.b"):
        with pytest.raises(LabError):
            read_solution(LESSON, name)


def test_every_solution_has_two_hints_and_code() -> None:
    """The first is short; code is Python without the hints."""
    folder = list_lessons()[0].path.parent / "solutions"
    found = {path.name: parse_solution(path.read_text()) for path in folder.glob("*.py")}

    assert found
    assert [] == [name for name, given in found.items() if len(given.hints) < 2 or not given.code.strip()]
    code = {name: MAGIC.sub("", given.code) for name, given in found.items()}
    assert [] == [name for name, text in code.items() if "Hint:" in text or not compile(text, name, "exec")]
