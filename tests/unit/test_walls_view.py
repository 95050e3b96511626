"""Does the picture of the walls say what was measured, and does the view attack a container at each press?"""

from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree

import pytest

from labkit.errors import LabError
from labkit.isolation.walls import ATTACKS, WALLS, options_for
from labkit.show.walls import walls_html, walls_svg, walls_text
from labkit.widgets import walls

MEASURED = {"no wall": {"mount": True, "plant": True}, "read-only root": {"mount": True, "plant": False}}


def test_the_text_says_what_stops_each_attack() -> None:
    """A line for each attack, and "nothing" where it works everywhere."""
    assert "what stops it:\nmount: nothing\nplant: read-only root" == walls_text(MEASURED)


def test_only_what_works_has_a_cross() -> None:
    """Three of four; the newest column has a thicker edge."""
    page = walls_html(MEASURED, new="read-only root")

    assert 3 == page.count('<td class="lk-ink-trouble') and 1 == page.count('<td class="lk-fill-container')
    assert 2 == page.count(' lkwalls-new"')


def test_the_still_picture_is_xml_and_has_each_word() -> None:
    """Each attack, each wall, and each cell."""
    words = "".join(ElementTree.fromstring(walls_svg(MEASURED)).itertext())

    assert all(each in words for each in ("mount", "plant", "root", "stopped"))
    assert 3 == words.count("works")


def test_a_wall_stands_by_its_option() -> None:
    """Those that Docker builds by itself are taken away, and the others are asked for."""
    assert "seccomp=unconfined" in options_for() and "seccomp=unconfined" not in options_for("seccomp")
    assert "--read-only" not in options_for("seccomp") and "--read-only" in options_for("read-only root")
    with pytest.raises(KeyError):
        options_for("moat")


@pytest.fixture
def tries(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[str, ...]]]:
    """What the view has tried; no container starts once `no engine` is among it."""
    asked: list[tuple[str, ...]] = []

    def answer(*up: str) -> dict[str, bool]:
        if "no engine" in [word for each in asked for word in each]:
            raise LabError("docker run failed")
        asked.append(up)
        return dict.fromkeys(ATTACKS, not up)

    monkeypatch.setattr(walls, "try_attacks", answer)
    yield asked


def press(view: Any, **content: Any) -> None:
    """As the page does."""
    view.busy = True
    view._hear(view, content, [])


def test_a_press_is_an_attack(tries: list[tuple[str, ...]]) -> None:
    """The choice is a second column, which the next choice replaces."""
    view = walls.watch_walls()
    press(view, up=["seccomp"])
    press(view, up=["seccomp", "paths"])

    assert [(), ("seccomp",), ("seccomp", "paths")] == tries
    assert ["no wall", "your choice"] == list(view.measured) and not view.busy
    assert "With seccomp and paths: 8 of 8 attacks are stopped." == view.said


@pytest.mark.parametrize("up", [None, "seccomp", ["moat"], [["seccomp"]], [1], 7])
def test_no_other_wall_is_built(tries: list[tuple[str, ...]], up: Any) -> None:
    """A page may send anything."""
    view = walls.watch_walls()
    press(view, up=up)

    assert [()] == tries and not view.busy


def test_a_view_without_an_engine_says_so(tries: list[tuple[str, ...]]) -> None:
    """It keeps its picture, and asks no more."""
    view = walls.watch_walls()
    tries.append(("no engine",))
    press(view, up=list(WALLS))
    press(view, up=[])

    assert not view.is_live and walls.GONE == view.said and 2 == len(tries)


def test_a_lesson_that_ends_stops_the_view(tries: list[tuple[str, ...]]) -> None:
    """A press afterwards is no attack, and no engine is blamed."""
    view = walls.watch_walls()
    view.stop()
    press(view, up=["seccomp"])

    assert [()] == tries and walls.ENDED == view.said
