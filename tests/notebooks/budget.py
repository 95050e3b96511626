"""Does a lesson take no more seconds than it may?

tests/notebooks/seconds.json holds, for each lesson and each sort of machine, the seconds that its cells take together
on a computer where a bare Python starts and ends in 7 ms, boot included. Beyond half as much again the run fails. A slower
computer, or a busy one, gets more: as much as a fixed piece of work takes longer there, measured before and after.

    LABKIT_BUDGET="uml" pytest --nbval -p tests.notebooks.budget notebooks/*.ipynb
"""

import json
import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

SECONDS = json.loads(Path(__file__).with_name("seconds.json").read_text())
ALLOWANCE = 1.5
REFERENCE_S = 0.42  # what `measure` gives on that computer
STARTS = 60

_spent: Counter[str] = Counter()
_measured: list[float] = []


def measure() -> float:
    """The seconds that sixty starts of Python take here and now: processes, files and computing, as a lesson has."""
    began = time.monotonic()
    for _ in range(STARTS):
        subprocess.run([sys.executable, "-I", "-S", "-c", "pass"], check=True)
    return time.monotonic() - began


def find_overspent(spent: dict[str, float], column: str, factor: float) -> list[str]:
    """A sentence for each lesson that took longer than it may, or has no entry."""
    found = []
    for lesson, seconds in spent.items():
        if column not in SECONDS.get(lesson, {}):
            found.append(
                f"{lesson} has no seconds for {column!r} in tests/notebooks/seconds.json: it took {seconds:.0f}"
            )
        elif seconds > (allowed := SECONDS[lesson][column] * ALLOWANCE * factor):
            found.append(f"{lesson} took {seconds:.0f} s on {column}, and may take {allowed:.0f}")
    return found


def pytest_sessionstart() -> None:
    _measured.append(measure())


def pytest_runtest_logreport(report: Any) -> None:
    _spent[Path(report.nodeid.partition("::")[0]).stem] += report.duration


def pytest_sessionfinish(session: Any) -> None:
    """Print what each lesson took; fail where one took too long."""
    _measured.append(measure())
    factor = max(1.0, max(_measured) / REFERENCE_S)
    print(
        f"\nseconds (this computer: {factor:.1f} x):", ", ".join(f"{one} {spent:.1f}" for one, spent in _spent.items())
    )
    overspent = find_overspent(_spent, os.environ["LABKIT_BUDGET"], factor)
    for sentence in overspent:
        print(f"TOO SLOW: {sentence}")
    if overspent and session.exitstatus == 0:
        session.exitstatus = 1
