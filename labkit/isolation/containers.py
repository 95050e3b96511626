"""Which process is a container, and where does the engine keep what it has told runc of it?"""

import json
import os
import time
from pathlib import Path
from typing import Any

from labkit.api.engine import Engine
from labkit.errors import LabError

__all__ = ["container_pid", "read_bundle", "runc_root"]

RUN = Path("/run")
PATIENCE_S, NAP_S = 10.0, 0.05


def container_pid(engine: Engine, name: str, *, own: str = "") -> int:
    """The number of a container's first process, as the machine counts.

    `own` is a kind of namespace ("user") that the program makes for itself: wait up to 10 s until it has.
    Raises LabError where no such container runs, or it has not made one.
    """
    found = engine.get(f"/containers/{name}/json", check=False)
    pid = found.json()["State"]["Pid"] if found.answer.status == 200 else 0
    if not pid:
        raise LabError(f"No container {name} runs: first run the cell that starts it.")
    deadline = time.monotonic() + PATIENCE_S
    while own and os.readlink(f"/proc/{pid}/ns/{own}") == os.readlink(f"/proc/self/ns/{own}"):
        if time.monotonic() > deadline:
            raise LabError(f"The process of {name} still shares the machine's {own} namespace after {PATIENCE_S:g} s.")
        time.sleep(NAP_S)
    return int(pid)


def runc_root(engine: Engine, name: str) -> Path:
    """The directory in which runc keeps the engine's containers: what `runc --root` has to be told.

    Raises LabError where it is not found, as for a runtime that is not runc.
    """
    return _find(engine, name, "state.json").parent.parent


def read_bundle(engine: Engine, name: str) -> dict[str, Any]:
    """The config.json that the engine has written for runc. Raises LabError where it is not found."""
    found: dict[str, Any] = json.loads(_find(engine, name, "config.json").read_text())
    return found


def _find(engine: Engine, name: str, file: str) -> Path:
    container_pid(engine, name)
    identity = engine.get(f"/containers/{name}/json").json()["Id"]
    for directory, _, files in os.walk(RUN):
        if os.path.basename(directory) == identity and file in files:
            return Path(directory, file)
    raise LabError(f"There is no {file} of {name} below {RUN}: its runtime is not runc.")
