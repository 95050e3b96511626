"""Has every statement of the notes a place in a lesson, and is that place there?"""

import re
from pathlib import Path
from typing import NamedTuple

import nbformat

ROOT = Path(__file__).resolve().parents[2]
TABLE = ROOT / "docs/coverage.md"
STATEMENTS = 61  # in the notes, counted one by one
ROW = re.compile(
    r"^\| (?P<number>\d+) \| (?P<statement>[^|]+) \| (?P<words>[^|]*) \| (?P<place>[^|]*) \| (?P<section>[^|]*) \|$",
    re.M,
)
LINK = re.compile(r"\[\w+\]\((?P<path>[^)]+)\)")
MINUTES = re.compile(r" \(\d+ minutes\)$")


class Row(NamedTuple):
    """A statement, and where it is tried."""

    number: int
    words: str
    path: str
    section: str


def read_rows(text: str) -> list[Row]:
    """The rows of the table; `path` is "" where a row has no link."""
    rows = []
    for match in ROW.finditer(text):
        link = LINK.fullmatch(match["place"].strip())
        rows.append(
            Row(int(match["number"]), match["words"].strip(), link["path"] if link else "", match["section"].strip())
        )
    return rows


def find_faults(rows: list[Row], folder: Path) -> list[str]:
    """What is wrong with each row, in a sentence; `folder` is where the table lies."""
    faults = []
    for row in rows:
        path = folder / row.path
        if not row.path or not path.is_file():
            faults.append(f"statement {row.number} has no lesson")
        elif row.section not in sections_of(path):
            faults.append(f"statement {row.number}: {path.name} has no section {row.section!r}")
        elif not row.words:
            faults.append(f"statement {row.number} has no words of the notes")
    return faults


def sections_of(path: Path) -> set[str]:
    """The headings of a lesson, without their minutes."""
    cells = nbformat.read(path, as_version=4).cells
    lines = [line for cell in cells if cell.cell_type == "markdown" for line in cell.source.splitlines()]
    return {MINUTES.sub("", line.removeprefix("## ")) for line in lines if line.startswith("## ")}


def test_every_statement_has_a_place() -> None:
    """All of them, in their order, each in a section that is there."""
    rows = read_rows(TABLE.read_text())

    assert [row.number for row in rows] == [*range(1, STATEMENTS + 1)]
    assert [] == find_faults(rows, TABLE.parent)


def test_a_wrong_row_is_seen() -> None:
    """One without a lesson, one whose lesson is not there, one whose section is not there, one without words."""
    text = """
| 1 | A. | 甲 |  | 1. X |
| 2 | B. | 乙 | [01](../notebooks/gone.ipynb) | 1. X |
| 3 | C. | 丙 | [01](../notebooks/01-engine-api.ipynb) | 99. Not there |
| 4 | D. |  | [01](../notebooks/01-engine-api.ipynb) | The end |
"""
    faults = find_faults(read_rows(text), TABLE.parent)

    assert [fault[:11] for fault in faults] == [f"statement {number}" for number in range(1, 5)]
    assert "no lesson" in faults[1] and "no section '99. Not there'" in faults[2] and "no words" in faults[3]
