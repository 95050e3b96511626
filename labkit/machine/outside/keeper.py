"""Who outside keeps what a learner does in a machine?

The launcher, in the learner's copy that holds the notebook, and nowhere else: see labkit.progress.
"""

import sys
from pathlib import Path
from typing import Any

from labkit.progress import Note, find_copy, keep, load

__all__ = ["Keeper"]

MAX_NOTES = 5000  # of one machine, in which anybody may send as many as he likes


class Keeper:
    """Reads what is kept, for the boot, and keeps what comes from then on; what fails is said on the standard error."""

    def __init__(self, directory: Path) -> None:
        self._copy = find_copy(directory)
        self._left = MAX_NOTES

    def read(self) -> dict[str, Any] | None:
        """What a machine is told of what is kept; None where nothing is kept."""
        if self._copy is None:
            return None
        try:
            lessons, said = load(self._copy)
        except OSError as error:
            _say(f"what was done in the lessons cannot be read: {error}")
            return None
        if said:
            _say(said)
        return {"lessons": lessons, "said": said}

    def keep(self, text: str) -> None:
        """Keep one note, if it is one."""
        note = Note.from_json(text)
        if self._copy is None or note is None or self._left == 0:
            return
        self._left -= 1
        try:
            said = keep(self._copy, note)
        except OSError as error:
            said = f"what was done in the lesson cannot be kept: {error}"
        if said:
            _say(said)


def _say(words: str) -> None:
    print(f"labkit: {words}", file=sys.stderr)
