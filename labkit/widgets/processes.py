"""Who runs on this machine, and which of them is which container's?

for look in ProcessSource(engine): ...      a look each time that something is different, until `close`
"""

import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from labkit.api.engine import Engine
from labkit.errors import LabError
from labkit.isolation.namespaces import Process, read_processes
from labkit.show.namespace_look import SHIM
from labkit.widgets.live import Picture

__all__ = ["Look", "ProcessPicture", "ProcessSource", "label_containers"]

PERIOD_S = 0.5


class Look(NamedTuple):
    """The processes of one moment, the names of containers by the pids of what their shims started, and who is new."""

    processes: Sequence[Process]
    labels: Mapping[int, str]
    came: frozenset[int]


class ProcessPicture(Picture):
    """HTML whose cells can be chosen and whose details can be opened, whatever is drawn meanwhile."""

    _esm = Path(__file__).with_name("namespaces.js")


class ProcessSource:
    """The processes of this machine, looked for twice a second; a look comes when something is different.

    With an `engine`, whose calls are then this source's alone, what runs in a container has the container's name.
    """

    def __init__(
        self,
        engine: Engine | None = None,
        read: Callable[[], Sequence[Process]] = read_processes,
        period_s: float = PERIOD_S,
    ) -> None:
        self._engine = engine
        self._read = read
        self._period_s = period_s
        self._closed = threading.Event()

    def __iter__(self) -> Iterator[Look]:
        before: Sequence[Process] = ()
        while not self._closed.is_set():
            now = self._read()
            if now != before:
                came = {one.pid for one in now} - {one.pid for one in before} if before else set()
                yield Look(now, {os.getpid(): "this notebook"} | label_containers(now, self._engine), frozenset(came))
            before = now
            self._closed.wait(self._period_s)

    def close(self) -> None:
        """End the iteration, from any thread."""
        self._closed.set()
        if self._engine is not None:
            self._engine.close()


def label_containers(processes: Sequence[Process], engine: Engine | None) -> dict[int, str]:
    """Name the container of each child of a shim; an engine that does not answer names none."""
    if engine is None:
        return {}
    names: dict[str, str] = {}
    with suppress(LabError):
        listed = engine.get("/containers/json").json()
        names = {one["Id"]: one["Names"][0].removeprefix("/") for one in listed if one["Names"]}
    shims = {one.pid: names.get(_id_of(one.pid), "") for one in processes if one.comm.startswith(SHIM)}
    # What a shim has just started is runc, and not yet the container.
    return {
        one.pid: shims[one.ppid]
        for one in processes
        if shims.get(one.ppid) and one.comm not in ("runc", "crun", "runc:[2:INIT]", "exe")
    }


def _id_of(shim: int) -> str:
    """The container of a shim, from its command line: `-id ID`."""
    try:
        words = Path(f"/proc/{shim}/cmdline").read_text(errors="replace").split("\0")
    except OSError:
        return ""
    return words[words.index("-id") + 1] if "-id" in words[:-1] else ""
