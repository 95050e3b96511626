"""Does a machine that starts leave alone those that start in the same moment?"""

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
