"""What does a long command say on the terminal, while it works, and when Ctrl-C ends it?"""

import os
import signal
import sys
import time
from contextlib import suppress
from typing import NoReturn, TextIO

__all__ = ["Progress", "columns", "exit_at_once", "exit_on_interrupt"]

CLEAR_REST = "\x1b[K"  # from here to the end of the line: ECMA-48, EL
CLEAR = f"\r{CLEAR_REST}"
FIRST_S, NEXT_S = 1.0, 0.2
COLUMNS = 100  # where there is no terminal


class Progress:
    """How many bytes were read, in the last line of the terminal, after the first second; silent without one."""

    def __init__(self) -> None:
        self._next = time.monotonic() + FIRST_S if sys.stderr.isatty() else float("inf")
        self._is_shown = False

    def __call__(self, done: int, total: int) -> None:
        """Take how many bytes were read, and how many there are; 0 where that is not known."""
        if time.monotonic() >= self._next:
            self._next, self._is_shown = time.monotonic() + NEXT_S, True
            _write(f"\r{progress_text(done, total)[: columns(sys.stderr) - 1]}{CLEAR_REST}")

    def clear(self) -> None:
        """Leave the line as it was before."""
        if self._is_shown:
            _write(CLEAR)


def progress_text(done: int, total: int) -> str:
    """Say how many bytes were read, of how many where that is known.

    >>> progress_text(750_000_000, 3_000_000_000), progress_text(750_000_000, 0)
    (' 25% of 3,000 MB read', '750 MB read')
    """
    return f"{min(1, done / total):4.0%} of {total / 1e6:,.0f} MB read" if total else f"{done / 1e6:,.0f} MB read"


def exit_on_interrupt() -> None:
    """Let Ctrl-C end the program at once, with one line and status 130: for a command that has nothing to undo."""
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:  # as it is in the background of a shell
        signal.signal(signal.SIGINT, _exit)


def exit_at_once(status: int) -> NoReturn:
    """End the program when all was written, as sys.exit does, without freeing what it holds value by value."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def columns(stream: TextIO) -> int:
    """Give the width of the terminal to which a stream leads; 100 where there is none, or none that says it."""
    with suppress(OSError, ValueError):
        return os.get_terminal_size(stream.fileno()).columns or COLUMNS
    return COLUMNS


def _exit(*_: object) -> None:
    _write((CLEAR if sys.stderr.isatty() else "") + "labkit: interrupted\n")
    os._exit(128 + signal.SIGINT)


def _write(text: str) -> None:
    """Write to stderr past Python's buffer: a signal may come in the middle of another write."""
    with suppress(OSError):
        os.write(2, text.encode())
