"""Does a lesson take no more seconds than it may?

tests/notebooks/seconds.json holds, for each lesson and each sort of machine, the seconds that its cells take together,
boot included, on a computer where a bare Python starts and ends in 7 ms. Beyond half as much again the run fails. A
slower computer, or a busy one, gets more: as much as a fixed piece of work takes longer there, before and after.

    LABKIT_BUDGET="uml" pytest --nbval -p tests.notebooks.budget notebooks/*.ipynb
"""

import json
import os
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

SECONDS = json.loads(Path(__file__).with_name("seconds.json").read_text())
ALLOWANCE = 1.5
REFERENCE_S = 0.42  # what `measure` gives on that computer
STARTS = 60

_spent: dict[str, float] = defaultdict(float)
_measured: list[float] = []


def measure() -> float:
    """The seconds that sixty starts of Python take here and now: processes, files and computing, as a lesson has."""
    began = time.monotonic()
    for _ in range(STARTS):
        subprocess.run([sys.executable, "-I", "-S", "-c", "pass"], check=True)
    return time.monotonic() - began


def find_factor(measured: list[float]) -> float:
    """How many times as long everything takes here as on that computer, by the slowest measurement; at least 1."""
    return max(1.0, max(measured) / REFERENCE_S)


def find_overspent(spent: dict[str, float], column: str, factor: float) -> list[str]:
    """A sentence for each lesson that took longer than it may, or has no entry."""
    found = []
    for lesson, seconds in spent.items():
        may_take = SECONDS.get(lesson, {}).get(column)
        if may_take is None:
            found.append(f"{lesson} has no seconds for {column!r} in seconds.json: it took {seconds:.0f}")
        elif seconds > may_take * ALLOWANCE * factor:
            found.append(f"{lesson} took {seconds:.0f} s on {column}, and may take {may_take * ALLOWANCE * factor:.0f}")
    return found


def pytest_sessionstart() -> None:
    _measured.append(measure())


def pytest_runtest_logreport(report: Any) -> None:
    _spent[Path(report.nodeid.partition("::")[0]).stem] += report.duration


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: Any) -> None:
    """Print what each lesson took; fail where one took too long."""
    _measured.append(measure())
    factor = find_factor(_measured)
    listed = ", ".join(f"{lesson} {seconds:.1f}" for lesson, seconds in _spent.items())
    print(f"\nseconds, where everything takes {factor:.1f} times as long as it may: {listed}")
    overspent = find_overspent(_spent, os.environ["LABKIT_BUDGET"], factor)
    for sentence in overspent:
        print(f"TOO SLOW: {sentence}")
    if overspent and session.exitstatus == 0:
        session.exitstatus = 1
