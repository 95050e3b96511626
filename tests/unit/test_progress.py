"""Is what a learner did kept whole, also where others write, kill, break the file, or send what is no note?"""

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from labkit import progress
from labkit.cli import main
from labkit.errors import LabError
from labkit.machine.inside.notes import hear_note, open_notes, send_note
from labkit.machine.outside.keeper import MAX_NOTES, Keeper
from labkit.progress import FILE, MARKER, Note, add, find_copy, forget, keep, load, read_learner

WHO = Note("00-x", "prediction", "Who?", "he")


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A learner's copy."""
    place = tmp_path / "desk"
    place.mkdir()
    (place / MARKER).write_text('{"version": 1}')
    return place


def names(copy: Path) -> set[str]:
    """What lies in a copy, but its marker and its lock."""
    return {path.name for path in copy.iterdir()} - {MARKER, progress.LOCK}


# --- what counts ------------------------------------------------------------------------------------------------


def test_the_first_choice_that_was_answered_counts() -> None:
    """Before the answer it may change; a choice after the answer, or another answer, changes nothing."""
    lessons: progress.Lessons = {}
    for choice, answer in (("he", None), ("she", None), ("she", "he"), ("he", None), ("he", "he"), ("she", "she")):
        add(lessons, Note("x", "prediction", "Who?", choice, answer, "It is so." if answer else ""), "now")

    kept = {"choice": "she", "answer": "he", "right": False, "why": "It is so.", "when": "now"}
    assert kept == lessons["x"]["predictions"]["Who?"]


def test_who_made_no_prediction_may_make_one_later() -> None:
    """An answer without a choice is noted, and ends nothing."""
    lessons: progress.Lessons = {}
    add(lessons, Note("x", "prediction", "Who?", None, "he"), "now")
    kept = lessons["x"]["predictions"]
    assert {"choice": None, "answer": "he", "right": None, "why": "", "when": "now"} == kept["Who?"]
    add(lessons, Note("x", "prediction", "Who?", "he", "he"), "then")

    assert {"choice": "he", "answer": "he", "right": True, "why": "", "when": "then"} == kept["Who?"]


def test_tries_count_until_it_is_done() -> None:
    """A check that is run once more after that changes nothing."""
    lessons: progress.Lessons = {}
    changed = [add(lessons, Note("x", "exercise", "A", done=done), "now") for done in (False, False, True, False, True)]

    assert [True, True, True, False, False] == changed
    assert {"tries": 3, "done": True, "when": "now"} == lessons["x"]["exercises"]["A"]


def test_the_first_opening_and_the_last_end() -> None:
    """Both are kept of a lesson that is taken twice."""
    lessons: progress.Lessons = {}
    for number, event in enumerate(("opened", "closed", "opened", "closed")):
        add(lessons, Note("x", event), str(number))

    assert ("0", "3") == (lessons["x"]["opened"], lessons["x"]["closed"])


def test_what_is_full_stays_as_it_is() -> None:
    """However many questions, exercises and lessons somebody invents."""
    lessons: progress.Lessons = {}
    for number in range(300):
        add(lessons, Note("x", "prediction", f"{number}?", "a"), "now")
        add(lessons, Note("x", "exercise", str(number)), "now")
        add(lessons, Note(f"x{number}", "opened"), "now")

    assert progress.MAX_NAMES == len(lessons["x"]["predictions"]) == len(lessons["x"]["exercises"])
    assert progress.MAX_LESSONS == len(lessons)


# --- what is no note --------------------------------------------------------------------------------------------

HOSTILE: list[Any] = [
    "",
    "null",
    "[" * 100_000,
    "9" * 5000,
    '{"lesson": "x"}',
    {"lesson": "../x", "event": "opened"},
    {"lesson": "x\n", "event": "opened"},
    {"lesson": "x" * 65, "event": "opened"},
    {"lesson": ["x"], "event": "opened"},
    {"lesson": "x", "event": "removed"},
    {"lesson": "x", "event": ["opened"]},
    {"lesson": "x", "event": "opened", "when": "yesterday"},
    {"lesson": "x", "event": "prediction", "choice": "a"},
    {"lesson": "x", "event": "prediction", "name": "?", "choice": 5},
    {"lesson": "x", "event": "prediction", "name": "?", "choice": ""},
    {"lesson": "x", "event": "prediction", "name": "?" * 501, "choice": "a"},
    {"lesson": "x", "event": "prediction", "name": "\x1b[2J", "choice": "a"},
    {"lesson": "x", "event": "prediction", "name": "\ud800", "choice": "a"},
    {"lesson": "x", "event": "exercise", "name": "A", "done": 1},
    {"lesson": "x", "event": "exercise", "name": {"A": 1}, "done": True},
]


@pytest.mark.parametrize("note", HOSTILE, ids=range(len(HOSTILE)))
def test_what_is_no_note_is_not_kept(note: Any, copy: Path) -> None:
    """Whoever is root in a machine may send it: nothing is written, and nothing fails."""
    Keeper(copy).keep(note if isinstance(note, str) else json.dumps(note))

    assert set() == names(copy)


def test_a_note_is_read_as_it_was_written() -> None:
    """Of every kind."""
    for note in (
        WHO,
        Note("x", "opened"),
        Note("x", "exercise", "B", done=True),
        Note("x", "prediction", "ä?", "–", "a"),
    ):
        assert note == Note.from_json(note.to_json())


def test_a_machine_sends_as_many_as_it_likes(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After five thousand of one machine no more is written."""
    kept: list[Note] = []
    monkeypatch.setattr("labkit.machine.outside.keeper.keep", lambda _, note: kept.append(note) or "")
    keeper = Keeper(copy)
    for _ in range(MAX_NOTES + 10):
        keeper.keep(WHO.to_json())

    assert MAX_NOTES == len(kept)


def test_a_note_that_is_too_long_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """PID 1 hears what fits, whoever sends it, and waits for nobody."""
    for name in ("NOTES", "KEPT"):
        monkeypatch.setattr(f"labkit.machine.inside.notes.{name}", tmp_path / name)
    with open_notes({"lessons": {}, "said": ""}) as notes:
        for text in ("x" * 4097, "x" * 4096, "\udcff".encode("utf-8", "surrogatepass").decode("latin-1"), ""):
            send_note(text)
        heard = [hear_note(notes) for _ in range(5)]

    assert ["", "x" * 4096, "í³¿", "", ""] == heard


# --- the file ---------------------------------------------------------------------------------------------------


def test_it_is_kept_in_a_copy_and_nowhere_else(copy: Path, tmp_path: Path) -> None:
    """A copy is known by its marker, in the notebook's directory or the one that holds it."""
    below, elsewhere = copy / "lessons", tmp_path / "elsewhere"
    below.mkdir()
    elsewhere.mkdir()
    for directory in (below, elsewhere):
        Keeper(directory).keep(WHO.to_json())

    assert "he" == read_learner(copy)["00-x"]["predictions"]["Who?"]["choice"]
    assert [] == [*below.iterdir(), *elsewhere.iterdir()]
    assert Keeper(elsewhere).read() is None
    assert {"lessons", "said"} == set(Keeper(below).read() or {})


@pytest.mark.parametrize("marker", ["", "[]", '{"version": 2}', "[" * 100_000])
def test_a_marker_of_something_else(copy: Path, marker: str) -> None:
    """It marks no copy."""
    (copy / MARKER).write_text(marker)

    assert find_copy(copy) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        '{"version": 1, "lessons": {"x"',
        "[]",
        '{"version": 2, "lessons": {}}',
        '{"version": 1}',
        '{"version": 1, "lessons": {"x": {}}}',
        '{"version": 1, "lessons": {"x": {"opened": "", "closed": null, "predictions": {"?": 1}, "exercises": {}}}}',
        "[" * 100_000,
        " " * (1 << 20) + "{}",
    ],
    ids=range(9),
)
def test_a_broken_file_is_moved_aside(copy: Path, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    """It is never overwritten, and it is said: at the boot to the learner, and on the standard error."""
    for number in (1, 2):
        (copy / FILE).write_text(text)
        told = Keeper(copy).read()
        words = f"{FILE} could not be read. It is now {FILE}.broken-{number}, and a new one begins."
        assert {"lessons": {}, "said": words} == told
        assert words in capsys.readouterr().err
        assert text == (copy / f"{FILE}.broken-{number}").read_text()
    (copy / FILE).write_text(text)
    Keeper(copy).keep(WHO.to_json())

    assert "broken-3" in capsys.readouterr().err
    assert "00-x" in read_learner(copy)


def test_a_place_that_cannot_be_written(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is said, nothing fails, and what was there stays: here the file's place is a directory."""
    (copy / FILE).mkdir()
    keeper = Keeper(copy)
    assert keeper.read() is None
    keeper.keep(WHO.to_json())

    assert 2 == capsys.readouterr().err.count("labkit: what was done in the lesson")
    assert {FILE} == names(copy)


def test_a_lesson_begins_anew(copy: Path) -> None:
    """Nothing is known of it, and everything of the others."""
    keep(copy, WHO)
    keep(copy, Note("01-y", "opened"))
    forget(copy, "00-x")
    forget(copy, "never opened")
    assert ["01-y"] == list(read_learner(copy))

    (copy / FILE).write_text("no JSON")
    forget(copy, "01-y")
    assert "no JSON" == (copy / FILE).read_text()


WRITER = """
import sys
from pathlib import Path
from labkit.progress import Note, keep
for number in range(int(sys.argv[3])):
    keep(Path(sys.argv[1]), Note(sys.argv[2], "prediction", f"{number}? " + "long " * 90, "a"))
print("done", flush=True)
"""


def start_writer(copy: Path, lesson: str, count: int) -> "subprocess.Popen[bytes]":
    return subprocess.Popen([sys.executable, "-c", WRITER, copy, lesson, str(count)], stdout=subprocess.PIPE)


def test_two_lessons_at_once_lose_nothing(copy: Path) -> None:
    """Each writes as fast as it can, into one file."""
    writers = [start_writer(copy, lesson, 30) for lesson in ("00-x", "01-y", "02-z")]
    for writer in writers:
        assert b"done\n" == writer.communicate(timeout=60)[0]

    assert {"00-x": 30, "01-y": 30, "02-z": 30} == {
        name: len(lesson["predictions"]) for name, lesson in read_learner(copy).items()
    }


def test_who_is_killed_while_writing_leaves_a_whole_file(copy: Path) -> None:
    """At whatever moment; nothing that was kept is lost, and the next one writes on."""
    most, chance = 0, random.Random(14)
    for _ in range(12):
        with start_writer(copy, "00-x", 200) as writer:
            deadline = time.monotonic() + 20
            while not (copy / FILE).exists() and time.monotonic() < deadline:
                time.sleep(0.01)
            time.sleep(chance.uniform(0.05, 0.25))
            os.kill(writer.pid, signal.SIGKILL)
        lessons, said = load(copy)
        assert "" == said
        count = len(lessons["00-x"]["predictions"])
        assert most <= count
        most = count
    keep(copy, Note("01-y", "opened"))

    assert "01-y" in read_learner(copy)
    assert {FILE} == names(copy)


# --- the table --------------------------------------------------------------------------------------------------


def test_the_table_of_a_class(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A row for each lesson of each learner; who has none is named, and the others are shown all the same."""
    for name in ("ann", "ben"):
        (tmp_path / name).mkdir()
        keep(tmp_path / name, Note("00-x", "opened"))
    keep(tmp_path / "ann", Note("00-x", "prediction", "Who?", "he", "he"))
    keep(tmp_path / "ann", Note("00-x", "prediction", "When?", "now", "then"))
    keep(tmp_path / "ann", Note("00-x", "prediction", "Where?", None, "here"))
    keep(tmp_path / "ann", Note("00-x", "exercise", "A", done=True))
    keep(tmp_path / "ann", Note("00-x", "exercise", "B"))
    keep(tmp_path / "ann", Note("00-x", "closed"))

    assert 1 == main(["progress", *(str(tmp_path / name) for name in ("ann", "ben", "none"))])
    said = capsys.readouterr()
    _, ann, ben = (re.split("  +", line) for line in said.out.splitlines())
    assert ["ann", "00-x", "1/2", "A done (1), B not yet (1)"] == [*ann[:2], *ann[3:5]]
    assert ["ben", "00-x", "0/0", "-", "-"] == [*ben[:2], *ben[3:]]
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d", ann[2]) and ann[5] >= ann[2]
    assert f"labkit: {tmp_path / 'none'} holds no progress.json" in said.err and 1 == said.err.count("\n")

    assert 0 == main(["progress", "--json", str(tmp_path / "ann")])
    assert {"ann": read_learner(tmp_path / "ann")} == json.loads(capsys.readouterr().out)


def test_what_a_learner_wrote_is_no_order_to_a_terminal(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The file is the learner's; who reads the table is another."""
    lesson = {"opened": "\x1b[2J", "closed": "\r", "predictions": {}, "exercises": {}}
    (copy / FILE).write_text(json.dumps({"version": 1, "lessons": {"\x1b]0;x\x07" + "y" * 1000: lesson}}))

    assert 0 == main(["progress", str(copy)])
    shown = capsys.readouterr().out
    assert all(character.isprintable() or character == "\n" for character in shown)
    assert 600 > max(map(len, shown.splitlines()))


def test_a_file_that_cannot_be_read_is_one_sentence(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Who looks on moves nothing aside; and a FIFO in the file's place holds nobody."""
    (copy / FILE).write_text("no JSON")
    with pytest.raises(LabError, match="is not a file of version 1"):
        read_learner(copy)
    assert "no JSON" == (copy / FILE).read_text()
    (copy / FILE).unlink()
    os.mkfifo(copy / FILE)

    assert 1 == main(["progress", str(copy)])
    assert 1 == capsys.readouterr().err.count("\n")
