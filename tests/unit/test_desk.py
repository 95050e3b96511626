"""Does a learner's folder get the lessons, and keep through every update what the learner has done in it?"""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from labkit import course, progress
from labkit.desk import folder as desk
from labkit.desk.home import draw_home, home_page, home_picture
from labkit.errors import LabError
from labkit.progress import Note, keep, read_learner

ROOT = Path(__file__).resolve().parents[2]
LESSON = "01-engine-api.ipynb"
LINK = re.compile(r"\]\((?![a-z]+:|#)([^)#]+)")


def read_cells(path: Path) -> list[dict[str, Any]]:
    cells: list[dict[str, Any]] = json.loads(path.read_text())["cells"]
    return cells


def work_in(path: Path, words: str = "my own words") -> bytes:
    """Change a notebook as a learner does; give its bytes."""
    notebook = json.loads(path.read_text())
    notebook["cells"][0]["source"] = words
    path.write_text(json.dumps(notebook))
    return path.read_bytes()


@pytest.fixture
def newer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory of a newer course, which differs in one lesson, has one more, and one text less."""
    root = tmp_path / "newer"
    subprocess.run(["cp", "-r", "--parents", "notebooks", "docs", root.mkdir() or root], cwd=ROOT, check=True)
    work_in(root / "notebooks" / LESSON, "# Newer\n\n[words](../docs/glossary.md)")
    (root / "notebooks/99-more.ipynb").write_bytes((ROOT / "notebooks" / LESSON).read_bytes())
    (root / "notebooks/flags/lines.txt").unlink()
    monkeypatch.setattr(desk, "course_dir", lambda: root)
    monkeypatch.setattr(course, "course_dir", lambda: root)
    return root


def test_the_folder_has_the_lessons_and_nothing_for_others(tmp_path: Path) -> None:
    """Every lesson is there, without outputs; no solution, no test; every link leads to something that is there."""
    desk.lay_course(tmp_path / "mine")

    lessons = sorted((tmp_path / "mine").glob("*.ipynb"))
    assert sorted(path.name for path in (ROOT / "notebooks").glob("*.ipynb")) == [path.name for path in lessons]
    code = [cell for path in lessons for cell in read_cells(path) if cell["cell_type"] == "code"]
    assert code and not any(cell["outputs"] or cell["execution_count"] for cell in code)
    names = [str(path.relative_to(tmp_path / "mine")) for path in (tmp_path / "mine").rglob("*")]
    assert [] == [name for name in names if "solution" in name or "test" in name]
    for path in [*lessons, tmp_path / "mine/home.md"]:
        text = (
            path.read_text()
            if path.suffix == ".md"
            else "\n".join("".join(cell["source"]) for cell in read_cells(path) if cell["cell_type"] == "markdown")
        )
        for link in LINK.findall(text):
            assert (tmp_path / "mine" / link).is_file(), (path.name, link)
    marker = json.loads((tmp_path / "mine" / desk.MARKER).read_text())
    assert (1, True) == (marker["version"], LESSON in marker["laid"])


def test_a_second_call_changes_nothing(tmp_path: Path) -> None:
    """What is up to date is not even written again; of the first call nobody wants a list of all files."""
    assert "" == str(desk.lay_course(tmp_path))
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.name != desk.MARKER}

    assert "" == str(desk.lay_course(tmp_path))

    assert before == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.name != desk.MARKER}


def test_an_update_replaces_what_nobody_has_touched(tmp_path: Path, newer: Path) -> None:
    """A lesson that was only opened and run is not the learner's work as long as it holds nothing new."""
    with pytest.MonkeyPatch.context() as older:
        older.setattr(desk, "course_dir", lambda: ROOT)
        older.setattr(course, "course_dir", lambda: ROOT)
        desk.lay_course(tmp_path / "mine")
    opened = json.loads((tmp_path / "mine" / LESSON).read_text())
    opened["metadata"]["language_info"]["version"] = "3.99"
    (tmp_path / "mine" / LESSON).write_text(json.dumps(opened))

    laid = desk.lay_course(tmp_path / "mine")

    assert (["99-more.ipynb"], [LESSON], {}) == (laid.new, laid.updated, laid.beside)
    assert f"new: 99-more.ipynb\nupdated: {LESSON}" == str(laid)
    assert "# Newer" in (tmp_path / "mine" / LESSON).read_text()
    assert not (tmp_path / "mine/flags/lines.txt").exists()


@pytest.mark.parametrize("what", ["words", "output", "no notebook any more"])
def test_an_update_touches_no_work(what: str, tmp_path: Path, newer: Path) -> None:
    """A lesson with a word or an output of the learner's stays, byte by byte; the newer one is laid beside it, once."""
    with pytest.MonkeyPatch.context() as older:
        older.setattr(desk, "course_dir", lambda: ROOT)
        older.setattr(course, "course_dir", lambda: ROOT)
        desk.lay_course(tmp_path / "mine")
    path = tmp_path / "mine" / LESSON
    if what == "words":
        work_in(path)
    elif what == "output":
        notebook = json.loads(path.read_text())
        cell = next(cell for cell in notebook["cells"] if cell["cell_type"] == "code")
        cell["outputs"] = [{"output_type": "stream", "name": "stdout", "text": "hi"}]
        path.write_text(json.dumps(notebook))
    else:
        path.write_text("broken")
    mine = path.read_bytes()

    laid = desk.lay_course(tmp_path / "mine")

    assert mine == path.read_bytes()
    assert {LESSON: "01-engine-api-new-1.ipynb"} == laid.beside
    assert "you have worked in" in str(laid) and "01-engine-api-new-1.ipynb" in str(laid)
    assert "# Newer" in (tmp_path / "mine/01-engine-api-new-1.ipynb").read_text()
    assert "" == str(desk.lay_course(tmp_path / "mine"))
    assert not (tmp_path / "mine/01-engine-api-new-2.ipynb").exists()


def test_a_lesson_is_begun_anew(tmp_path: Path) -> None:
    """The learner's copy is kept under a name that nobody had, one without work is not; what was done is forgotten."""
    desk.lay_course(tmp_path)
    fresh = (tmp_path / LESSON).read_bytes()
    for name in ("00-start-here", "01-engine-api"):
        progress.keep(tmp_path, progress.Note(name, "opened"))
    assert (LESSON, "") == desk.begin_again(tmp_path, "01")
    for number in (1, 2):
        mine = work_in(tmp_path / LESSON, f"copy {number}")

        assert (LESSON, f"01-engine-api-kept-{number}.ipynb") == desk.begin_again(tmp_path, "01-engine-api")

        assert (fresh, mine) == (
            (tmp_path / LESSON).read_bytes(),
            (tmp_path / f"01-engine-api-kept-{number}.ipynb").read_bytes(),
        )
    assert {"00-start-here"} == progress.read_learner(tmp_path).keys()
    with pytest.raises(LabError, match="names no lesson. The lessons are: 00-start-here"):
        desk.begin_again(tmp_path, "../secret")


def test_a_lesson_begun_anew_knows_no_prediction(tmp_path: Path) -> None:
    """What was kept of it is gone, else its cards would show the answers; what was kept of others stays."""
    desk.lay_course(tmp_path)
    for lesson in ("00-start-here", "01-engine-api"):
        keep(tmp_path, Note(lesson, "prediction", "Who?", "he", "she"))
    desk.begin_again(tmp_path, "01")

    assert ["00-start-here"] == list(read_learner(tmp_path))


def test_a_folder_of_others_is_not_touched(tmp_path: Path) -> None:
    """Where other files are, nothing is laid; where nothing may be written, a sentence says so."""
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(LabError, match="holds other files: name a new folder"):
        desk.lay_course(tmp_path)
    with pytest.raises(LabError, match="cannot be made"):
        desk.lay_course(tmp_path / "thesis.txt/below")
    with pytest.raises(LabError, match="holds no lessons"):
        desk.begin_again(tmp_path, "01")
    assert ["thesis.txt"] == os.listdir(tmp_path)


@pytest.mark.parametrize("marker", ["", "[]", '{"version": 1, "laid": 3}'])
def test_a_damaged_marker_loses_no_work(marker: str, tmp_path: Path) -> None:
    """Then every file that is not as it would be laid counts as the learner's."""
    desk.lay_course(tmp_path)
    mine = work_in(tmp_path / LESSON)
    (tmp_path / desk.MARKER).write_text(marker)

    assert [LESSON] == list(desk.lay_course(tmp_path).beside)
    assert mine == (tmp_path / LESSON).read_bytes()


def test_a_newer_folder_is_left_alone(tmp_path: Path) -> None:
    """An old labkit does not guess what a newer one has laid."""
    desk.lay_course(tmp_path)
    (tmp_path / desk.MARKER).write_text('{"version": 2, "labkit": "9.9"}')

    with pytest.raises(LabError, match="by a newer labkit"):
        desk.lay_course(tmp_path)


def test_a_call_that_is_killed_is_completed_by_the_next(tmp_path: Path) -> None:
    """Killed at any moment: no half of a file is seen under its name, and the next call ends as one that was not."""
    desk.lay_course(tmp_path / "whole")
    wanted = snapshot(tmp_path / "whole")
    script = "import os, signal; from labkit.desk import folder; from pathlib import Path\n"
    script += "count, fsync = iter(range({0})), os.fsync\n"
    script += "os.fsync = lambda fd: fsync(fd) if next(count, None) is not None else os.kill(os.getpid(), 9)\n"
    script += "folder.lay_course(Path({1!r}))"
    for moment in (0, 1, 2, 7):
        place = tmp_path / f"cut-{moment}"
        done = subprocess.run([sys.executable, "-c", script.format(moment, str(place))], check=False)
        assert -signal.SIGKILL == done.returncode
        there = snapshot(place)
        assert [] == [name for name, data in there.items() if name != desk.MARKER and wanted[name] != data]
        desk.lay_course(place)
        assert wanted == snapshot(place)


def snapshot(place: Path) -> dict[str, bytes]:
    """The files by name; drafts, which begin with a dot and end with a number, left out."""
    files = [path for path in place.rglob("*") if path.is_file() and not re.fullmatch(r"\..*\.\d+", path.name)]
    return {str(path.relative_to(place)): path.read_bytes() for path in files}


def test_home_says_what_is_done_and_where_to_go_on() -> None:
    """Of three lessons one is done and one begun: there the learner goes on; the picture says the same in words."""
    lessons = course.list_lessons()
    first, second = lessons[0], lessons[1]
    kept: dict[str, Any] = {"opened": "x", "closed": None, "predictions": {}, "exercises": {}}
    right = {"choice": "a", "answer": "a", "right": True, "when": "x"}
    done = {
        first.name: kept | {"closed": "x", "predictions": {"q": right, "r": right | {"right": False}}},
        second.name: kept
        | {"exercises": {name: {"tries": 1, "done": name == "A", "when": "x"} for name in ("B", "A")}},
    }

    page, picture = home_page(lessons, done), home_picture(lessons, done)

    assert f"Go on here: [{second.name[:2]} {second.title}]({second.path.name})" in page
    assert "done; 1 of 2 predictions right" in page and "begun; exercise A done; exercise B tried |" in page
    assert 1 == picture.count(">done<") == picture.count(">go on here<")
    assert "Begin here: [00" in home_page(lessons, {}) and ">begin here<" in home_picture(lessons, {})
    after = {first.name: done[first.name]}
    assert "Go on here: [01" in home_page(lessons, after) and ">go on here<" in home_picture(lessons, after)
    assert "| not begun |" in home_page(lessons, after)
    assert "not there yet: lessons 02b to 16." in home_page(lessons[:3], {})
    everything = {lesson.name: kept | {"closed": "x"} for lesson in lessons}
    assert "You have been through every lesson" in home_page(lessons, everything)


def test_the_home_page_on_the_web_is_that_of_the_lessons() -> None:
    """Links to it lead somewhere in the repository, too: `tools/store_outputs.py` writes it."""
    drawn = draw_home(ROOT / "notebooks", {})

    assert drawn == {name: (ROOT / "notebooks" / name).read_text() for name in drawn}
