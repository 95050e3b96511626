"""What must every test of the engine client leave behind? As many open files and threads as it found."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.engine.daemon import PrivateDaemon, list_engines, run_private_daemon
from tests.engine.scripted import FakeEngine, Reply, stop_all


@pytest.fixture(scope="session", params=list_engines())
def daemon(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateDaemon]:
    """An engine that answers and has busybox loaded."""
    with run_private_daemon(tmp_path_factory.mktemp("d"), request.param) as running:
        yield running


@pytest.fixture
def play(tmp_path: Path) -> Iterator[Callable[..., FakeEngine]]:
    """Start scripted engines, and stop them after the test."""
    started: list[FakeEngine] = []

    def start(*scripts: list[Reply]) -> FakeEngine:
        started.append(FakeEngine(tmp_path / f"{len(started)}.sock", scripts))
        return started[-1]

    yield start
    stop_all(started)


@pytest.fixture(autouse=True)
def nothing_leaks() -> Iterator[None]:
    """Count before and after; a thread that was told to end gets a moment to do it."""
    before = count()
    yield
    end = time.monotonic() + 20
    while is_more(count(), before) and time.monotonic() < end:
        time.sleep(0.005)
    assert not is_more(count(), before), f"open files and threads: {before}, then {count()}"


def is_more(after: tuple[int, int], before: tuple[int, int]) -> bool:
    """Fewer are no leak: what another test has left to the collector may go meanwhile."""
    return any(now > then for now, then in zip(after, before, strict=True))


def count() -> tuple[int, int]:
    return len(os.listdir("/proc/self/fd")), threading.active_count()
