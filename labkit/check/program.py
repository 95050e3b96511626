"""How do the parts that a learner has written become one program, and what stands in for a part that is missing?

The program of lesson 16 is a frame with five parts. A learner writes a part in a cell; where an earlier part is not
written yet, the lesson's own solution takes its place, so that one may go on from there.

    program = Program()
    program.write("B", "def do_run(words): ...")     part A is the lesson's now, and part B the learner's
    program.owners()                                 {"A": "the lesson's", "B": "yours"}
"""

import re
from pathlib import Path

from labkit.check.solution import parse_solution
from labkit.course import course_dir
from labkit.errors import LabError

__all__ = ["LESSONS", "MINE", "PARTS", "PROGRAM", "Program", "lessons_part", "whole_program"]

PROGRAM = Path("/root/mydocker")
PARTS = {"A": "images", "B": "run", "C": "limits and rights", "D": "network", "E": "life"}
MINE, LESSONS = "yours", "the lesson's"
PLACE = "# === the parts ===\n"
_HEAD = re.compile(r"^# === part ([A-E]), [\w ]+: (yours|the lesson's) ===\n", re.M)
_MAGIC = re.compile(r"\A%%part [A-E]\n")


class Program:
    """The program in a file, part by part."""

    def __init__(self, path: Path = PROGRAM) -> None:
        self.path = path

    def owners(self) -> dict[str, str]:
        """Whose each part is, as far as there are parts, in their order."""
        return {part: owner for part, (owner, _) in self._read().items()}

    def begin(self) -> None:
        """Write the frame, where there is no program yet. Raises LabError where the lesson's files are not there."""
        if not self.path.exists():
            self._save({})

    def write(self, part: str, text: str) -> None:
        """Put a learner's part into the program, with the lesson's parts where earlier ones are missing.

        Raises LabError for a name of no part, for a text that is no Python, and where the lesson's parts are not there.
        """
        if part not in PARTS:
            raise LabError(f"There is no part {part!r}: the parts are {', '.join(PARTS)}.")
        try:
            compile(text, f"part {part}", "exec")
        except SyntaxError as error:
            raise LabError(f"Part {part} is no Python: {error.msg}, line {error.lineno} of the part.") from None
        parts = self._read()
        for earlier in list(PARTS)[: list(PARTS).index(part)]:
            parts.setdefault(earlier, (LESSONS, lessons_part(earlier)))
        parts[part] = (MINE, text)
        self._save(parts)

    def fill(self) -> None:
        """Put the lesson's part wherever one is missing."""
        parts = self._read()
        self._save({part: parts.get(part) or (LESSONS, lessons_part(part)) for part in PARTS})

    def _read(self) -> dict[str, tuple[str, str]]:
        text = self.path.read_text(encoding="utf-8") if self.path.exists() else ""
        pieces = _HEAD.split(text.partition("# === the end of the parts ===\n")[0])[1:]
        found = zip(pieces[::3], pieces[1::3], pieces[2::3], strict=True)
        return {part: (owner, f"{body.strip()}\n") for part, owner, body in found}

    def _save(self, parts: dict[str, tuple[str, str]]) -> None:
        before, _, after = (course_dir() / "notebooks/solutions/mydocker.frame").read_text("utf-8").partition(PLACE)
        bodies = [
            f"# === part {part}, {PARTS[part]}: {parts[part][0]} ===\n\n\n{parts[part][1].strip()}\n\n\n"
            for part in PARTS
            if part in parts
        ]
        text = f"{before}{''.join(bodies)}# === the end of the parts ==={after}"
        self.path.write_text(text.replace("# === the end of the parts ===", "# === the end of the parts ===\n", 1))


def lessons_part(part: str) -> str:
    """The lesson's own solution of a part. Raises LabError where it is not there."""
    place = course_dir() / f"notebooks/solutions/16-{part.lower()}.py"
    if not place.exists():
        raise LabError(f"The solution of part {part} is not there: {place}. Install labkit again.")
    return _MAGIC.sub("", parse_solution(place.read_text(encoding="utf-8")).code)


def whole_program(path: Path, own: Path = PROGRAM) -> dict[str, str]:
    """Write the whole program to `path`: the learner's parts in `own`, and the lesson's for the others; whose each is.

    Raises LabError where the lesson's parts are not there.
    """
    path.write_text(own.read_text(encoding="utf-8") if own.exists() else "")
    program = Program(path)
    program.fill()
    return program.owners()
