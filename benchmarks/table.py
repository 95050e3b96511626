"""What is one row of the benchmark table, and how is the table printed and stored?"""

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

__all__ = ["BENCHES", "Row", "bench", "format_table", "write_results"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One measurement. Smaller is better; the goal bounds `ours`, or its ratio to the peer."""

    name: str
    unit: str
    ours: float
    peer: float | None = None
    peer_name: str = ""
    goal: float | None = None
    goal_on: Literal["ours", "ratio"] = "ours"

    @property
    def ratio(self) -> float | None:
        return None if self.peer is None else self.ours / self.peer

    @property
    def is_met(self) -> bool | None:
        """Whether the goal is reached; None where there is no goal."""
        measured = self.ours if self.goal_on == "ours" else self.ratio
        return None if self.goal is None or measured is None else measured <= self.goal


Bench = Callable[[], Iterable[Row]]
BENCHES: list[Bench] = []


def bench(function: Bench) -> Bench:
    """Register a function that yields rows."""
    BENCHES.append(function)
    return function


def format_table(rows: Iterable[Row]) -> str:
    """Lay the rows out as aligned columns."""
    cells = [("name", "ours", "peer", "ratio", "goal"), *(_cells(row) for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(5)]
    return "\n".join(
        "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip() for line in cells
    )


def write_results(rows: Iterable[Row], path: Path) -> None:
    """Store the rows as JSON, with the ratio and the verdict spelled out."""
    stored = [asdict(row) | {"ratio": row.ratio, "is_met": row.is_met} for row in rows]
    path.write_text(json.dumps(stored, indent=2) + "\n")


def _cells(row: Row) -> tuple[str, str, str, str, str]:
    peer = "" if row.peer is None else f"{row.peer:.3g} {row.unit} ({row.peer_name})"
    ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
    return row.name, f"{row.ours:.3g} {row.unit}", peer, ratio, _goal_text(row)


def _goal_text(row: Row) -> str:
    if row.goal is None:
        return ""
    what = f"ratio <= {row.goal:g}" if row.goal_on == "ratio" else f"<= {row.goal:g} {row.unit}"
    return f"{what}: {'met' if row.is_met else 'MISSED'}"
