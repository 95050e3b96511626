"""How does an exercise answer a try, and how does its help grow with the tries?

A first try gets no hint, the second the first one, and so on; after the last comes the way to a solution. The text that
is stored is the verdict alone: it does not depend on how often somebody tried.
"""

from pathlib import Path
from typing import Any

from labkit.check.solution import Solution, is_released, read_solution
from labkit.check.verdict import Verdict
from labkit.errors import LabError
from labkit.journal import Journal
from labkit.show.exercise import exercise_html, exercise_svg, hints_html, hints_svg, hints_text
from labkit.widgets.view import View

__all__ = ["Exercises"]

TRIES = 2  # before a solution is shown


class Exercises:
    """The exercises of a lesson; tries are counted in its journal."""

    def __init__(self, lesson: str, journal: Journal) -> None:
        self._lesson = lesson
        self._journal = journal
        self._asked: dict[str, int] = {}  # hints, by exercise
        self._checked: set[str] = set()

    @property
    def seen(self) -> dict[str, dict[str, Any]]:
        """What is noted of each exercise, and no try of each that was checked before anybody tried it."""
        return {name: {"done": False, "tries": 0} for name in self._checked} | self._journal.exercises

    def check(self, exercise: str, verdict: Verdict) -> View:
        """Show a verdict, and count the try if there was one."""
        self._checked.add(exercise)
        if verdict.attempted:
            self._journal.note_exercise(exercise, done=not verdict.missing)
        tries = self._journal.tries(exercise)
        state = repr(verdict).partition(":")[0]
        try:
            given = read_solution(self._lesson, exercise)
        except LabError:  # an exercise of a teacher's own: it can be checked all the same
            given = Solution((), "")
        hints, after = self._help(exercise, given) if state == "not yet" else ((), "")
        still = exercise_svg(state, verdict.missing, tries, hints, after)
        return View(exercise_html(exercise, state, verdict.missing, tries, hints, after), repr(verdict), still=still)

    def hint(self, exercise: str) -> View:
        """Show one hint more than before. Raises LabError where the exercise has none."""
        given = read_solution(self._lesson, exercise)
        hints, _ = self._help(exercise, given)
        self._asked[exercise] = len(hints) + 1
        hints, after = self._help(exercise, given)
        return View(hints_html(exercise, hints, after), hints_text(hints, after), still=hints_svg(hints, after))

    def solution(self, exercise: str) -> None:
        """Print a solution after two tries, or when the teacher has released it; else say how many tries are left.

        Raises LabError where there is none, and where the teacher's file cannot be understood.
        """
        given = read_solution(self._lesson, exercise)
        left = TRIES - self._journal.tries(exercise)
        is_done = self._journal.exercises.get(exercise, {"done": False})["done"]
        if left <= 0 or is_done or is_released(Path.cwd(), self._lesson, exercise):
            print(given.code, end="")
        else:
            tries = f"{left} more {'try' if left == 1 else 'tries'}"
            print(f'The solution is shown after {tries}. lesson.hint("{exercise}") gives a hint.')

    def _help(self, exercise: str, given: Solution) -> tuple[tuple[str, ...], str]:
        """The hints that tries and questions have earned so far, and where there is more."""
        earned = max(self._journal.tries(exercise) - 1, self._asked.get(exercise, 0))
        has_more = earned <= len(given.hints) or not given.code
        after = "" if has_more else f'`lesson.solution("{exercise}")` shows a solution.'
        return given.hints[:earned], after
