"""What are the terminals that somebody opens in a machine that runs already?

Each is a login shell on a pseudo-terminal, a child of PID 1: pty(7). Their bytes share the control line with PID 1's
own words, in small pieces: the next piece of output is read when the last has been taken outside, so that a program
that writes without end fills a terminal, and not the line.
"""

import os
import pty
from base64 import b64decode, b64encode
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NoReturn

from labkit.machine.request import Line

__all__ = ["Terminals"]

OUTPUT_BYTES = 4096
Resize = Callable[[int, int, int], None]  # of a descriptor, to rows and columns


@dataclass
class Terminal:
    """One terminal; `waiting` was typed and has not been read by the shell's side yet."""

    shell: int
    fd: int
    waiting: bytes = b""
    is_untaken: bool = False  # the last piece of its output
    has_ended: bool = False


class Terminals:
    """All terminals of a machine, by the numbers that the outside gave them."""

    def __init__(self, line: Line, become_shell: Callable[[], NoReturn], resize: Resize) -> None:
        self._line = line
        self._become_shell = become_shell
        self._resize = resize
        self._open: dict[int, Terminal] = {}

    def readers(self) -> list[int]:
        """The descriptors from which there may be output that somebody takes."""
        return [one.fd for one in self._open.values() if not one.is_untaken]

    def writers(self) -> list[int]:
        """The descriptors for which something was typed."""
        return [one.fd for one in self._open.values() if one.waiting]

    def obey(self, message: dict[str, Any]) -> None:
        """Do what an order of the control line says to a terminal."""
        number = message["terminal"]
        one = self._open.get(number)
        match message:
            case {"order": "open", "rows": int(rows), "columns": int(columns), "name": str(name)} if one is None:
                self._start(number, rows, columns, name)
            case {"order": "type", "data": str(data)} if one is not None:
                one.waiting += b64decode(data)
            case {"order": "taken"} if one is not None:
                one.is_untaken = False
            case {"order": "resize", "rows": int(rows), "columns": int(columns)} if one is not None:
                with suppress(OSError):
                    self._resize(one.fd, rows, columns)
            case {"order": "close"} if one is not None:
                self._close(number)

    def move(self, readable: set[int], writable: set[int]) -> None:
        """Pass on what select(2) has found."""
        for number, one in list(self._open.items()):
            if one.fd in writable:
                self._type(number, one)
            if not one.is_untaken and (one.fd in readable or one.has_ended):
                self._pass_output(number, one)

    def note_end(self, pid: int) -> None:
        """A child of PID 1 has ended; if it was a shell, what it still has to say is passed on, and no more."""
        for one in self._open.values():
            one.has_ended = one.has_ended or one.shell == pid

    def _start(self, number: int, rows: int, columns: int, name: str) -> None:
        try:
            shell, fd = pty.fork()
        except OSError as error:  # a learner may have used up the processes, or unmounted /dev/pts
            self._line.send(event="closed", terminal=number, why=error.strerror)
            return
        if shell == 0:
            os.environ["TERM"] = name
            self._become_shell()
        os.set_blocking(fd, False)
        self._resize(fd, rows, columns)
        self._open[number] = Terminal(shell, fd)

    def _type(self, number: int, one: Terminal) -> None:
        try:
            one.waiting = one.waiting[os.write(one.fd, one.waiting) :]
        except BlockingIOError:
            return
        except OSError:  # the shell has gone
            one.waiting = b""
        if not one.waiting:
            self._line.send(event="taken", terminal=number)

    def _pass_output(self, number: int, one: Terminal) -> None:
        try:
            data = os.read(one.fd, OUTPUT_BYTES)
        except BlockingIOError:
            if one.has_ended:  # what its children may still say is not waited for
                self._close(number)
            return
        except OSError:  # the last user of the terminal has gone
            data = b""
        if data:
            one.is_untaken = True
            self._line.send(event="said", terminal=number, data=b64encode(data).decode())
        else:
            self._close(number)

    def _close(self, number: int) -> None:
        """Hang up: the kernel sends SIGHUP to those who have it as their terminal."""
        os.close(self._open.pop(number).fd)
        self._line.send(event="closed", terminal=number, why="")
