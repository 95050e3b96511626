"""How does this terminal get into the machine of a lesson that is open?

It finds the sockets that launchers of this user listen on, asks which where there are several, and is that machine's
terminal until the shell or the machine ends. On the host it offers nothing. A terminal of a JupyterLab prefers the
machines of that JupyterLab: the server is an ancestor of this process, and started their launchers.
"""

import os
import select
import signal
import socket
import time
from base64 import b64decode, b64encode
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labkit.errors import MachineError
from labkit.linux.proc import read_stat
from labkit.machine.outside.raw_terminal import raw_terminal, window
from labkit.machine.outside.terminals import SOCKET, TYPED_BYTES
from labkit.machine.places import state_dir
from labkit.machine.request import Line

__all__ = ["visit"]

NONE_OPEN = "No lesson is open: open a lesson first, and run its first cell."
WAITING = "This terminal goes into the lesson's machine then. Ctrl-C closes it."
SERVER_VARIABLE = "JUPYTER_SERVER_URL"  # jupyter_server_terminals gives it to each terminal of a JupyterLab
HELLO_S = 5.0  # a launcher that has much to do
LOOK_S = 0.5
RESTART_S = 20.0  # what a machine may take to be there again


@dataclass
class Door:
    """A connection to the launcher of a machine; the words of its launcher are those of `terminals.introduce`.

    `is_near`: the program that started the machine's kernel started this terminal, too.
    """

    lesson: str
    folder: str
    began: float
    is_near: bool
    socket: socket.socket
    line: Line


class MachineEnded(Exception):
    """The machine has gone while somebody was in it."""


def visit(lesson: str = "", *, wait: bool = False) -> int:
    """Be a terminal of a running machine; return 0 when its shell has ended.

    `lesson` is how the name of the lesson begins, or "" for any. With `wait`, wait until one is open, and again when
    its machine has ended; a terminal of a JupyterLab then waits for a lesson of that JupyterLab. Raises MachineError
    when none is open, or the machine ends.
    """
    said = False
    while True:
        doors = _find_doors(lesson)
        if wait and SERVER_VARIABLE in os.environ:
            doors = _keep_near(doors)
        if not doors:
            if not wait:
                raise MachineError(NONE_OPEN if not lesson else f"No lesson is open that is called {lesson!r}.")
            if not said:
                print(f"{NONE_OPEN}\n{WAITING}", flush=True)
            said = True
            time.sleep(LOOK_S)
            continue
        door = _choose(doors)
        for other in doors:
            if other is not door:
                other.socket.close()
        said = False
        try:
            return _enter(door)
        except MachineEnded:
            words = f"The machine of {door.lesson} has ended, and this terminal with it."
            if not wait:
                raise MachineError(words) from None
            print(f"\n{words} It comes back when the lesson runs again.", flush=True)
            _wait_for(door.lesson)
        finally:
            door.socket.close()


def _wait_for(lesson: str) -> None:
    """A machine that is restarted is there again soon; its terminal is not to be another lesson's meanwhile."""
    deadline = time.monotonic() + RESTART_S
    while time.monotonic() < deadline:
        doors = _find_doors(lesson)
        for door in doors:
            door.socket.close()
        if doors:
            return
        time.sleep(LOOK_S)


def _find_doors(lesson: str) -> list[Door]:
    """A connection to each machine of this user that has a notebook: near ones first, then by name and by age."""
    found = []
    ancestors = _find_ancestors()
    for path in state_dir().glob(f"*/{SOCKET}"):
        door = _knock(path, ancestors)
        if door is not None and door.lesson.startswith(lesson):
            found.append(door)
        elif door is not None:
            door.socket.close()
    return sorted(found, key=lambda door: (not door.is_near, door.lesson, door.began))


def _keep_near(doors: list[Door]) -> list[Door]:
    for door in doors:
        if not door.is_near:
            door.socket.close()
    return [door for door in doors if door.is_near]


def _find_ancestors() -> set[int]:
    found = set[int]()
    pid = os.getppid()
    while pid > 0 and (stat := read_stat(pid)) is not None:
        found.add(pid)
        pid = stat.ppid
    return found


def _knock(path: Path, ancestors: set[int]) -> Door | None:
    """Connect to a launcher; None where nobody listens any more."""
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(HELLO_S)
    try:
        connection.connect(str(path))
        line = Line(connection)
        ready, _, _ = select.select([connection], [], [], HELLO_S)
        messages = line.receive() if ready else None
    except OSError:
        messages = None
    match messages:
        case [{"lesson": str(lesson), "folder": str(folder), "began": float(began), "server": int(server)}]:
            connection.setblocking(True)
            return Door(lesson, folder, began, server in ancestors, connection, line)
    connection.close()
    return None


def _choose(doors: list[Door]) -> Door:
    """The only machine, or the only near one, or the one that is asked for. Raises MachineError when none is chosen."""
    near = [door for door in doors if door.is_near]
    if len(near) == 1 or len(doors) == 1:
        return doors[0]
    print("Several lessons are open:")
    for number, door in enumerate(doors, 1):
        if near and number == len(near) + 1:
            print("Not of this JupyterLab:")
        print(f"  {number}  {_name_door(door, doors)}")
    while True:
        try:
            answer = input(f"Which machine do you want to enter, 1 to {len(doors)}? ").strip()
        except EOFError:
            raise MachineError("No machine was chosen.") from None
        if answer.isdecimal() and 1 <= int(answer) <= len(doors):
            return doors[int(answer) - 1]


def _name_door(door: Door, doors: list[Door]) -> str:
    """The lesson of a machine; where another has the same lesson, when it booted and in which folder, too."""
    if sum(other.lesson == door.lesson for other in doors) == 1:
        return door.lesson
    return f"{door.lesson}  booted at {time.strftime('%H:%M:%S', time.localtime(door.began))}, in {door.folder}"


def _enter(door: Door) -> int:
    """Pass bytes on until the shell ends. Raises MachineEnded."""
    print(f"You are root on the machine of {door.lesson}. `exit` leaves it.", flush=True)
    resized, woken = os.pipe()
    os.set_blocking(woken, False)
    before = signal.signal(signal.SIGWINCH, lambda *_: os.write(woken, b"x"))
    try:
        with raw_terminal():
            _send(door, order="open", **window()._asdict(), name=os.environ.get("TERM", "dumb"))
            return _relay(door, resized)
    finally:
        signal.signal(signal.SIGWINCH, before)
        for fd in (resized, woken):
            os.close(fd)


def _relay(door: Door, resized: int) -> int:
    may_type = True
    while True:
        watched = [door.line.fileno(), resized, *([0] if may_type else [])]
        ready, _, _ = select.select(watched, [], [])
        if resized in ready:
            os.read(resized, 64)
            _send(door, order="resize", **window()._asdict())
        if 0 in ready:
            keys = _read_keys()
            if not keys:  # this terminal has gone
                return 0
            _send(door, order="type", data=b64encode(keys).decode())
            may_type = False  # until this piece has been taken
        if door.line.fileno() in ready:
            messages = door.line.receive()
            if messages is None:
                raise MachineEnded
            for message in messages:
                match message:
                    case {"event": "said", "data": str(data)}:
                        _write(b64decode(data))
                        _send(door, order="taken")
                    case {"event": "taken"}:
                        may_type = True
                    case {"event": "closed", "why": str(why)}:
                        if why:
                            raise MachineError(f"The machine can give no terminal ({why}). Kernel > Restart helps.")
                        return 0


def _send(door: Door, **message: Any) -> None:
    try:
        door.line.send(**message)
    except OSError:
        raise MachineEnded from None


def _read_keys() -> bytes:
    with suppress(OSError):
        return os.read(0, TYPED_BYTES)
    return b""


def _write(data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(1, left) :]
