"""What does a line print, when a learner types it into a shell?"""

import subprocess
from collections import deque
from dataclasses import dataclass
from time import monotonic
from typing import NamedTuple

__all__ = ["ShellResult", "TypedLine", "sh", "typed"]

PATIENCE_S = 60.0
KEPT_LINES = 100


@dataclass
class TypedLine:
    """A line that `sh` ran, and from when to when, in seconds of the monotonic clock; None: it still runs."""

    line: str
    began_s: float
    ended_s: float | None = None


typed: deque[TypedLine] = deque(maxlen=KEPT_LINES)  # the latest: a view shows what was said under each


class ShellResult(NamedTuple):
    """A line, what it wrote to its two outputs, and its exit status."""

    line: str
    out: str
    err: str
    status: int

    def __str__(self) -> str:
        return f"$ {self.line}\n{self.out}{self.err}".rstrip()


def sh(line: str, *, timeout_s: float = PATIENCE_S) -> ShellResult:
    """Have /bin/sh run a line, and give what came of it; what is not UTF-8 is replaced.

    Raises subprocess.TimeoutExpired when it has not ended after `timeout_s` seconds.
    """
    note = TypedLine(line, monotonic())
    typed.append(note)
    try:
        done = subprocess.run(
            ["/bin/sh", "-c", line],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=timeout_s,
            encoding="utf-8",
            errors="replace",
        )
    finally:
        note.ended_s = monotonic()
    return ShellResult(line, done.stdout, done.stderr, done.returncode)
