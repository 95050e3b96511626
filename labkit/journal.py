"""What does a lesson know of what its learner has predicted and done?

It is in this kernel's memory, from what was kept before; each new note also goes out of the machine, to be kept.
"""

import json
from typing import Any

from labkit.machine.inside.notes import KEPT, send_note
from labkit.progress import MAX_TEXT, Lessons, Note, add, as_lessons, now

__all__ = ["Journal", "current", "open_journal", "said"]

_lessons: Lessons | None = None  # of this kernel, once it was asked
_current: "Journal | None" = None


class Journal:
    """One lesson's predictions and exercises, as docs/progress.md has them; without a name it is not kept."""

    def __init__(self, lesson: str, lessons: Lessons) -> None:
        self.lesson = lesson
        self._lessons = lessons

    @property
    def predictions(self) -> dict[str, dict[str, Any]]:
        """{question: {"choice", "answer", "right", "why", "when"}}; the first three are None while there is none."""
        found: dict[str, dict[str, Any]] = self._lessons.get(self.lesson, {}).get("predictions", {})
        return found

    @property
    def exercises(self) -> dict[str, dict[str, Any]]:
        """{"A": {"tries", "done", "when"}}."""
        found: dict[str, dict[str, Any]] = self._lessons.get(self.lesson, {}).get("exercises", {})
        return found

    def note_opened(self) -> None:
        self._note(Note(self.lesson, "opened"))

    def note_closed(self) -> None:
        self._note(Note(self.lesson, "closed"))

    def note_prediction(self, question: str, choice: str | None, answer: str | None = None, why: str = "") -> None:
        """Note a choice, or the machine's answer to it. After that another choice to that question does not count."""
        self._note(Note(self.lesson, "prediction", question, choice, answer, why[:MAX_TEXT]))

    def note_exercise(self, name: str, done: bool) -> None:
        """Note a try of an exercise ("A"), and whether it is done now; tries after that do not count."""
        self._note(Note(self.lesson, "exercise", name, done=done))

    def tries(self, exercise: str) -> int:
        """How many tries of an exercise were noted, also by kernels before this one."""
        return int(self.exercises.get(exercise, {"tries": 0})["tries"])

    def steps_done(self) -> int:
        """How many predictions of this lesson were made and answered, and how many exercises are done."""
        answered = [one for one in self.predictions.values() if one["right"] is not None]
        done = [one for one in self.exercises.values() if one["done"]]
        return len(answered) + len(done)

    def _note(self, note: Note) -> None:
        if add(self._lessons, note, now()) and self.lesson:
            send_note(note.to_json())


def open_journal(lesson: str) -> Journal:
    """Begin to note what is done in a lesson; predictions from now on are that lesson's."""
    global _current
    _current = Journal(lesson, _known())
    return _current


def current() -> Journal:
    """The journal of the lesson that is open; before the first, one that nobody keeps."""
    global _current
    if _current is None:
        _current = Journal("", {})
    return _current


def said() -> str:
    """What the learner should hear of the file in which this is kept, or ""."""
    return str(_read_kept().get("said", ""))


def _known() -> Lessons:
    global _lessons
    if _lessons is None:
        _lessons = as_lessons(_read_kept().get("lessons")) or {}
    return _lessons


def _read_kept() -> dict[str, Any]:
    try:
        kept = json.loads(KEPT.read_text())
    except (OSError, ValueError):  # nothing is kept here, or a learner has removed it
        return {}
    return kept if isinstance(kept, dict) else {}
