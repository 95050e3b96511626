"""How does a caller make a shim, and hear from it?"""

import gc
import json
import os
from collections.abc import Iterator
from typing import Any

from labkit.errors import ContainerError
from labkit.isolation.groups import group_of_box
from labkit.isolation.making import Orders
from labkit.isolation.shim import be_shim
from labkit.isolation.streams import as_file
from labkit.linux.syscalls import clone

__all__ = ["Started", "fork_shim"]


class Started:
    """The shim that was made, as its maker sees it: by descriptors of what it writes."""

    def __init__(self, name: str, stdin: bytes | int) -> None:
        self.name = name
        self.shim = 0
        self.stdout, self.stderr, self.state = (os.memfd_create(each) for each in ("stdout", "stderr", "state"))
        self.report, self.report_write = os.pipe2(os.O_CLOEXEC)
        self.stdin = as_file(stdin)
        self._reports: Iterator[bytes] = iter(())

    def close(self) -> None:
        for each in (self.stdout, self.stderr, self.state, self.report, self.stdin):
            os.close(each)

    def read_report(self) -> dict[str, Any]:
        """The next line of the shim. Raises ContainerError where it tells of an error, or was killed."""
        while (line := next(self._reports, None)) is None:
            data = os.read(self.report, 1 << 20)
            if not data:
                raise ContainerError(f"The shim of the container {self.name} was killed.")
            self._reports = iter(data.splitlines())
        report: dict[str, Any] = json.loads(line)
        if "error" in report:
            raise ContainerError(report["error"])
        return report

    def reap(self) -> None:
        """Wait for the end of the shim, which is at it; if it was killed, do what it could not do any more."""
        _, status = os.waitpid(self.shim, 0)
        if os.WIFSIGNALED(status):
            group_of_box(self.name).remove()


def fork_shim(orders: Orders, started: Started) -> None:
    """Make a shim that makes the container of the orders."""
    gc.freeze()  # a collection in a child would touch, and so copy, all memory
    started.shim = clone(0)
    if started.shim == 0:
        os.close(started.report)
        be_shim(orders, started.report_write, started.state)
    os.close(started.report_write)
