"""What does a learner see first: the picture of the course, what is done, where to go on?

`home.md` and `home.svg` are drawn anew from the lessons in the folder and from what is kept of the learner's work.
"""

from collections.abc import Mapping, Sequence
from html import escape
from itertools import groupby
from pathlib import Path
from textwrap import wrap
from typing import Any

from labkit.course import LessonFile, list_lessons
from labkit.show.course import COURSE

__all__ = ["PAGE", "PICTURE", "draw_home", "home_page", "home_picture"]

PAGE, PICTURE = "home.md", "home.svg"
COLUMNS, WIDE, HIGH, GAP = 3, 286, 112, 20  # px
LINE, LINES = 23, 3  # characters of a title in one line of a card, and lines
INKS = {  # on a light page, and on a dark one
    "ground": ("#fff", "#161a1f"),
    "ink": ("#1f2328", "#e9ebee"),
    "dim": ("#545c66", "#b4bcc6"),
    "done": ("#1a7f37", "#63d297"),
    "done-ground": ("#dafbe1", "#12261e"),
    "begun": ("#0550ae", "#7ab8ff"),
    "begun-ground": ("#ddf4ff", "#121d2f"),
}
STATES = {  # the inks of a card's border and of its ground
    "done": ("done", "done-ground"),
    "begun": ("begun", "begun-ground"),
    "": ("dim", "ground"),
}
WORDS = """\
## How it works

* A lesson is a notebook. When you open a lesson, a small computer starts, with Docker on it. It is yours alone.
  Run the cells of the lesson from the top with **Shift+Enter**.
* You may break that computer. *Kernel > Restart Kernel* gives you a new one.
* *File > Close and Shut Down Notebook* ends the computer of a lesson. Closing only the tab is not enough.
* *File > New > Terminal* opens a terminal **inside** the computer of the lesson that is open, never on your own.
* What you write in a notebook stays. To begin a lesson anew, press the button *Begin this lesson anew* above it, or run
  `labkit lab --again 01` in a terminal of your own computer: your old copy is kept beside the new one.
* An update of the course never touches a lesson in which you have worked. The newer one is laid beside it.
"""

Done = Mapping[str, Mapping[str, Any]]  # by lesson, as progress.json has it


def draw_home(folder: Path, done: Done) -> dict[str, str]:
    """The texts of the home page's files, by name; `done` is what is kept of the learner's work, by lesson."""
    lessons = list_lessons()
    reading = sorted(path.name for path in (folder / "read").glob("glossary.md"))
    return {PAGE: home_page(lessons, done, reading), PICTURE: home_picture(lessons, done)}


def home_page(lessons: Sequence[LessonFile], done: Done, reading: Sequence[str] = ()) -> str:
    """The page in Markdown: with links, so that it serves without the picture."""
    following = _find_next(lessons, done)
    rows = "\n".join(
        f"| {_number(one)} | [{one.title}]({one.path.name}) | {one.minutes or ''} | {_tell(one, done)} |"
        for one in lessons
    )
    if following is None:
        way = "**You have been through every lesson.** Begin any of them anew, or read on in the glossary."
    else:
        link = f"[{_number(following)} {following.title}]({following.path.name})"
        way = f"**{_invite(lessons, done)}: {link}.** {following.trouble}"
    words = f"\nWords of the trade, each in one sentence: [{reading[0]}](read/{reading[0]}).\n" if reading else ""
    return (
        f"# Docker Lab\n\n{way}\n\n![The course: one card for each lesson]({PICTURE})\n\n"
        f"| | lesson | minutes | what you have done |\n|---|---|---|---|\n{rows}\n\n"
        f"{_name_planned(lessons)}{WORDS}{words}"
    )


def home_picture(lessons: Sequence[LessonFile], done: Done) -> str:
    """The picture of the course as SVG: a card for each lesson, in order; what is done says so in words, too."""
    following = _find_next(lessons, done)
    rows = -(-len(lessons) // COLUMNS)
    width, height = COLUMNS * (WIDE + GAP) + GAP, rows * (HIGH + GAP) + GAP
    parts = []
    for number, lesson in enumerate(lessons):
        x, y = GAP + number % COLUMNS * (WIDE + GAP), GAP + number // COLUMNS * (HIGH + GAP)
        if number % COLUMNS:
            parts.append(f'<path d="M{x - GAP} {y + HIGH / 2:g}h{GAP}" style="stroke:var(--dim)" stroke-width="2"/>')
        invitation = _invite(lessons, done).lower() if lesson is following else ""
        parts.append(_card(lesson, x, y, _state(lesson, done), invitation))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'role="img" font-family="sans-serif"><style>{_style()}</style>'
        '<rect width="100%" height="100%" rx="8" style="fill:var(--ground)"/>'
        f"{''.join(parts)}</svg>"
    )


def _style() -> str:
    """The inks as CSS variables, which follow the theme of the browser, as those of the maps do."""
    light, dark = ("".join(f"--{name}:{inks[theme]};" for name, inks in INKS.items()) for theme in (0, 1))
    return f"svg{{{light}}}@media (prefers-color-scheme:dark){{svg{{{dark}}}}}"


def _card(lesson: LessonFile, x: int, y: int, state: str, invitation: str) -> str:
    """The card of a lesson; `invitation` is what the one says with which the learner goes on, or ""."""
    border, ground = STATES[state]
    marked = "begun" if invitation else border
    titles = "".join(
        f'<text x="{x + 72}" y="{y + 30 + 18 * row}" font-size="15" style="fill:var(--ink)">{escape(line)}</text>'
        for row, line in enumerate(_wrap(lesson.title))
    )
    return (
        f'<rect x="{x}" y="{y}" width="{WIDE}" height="{HIGH}" rx="8" '
        f'style="fill:var(--{ground});stroke:var(--{marked})" stroke-width="{4 if invitation else 1.5}"/>'
        f'<text x="{x + 12}" y="{y + 32}" font-size="22" font-weight="bold" style="fill:var(--{border})">'
        f"{_number(lesson)}</text>"
        f"{titles}"
        f'<text x="{x + 72}" y="{y + HIGH - 12}" font-size="13" style="fill:var(--dim)">'
        f"{f'{lesson.minutes} minutes' if lesson.minutes else ''}</text>"
        f'<text x="{x + WIDE - 12}" y="{y + HIGH - 12}" font-size="13" font-weight="bold" text-anchor="end" '
        f'style="fill:var(--{marked})">{invitation or state}</text>'
    )


def _wrap(title: str) -> list[str]:
    """As many lines as a card has room for; what is left out is marked."""
    lines = wrap(title, LINE)
    return lines if len(lines) <= LINES else [*lines[: LINES - 1], f"{lines[LINES - 1]} …"]


def _invite(lessons: Sequence[LessonFile], done: Done) -> str:
    return "Go on here" if any(_state(one, done) for one in lessons) else "Begin here"


def _name_planned(lessons: Sequence[LessonFile]) -> str:
    """A line on the lessons of the course that are not there yet, as "03 to 12", or ""."""
    there = {_number(one) for one in lessons}
    rows = [list(row) for is_there, row in groupby(COURSE, there.__contains__) if not is_there]
    names = [f"{row[0]} to {row[-1]}" if len(row) > 1 else row[0] for row in rows]
    return f"Planned, and not there yet: lessons {' and '.join(names)}.\n\n" if names else ""


def _number(lesson: LessonFile) -> str:
    return lesson.name.partition("-")[0]


def _state(lesson: LessonFile, done: Done) -> str:
    kept = done.get(lesson.name)
    return "" if kept is None else "done" if kept.get("closed") else "begun"


def _find_next(lessons: Sequence[LessonFile], done: Done) -> LessonFile | None:
    """The first lesson that is begun and not done, or else the first that is not begun."""
    for state in ("begun", ""):
        for lesson in lessons:
            if _state(lesson, done) == state:
                return lesson
    return None


def _tell(lesson: LessonFile, done: Done) -> str:
    """What is kept of a lesson, in a few words."""
    kept = done.get(lesson.name)
    if kept is None:
        return "not begun"
    answered = [one for one in kept.get("predictions", {}).values() if one.get("right") is not None]
    exercises = sorted(kept.get("exercises", {}).items())
    words = [_state(lesson, done)]
    if answered:
        words.append(f"{sum(one['right'] for one in answered)} of {len(answered)} predictions right")
    words += [f"exercise {name} {'done' if one.get('done') else 'tried'}" for name, one in exercises]
    return "; ".join(words)
