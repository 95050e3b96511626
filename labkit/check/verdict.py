"""What does a check say?"""

from dataclasses import dataclass

__all__ = ["Verdict", "shorten"]

SHOWN_CHARACTERS = 60


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a check found; `missing` says what is still to be done."""

    attempted: bool
    missing: str = ""

    def __repr__(self) -> str:
        if not self.attempted:
            return "not attempted"
        return f"not yet: {self.missing}" if self.missing else "done"


def shorten(text: str) -> str:
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}…"
