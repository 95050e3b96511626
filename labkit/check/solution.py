"""Which hints and which solution has an exercise, and may the solution be read already?

`notebooks/solutions/01-a.py` begins with its hints, one comment each, which may go on in the next line; the solution
follows. docs/exercises.md has the format of release.json, too.

>>> parse_solution('''# Hint: Look at `docker create --help`.
... # Hint: The option that limits memory
... #   is --memory.
...
... sh("docker create --memory 32m busybox")
... ''')
Solution(hints=('Look at `docker create --help`.', 'The option that limits memory is --memory.'), \
code='sh("docker create --memory 32m busybox")\\n')
"""

import json
from dataclasses import dataclass
from pathlib import Path

from labkit.course import find_solution
from labkit.errors import LabError

__all__ = ["RELEASE", "Solution", "is_released", "parse_solution", "read_solution"]

RELEASE = "release.json"
HINT = "# Hint: "


@dataclass(frozen=True, slots=True)
class Solution:
    """The hints of an exercise, each saying more than the one before, and the code that does it."""

    hints: tuple[str, ...]
    code: str


def parse_solution(text: str) -> Solution:
    """Take the comments at the beginning as hints, and the rest as code."""
    hints: list[str] = []
    lines = text.splitlines(keepends=True)
    while lines and lines[0].startswith("#"):
        line = lines.pop(0)
        if line.startswith(HINT):
            hints.append(line.removeprefix(HINT).strip())
        elif hints:
            hints[-1] += f" {line.removeprefix('#').strip()}"
    return Solution(tuple(hints), "".join(lines).lstrip("\n"))


def read_solution(lesson: str, exercise: str) -> Solution:
    """The hints and the solution of an exercise, as ("01-engine-api", "A"). Raises LabError where it has none."""
    return parse_solution(find_solution(lesson, exercise).read_text(encoding="utf-8"))


def is_released(directory: Path, lesson: str, exercise: str) -> bool:
    """Does the teacher's file in this directory name the exercise ("01-a"), its lesson ("01"), or "all"?

    Raises LabError where the file is not what it should be.
    """
    place = directory / RELEASE
    try:
        names = json.loads(place.read_text(encoding="utf-8"))["solutions"]
        released = {str(name).lower() for name in names}
    except FileNotFoundError:
        return False
    except (OSError, ValueError, LookupError, TypeError) as error:
        words = 'it should hold {"solutions": ["01-a", "02"]}'
        raise LabError(f"{place} cannot be understood ({type(error).__name__}): {words}.") from error
    number = lesson.partition("-")[0].lower()
    return not released.isdisjoint({"all", number, f"{number}-{exercise.lower()}"})
