"""What has a learner predicted and done, and how is that kept?

A learner's copy of the lessons is a directory with a marker, `.docker-lab.json`; `progress.json` lies beside it.
docs/progress.md has its format. It is written whole or not at all: a temporary file in the same directory, fsync(2),
rename(2). Who writes holds a lock, flock(2), so that two lessons that are open at once lose nothing.

The words that come from a lab machine are hostile until `Note.from_json` has read them: a learner is root there.
"""

import fcntl
import json
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labkit.errors import LabError

__all__ = [
    "FILE",
    "MARKER",
    "MAX_TEXT",
    "BrokenProgress",
    "Lessons",
    "Note",
    "add",
    "as_lessons",
    "find_copy",
    "forget",
    "keep",
    "load",
    "read_learner",
]

MARKER = ".docker-lab.json"
FILE = "progress.json"
UNFINISHED = ".progress.json.new"
LOCK = ".progress.json.lock"
VERSION = 1
MAX_BYTES = 1 << 20  # of the file
MAX_LESSONS, MAX_NAMES, MAX_TEXT = 100, 200, 500  # lessons; questions or exercises of each; characters
LOCK_PATIENCE_S = 5.0
LESSON = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
EVENTS = ("opened", "closed", "prediction", "exercise")

Lessons = dict[str, dict[str, Any]]


class BrokenProgress(LabError):
    """A file that is not what docs/progress.md says."""


@dataclass(frozen=True, slots=True)
class Note:
    """One thing that happened in a lesson; `name` is the question of a prediction, or the name of an exercise.

    A prediction has a `choice`, None where none was made, and an `answer` with its reason, `why`, once the machine has
    given it.
    """

    lesson: str
    event: str
    name: str = ""
    choice: str | None = None
    answer: str | None = None
    why: str = ""
    done: bool = False

    def to_json(self) -> str:
        return json.dumps({name: getattr(self, name) for name in self.__slots__})

    @classmethod
    def from_json(cls, text: str) -> "Note | None":
        """Read a note that anybody may have written; None where it is none."""
        try:
            note = cls(**json.loads(text))
        except (ValueError, TypeError, RecursionError):
            return None
        return note if note._is_valid() else None

    def _is_valid(self) -> bool:
        return (
            isinstance(self.lesson, str)
            and LESSON.fullmatch(self.lesson) is not None
            and self.event in EVENTS
            and _is_text(self.name, empty=self.event in ("opened", "closed"))
            and all(text is None or _is_text(text) for text in (self.choice, self.answer))
            and _is_text(self.why, empty=True)
            and isinstance(self.done, bool)
        )


def add(lessons: Lessons, note: Note, when: str) -> bool:
    """Add a note, and give whether it changed anything; what is full stays as it is.

    The first choice that the machine has answered is the one that counts: a later one changes nothing.
    """
    if note.lesson not in lessons and len(lessons) >= MAX_LESSONS:
        return False
    is_new = note.lesson not in lessons
    lesson = lessons.setdefault(note.lesson, {"opened": when, "closed": None, "predictions": {}, "exercises": {}})
    match note.event:
        case "opened":
            return is_new
        case "closed":
            lesson["closed"] = when
            return True
        case "prediction":
            changed = _predict(lesson["predictions"], note, when)
        case _:
            changed = _try(lesson["exercises"], note, when)
    return changed or is_new


def _predict(predictions: dict[str, Any], note: Note, when: str) -> bool:
    kept = predictions.get(note.name, {"choice": None, "answer": None})
    if kept["choice"] is not None and kept["answer"] is not None:
        return False
    choice = kept["choice"] if note.choice is None else note.choice
    if (kept["choice"], kept["answer"]) == (choice, note.answer):
        return False
    right = None if choice is None or note.answer is None else choice == note.answer
    value = {"choice": choice, "answer": note.answer, "right": right, "why": note.why, "when": when}
    return _put(predictions, note.name, value)


def _try(exercises: dict[str, Any], note: Note, when: str) -> bool:
    kept = exercises.get(note.name, {"tries": 0, "done": False})
    if kept["done"]:
        return False
    return _put(exercises, note.name, {"tries": kept["tries"] + 1, "done": note.done, "when": when})


def _put(values: dict[str, Any], name: str, value: dict[str, Any]) -> bool:
    if name not in values and len(values) >= MAX_NAMES:
        return False
    values[name] = value
    return True


# --- the file ---------------------------------------------------------------------------------------------------


def find_copy(directory: Path) -> Path | None:
    """The learner's copy in which a notebook lies: its directory, or the one that holds it; None where it is none."""
    return next((place for place in (directory, directory.parent) if _is_copy(place)), None)


def _is_copy(directory: Path) -> bool:
    try:
        marker = json.loads((directory / MARKER).read_bytes()[:MAX_BYTES])
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(marker, dict) and marker.get("version") == VERSION


def read_learner(copy: Path) -> Lessons:
    """What is kept in a learner's copy, for somebody who looks on: a broken file stays where it is.

    Raises LabError, in one sentence, where there is none.
    """
    try:
        lessons = _read(copy)
    except OSError as error:
        raise LabError(f"{copy / FILE} cannot be read ({error.strerror}).") from error
    if not lessons and not (copy / FILE).exists():
        raise LabError(f"{copy} holds no {FILE}: no lesson has been opened there, or it is no learner's folder.")
    return lessons


def _read(copy: Path) -> Lessons:
    """What is kept in a learner's copy, by lesson; nothing where there is no file yet.

    Raises BrokenProgress, and OSError.
    """
    try:
        # Of another's folder: a FIFO in the file's place would hold us until somebody writes.
        with open(os.open(copy / FILE, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        return {}
    try:
        value = json.loads(data) if len(data) <= MAX_BYTES else None
    except (ValueError, RecursionError):
        value = None
    lessons = as_lessons(value.get("lessons")) if isinstance(value, dict) and value.get("version") == VERSION else None
    if lessons is None:
        raise BrokenProgress(f"{copy / FILE} is not a file of version {VERSION} of what docs/progress.md describes.")
    return lessons


def as_lessons(value: object) -> Lessons | None:
    """The value itself, where it is what a file of progress holds; otherwise None."""
    return value if isinstance(value, dict) and all(map(_is_lesson, value.values())) else None


def load(copy: Path) -> tuple[Lessons, str]:
    """What is kept in a learner's copy, and a sentence where its file was broken and has been moved aside.

    Raises OSError.
    """
    try:
        return _read(copy), ""
    except BrokenProgress:
        with _locked(copy):
            return _read_or_move_aside(copy)


def keep(copy: Path, note: Note) -> str:
    """Add a note to what is kept in a learner's copy; give a sentence where a broken file has been moved aside.

    Raises OSError where it cannot be written; what was there stays.
    """
    with _locked(copy):
        lessons, said = _read_or_move_aside(copy)
        if add(lessons, note, now()):
            _write(copy, lessons)
        return said


def forget(copy: Path, lesson: str) -> None:
    """Begin a lesson anew: nothing is known of it any more; of a broken file nothing is known. Raises OSError."""
    if not (copy / FILE).exists():
        return
    with _locked(copy), suppress(BrokenProgress):
        lessons = _read(copy)
        if lessons.pop(lesson, None) is not None:
            _write(copy, lessons)


def now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def _read_or_move_aside(copy: Path) -> tuple[Lessons, str]:
    try:
        return _read(copy), ""
    except BrokenProgress:
        number = 1
        while os.path.lexists(copy / f"{FILE}.broken-{number}"):
            number += 1
        aside = (copy / FILE).rename(copy / f"{FILE}.broken-{number}")
        return {}, f"{FILE} could not be read. It is now {aside.name}, and a new one begins."


def _write(copy: Path, lessons: Lessons) -> None:
    """Raises OSError, also where it would be too long to be read again."""
    data = json.dumps({"version": VERSION, "lessons": lessons}, indent=1, ensure_ascii=False).encode() + b"\n"
    if len(data) > MAX_BYTES:
        raise OSError(f"{FILE} is full")
    with (copy / UNFINISHED).open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    (copy / UNFINISHED).replace(copy / FILE)


@contextmanager
def _locked(copy: Path) -> Iterator[None]:
    """Be the only one who writes. Raises OSError where somebody else is for 5 s."""
    deadline = time.monotonic() + LOCK_PATIENCE_S
    with (copy / LOCK).open("ab") as lock:  # for writing: a lock over NFS wants that
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.01)
        yield


def _is_text(value: object, *, empty: bool = False) -> bool:
    """A line of a size that is fit to be shown anywhere, a terminal too."""
    return isinstance(value, str) and value.isprintable() and (empty or bool(value)) and len(value) <= MAX_TEXT


def _is_lesson(value: object) -> bool:
    match value:
        case {"opened": str(), "closed": str() | None, "predictions": dict(predictions), "exercises": dict(exercises)}:
            return all(map(_is_prediction, predictions.values())) and all(map(_is_exercise, exercises.values()))
    return False


def _is_prediction(value: object) -> bool:
    match value:
        case {"choice": str() | None, "answer": str() | None, "right": bool() | None, "when": str(), **more}:
            return isinstance(more.get("why", ""), str)
    return False


def _is_exercise(value: object) -> bool:
    match value:
        case {"tries": int(), "done": bool(), "when": str()}:
            return True
    return False
