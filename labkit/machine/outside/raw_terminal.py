"""How does this program's terminal pass on what is typed as it is, and how large is it?"""

import os
import termios
import tty
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NamedTuple

__all__ = ["Window", "raw_terminal", "window"]


class Window(NamedTuple):
    """The size of a terminal, in characters."""

    rows: int
    columns: int


@contextmanager
def raw_terminal() -> Iterator[None]:
    """Let what is typed in the block reach this program as it is, Ctrl-C too (termios(3), raw mode)."""
    before = termios.tcgetattr(0)
    try:
        tty.setraw(0)
        yield
    finally:
        with suppress(termios.error):  # the terminal has gone
            termios.tcsetattr(0, termios.TCSADRAIN, before)


def window() -> Window:
    """Give the size of the terminal that is the standard input."""
    size = os.get_terminal_size(0)
    return Window(size.lines, size.columns)
