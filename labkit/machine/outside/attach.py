"""How does a command inside a machine get this terminal's input, and where does its output go?

Over the control line, as base64 in small pieces: bytes of the input one piece at a time, each acknowledged, because
a serial port drops what does not fit its queue.
"""

import os
import select
import signal
import sys
import time
from base64 import b64decode, b64encode
from contextlib import ExitStack, suppress
from typing import Any

from labkit.errors import LabError, MachineError
from labkit.machine.outside import guard
from labkit.machine.outside.machine import Machine, watch_clients
from labkit.machine.outside.memory import UML_MEMORY_MIB
from labkit.machine.outside.raw_terminal import raw_terminal, window
from labkit.machine.request import INPUT_BYTES, Request

__all__ = ["run_command"]

OUTPUTS = {1: "output", 2: "error"}


def run_command(command: list[str], *, kind: str, client: int, terminal: bool = False) -> int:
    """Boot a machine of a kind that this host can carry, run a command in it, and return its exit status.

    The command has this process's input and outputs; with `terminal`, a terminal of its own. The machine ends when
    `client`, this process's parent, has ended. Raises MachineError when there is no machine, or it is gone before
    the command ended; LabError when an output cannot be written.
    """
    clients = watch_clients(client)
    request = Request(
        kind=kind,
        run_dir="",
        began=time.time(),
        cwd=os.getcwd(),
        command=command,
        terminal=window() if terminal else None,
        memory_mib=UML_MEMORY_MIB,
    )
    for number in guard.ENDING_SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _raise_exit)
    try:
        with Machine.running(request) as machine, ExitStack() as at_end:
            return _relay(machine, clients, at_end if terminal else None)
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # nothing is left to do but to end


def _relay(machine: Machine, clients: list[int], at_end: ExitStack | None) -> int:
    """Pass bytes on until the command ends. With `at_end` it has a terminal, and ours is raw until then."""
    terminal = at_end is not None
    resized, woken = os.pipe()
    if terminal:
        os.set_blocking(woken, False)
        signal.signal(signal.SIGWINCH, lambda *_: os.write(woken, b"x"))
    watched = {resized}
    ended = False  # the input
    for event in machine.events(clients, watched):
        match event:
            case {"event": "orphaned"}:
                return 1
            case {"event": "stage", "stage": "ready"}:
                watched.add(0)
                if at_end is not None:
                    at_end.enter_context(raw_terminal())  # until now, Ctrl-C ended us
                else:
                    signal.signal(signal.SIGINT, lambda *_: _pass_on(machine, signal.SIGINT))
            case {"event": "readable", "fd": 0}:
                data = _read_input()
                machine.line.send(order="input", data=b64encode(data).decode())
                watched.discard(0)  # until this piece has been taken
                ended = not data
            case {"event": "taken"} if not ended:
                watched.add(0)
            case {"event": "readable"}:
                os.read(resized, 64)
                rows, columns = window()
                machine.line.send(order="resize", rows=rows, columns=columns)
            case {"event": "output", "stream": int(stream), "data": str(text)}:
                if not _write(machine, stream, b64decode(text), clients):
                    return 1
            case {"event": "exit", "status": int(status)}:
                return status if status >= 0 else 128 - status
            case {"event": "failed", "detail": str(detail)}:
                raise MachineError(detail)
    raise MachineError(f"The machine is gone: {machine.why}.")


def _read_input() -> bytes:
    """Read a piece of our input; none means its end. An input that cannot be read ends at once, with a sentence."""
    try:
        return os.read(0, INPUT_BYTES)
    except OSError as error:
        print(f"labkit: the standard input cannot be read ({error.strerror})", file=sys.stderr)
        return b""


def _write(machine: Machine, stream: int, data: bytes, clients: list[int]) -> bool:
    """Write it all to one of our outputs; False when a client ended before its reader took it.

    Raises BrokenPipeError when nobody reads it any more, and LabError when it cannot be written.
    """
    left = memoryview(data)
    while left:
        if not machine.wait_for_reader(stream, clients):
            return False
        try:
            # As much as a pipe takes at once when select(2) says that it can be written.
            left = left[os.write(stream, left[: select.PIPE_BUF]) :]
        except BrokenPipeError:
            raise
        except OSError as error:
            raise LabError(f"standard {OUTPUTS[stream]} cannot be written ({error.strerror})") from error
    return True


def _pass_on(machine: Machine, number: int) -> None:
    with suppress(OSError):  # the machine has just ended
        machine.line.send(order="signal", number=int(number))


def _raise_exit(number: int, _frame: Any) -> None:
    sys.exit(128 + number)
