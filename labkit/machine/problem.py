"""How is it said what is wrong with this host?"""

from dataclasses import dataclass

__all__ = ["Problem"]


@dataclass(frozen=True, slots=True)
class Problem:
    """What was found, and the cure."""

    found: str
    cure: str

    def __str__(self) -> str:
        return f"{self.found} {self.cure}"
