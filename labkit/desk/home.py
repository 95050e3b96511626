"""What does a learner see first: the picture of the course, what is done, where to go on?

`home.md` and `home.svg` are drawn anew from the lessons in the folder and from what is kept of the learner's work.
"""

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from labkit.course import LessonFile, list_lessons

__all__ = ["PAGE", "PICTURE", "draw_home", "home_page", "home_picture"]

PAGE, PICTURE = "home.md", "home.svg"
COLUMNS, WIDE, HIGH, GAP = 3, 276, 96, 20  # px
LINE = 25  # characters of a title in one line of a card
INK, GREY, GREEN, BLUE = "#1f2328", "#59636e", "#1a7f37", "#0550ae"
STATES = {  # what a card says, its border and its ground
    "done": ("done", GREEN, "#dafbe1"),
    "begun": ("begun", BLUE, "#ddf4ff"),
    "": ("", "#8c959f", "#ffffff"),
}
WORDS = """\
## How it works

* A lesson is a notebook. Run its cells from the top with **Shift+Enter**: with the first one a small computer starts,
  with Docker on it. It is yours, and you are its administrator.
* You may break that computer. *Kernel > Restart Kernel* gives you a new one.
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
        verb = "Go on" if any(_state(one, done) for one in lessons) else "Begin"
        way = f"**{verb} here: [{_number(following)} {following.title}]({following.path.name}).** {following.trouble}"
    words = f"\nWords of the trade, each in one sentence: [{reading[0]}](read/{reading[0]}).\n" if reading else ""
    return (
        f"# Docker Lab\n\n{way}\n\n![The course: one card for each lesson]({PICTURE})\n\n"
        f"| | lesson | minutes | you |\n|---|---|---|---|\n{rows}\n\n{WORDS}{words}"
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
            parts.append(f'<path d="M{x - GAP} {y + HIGH / 2:g}h{GAP}" stroke="{GREY}" stroke-width="2"/>')
        parts.append(_card(lesson, x, y, _state(lesson, done), is_next=lesson is following))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'role="img" font-family="sans-serif"><rect width="100%" height="100%" rx="8" fill="#fff"/>'
        f"{''.join(parts)}</svg>"
    )


def _card(lesson: LessonFile, x: int, y: int, state: str, *, is_next: bool) -> str:
    words, border, ground = STATES[state]
    words = f"{'begin' if not state else 'go on'} here" if is_next else words
    lines = _wrap(lesson.title)
    titles = "".join(
        f'<text x="{x + 62}" y="{y + 30 + 18 * row}" font-size="15" fill="{INK}">{escape(line)}</text>'
        for row, line in enumerate(lines)
    )
    return (
        f'<rect x="{x}" y="{y}" width="{WIDE}" height="{HIGH}" rx="8" fill="{ground}" '
        f'stroke="{BLUE if is_next else border}" stroke-width="{4 if is_next else 1.5}"/>'
        f'<text x="{x + 12}" y="{y + 32}" font-size="22" font-weight="bold" fill="{border}">{_number(lesson)}</text>'
        f"{titles}"
        f'<text x="{x + 62}" y="{y + HIGH - 12}" font-size="13" fill="{GREY}">'
        f"{f'{lesson.minutes} minutes' if lesson.minutes else ''}</text>"
        f'<text x="{x + WIDE - 12}" y="{y + HIGH - 12}" font-size="13" font-weight="bold" text-anchor="end" '
        f'fill="{BLUE if is_next else border}">{words}</text>'
    )


def _wrap(title: str) -> list[str]:
    """Two lines at most."""
    lines = [""]
    for word in title.split():
        if lines[-1] and len(lines[-1]) + 1 + len(word) > LINE:
            lines.append(word)
        else:
            lines[-1] = f"{lines[-1]} {word}".strip()
    return lines if len(lines) <= 2 else [lines[0], f"{lines[1]} …"]


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
        return ""
    answered = [one for one in kept.get("predictions", {}).values() if one.get("right") is not None]
    exercises = kept.get("exercises", {}).values()
    words = [_state(lesson, done)]
    if answered:
        words.append(f"{sum(one['right'] for one in answered)} of {len(answered)} predictions right")
    if exercises:
        words.append(f"{sum(bool(one.get('done')) for one in exercises)} of {len(exercises)} tried exercises done")
    return "; ".join(words)
