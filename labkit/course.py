"""Where is the course that came with this labkit, and what is in it?

In the repository it lies beside the package; an installed package has it under share/labkit, as pip put it there.
"""

import json
import re
import site
import sysconfig
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labkit.errors import LabError

__all__ = ["LessonFile", "course_dir", "find_lesson", "find_solution", "list_lessons", "read_notebook"]

PACKAGE = Path(__file__).resolve().parent
HEADING = re.compile(r"^#\s+(.+)$", re.MULTILINE)
TROUBLE = re.compile(r"^\*\*Trouble[.:]?\*\*[.:]?\s+(.+)$", re.MULTILINE)
MINUTES = re.compile(r"\b(\d+)\s+minutes\b")


@dataclass(frozen=True, slots=True)
class LessonFile:
    """A lesson of the course: `name` is its file's name without the end; `trouble` is what it begins with, or "".

    `minutes` is 0 where it names none.
    """

    name: str
    path: Path
    title: str
    trouble: str
    minutes: int


def course_dir() -> Path:
    """The directory that holds `notebooks` and `docs`. Raises LabError where there is none."""
    places = [
        PACKAGE.parent,
        Path(sysconfig.get_path("data")) / "share/labkit",
        Path(site.getuserbase()) / "share/labkit",
    ]
    for place in places:
        if any((place / "notebooks").glob("*.ipynb")):
            return place
    raise LabError(
        f"The lessons are not there: none of {', '.join(map(str, places))} holds them. Install labkit again."
    )


def list_lessons() -> list[LessonFile]:
    """The lessons in the order in which they are taken. Raises LabError where there are none."""
    return [_describe(path) for path in sorted((course_dir() / "notebooks").glob("*.ipynb"))]


def find_lesson(words: str) -> LessonFile:
    """The lesson whose name begins with these words, as "01". Raises LabError, with all names, unless it is one."""
    lessons = list_lessons()
    wanted = words.removesuffix(".ipynb")
    whole = [lesson for lesson in lessons if wanted in (lesson.name, lesson.name.partition("-")[0])]  # 02 is not 02b
    found = whole or [lesson for lesson in lessons if lesson.name.startswith(wanted)]
    if len(found) != 1:
        names = ", ".join(lesson.name for lesson in lessons)
        raise LabError(f"{words!r} names {'more than one lesson' if found else 'no lesson'}. The lessons are: {names}.")
    return found[0]


def find_solution(lesson: str, exercise: str) -> Path:
    """The file of an exercise's hints and solution, as ("01-engine-api", "A"): notebooks/solutions/01-a.py.

    Raises LabError where there is none.
    """
    name = f"{lesson.partition('-')[0]}-{exercise.lower()}.py"
    path = course_dir() / "notebooks/solutions" / name
    if not re.fullmatch(r"\w+-\w+\.py", name) or not path.is_file():
        raise LabError(f"Lesson {lesson} has no solution of an exercise {exercise!r}.")
    return path


def read_notebook(path: Path) -> dict[str, Any]:
    """A notebook as the JSON object that it is. Raises ValueError when it is none, and OSError."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(notebook, dict) or not isinstance(notebook.get("cells"), list):
        raise ValueError(f"{path} is no notebook")
    return notebook


def _describe(path: Path) -> LessonFile:
    """Read from its first cells what a lesson is about."""
    cells = read_notebook(path)["cells"][:3]
    text = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
    title, trouble, minutes = HEADING.search(text), TROUBLE.search(text), MINUTES.search(text)
    return LessonFile(
        name=path.stem,
        path=path,
        title=title[1] if title else path.stem,
        trouble=trouble[1] if trouble else "",
        minutes=int(minutes[1]) if minutes else 0,
    )
