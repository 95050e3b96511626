"""How does a check run a learner's program, and what of its containers must be gone afterwards?"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from labkit.check.verdict import shorten
from labkit.isolation.interfaces import run_program as run_line
from labkit.linux.cgroups import REMOVING_PATIENCE_S, hierarchies, remove

__all__ = [
    "IMAGE",
    "NAMES",
    "ROOT",
    "Done",
    "box_of",
    "capabilities_of",
    "forget_all",
    "last_words",
    "run_program",
    "sweep",
    "wait_until",
]

ROOT = "/run/mydocker"
IMAGE = "check/box:1"
BRIDGE = "my0"
NAMES = "check-"  # with which the names of a check's containers begin
PATIENCE_S = 20.0


class Done(NamedTuple):
    """What a run of the program has printed, and its exit status."""

    out: str
    err: str
    status: int


def run_program(program: str, words: Sequence[str], *, root: str = ROOT, timeout_s: float = PATIENCE_S) -> Done:
    """Run `python3 program words`; a program that does not end is killed, and has the status 124, as of timeout(1)."""
    line = [sys.executable, program, *words]
    try:
        done = subprocess.run(
            line,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_s,
            env=os.environ | {"MYDOCKER_ROOT": root},
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Done("", f"it did not end within {timeout_s:.0f} s", 124)
    return Done(done.stdout, done.stderr, done.returncode)


def last_words(done: Done) -> str:
    """The last line that a run has printed, its errors first."""
    lines = (done.err.strip() or done.out.strip()).splitlines()
    return shorten(lines[-1]) if lines else f"it said nothing, and its exit status is {done.status}"


def box_of(name: str) -> dict[str, Any]:
    """What the program has written down of a container; nothing where it has not."""
    with suppress(OSError, ValueError):
        return dict(json.loads((Path(ROOT) / "containers" / name / "box.json").read_text()))
    return {}


def wait_until(is_so: Callable[[], bool], patience_s: float = 3.0) -> bool:
    """Look again and again; True as soon as it is so, False when the time is over."""
    deadline = time.monotonic() + patience_s
    while not is_so():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def capabilities_of(pid: int) -> int:
    """What a process may do, a bit for each capability: CapEff of proc_pid_status(5). Raises OSError."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("CapEff")), 16)


def forget_all() -> None:
    """End all containers of the program, and remove all that it keeps: files, control groups, its bridge."""
    sweep("")
    shutil.rmtree(ROOT, ignore_errors=True)
    for top in hierarchies():
        with suppress(OSError):
            (top / "mydocker").rmdir()
    if Path("/sys/class/net", BRIDGE).exists():
        run_line(["ip", "link", "del", BRIDGE])


def sweep(prefix: str = NAMES) -> None:
    """End a check's containers, and remove their directories and control groups."""
    for place in Path(ROOT, "containers").glob(f"{prefix}*"):
        box = box_of(place.name)
        if box.get("status") is None and isinstance(box.get("pid"), int):
            with suppress(ProcessLookupError):
                os.kill(box["pid"], signal.SIGKILL)
        wait_until(lambda place=place: box_of(place.name).get("status") is not None, 0.5)  # type: ignore[misc]
        shutil.rmtree(place, ignore_errors=True)
    for top in hierarchies():
        for group in top.glob(f"mydocker/{prefix}*/"):
            remove(group, time.monotonic() + REMOVING_PATIENCE_S)
