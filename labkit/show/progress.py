"""What have learners done, as a table for a terminal?"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

__all__ = ["progress_text"]

HEADINGS = ("learner", "lesson", "opened", "predictions right/made", "exercises (tries)", "finished")
MAX_TEXT = 100  # characters of a cell


def progress_text(learners: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> str:
    """Draw a table with a row for each lesson of each learner; what each did is as docs/progress.md has it.

    >>> print(progress_text({"ann": {}}))
    learner  lesson  opened  predictions right/made  exercises (tries)  finished
    ann      -
    """
    found = [row for name, lessons in learners.items() for row in _rows(name, lessons)]
    rows = [HEADINGS, *(tuple(map(_clean, row)) for row in found)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
    return "\n".join(_line(row, widths) for row in rows)


def _clean(text: str) -> str:
    r"""What a learner's file says is shown on another's terminal: nothing of it is an order there.

    >>> _clean("\x1b[2J01-x")
    '?[2J01-x'
    """
    return "".join(character if character.isprintable() else "?" for character in text[:MAX_TEXT])


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _rows(name: str, lessons: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, ...]]:
    if not lessons:
        yield (name, "-", "", "", "", "")
    for lesson, done in sorted(lessons.items()):
        made = [one for one in done["predictions"].values() if one["right"] is not None]
        right = sum(one["right"] for one in made)
        exercises = [_exercise(exercise, one) for exercise, one in sorted(done["exercises"].items())]
        yield (
            name,
            lesson,
            _minute(done["opened"]),
            f"{right}/{len(made)}",
            ", ".join(exercises) or "-",
            _minute(done["closed"]) if done["closed"] else "-",
        )


def _exercise(name: str, exercise: Mapping[str, Any]) -> str:
    return f"{name} {'done' if exercise['done'] else 'not yet'} ({exercise['tries']})"


def _minute(time: str) -> str:
    """
    >>> _minute("2026-01-02T03:04:05Z")
    '2026-01-02 03:04'
    """
    return time[:16].replace("T", " ")
