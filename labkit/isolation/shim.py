"""Who waits for the end of a container that goes on when its caller has returned?

The shim: a process of its own, as containerd's `containerd-shim-runc-v2`. It makes the container, and waits for its
end. It holds what the program writes, in files in memory (memfd_create(2)) that have no name, and so are gone with it.
"""

import json
import os
import select
import signal
from contextlib import suppress
from typing import Any, NoReturn

from labkit.isolation.making import Orders, Told, see_through, words_of

__all__ = ["be_shim"]


def be_shim(orders: Orders, report: int, state: int) -> NoReturn:
    """Make the container, and see it to its end; then wait for the end of the owner. The process ends with this.

    `report` is a pipe for lines of JSON, `state` a file for the last one.
    """
    told = Told()
    try:
        os.setsid()  # a Ctrl-C at the caller's terminal is not for the shim
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE):
            signal.signal(number, signal.SIG_IGN)
        tell = orders._replace(has_started=lambda pid, steps: _write(report, {"pid": pid, "steps": steps}))
        final = see_through(tell, told)
        _write(state, final)
        os.close(report)
        poller = select.poll()
        poller.register(orders.owner or 0, select.POLLIN)
        poller.poll()
    except BaseException as error:
        _write(report, {"error": words_of(error, told)})
    finally:
        os._exit(0)


def _write(where: int, value: dict[str, Any]) -> None:
    with suppress(OSError):  # who asked may be gone
        os.write(where, json.dumps(value).encode() + b"\n")
