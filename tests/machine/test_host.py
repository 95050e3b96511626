"""Do the tests see what a machine leaves on the host, and nothing of the machines of others?"""

import os
import secrets
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.machine import host
from tests.machine.host import LABKIT, snapshot, walk

GROUPS = next((path for path in (Path("/sys/fs/cgroup/pids"), Path("/sys/fs/cgroup")) if path.is_dir()), Path())
JOIN = "import os, sys, time; open(sys.argv[1], 'w').write(str(os.getpid())); print('in', flush=True); time.sleep(60)"


@pytest.fixture
def group(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty control group as a machine has one; half a second is time enough for it to go."""
    monkeypatch.setattr(host, "GROUP_S", 0.5)
    monkeypatch.setattr(host, "STAYING", set())
    path = GROUPS / f"labkit-{secrets.token_hex(4)}"
    path.mkdir()
    yield path
    if path.exists():
        path.rmdir()


def is_seen(group: Path, state: Path) -> bool:
    cgroups = snapshot(state)["cgroups"]
    assert isinstance(cgroups, list)
    return str(group) in cgroups


@pytest.mark.needs_root
@pytest.mark.parametrize(("place", "seen"), [("", True), ("two/levels", False)])
def test_whose_group_it_is(place: str, seen: bool, group: Path, state: Path) -> None:
    """That of a machine belongs to whose state directory its processes name, wherever this lies."""
    owner = [sys.executable, "-c", JOIN, str(group / "cgroup.procs"), "labkit"]
    env = {**os.environ, "LABKIT_TMPDIR": str(state / place)}
    with subprocess.Popen(owner, env=env, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdout.readline() == b"in\n"

        assert seen == is_seen(group, state)

        process.kill()


@pytest.mark.needs_root
@pytest.mark.parametrize("stays", [True, False])
def test_a_group_of_nobody(stays: bool, group: Path, state: Path) -> None:
    """One in which nobody is, and which stays, may be ours; one that goes meanwhile was a stranger's."""
    if not stays:
        threading.Timer(0.2, group.rmdir).start()

    assert stays == is_seen(group, state)


@pytest.mark.needs_root
def test_a_group_that_stays_is_waited_for_once(group: Path, state: Path) -> None:
    """What somebody has left on this host does not slow each look down."""
    assert is_seen(group, state)
    began = time.monotonic()

    assert is_seen(group, state)

    assert host.GROUP_S / 2 > time.monotonic() - began


@pytest.mark.alone
@pytest.mark.parametrize("kind", ["native"])
def test_machines_of_others(kind: str, state: Path, tmp_path: Path) -> None:
    """While machines of somebody else begin and end beside us, the host looks the same at any moment."""
    (tmp_path / "s").mkdir()
    command = [LABKIT, "run", "--machine", kind, "--", "docker", "run", "busybox", "true"]
    env = {**os.environ, "LABKIT_TMPDIR": str(tmp_path / "s")}
    before, looks = snapshot(state), 0

    for _ in range(2):
        with subprocess.Popen(command, env=env, stdin=subprocess.DEVNULL) as stranger:
            while stranger.poll() is None:
                assert before == snapshot(state)
                looks += 1
        assert 0 == stranger.returncode

    assert looks > 20


def test_a_directory_that_vanishes(tmp_path: Path) -> None:
    """It is passed over, however often directories come and go while others are listed."""
    end = time.monotonic() + 1

    def come_and_go() -> None:
        while time.monotonic() < end:
            (tmp_path / "here/below").mkdir(parents=True)
            (tmp_path / "here/below").rmdir()
            (tmp_path / "here").rmdir()

    busy = threading.Thread(target=come_and_go)
    busy.start()
    seen = set()
    while busy.is_alive():
        seen.update(walk(tmp_path))

    assert {tmp_path / "here", tmp_path / "here/below"} == seen
