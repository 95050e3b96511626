"""Does a lesson's bar count its own notebook, and change only when something was done?"""

import json
from pathlib import Path
from typing import Any

import pytest

from labkit.widgets import bar as bars

PREDICTION = {"cell_type": "code", "source": ['predict("?", "a", "b")']}


class Page:
    """Stands for the page: keeps what it was shown."""

    def __init__(self) -> None:
        self.shown: list[str] = []

    def update(self, bar: Any, **_: Any) -> "Page":
        self.shown.append(repr(bar))
        return self


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch) -> Page:
    page = Page()
    monkeypatch.setattr(bars, "display", page.update)
    return page


def test_the_steps_are_those_of_the_notebook(page: Page, tmp_path: Path) -> None:
    """The lesson's own file says how many there are; a step that is done is shown once."""
    (tmp_path / "01-x.ipynb").write_text(json.dumps({"cells": [PREDICTION, PREDICTION]}))
    bar = bars.LiveBar("01-x", tmp_path)
    for done in (0, 1, 1):
        bar.refresh(done)

    assert ["0 of 2 steps done; about 50 minutes", "1 of 2 steps done; about 50 minutes"] == page.shown


@pytest.mark.parametrize("text", [None, "{"])
def test_a_notebook_that_cannot_be_read_is_not_counted(page: Page, tmp_path: Path, text: str | None) -> None:
    """A lesson under another name has a bar without steps."""
    if text is not None:
        (tmp_path / "01-x.ipynb").write_text(text)
    bars.LiveBar("01-x", tmp_path)

    assert ["about 50 minutes"] == page.shown
