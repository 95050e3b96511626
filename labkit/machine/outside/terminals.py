"""Who may open a terminal in a machine that runs already, and what passes between the two?

The launcher listens on a socket in the machine's run directory, which belongs to one user and nobody else can enter;
whoever connects under another user's number is hung up on. What is said there are lines of JSON:

    the launcher says  what `introduce` gives                            at once
                       {"event": "said", "data": base64}                 answered by the order "taken"
                       {"event": "taken"}                                what was typed was passed on; type more
                       {"event": "closed", "why": ""}                    the shell has ended
    the visitor says   {"order": "open", "rows": 24, "columns": 80, "name": "xterm-256color"}
                       {"order": "type", "data": base64}                 at most 256 bytes, one piece at a time
                       {"order": "resize", "rows": 24, "columns": 80}
                       {"order": "taken"}

A visitor that goes hangs up its terminal; the machine's end hangs up on all. Source: unix(7), SO_PEERCRED.
"""

import os
import re
import socket
import struct
from base64 import b64decode
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from labkit.machine.request import Line

if TYPE_CHECKING:
    from labkit.machine.outside.machine import Machine

__all__ = ["SOCKET", "TYPED_BYTES", "Terminals", "introduce", "name_lesson"]

SOCKET = "terminals.sock"  # in the run directory
# A serial port's input queue holds 4 KiB and drops the rest: pieces of this size of all visitors at once fit in.
TYPED_BYTES = 256
MAX_VISITORS = 6
NAME = re.compile(r"[A-Za-z0-9.+-]{1,40}")  # of a terminal, as in terminfo(5)
LARGEST = 1000  # rows, columns


@dataclass
class Visitor:
    """A connection, and the number of its terminal in the machine."""

    number: int
    socket: socket.socket
    line: Line
    is_open: bool = False
    is_typing: bool = False  # a piece that the machine has not taken yet


class Terminals:
    """What the launcher does for visitors; `watched` are the descriptors that it has to be told are readable."""

    def __init__(self, machine: "Machine", hello: dict[str, Any]) -> None:
        self.watched: set[int] = set()
        self._machine = machine
        self._hello = hello
        self._listening: socket.socket | None = None
        self._visitors: dict[int, Visitor] = {}
        self._last = 0

    def open(self) -> None:
        """Let visitors come; where the socket cannot be made, the machine goes on without, and none is found."""
        listening = socket.socket(socket.AF_UNIX)
        listening.setblocking(False)
        try:
            listening.bind(str(self._machine.run_dir / SOCKET))
            os.chmod(self._machine.run_dir / SOCKET, 0o600)
            listening.listen()
        except OSError:
            listening.close()
            return
        self._listening = listening
        self.watched.add(listening.fileno())

    def hear(self, fd: int) -> None:
        """Hear a visitor, or a new one."""
        if self._listening is not None and fd == self._listening.fileno():
            self._welcome(self._listening)
        elif visitor := self._visitors.get(fd):
            try:
                messages = visitor.line.receive()
            except BlockingIOError:
                return
            if messages is None:
                self._dismiss(visitor)
            for message in messages or []:
                self._pass_in(visitor, message)

    def pass_out(self, event: dict[str, Any]) -> None:
        """Tell a visitor what the machine said of its terminal."""
        for visitor in list(self._visitors.values()):
            if visitor.number == event["terminal"]:
                visitor.is_typing = visitor.is_typing and event["event"] != "taken"
                visitor.is_open = visitor.is_open and event["event"] != "closed"
                try:
                    visitor.line.send(**{name: value for name, value in event.items() if name != "terminal"})
                except OSError:  # it has gone, or does not read
                    self._dismiss(visitor)

    def _welcome(self, listening: socket.socket) -> None:
        try:
            connection, _ = listening.accept()
        except OSError:  # it has gone again
            return
        connection.setblocking(False)
        if len(self._visitors) >= MAX_VISITORS or not _is_mine(connection):
            connection.close()
            return
        self._last += 1
        visitor = self._visitors[connection.fileno()] = Visitor(self._last, connection, Line(connection))
        self.watched.add(connection.fileno())
        try:
            visitor.line.send(**self._hello)
        except OSError:
            self._dismiss(visitor)

    def _pass_in(self, visitor: Visitor, message: dict[str, Any]) -> None:
        order: dict[str, Any] | None = None
        match message:
            case {"order": "open", "rows": int(rows), "columns": int(columns), "name": str(name)} if (
                not visitor.is_open
            ):
                visitor.is_open = True
                known = name if NAME.fullmatch(name) else "dumb"
                order = {"order": "open", **_size(rows, columns), "name": known}
            case {"order": "type", "data": str(data)} if visitor.is_open and not visitor.is_typing:
                if _is_piece(data):
                    visitor.is_typing = True
                    order = {"order": "type", "data": data}
            case {"order": "resize", "rows": int(rows), "columns": int(columns)} if visitor.is_open:
                order = {"order": "resize", **_size(rows, columns)}
            case {"order": "taken"} if visitor.is_open:
                order = {"order": "taken"}
        if order is not None:
            with suppress(OSError):  # the machine has just ended
                self._machine.line.send(terminal=visitor.number, **order)

    def _dismiss(self, visitor: Visitor) -> None:
        fd = visitor.socket.fileno()
        self.watched.discard(fd)
        self._visitors.pop(fd, None)
        visitor.socket.close()
        if visitor.is_open:
            with suppress(OSError):
                self._machine.line.send(order="close", terminal=visitor.number)


def introduce(began: float, server: int) -> dict[str, Any]:
    """What a visitor hears of a machine: its notebook, its folder, and who it is for.

    `began` is when its boot began, in seconds of the Unix clock; `server` is the pid of the program that started the
    kernel, as a Jupyter server.
    """
    folder = os.getcwd()
    return {
        "lesson": name_lesson(),
        "folder": folder if folder.isprintable() else "a folder",
        "began": began,
        "server": server,
    }


def name_lesson() -> str:
    """What the notebook of this kernel is called: Jupyter says its path; another client says nothing."""
    path = os.environ.get("JPY_SESSION_NAME") or os.getcwd()
    name = os.path.basename(path).removesuffix(".ipynb")
    return name if name.isprintable() else "a lesson"


def _is_mine(connection: socket.socket) -> bool:
    """Does the process at the other end belong to this process's user?"""
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    _, user, _ = struct.unpack("3i", credentials)
    return bool(user == os.geteuid())


def _size(rows: int, columns: int) -> dict[str, int]:
    return {"rows": max(1, min(rows, LARGEST)), "columns": max(1, min(columns, LARGEST))}


def _is_piece(data: str) -> bool:
    try:
        return 0 < len(b64decode(data, validate=True)) <= TYPED_BYTES
    except ValueError:
        return False
