"""What does a launcher let a visitor say to the machine, and what does the machine do with a terminal?"""

import json
import os
import pty
import select
import socket
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from labkit.machine.inside import terminals as inside
from labkit.machine.outside.terminals import MAX_VISITORS, SOCKET, Terminals

HELLO = {"lesson": "01-engine-api", "folder": "/", "began": 1.5, "server": 1}
OPEN = {"order": "open", "rows": 24, "columns": 80, "name": "xterm"}


class Recorder:
    """The control line of a machine, which notes what it is told."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []

    def send(self, **message: Any) -> None:
        self.sent.append(message)


class Visit:
    """A launcher's side with a machine that only listens, and a connection to it."""

    def __init__(self, run_dir: Path) -> None:
        self.line = Recorder()
        machine: Any = SimpleNamespace(run_dir=run_dir, line=self.line)
        self.terminals = Terminals(machine, HELLO)
        self.terminals.open()
        self.path = str(run_dir / SOCKET)
        self.socket = self.connect()

    def connect(self) -> socket.socket:
        visitor = socket.socket(socket.AF_UNIX)
        visitor.connect(self.path)
        self.move()
        return visitor

    def move(self) -> None:
        """Hear all that there is."""
        while ready := select.select([*self.terminals.watched], [], [], 0)[0]:
            for fd in ready:
                self.terminals.hear(fd)

    def say(self, *messages: object) -> list[dict[str, Any]]:
        """Say something; give what the machine has heard since."""
        before = len(self.line.sent)
        for message in messages:
            self.socket.sendall((message if isinstance(message, bytes) else json.dumps(message).encode()) + b"\n")
        self.move()
        return self.line.sent[before:]


@pytest.fixture
def visit(tmp_path: Path) -> Iterator[Visit]:
    visit = Visit(tmp_path)
    yield visit
    visit.socket.close()


def typed(data: bytes) -> dict[str, str]:
    return {"order": "type", "data": b64encode(data).decode()}


def test_a_visitor_opens_types_and_goes(visit: Visit) -> None:
    """It is told whose machine this is; one piece at a time goes in; when it goes, its terminal is hung up."""
    assert HELLO == json.loads(visit.socket.recv(200))
    assert [{"terminal": 1, **OPEN}] == visit.say(OPEN)
    assert [{"terminal": 1, **typed(b"ls\r")}] == visit.say(typed(b"ls\r"), typed(b"early"))
    visit.terminals.pass_out({"event": "taken", "terminal": 1})
    assert b'{"event": "taken"}\n' == visit.socket.recv(200)
    assert [{"terminal": 1, **typed(b"id\r")}] == visit.say(typed(b"id\r"))
    visit.terminals.pass_out({"event": "said", "terminal": 2, "data": "no visitor's"})

    visit.socket.shutdown(socket.SHUT_RDWR)
    visit.move()

    assert {"terminal": 1, "order": "close"} == visit.line.sent[-1]


@pytest.mark.parametrize(
    "words",
    [
        b"no JSON",
        b"[1]",
        typed(b"before it is open"),
        {"order": "resize", "rows": 1, "columns": 1},
        {"order": "open", "rows": "24", "columns": 80, "name": "xterm"},
        {"order": "close", "terminal": 7},
        {"order": "signal", "number": 9},
    ],
)
def test_what_is_no_order_of_a_visitor_goes_nowhere(words: object, visit: Visit) -> None:
    """The machine hears the five orders alone, in their order, and only of the visitor's own terminal."""
    assert [] == visit.say(words)


def test_sizes_and_names_are_bounded(visit: Visit) -> None:
    """A terminal has 1 to 1000 rows, a name of letters, and takes pieces of at most 256 bytes of base64."""
    (opened,) = visit.say({"order": "open", "rows": -5, "columns": 10**9, "name": "x\nTERM=y"})
    assert (1, 1000, "dumb") == (opened["rows"], opened["columns"], opened["name"])
    assert [] == visit.say(typed(b"x" * 257), {"order": "type", "data": "*"}, {"order": "type", "data": ""})
    assert 1 == len(visit.say(typed(b"x" * 256)))


def test_there_are_few_visitors(visit: Visit) -> None:
    """Who comes when all places are taken is hung up on; a visitor that does not read loses its place."""
    others = [visit.connect() for _ in range(MAX_VISITORS)]
    assert b"" == others[-1].recv(200)
    visit.say(OPEN)
    for _ in range(1000):
        visit.terminals.pass_out({"event": "said", "terminal": 1, "data": "x" * 5000})
    assert {"terminal": 1, "order": "close"} == visit.line.sent[-1]
    assert visit.connect().recv(200)
    for one in others:
        one.close()


def test_output_waits_until_it_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """One piece of output is on its way at a time; the end of the shell is told, and nothing is read after it."""
    ours, theirs = pty.openpty()
    os.set_blocking(ours, False)
    monkeypatch.setattr(pty, "fork", lambda: (4321, ours))
    line: Any = Recorder()
    terminals = inside.Terminals(line, lambda: os._exit(1), lambda *_: None)
    terminals.obey({"terminal": 1, **OPEN})
    os.write(theirs, b"a" * 1000)
    assert [ours] == terminals.readers()
    for _ in range(3):
        terminals.move({ours}, set())
    assert [("said", 1)] == [(one["event"], one["terminal"]) for one in line.sent]
    assert [] == terminals.readers()

    terminals.obey({"terminal": 1, "order": "taken"})
    terminals.note_end(4321)
    terminals.move(set(), set())

    assert {"event": "closed", "terminal": 1, "why": ""} == line.sent[-1]
    assert [] == terminals.readers()
    os.close(theirs)


def test_a_machine_that_can_give_no_terminal_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    """A learner may have used up the processes."""

    def refuse() -> tuple[int, int]:
        raise OSError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(pty, "fork", refuse)
    line: Any = Recorder()

    inside.Terminals(line, lambda: os._exit(1), lambda *_: None).obey({"terminal": 3, **OPEN})

    assert [{"event": "closed", "terminal": 3, "why": "Resource temporarily unavailable"}] == line.sent
