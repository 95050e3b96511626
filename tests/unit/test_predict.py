"""Does a prediction keep what the learner says until the machine has answered, and give nothing away before?"""

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from labkit import journal
from labkit.errors import LabError
from labkit.machine.inside import notes
from labkit.progress import Note
from labkit.show.card import card_html
from labkit.show.end import end_html
from labkit.widgets.predict import NONE, Prediction

ANSWERS = ("he", "<she>", "`they`")


@pytest.fixture(autouse=True)
def kernel(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> "Kernel":
    """A kernel that has just started, where something is kept."""
    kernel = Kernel(monkeypatch, tmp_path / "kept.json")
    kernel.restart({})
    return kernel


class Kernel:
    """Stands for the kernel of a machine; `sent` has the notes that went out."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, kept: Path) -> None:
        self.sent: list[Note | None] = []
        self._kept = kept
        self._patch = monkeypatch
        monkeypatch.setattr(journal, "KEPT", kept)
        monkeypatch.setattr(journal, "send_note", lambda text: self.sent.append(Note.from_json(text)))

    def restart(self, lessons: Any) -> None:
        self._kept.write_text(json.dumps({"lessons": lessons, "said": ""}))
        self._patch.setattr(journal, "_lessons", None)
        self._patch.setattr(journal, "_current", None)


def ask() -> Prediction:
    return Prediction("Who?", *ANSWERS)


def test_the_text_is_the_question() -> None:
    """A stored notebook holds the question and every answer, no address in memory, and no choice."""
    prediction = ask()
    prediction.chosen = 1

    bundle, _ = prediction._repr_mimebundle_()
    assert "Predict: Who?\n  ( ) he\n  ( ) <she>\n  ( ) `they`" == repr(prediction) == bundle["text/plain"]


def test_the_still_picture_is_the_card() -> None:
    """Well-formed, with every letter and answer, and the same for everybody."""
    prediction = ask()
    before = prediction._repr_mimebundle_()[0]["image/svg+xml"]
    prediction.chosen = 1
    prediction.verdict("he", "He was there.")
    words = [text.text for text in ElementTree.fromstring(before).iter("{http://www.w3.org/2000/svg}text")]

    assert ["Who?", "A", "he", "B", "<she>", "C", "they"] == words
    assert before == prediction._repr_mimebundle_()[0]["image/svg+xml"]


def read(svg: str) -> str:
    """The words of a picture."""
    return " ".join(text.text or "" for text in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text"))


def test_the_picture_for_a_second_visit_follows() -> None:
    """It has the choice as soon as there is one, and the machine's answer; without a choice it gives nothing away."""
    prediction = ask()
    prediction.verdict("he", "He was there.")
    assert "Who? A he B <she> C they" == read(prediction.still)
    prediction.chosen = 1
    assert "Who? A he B <she> you C they You said B." == read(prediction.still)
    verdict = prediction.verdict("he", "Read `id`.")

    assert "Who? A he the machine B <she> you C they You said B. The machine says A." == read(prediction.still)
    assert read(ask().still) == read(Prediction("Who?", *ANSWERS).still)
    assert "You said: <she>. The machine says: he. Read id." == read(verdict.still)
    assert "<she>" not in str(verdict._repr_mimebundle_()[0]["text/plain"])


def test_the_picture_of_a_right_choice() -> None:
    """Both are at the same answer."""
    prediction = ask()
    prediction.chosen = 0
    verdict = prediction.verdict("he", "Why.")

    assert "Who? A he you, the machine B <she> C they You said A. The machine says A, too." == read(prediction.still)
    assert "Right. You said: he. The machine says the same. Why." == read(verdict.still)


def test_the_last_choice_before_the_answer_counts(kernel: Kernel) -> None:
    """None is chosen at first; a choice may be changed until the machine has answered, and not after."""
    journal.open_journal("x")
    prediction = ask()
    assert prediction.choice is None
    prediction.chosen = 0
    prediction.chosen = 1
    prediction.verdict("he", "He was there.")
    prediction.chosen = 2

    assert "<she>" == prediction.choice
    assert [("he", None), ("<she>", None), ("<she>", "he")] == [(n.choice, n.answer) for n in kernel.sent if n]


def test_a_page_may_send_anything() -> None:
    """A number that is no answer's changes nothing."""
    prediction = ask()
    prediction.chosen = 1
    for number in (7, -2, 10**9):
        prediction.chosen = number

    assert "<she>" == prediction.choice


def test_code_is_whole() -> None:
    """A line would end after a dash, as in `--name web`: nowhere on a card, a verdict or the end is code broken."""
    wide = card_html("Which?", ("`docker create --rm false busybox`", "none"))

    assert ".lk .lk-ask code,.lk .lk-answer-words code{white-space:nowrap;" in wide and "--least:26em" in wide
    assert "--least:16em" in card_html("Who?", ANSWERS)
    assert ".lk .lk-verdict p code{white-space:nowrap;" in ask().verdict("he", "").html
    assert ".lk .lk-end code{white-space:nowrap}" in end_html("02", {}, {}, sentences=())


def test_nothing_gives_the_answer_away() -> None:
    """The machine's answer is on no card without a choice, also where it was given: the page does not have it."""
    for _ in range(2):
        prediction = ask()
        assert (NONE, NONE) == (prediction.chosen, prediction.given)
        assert card_html("Who?", ANSWERS) == prediction.html
        prediction.verdict("he", "He was there.")
        assert NONE == prediction.given
    prediction.chosen = 2
    assert "`they`" == prediction.choice


def test_another_run_of_the_cell_keeps_the_choice() -> None:
    """Before the answer it can be changed there; after it, the card shows both."""
    journal.open_journal("x")
    ask().chosen = 0
    again = ask()
    assert ("he", NONE) == (again.choice, again.given)
    again.chosen = 1
    again.verdict("he", "He was there.")

    third = ask()
    assert ("<she>", 0) == (third.choice, third.given)


def test_a_restart_keeps_the_choice(kernel: Kernel) -> None:
    """What was kept outside comes with the boot."""
    prediction = {"choice": "<she>", "answer": None, "right": None, "when": ""}
    lesson = {"opened": "", "closed": None, "predictions": {"Who?": prediction}, "exercises": {}}
    kernel.restart({"x": lesson})
    journal.open_journal("x")

    assert ("<she>", NONE) == (ask().choice, ask().given)


@pytest.mark.parametrize("lessons", [[], "x", {"x": 1}, {"x": {"predictions": 5}}])
def test_what_a_learner_wrote_over_the_kept(kernel: Kernel, lessons: object) -> None:
    """It is as if nothing was kept."""
    kernel.restart(lessons)
    journal.open_journal("x")

    assert ask().choice is None


def test_answers_that_have_changed() -> None:
    """A choice that is no answer any more is none; the lesson was updated."""
    journal.open_journal("x")
    ask().chosen = 1

    assert Prediction("Who?", "he", "nobody").choice is None


def test_without_a_lesson_nothing_is_kept(kernel: Kernel) -> None:
    """Before the set-up cell a card works, and says nothing of it."""
    prediction = ask()
    prediction.chosen = 0
    assert "The machine says: he. He was there." == repr(prediction.verdict("he", "He was there."))

    assert [] == kernel.sent


@pytest.mark.parametrize(
    ("choice", "words"),
    [
        (NONE, "You made no prediction. The machine says: <b>he</b>."),
        (0, "Right. You said: <b>he</b>. The machine says the same."),
        (1, "You said: <b>&lt;she&gt;</b>. The machine says: <b>he</b>."),
        (2, "You said: <b><code>they</code></b>. The machine says: <b>he</b>."),
    ],
)
def test_the_verdict_says_both(choice: int, words: str) -> None:
    """In words, and what is stored is the same for everybody."""
    prediction = ask()
    prediction.chosen = choice
    verdict = prediction.verdict("he", "Read `id`.")

    assert words in verdict.html
    assert "Read <code>id</code>." in verdict.html
    assert "The machine says: he. Read `id`." == repr(verdict)


def test_a_verdict_is_one_of_the_answers() -> None:
    """Anything else is a mistake of the lesson, and one sentence says which answers there are."""
    with pytest.raises(LabError, match="'it' is none of the answers of 'Who\\?': 'he', '<she>', '`they`'"):
        ask().verdict("it", "It was there.")


@pytest.mark.parametrize("answers", [(), ("one",), ("same", "same"), tuple("abcdefghijk")])
def test_a_card_has_two_to_ten_answers(answers: tuple[str, ...]) -> None:
    """There is a letter for each, and each is another."""
    with pytest.raises(LabError, match="two to 10 different answers"):
        Prediction("Who?", *answers)


def test_nobody_hears_a_note(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where a learner has removed the socket, or put a file there, a note is lost and nothing is said."""
    monkeypatch.setattr(notes, "NOTES", tmp_path / "none")
    notes.send_note("{}")
    (tmp_path / "none").write_text("a file")
    notes.send_note("{}")
