"""Does a machine that starts leave others alone, and does its guard notice a part that is gone already?"""

import socket
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from labkit.machine import guard

STARTS, AT_ONCE = 200, 8


def test_machines_that_start_at_once_keep_their_directories(tmp_path: Path) -> None:
    """No start takes the directory of another, just made, for one that nobody owns any more."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        claims = list(pool.map(lambda _: guard.claim(tmp_path), range(STARTS)))

    assert STARTS == sum((run_dir / "lock").exists() for run_dir, _ in claims)
    for _, lock in claims:
        lock.close()


def test_a_directory_without_an_owner_is_removed_by_the_next_start(tmp_path: Path) -> None:
    """When both owners of a machine were killed, nothing of it is left once another one starts."""
    left, lock = guard.claim(tmp_path)
    lock.close()
    new, held = guard.claim(tmp_path)

    assert [new] == list(tmp_path.iterdir())
    held.close()


def test_a_part_that_was_reaped_has_ended(tmp_path: Path) -> None:
    """A part may be gone before anybody looks at it: the guard says so at once, and does not look for ever."""
    with subprocess.Popen(["true"]) as ended:
        ended.wait()
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert "the machine ended" == guard._wait_for_end(theirs, [("the machine", ended.pid)], guard.Ledger(tmp_path))
