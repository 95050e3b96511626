"""Does the widget say in three sentences what an order of the steps gave, and keep what a reader has made?"""

from itertools import permutations
from types import SimpleNamespace
from typing import Any

import pytest

from labkit.widgets import cards, order
from labkit.widgets.order import STEPS, WHY, Outcome, explain, order_of_run


def outcome(*steps: str, heard: str = "", code: int | None = None, **refused: str) -> Outcome:
    return Outcome(steps, heard, code, refused, "")


def test_three_sentences_say_what_came_back_and_why() -> None:
    """The word, the status, and the reason: what comes after the start asks for what comes later."""
    assert (
        "The word is heard: `hello`.",
        "The exit status is told: 3.",
        "Why: `attach` and `wait` were open before the start, so nothing was missed.",
    ) == explain(outcome("attach", "wait", "start", heard="hello\n", code=3))
    late = explain(outcome("start", "attach", "wait"))
    assert late[:2] == ("The word is lost.", "The exit status is not told: there is no next end.")


def test_every_order_has_its_reason() -> None:
    """Which of the two came too late is all that there is to tell."""
    assert set(WHY.values()) == {explain(outcome(*steps))[2] for steps in permutations(STEPS)}
    assert "`wait` came after the end." in explain(outcome("attach", "start", "wait", heard="hello"))[2]


def test_a_refusal_has_a_short_identity() -> None:
    """What an engine refuses is told in its own words; 64 letters of an identity say no more than six."""
    said = explain(outcome(*STEPS, wait=f"404 No such container: {'ab' * 32}"))

    assert "The exit status is not told." == said[1]
    assert "Why: the engine refuses `wait`: 404 No such container: ababab…." == said[2]


def test_a_cell_that_runs_again_keeps_the_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shift+Enter on the widget runs its cell: order and result stay. Another cell, or engine, has its own."""
    here: list[Any] = ["one"]
    monkeypatch.setattr(cards, "running_cell", lambda: here[0])
    monkeypatch.setattr(order, "_steps", {})
    engine: Any = SimpleNamespace(host="unix:///a")
    steps = order_of_run(engine)
    steps._cards.order = ["attach", "wait", "start"]

    assert order_of_run(engine) is steps
    other: Any = SimpleNamespace(host="unix:///b")
    assert STEPS == order_of_run(other).order
    here[0] = "two"
    assert STEPS == order_of_run(engine).order
    here[0] = None
    assert order_of_run(engine) is not order_of_run(engine)
