"""What does a machine's kernel do with control groups? Run in a machine; prints "NAME<tab>trouble" for each fact.

Each function is a fact that the hand-made container, the gauges and lesson 11 stand on: it asserts. No trouble is an
empty one.
"""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from labkit.linux.cgroup_limits import NO_LIMIT, read, read_all, set_limits, write
from labkit.linux.cgroups import Group, find_group, find_tops, group_named
from labkit.linux.disk import close_disk, open_disk
from labkit.shell import sh
from tests.machine.facts import main, named

__all__ = ["FACTS", "main"]

PATIENCE_S = 20.0


@contextmanager
def group(**limits: float) -> Iterator[Group]:
    made = group_named("facts")
    made.make()
    try:
        set_limits(made, **limits)
        yield made
    finally:
        for pid in made.pids():
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        assert made.remove() and not made.exists(), "the group is still there"


def start(group: Group, work: Callable[[], object]) -> int:
    """A process in the group that does the work, and then waits to be ended."""
    pid = os.fork()
    if pid == 0:
        try:
            group.join()
            work()
            signal.pause()
        finally:
            os._exit(1)
    return pid


def wait_until(claim: Callable[[], bool], words: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not claim():
        assert time.monotonic() < deadline, words
        time.sleep(0.02)


def turn() -> None:
    while True:
        pass


def a_group_has_every_limit_and_counter() -> None:
    """Of this kernel at least those that the gauges show, none of which limits anything at first."""
    with group() as made:
        values = read_all(made)
        for name in ("memory_limit_bytes", "cpu_quota_us", "pids_limit"):
            assert values[name].value == NO_LIMIT, values[name]
        for name in ("memory_bytes", "oom_kills", "cpu_s", "cpu_periods_throttled", "pids", "pids_refused", "frozen"):
            assert values[name].value == 0, values[name]


def who_takes_too_much_memory_is_killed() -> None:
    """And is counted. Swap is no way out."""
    with group(memory_bytes=2**23) as made:
        _, status = os.waitpid(start(made, lambda: bytearray(2**25)), 0)
        assert os.WTERMSIG(status) == signal.SIGKILL, status
        assert read(made, "oom_kills").value == 1, read(made, "oom_kills")


def who_wants_too_much_time_waits() -> None:
    """A tenth of a processor, and not more."""
    with group(cpus=0.1) as made:
        start(made, turn)
        time.sleep(1)
        wait_until(lambda: read(made, "cpu_periods_throttled").value > 2, "nothing was throttled")
        assert read(made, "cpu_throttled_s").value > 0, "a process was throttled for no time"
        assert read(made, "cpu_s").value < 0.5, "it had more time than a tenth"


def who_wants_too_many_processes_gets_none() -> None:
    """EAGAIN, and a counter."""
    with group(pids=1) as made:
        start(made, refused_forks)
        wait_until(lambda: read(made, "pids_refused").value == 3, "no fork was refused")
        assert read(made, "pids").value == 1, read(made, "pids")


def refused_forks() -> None:
    for _ in range(3):
        try:
            os.fork()
        except BlockingIOError:
            continue


def who_is_frozen_does_nothing() -> None:
    """It stands still, and goes on after."""
    with group() as made:
        start(made, turn)
        wait_until(lambda: read(made, "cpu_s").value > 0, "it never ran")
        write(made, "frozen", 1)
        wait_until(lambda: read(made, "frozen").value == 1, "it did not freeze")
        before = read(made, "cpu_s").value
        time.sleep(0.3)
        assert read(made, "cpu_s").value - before < 0.1, "a frozen process ran"
        write(made, "frozen", 0)
        wait_until(lambda: read(made, "cpu_s").value > before, "it did not thaw")


def who_writes_too_fast_to_a_disk_waits() -> None:
    """2 MiB at 1 MiB a second; where this computer gives a machine no disk, there is nothing to limit."""
    place = Path("/run/disk")
    try:
        disk = open_disk(place)
    except OSError:
        return
    try:
        flags = f"--device-write-bps {disk.device}:1mb -v {disk.files}:/disk"
        began = time.monotonic()
        done = sh(f"docker run --rm {flags} busybox dd if=/dev/zero of=/disk/new bs=1M count=2 conv=fsync")
        assert done.status == 0 and time.monotonic() - began > 1.5, done
    finally:
        close_disk(place)
    assert not disk.device.exists() and not place.joinpath("disk").exists()


def a_group_may_lie_in_another() -> None:
    """The group above passes its controllers on."""
    inner = group_named("facts-outer/inner")
    inner.make()
    set_limits(inner, memory_bytes=2**24, pids=3)
    assert read(inner, "pids_limit").value == 3
    assert inner.above == group_named("facts-outer")
    assert inner.above.remove() and not inner.exists(), "the inner group is still there"


def a_name_is_taken_once() -> None:
    """And what was made before the error stays whole."""
    with group() as made:
        try:
            group_named("facts").make()
        except FileExistsError:
            assert made.exists()
        else:
            raise AssertionError("a second group of one name was made")


def the_group_of_a_container_has_what_docker_was_told() -> None:
    """Found from its process alone."""
    asked = "docker run -d --name facts -m 32m --memory-swap 32m --cpus 0.25 --pids-limit 8 busybox sleep 100"
    assert sh(asked).status == 0
    try:
        pid = int(sh("docker inspect -f {{.State.Pid}} facts").out)
        found = find_group(pid)
        assert set(found.directories) == set(find_tops()) and found.name.startswith("docker/"), found
        values = {name: reading.value for name, reading in read_all(found).items()}
        assert values["memory_limit_bytes"] == 2**25, values
        assert values["cpu_quota_us"] * 4 == values["cpu_period_us"], values
        assert values["pids_limit"] == 8 and pid in found.pids(), values
        set_limits(found, memory_bytes=2**26)
        assert read(found, "memory_limit_bytes").value == 2**26
    finally:
        sh("docker rm -f facts")


def who_is_gone_has_no_group() -> None:
    """An OSError, as for every file of /proc."""
    try:
        find_group(2**22 + 1)
    except OSError:
        return
    raise AssertionError("a process that is not there has a group")


FACTS = named(
    a_group_has_every_limit_and_counter,
    who_takes_too_much_memory_is_killed,
    who_wants_too_much_time_waits,
    who_wants_too_many_processes_gets_none,
    who_is_frozen_does_nothing,
    who_writes_too_fast_to_a_disk_waits,
    a_group_may_lie_in_another,
    a_name_is_taken_once,
    the_group_of_a_container_has_what_docker_was_told,
    who_is_gone_has_no_group,
)


if __name__ == "__main__":
    main(FACTS)
