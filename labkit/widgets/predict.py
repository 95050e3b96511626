"""What do you think will happen? A question to be answered before the machine answers it."""

import re
from html import escape
from typing import Any

from ipywidgets import HTML, ToggleButtons, VBox

from labkit.widgets.view import View

__all__ = ["Prediction"]


class Prediction(VBox):  # type: ignore[misc]
    """A question and its possible answers as buttons; it notes the choice and leaves the verdict to the machine."""

    def __init__(self, question: str, *answers: str) -> None:
        self.question = question
        self.answers = answers
        self._buttons = ToggleButtons(options=answers, value=None, style={"button_width": "auto"})
        self._note = HTML()
        self._buttons.observe(self._take_note, "value")
        super().__init__([HTML(f"<b>Predict:</b> {_with_code(question)}"), self._buttons, self._note])

    @property
    def choice(self) -> str | None:
        """The answer chosen last; None before the first click."""
        value: str | None = self._buttons.value
        return value

    def verdict(self, answer: str, why: str) -> View:
        """Say what the machine answered, beside what the learner chose; `answer` is one of the possible answers."""
        choice = "" if self.choice is None else f"You said: <b>{_with_code(self.choice)}</b>. "
        words = f"The machine says: {answer}. {why}"
        return View(f"{choice}The machine says: <b>{_with_code(answer)}</b>. {_with_code(why)}", words)

    def _take_note(self, _: object) -> None:
        self._note.value = f"You say: <b>{escape(self.choice or '')}</b>. Run the next cell, and see."

    def __repr__(self) -> str:
        return "\n".join([f"Predict: {self.question}", *(f"  ( ) {answer}" for answer in self.answers)])

    def _repr_mimebundle_(self, **options: Any) -> dict[str, Any]:
        bundle: dict[str, Any] = super()._repr_mimebundle_(**options) or {}
        return {**bundle, "text/plain": repr(self)}


def _with_code(text: str) -> str:
    """Escape a text for HTML; what stands between backticks becomes code, as in Markdown."""
    return re.sub("`([^`]+)`", r"<code>\1</code>", escape(text))
