"""Does the bar lead to the lessons that are there, and say how much is done?"""

import json

import pytest

from labkit.show.bar import Bar, count_steps, links_markdown

THERE = ["13-attach-logs-events", "01-engine-api", "02-commands-to-requests", "02b-flags", "scratch", "00-start-here"]


def notebook(*sources: str, kind: str = "code") -> str:
    return json.dumps({"cells": [{"cell_type": kind, "source": [source]} for source in sources]})


def test_the_neighbours_are_linked() -> None:
    """Previous and next are the lessons that lie beside this one, by number; an optional lesson is one of them."""
    drawn = Bar("02-commands-to-requests", THERE, 3, 9)._repr_html_()

    assert '<a href="01-engine-api.ipynb" rel="prev">&lsaquo; 01 Speak the Engine API</a>' in drawn
    assert '<a href="02b-flags.ipynb" rel="next">02b Read a line of flags &rsaquo;</a>' in drawn
    assert "3 of 9 steps done; about 45 minutes" in drawn
    assert (3, 6) == (drawn.count("&#9679;"), drawn.count("&#9675;"))


def test_the_ends_have_one_neighbour() -> None:
    """There is nothing before the first lesson, and nothing after the last that is there."""
    assert "prev" not in Bar("00-start-here", THERE)._repr_html_()
    assert "next" not in Bar("13-attach-logs-events", THERE)._repr_html_()


def test_a_notebook_of_ones_own_has_no_neighbours() -> None:
    """Where a lesson's file is not there, as after a change of its name, the bar leads home alone."""
    drawn = Bar("mine", THERE)._repr_html_()

    assert 1 == drawn.count("<a ") and "all lessons" in drawn and "steps" not in drawn


def test_a_lesson_that_is_not_in_the_table_is_named_by_its_file() -> None:
    """A lesson of somebody else's can stand in the row, too."""
    assert ">17 my own lesson &rsaquo;<" in Bar("13-x", ["13-x", "17-my-own-lesson"])._repr_html_()


def test_no_more_is_done_than_there_is() -> None:
    """A cell that was copied is no step more."""
    assert "2 of 2 steps done" in repr(Bar("01-engine-api", THERE, 3, 2))


def test_the_text_is_the_facts() -> None:
    """What a test compares is what is done, and about how long it takes."""
    assert "0 of 4 steps done; about 25 minutes" == repr(Bar("00-start-here", THERE, 0, 4))


def test_an_optional_lesson_names_no_minutes() -> None:
    """It is shorter than the lesson that it belongs to, whose minutes the table has."""
    assert "0 of 6 steps done" == repr(Bar("02b-flags", THERE, 0, 6))


def test_the_markdown_line_has_the_same_links() -> None:
    """The line that a lesson's first cell begins with leads where the bar does."""
    line = links_markdown("01-engine-api", THERE)

    assert "[‹ 00 Start here](00-start-here.ipynb) | [all lessons](home.md)" in line
    assert line.endswith("| [02 Listen to the docker command ›](02-commands-to-requests.ipynb)")


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        (notebook('who = predict("Who?", "a", "b")'), 1),
        (notebook('predict("Who?", "a", "b")', 'lesson.check("A", check_x(engine))'), 2),
        (notebook("print(1)", "my_predict(2)", "# predict(this)", "text = 'predict(x)'"), 0),
        (notebook("predict(", kind="markdown"), 0),
    ],
)
def test_steps(text: str, steps: int) -> None:
    """A step is a prediction or an exercise's check in a code cell."""
    assert steps == count_steps(text)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"cells": [1]}', '{"cells": [{"cell_type": "code"}]}'])
def test_what_is_no_notebook_is_refused(text: str) -> None:
    """A file that cannot be counted is not counted as empty."""
    with pytest.raises(ValueError):
        count_steps(text)
