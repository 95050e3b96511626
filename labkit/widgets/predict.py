"""What do you think will happen? A question to be answered before the machine answers it."""

from pathlib import Path
from typing import Any

from anywidget import AnyWidget
from traitlets import Int, Unicode, validate

from labkit.errors import LabError
from labkit.journal import current
from labkit.show.card import LETTERS, card_html, card_svg, card_text, verdict_html, verdict_svg, verdict_text
from labkit.widgets.view import View

__all__ = ["Prediction"]

NONE = -1


class Prediction(AnyWidget):
    """A question and two to ten possible answers on a card; it notes the choice, and the machine gives the verdict.

    A choice may be changed until the machine has answered it. It is kept with the lesson: the card of a cell that runs
    again, or after a restart, shows it. Raises LabError where there are fewer answers or more, or one of them twice.
    """

    _esm = Path(__file__).with_name("predict.js")
    html = Unicode().tag(sync=True)
    chosen = Int(NONE).tag(sync=True)  # the number of the answer
    given = Int(NONE).tag(sync=True)  # the machine's; not before there is a choice, so that the card gives nothing away
    still = Unicode().tag(sync=True)  # SVG for a page whose kernel has gone

    def __init__(self, question: str, *answers: str) -> None:
        if not 2 <= len(set(answers)) == len(answers) <= len(LETTERS):
            raise LabError(
                f"A prediction has two to {len(LETTERS)} different answers; {question!r} has {len(answers)}."
            )
        self.question = question
        self.answers = answers
        self._journal = current()
        kept = self._journal.predictions.get(question, {"choice": None, "answer": None})
        super().__init__(html=card_html(question, answers), chosen=self._number(kept["choice"]))
        if self.chosen != NONE:
            self.given = self._number(kept["answer"])
        self._draw_still()
        self.observe(self._take_note, "chosen")
        self.observe(self._draw_still, ["chosen", "given"])

    @property
    def choice(self) -> str | None:
        """The answer chosen last; None before the first choice."""
        return None if self.chosen == NONE else self.answers[self.chosen]

    def verdict(self, answer: str, why: str) -> View:
        """Say what the machine answered, beside what the learner chose, and why.

        `answer` is what the cell measured, as one of the possible answers; `why` is one sentence. From now on the
        choice stands. Raises LabError when `answer` is none of the answers.
        """
        if answer not in self.answers:
            words = ", ".join(map(repr, self.answers))
            raise LabError(f"The verdict {answer!r} is none of the answers of {self.question!r}: {words}.")
        self._journal.note_prediction(self.question, self.choice, answer, why)
        if self.choice is not None:
            self.given = self._number(answer)
        still = verdict_svg(self.choice, answer, why)
        return View(verdict_html(self.choice, answer, why), verdict_text(answer, why), still=still)

    def _number(self, answer: str | None) -> int:
        return self.answers.index(answer) if answer in self.answers else NONE

    @validate("chosen")
    def _check_choice(self, proposal: Any) -> int:
        """A page may send anything, and what the machine has answered stands."""
        number: int = proposal["value"]
        return number if self.given == NONE and NONE <= number < len(self.answers) else self.chosen

    def _take_note(self, _: object) -> None:
        self._journal.note_prediction(self.question, self.choice)

    def _draw_still(self, _: object = None) -> None:
        self.still = card_svg(self.question, self.answers, self.chosen, self.given)

    def __repr__(self) -> str:
        return card_text(self.question, self.answers)

    def _repr_mimebundle_(self, **options: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        bundle, metadata = super()._repr_mimebundle_(**options) or ({}, {})
        return {**bundle, "image/svg+xml": card_svg(self.question, self.answers), "text/plain": repr(self)}, metadata
