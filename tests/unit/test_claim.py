"""Does a machine that starts leave others alone, and does its guard notice a part that is gone already?"""

import json
import os
import secrets
import socket
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO

import pytest

from labkit.machine.outside import guard

STARTS, AT_ONCE = 200, 8


def claim(base: Path) -> tuple[Path, IO[str]]:
    turn = guard.take_turn(base)
    run_dir = base / secrets.token_hex(4)
    try:
        return run_dir, guard.claim(run_dir)
    finally:
        os.close(turn)


def test_machines_that_start_at_once_keep_their_directories(tmp_path: Path) -> None:
    """No start takes the directory of another, just made, for one that nobody owns any more."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        claims = list(pool.map(lambda _: claim(tmp_path), range(STARTS)))

    assert STARTS == sum((run_dir / "lock").exists() for run_dir, _ in claims)
    for _, lock in claims:
        lock.close()


def test_a_directory_without_an_owner_is_removed_by_the_next_start(tmp_path: Path) -> None:
    """When both owners of a machine were killed, nothing of it is left once another one starts."""
    left, lock = claim(tmp_path)
    lock.close()
    new, held = claim(tmp_path)

    assert [new] == list(tmp_path.iterdir())
    held.close()


@pytest.mark.parametrize("of", ["another boot", "another moment"])
@pytest.mark.parametrize("group", [True, False])
def test_a_stranger_with_an_old_number_is_left_alone(group: bool, of: str, tmp_path: Path) -> None:
    """A ledger that outlived its boot has the pids of other processes: they live on, and nobody waits for them."""
    run_dir, lock = claim(tmp_path)
    lock.close()
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as stranger:
        born, numbers = guard.start_time(stranger.pid), guard.pid_space()
        entry = {"pid": stranger.pid, "group": group, "born": born, "numbers": "of another boot"}
        if of == "another moment":
            entry |= {"born": str(int(born) - 1), "numbers": numbers}
        (run_dir / "ledger").write_text(json.dumps(entry) + "\n")
        began = time.monotonic()

        guard.settle(run_dir)

        assert guard.PATIENCE_S / 2 > time.monotonic() - began
        assert stranger.poll() is None and not run_dir.exists()
        stranger.kill()


def test_a_part_that_was_reaped_has_ended(tmp_path: Path) -> None:
    """A part may be gone before anybody looks at it: the guard says so at once, and does not look for ever."""
    with subprocess.Popen(["true"]) as ended:
        ended.wait()
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert ("the machine ended", False) == guard._wait_for_end(
            theirs, [("the machine", ended.pid)], guard.Ledger(tmp_path)
        )
