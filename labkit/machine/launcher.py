"""What does Jupyter start when a notebook asks for the kernel "Docker Lab"?

This: `python -m labkit.machine.launcher -f CONNECTION_FILE`. It boots a machine whose kernel serves that
connection, opens its ports on 127.0.0.1, and stays, so that whoever started it can see when the kernel ends, and
so that the machine ends with it.
"""

import argparse
import errno
import json
import os
import signal
import socket
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from labkit.errors import MachineError, PortTaken
from labkit.machine.doctor import choose_kind, require
from labkit.machine.outside.memory import UML_MEMORY_MIB
from labkit.machine.outside.ports import name_port_problem, reserve

if TYPE_CHECKING:
    from labkit.machine.outside.keeper import Keeper
    from labkit.machine.outside.machine import Machine
    from labkit.machine.outside.terminals import Terminals

__all__ = ["main"]


def main() -> int:
    """Serve one kernel; return its exit status."""
    began, client = time.time(), os.getppid()  # noted first: when it has another parent, the client is gone
    parser = argparse.ArgumentParser(prog="labkit.machine.launcher", description="The kernel Docker Lab.")
    parser.add_argument("-f", dest="connection_file", required=True, help="the Jupyter connection file")
    path = parser.parse_args().connection_file
    try:
        return _serve(json.loads(Path(path).read_text()), began, client)
    except PortTaken as error:  # nor could a refusal be served there
        print(f"labkit: {error}", file=sys.stderr)
        return 1
    except MachineError as error:
        from labkit.machine.outside.refusal import run_refusal

        print(f"labkit: {error}", file=sys.stderr)
        run_refusal(path, str(error))
        return 1


def _serve(connection: dict[str, Any], began: float, client: int) -> int:
    """Boot a machine and stay until its kernel ends; give that kernel's exit status.

    Raises MachineError when there is no machine, or none that lived until its kernel answered.
    """
    kind = choose_kind()
    require(kind)
    if connection.get("transport", "tcp") != "tcp":
        raise MachineError("The lab's kernel is reached over tcp: start Jupyter with --KernelManager.transport=tcp.")
    # Only now: these need a Unix, and the doctor has better words than an ImportError.
    from labkit.machine.outside.keeper import Keeper
    from labkit.machine.outside.machine import Machine, watch_clients
    from labkit.machine.outside.terminals import Terminals, introduce
    from labkit.machine.request import Request

    named = _named_by_jupyter()
    clients = watch_clients(client, *named)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _raise_exit)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # interrupts travel as messages
    keeper = Keeper(Path.cwd())
    request = Request(kind, "", began, os.getcwd(), connection, memory_mib=UML_MEMORY_MIB, progress=keeper.read())
    hello = introduce(began, named[0] if named else client)
    with Machine.running(request, [_reserve(port) for port in request.ports()]) as machine:
        return _attend(machine, clients, keeper, Terminals(machine, hello))


def _reserve(port: int) -> socket.socket:
    try:
        return reserve(port)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise PortTaken(port, str(error.strerror)) from error
        raise MachineError(str(name_port_problem(error))) from error


def _attend(machine: "Machine", clients: list[int], keeper: "Keeper", terminals: "Terminals") -> int:
    answers = False  # the kernel
    trouble = ""
    for event in machine.events(clients, terminals.watched):
        match event:
            case {"event": "orphaned"}:
                return 1
            case {"event": "readable", "fd": int(fd)}:
                terminals.hear(fd)
            case {"terminal": int()}:
                terminals.pass_out(event)
            case {"event": "stage", "stage": "network"}:
                machine.open_ports()
            case {"event": "stage", "stage": "kernel"}:
                answers = True
                terminals.open()
            case {"event": "progress", "note": str(text)}:
                keeper.keep(text)
            case {"event": "exit", "status": int(status)} if answers:
                return _shell_status(status)
            case {"event": "exit", "status": int(status)}:
                trouble = f"its Python ended with status {_shell_status(status)}"
            case {"event": "failed", "detail": str(detail)}:
                print(f"labkit: {detail}", file=sys.stderr)
                trouble = detail
    if answers:
        print(f"labkit: the machine is gone: {machine.why}", file=sys.stderr)
        return 1
    raise MachineError(
        f"The machine ended while it booted: {trouble or machine.why}. "
        "Restart the kernel to try again (Kernel > Restart); if it happens again, `labkit doctor` may know the cure."
    )


def _named_by_jupyter() -> list[int]:
    """The process that Jupyter named as ours: it may have died before we had looked for a parent."""
    word = os.environ.get("JPY_PARENT_PID", "")
    return [int(word)] if word.isdecimal() else []


def _shell_status(status: int) -> int:
    return status if status >= 0 else 128 - status


def _raise_exit(number: int, _frame: Any) -> None:
    sys.exit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
