"""Where in the course is this lesson, how much of it is done, and about how long does it take?

The bar is output of the set-up cell, in HTML of the plainest kind, so that JupyterLab opens its links in a tab. A
lesson's first Markdown cell begins with the same links, `links_markdown`, for those who have not run anything.
"""

import json
import re
from collections.abc import Collection
from html import escape

from labkit.show.course import lesson_number, topic_of

__all__ = ["HOME", "Bar", "count_steps", "links_markdown"]

HOME = "home.md"  # beside the lessons: all of them
STEP = re.compile(r"^\s*(?:[\w, ]+ = )?(?:predict|\w+\.check)\(", re.MULTILINE)


class Bar:
    """The bar of a lesson, of which `done` steps of `total` are done; `total` None: they could not be counted.

    `there` are the names of the lessons that lie beside it, itself among them.
    """

    def __init__(self, lesson: str, there: Collection[str], done: int = 0, total: int | None = None) -> None:
        self.lesson = lesson
        self.done, self.total = done, total
        self._before, self._after = _neighbours(lesson, there)

    def __repr__(self) -> str:
        return "; ".join(self._facts())

    def _repr_html_(self) -> str:
        links = [
            _link(self._before, "&lsaquo; {}", "prev"),
            f'<a href="{HOME}">all lessons</a>',
            _link(self._after, "{} &rsaquo;", "next"),
        ]
        shown = " &nbsp;|&nbsp; ".join(link for link in links if link)
        facts = f'<span style="white-space:nowrap">{self._meter()}{escape(repr(self))}</span>'
        return f'<div role="navigation" aria-label="bar">{shown} &nbsp;&nbsp; {facts}</div>'

    def _facts(self) -> list[str]:
        topic = topic_of(self.lesson) if lesson_number(self.lesson).isdigit() else None  # an optional lesson is shorter
        steps = [] if self.total is None else [f"{min(self.done, self.total)} of {self.total} steps done"]
        return [*steps, *([f"about {topic.minutes} minutes"] if topic else [])]

    def _meter(self) -> str:
        """Draw a disc for each step, full or empty: signs of the text, which every page can show."""
        if not self.total:
            return ""
        done = min(self.done, self.total)
        return f'<span aria-hidden="true">{"&#9679;" * done}{"&#9675;" * (self.total - done)}</span> '


def links_markdown(lesson: str, there: Collection[str]) -> str:
    """Give the line with which a lesson's first cell begins.

    >>> links_markdown("01-engine-api", ["00-start-here", "01-engine-api"])
    '[‹ 00 Start here](00-start-here.ipynb) | [all lessons](home.md)'
    """
    before, after = _neighbours(lesson, there)
    links = [
        f"[‹ {_title(before)}]({before}.ipynb)" if before else "",
        f"[all lessons]({HOME})",
        f"[{_title(after)} ›]({after}.ipynb)" if after else "",
    ]
    return " | ".join(link for link in links if link)


def count_steps(notebook: str) -> int:
    """Count a notebook's predictions and exercises, in its cells' code; `notebook` is the text of the file.

    Raises ValueError where it is no notebook.

    >>> count_steps('{"cells": [{"cell_type": "code", "source": ["who = predict(\\'?\\')"]}]}')
    1
    """
    try:
        cells = json.loads(notebook)["cells"]
        return sum(len(STEP.findall("".join(cell["source"]))) for cell in cells if cell["cell_type"] == "code")
    except (KeyError, TypeError) as error:
        raise ValueError("this is no notebook") from error


def _neighbours(lesson: str, there: Collection[str]) -> tuple[str, str]:
    """Give the lesson before and the one after, "" where there is none."""
    names = ["", *sorted({name for name in there if lesson_number(name)}), ""]
    if lesson not in names[1:-1]:
        return "", ""
    place = names.index(lesson)
    return names[place - 1], names[place + 1]


def _link(lesson: str, form: str, relation: str) -> str:
    if not lesson:
        return ""
    return f'<a href="{escape(lesson)}.ipynb" rel="{relation}">{form.format(escape(_title(lesson)))}</a>'


def _title(lesson: str) -> str:
    """Give a lesson's number and its title; one that is not in the table has it in its name."""
    topic = topic_of(lesson)
    return f"{lesson_number(lesson)} {topic.title if topic else lesson.partition('-')[2].replace('-', ' ')}"
