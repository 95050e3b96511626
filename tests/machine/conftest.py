import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest
from jupyter_client.manager import KernelManager

from labkit.machine import doctor
from tests.machine import ask
from tests.machine.host import KINDS, verdict, wait_until

CANNOT_BOOT = "this host cannot boot {} machines"
NO_CHROMIUM = "there is no browser: apt-get install chromium"
IN_CI = os.environ.get("CI") == "true"
NEEDS_ROOT = "only root can lay this ground"
# A background job ignores Ctrl-C, and so would all that a test starts, which some tests interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)


@cache
def find_problems() -> dict[str, str]:
    """What keeps each kind from booting here, as the doctor found it when the first test began; "" means nothing."""
    return {kind: " ".join(map(str, doctor.check(kind))) for kind in KINDS}


@pytest.hookimpl(tryfirst=True)  # before any fixture is made, a module's too
def pytest_runtest_setup(item: pytest.Item) -> None:
    """A test that this host or user cannot run is left out and announced; in CI it fails."""
    if item.get_closest_marker("needs_root") and os.geteuid() != 0:
        (pytest.fail if IN_CI else pytest.skip)(NEEDS_ROOT)
    chosen = item.callspec.params if hasattr(item, "callspec") else {}
    kind = chosen.get("kind") or chosen.get("machine", [None])[0]
    if kind is not None:
        leave_out(kind)


def leave_out(kind: str) -> None:
    """End a test of a kind that cannot boot here."""
    match verdict(kind, find_problems(), in_ci=IN_CI):
        case "leave out":
            pytest.skip(CANNOT_BOOT.format(kind))
        case "fail":
            pytest.fail(CANNOT_BOOT.format(kind), pytrace=False)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say loudly what was not tested and why, as tools/test_notebooks.py does."""
    reports = [*terminalreporter.getreports("skipped"), *terminalreporter.getreports("error")]
    said = "\n".join(str(report.longrepr) for report in reports)
    for kind in KINDS:
        if CANNOT_BOOT.format(kind) in said:
            terminalreporter.section(f"NOT TESTED: {kind} machines, which this host cannot boot", sep="!")
            terminalreporter.line(f"{find_problems()[kind]}\n`labkit doctor` says the same.")
    if NO_CHROMIUM in said:
        terminalreporter.section(f"NOT TESTED: the lessons in a browser; {NO_CHROMIUM}", sep="!")
    if NEEDS_ROOT in said:
        terminalreporter.section("NOT TESTED: limits and bad ground, which only root can make", sep="!")


@pytest.fixture
def state(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A directory of this test's own for its machines' state; a short name, as sockets lie in it."""
    path = Path(tempfile.mkdtemp(prefix="m"))
    monkeypatch.setenv("LABKIT_TMPDIR", str(path))
    yield path
    wait_until(lambda: not any(entry.is_dir() for entry in path.glob("labkit-*/*")), 10)  # a guard may be at it
    shutil.rmtree(path)


@pytest.fixture
def start_kernel(state: Path) -> Iterator[Callable[[], KernelManager]]:
    """Starts the kernel Docker Lab, which ends with the test: one that fails leaves none to the tests after it."""
    managers: list[KernelManager] = []

    def start() -> KernelManager:
        managers.append(ask.start())
        return managers[-1]

    yield start
    for manager in managers:
        if manager.is_alive():
            manager.shutdown_kernel(now=True)
