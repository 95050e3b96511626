"""Is a lesson that takes too long named, and one that does not let pass?"""

from typing import Any

import pytest

from tests.notebooks import budget


@pytest.mark.parametrize(
    ("seconds", "factor", "words"),
    [
        (15.0, 1.0, []),
        (15.1, 1.0, ["00-start took 15 s on uml, and may take 15"]),
        (29.0, 2.0, []),
        (31.0, 2.0, ["00-start took 31 s on uml, and may take 30"]),
    ],
)
def test_half_as_much_again(seconds: float, factor: float, words: list[str], monkeypatch: Any) -> None:
    """A slow computer gets more, by as much as it is slower."""
    monkeypatch.setattr(budget, "SECONDS", {"00-start": {"uml": 10}})

    assert words == budget.find_overspent({"00-start": seconds}, "uml", factor)


def test_a_lesson_without_an_entry(monkeypatch: Any) -> None:
    """A new lesson says what it may take, on each sort of machine."""
    monkeypatch.setattr(budget, "SECONDS", {"00-start": {"native": 10}})

    assert ["00-start has no seconds for 'uml' in seconds.json: it took 1"] == budget.find_overspent(
        {"00-start": 1.0}, "uml", 1.0
    )


def test_this_computer_is_measured() -> None:
    """The measure is a time."""
    assert 0.05 < budget.measure() < 60
