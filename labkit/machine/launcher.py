"""What does Jupyter start when a notebook asks for the kernel "Docker Lab"?

This: `python -m labkit.machine.launcher -f CONNECTION_FILE`. It boots a machine whose kernel serves that
connection, opens its ports on 127.0.0.1, and stays, so that whoever started it can see when the kernel ends, and
so that the machine ends with it.
"""

import argparse
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from labkit.errors import MachineError
from labkit.machine.doctor import UML_MEMORY_MIB, choose_kind
from labkit.machine.outside import Machine
from labkit.machine.request import Request

__all__ = ["main"]


def main() -> int:
    """Serve one kernel; return its exit status."""
    began = time.time()
    parser = argparse.ArgumentParser(prog="labkit.machine.launcher", description="The kernel Docker Lab.")
    parser.add_argument("-f", dest="connection_file", required=True, help="the Jupyter connection file")
    path = parser.parse_args().connection_file
    connection = json.loads(Path(path).read_text())
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _raise_exit)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # interrupts travel as messages
    client = os.getppid()
    try:
        if connection.get("transport", "tcp") != "tcp":
            raise MachineError(
                "The lab's kernel is reached over tcp: start Jupyter with --KernelManager.transport=tcp."
            )
        machine = Machine.boot(
            Request(
                kind=choose_kind(),
                run_dir="",
                began=began,
                cwd=os.getcwd(),
                connection=connection,
                memory_mib=UML_MEMORY_MIB,
            )
        )
    except MachineError as error:
        from labkit.machine.refusal import run_refusal

        print(f"labkit: {error}", file=sys.stderr)
        run_refusal(path, str(error))
        return 1
    try:
        return _attend(machine, [port for name, port in connection.items() if name.endswith("_port")], client)
    except MachineError as error:
        print(f"labkit: {error}", file=sys.stderr)
        return 1
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        machine.close()


def _attend(machine: Machine, ports: list[int], client: int) -> int:
    for event in machine.events():
        match event:
            case {"event": "stage", "stage": "network"}:
                for port in ports:
                    machine.forward(port)
            case {"event": "exit", "status": int(status)}:
                return _shell_status(status)
            case {"event": "failed", "detail": str(detail)}:
                print(f"labkit: {detail}", file=sys.stderr)
            case {"event": "idle"} if os.getppid() != client:
                return 1
    print(f"labkit: the machine is gone: {machine.why}", file=sys.stderr)
    return 1


def _shell_status(status: int) -> int:
    return status if status >= 0 else 128 - status


def _raise_exit(number: int, _frame: Any) -> None:
    sys.exit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
