"""Does the end of a lesson say what was done, what was not right, and nothing that it does not know?"""

from typing import Any

from labkit.show.end import end_html
from labkit.show.look import mark


def wrong(count: int, why: str = "") -> dict[str, dict[str, Any]]:
    one = {"choice": "x", "answer": "y", "right": False, "why": why, "when": ""}
    return {f"Question {number}?": one for number in range(count)}


def end(predictions: dict[str, dict[str, Any]], **exercises: dict[str, Any]) -> str:
    return end_html("02", predictions, exercises, sentences=())


def test_what_was_not_right_is_counted_in_words() -> None:
    """One or three, and there is nothing to look at where all were right."""
    right = {"Question?": {"choice": "x", "answer": "x", "right": True, "when": ""}}

    assert "and 0 of them were right. Three predictions were not right. Look at them again:</p>" in end(wrong(3))
    assert "One prediction was not right. Look at it again:</p>" in end(wrong(1))
    assert "Look at" not in end(right) and "<table" not in end(right)


def test_a_reason_that_nobody_knows_has_no_column() -> None:
    """A file of before may hold no reasons; where one is known, there is the column."""
    assert "<th>why</th>" not in end(wrong(2)) and 6 == end(wrong(2)).count("<td>")
    known = end(wrong(2, "It is `y`."))
    assert "<th>why</th>" in known and "<td>It is <code>y</code>.</td>" in known and 8 == known.count("<td>")


def test_an_exercise_that_is_done_has_a_tick() -> None:
    """A dashed arrow is an answer of the engine's, and no sign of success."""
    done = end({}, A={"done": True, "tries": 2})

    assert "✓</b> Exercise A: done, with 2 tries." in done and mark("answer") not in done
    assert "✓" not in end({}, A={"done": False, "tries": 1})
