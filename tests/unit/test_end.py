"""Does the end of a lesson say what was done, what was not right, and nothing that it does not know?"""

from typing import Any
from xml.etree import ElementTree

from labkit.show.end import end_html, end_svg
from labkit.show.look import mark


def wrong(count: int) -> dict[str, dict[str, Any]]:
    return {f"Question {n}?": {"choice": "x", "answer": "y", "right": False, "when": ""} for n in range(count)}


def end(predictions: dict[str, dict[str, Any]], reasons: dict[str, str], **exercises: dict[str, Any]) -> str:
    known = {question: {**one, "why": reasons.get(question, "")} for question, one in predictions.items()}
    return end_html("02", known, exercises, sentences=())


def test_what_was_not_right_is_counted_in_words() -> None:
    """One or three, and there is nothing to look at where all were right."""
    right = {"Question?": {"choice": "x", "answer": "x", "right": True, "when": ""}}

    assert "you made 3 of 3, and none of them was right. Look at them again:</p>" in end(wrong(3), {})
    assert "and none of them was right. Look at it again:</p>" in end(wrong(1), {})
    some = end({**right, **wrong(3)}, {})
    assert "and 1 of them was right. Three predictions were not right. Look at them again:</p>" in some
    assert "One prediction was not right. Look at it again:</p>" in end({**right, **wrong(1)}, {})
    assert "Look at" not in end(right, {}) and "<table" not in end(right, {})


def test_a_reason_that_nobody_knows_has_no_column() -> None:
    """After a restart the reasons may be gone; where one is known, there is the column."""
    assert "<th>why</th>" not in end(wrong(2), {}) and 6 == end(wrong(2), {}).count("<td>")
    known = end(wrong(2), {"Question 1?": "It is `y`."})
    assert "<th>why</th>" in known and "<td>It is <code>y</code>.</td>" in known and 8 == known.count("<td>")


def test_an_exercise_that_is_done_has_a_tick() -> None:
    """A dashed arrow is an answer of the engine's, and no sign of success."""
    done = end({}, {}, A={"done": True, "tries": 2})

    assert "✓</b> Exercise A: done, with 2 tries." in done and mark("answer") not in done
    assert "✓" not in end({}, {}, A={"done": False, "tries": 1})


def test_an_exercise_that_nobody_has_tried_is_named() -> None:
    """Who closes a lesson without its exercises reads that they are still there."""
    assert "Exercise B: not tried yet." in end({}, {}, B={"done": False, "tries": 0})


def test_the_still_picture_says_the_same() -> None:
    """The count, what was not right and why, and the exercises; marks of code are left out."""
    predictions = {"Who?": {"choice": "x", "answer": "`y`", "right": False, "when": "", "why": "It is <y>."}}
    picture = end_svg("02", predictions, {"A": {"done": True, "tries": 1}}, sentences=("So.",))

    assert [text.text for text in ElementTree.fromstring(picture).iter("{http://www.w3.org/2000/svg}text")] == [
        "02: what you have done",
        "Predictions: you made 1 of 1, and none of them was right. Look at it again:",
        "Who? You said: x. The machine says: y. It is <y>.",
        "Exercise A: done, with 1 try.",
        "So.",
    ]
