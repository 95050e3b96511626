"""Is a limit of version 1 the same value as that limit of version 2, and is it written in each version's words?

The texts are what Linux 6.1 and 6.18 show for a container with 32 MB, a quarter of a processor and 8 processes.
"""

import errno
from pathlib import Path

import pytest

from labkit.linux import cgroup_limits
from labkit.linux.cgroup_limits import KNOBS, NO_LIMIT, Reading, read, read_all, set_limits, write
from labkit.linux.cgroups import Group

V1 = {
    "memory/memory.limit_in_bytes": "33554432\n",
    "memory/memory.memsw.limit_in_bytes": "67108864\n",
    "memory/memory.usage_in_bytes": "319488\n",
    "memory/memory.max_usage_in_bytes": "3571712\n",
    "memory/memory.failcnt": "12\n",
    "memory/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n",
    "cpu/cpu.cfs_quota_us": "25000\n",
    "cpu/cpu.cfs_period_us": "100000\n",
    "cpu/cpu.stat": "nr_periods 40\nnr_throttled 7\nthrottled_time 1500000000\nnr_bursts 0\n",
    "cpuacct/cpuacct.usage": "2500000000\n",
    "pids/pids.max": "8\n",
    "pids/pids.current": "3\n",
    "pids/pids.events": "max 2\n",
    "freezer/freezer.state": "FROZEN\n",
    "blkio/blkio.throttle.io_service_bytes": "252:0 Read 9\n252:0 Write 100\n7:0 Read 9\n7:0 Write 28\nTotal 146\n",
}
V2 = {
    "memory.max": "33554432\n",
    "memory.swap.max": "33554432\n",
    "memory.current": "319488\n",
    "memory.peak": "3571712\n",
    "memory.events": "low 0\nhigh 0\nmax 12\noom 1\noom_kill 1\noom_group_kill 0\n",
    "cpu.max": "25000 100000\n",
    "cpu.stat": "usage_usec 2500000\nuser_usec 1\nnr_periods 40\nnr_throttled 7\nthrottled_usec 1500000\n",
    "pids.max": "8\n",
    "pids.current": "3\n",
    "pids.events": "max 2\n",
    "cgroup.events": "populated 1\nfrozen 1\n",
    "cgroup.freeze": "1\n",
    "io.stat": "252:0 rbytes=9 wbytes=100 rios=1 wios=1 dbytes=0 dios=0\n7:0 rbytes=9 wbytes=28 rios=1 wios=1\n",
}
VALUES = {
    "memory_limit_bytes": 33554432,
    "memory_bytes": 319488,
    "memory_peak_bytes": 3571712,
    "memory_limit_hits": 12,
    "oom_kills": 1,
    "cpu_quota_us": 25000,
    "cpu_period_us": 100000,
    "cpu_s": 2.5,
    "cpu_periods": 40,
    "cpu_periods_throttled": 7,
    "cpu_throttled_s": 1.5,
    "pids_limit": 8,
    "pids": 3,
    "pids_refused": 2,
    "frozen": 1,
    "io_written_bytes": 128,
}


def lay(top: Path, version: int) -> Group:
    for name, text in (V1 if version == 1 else V2).items():
        file = top / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
    controllers = {Path(name).parts[0] for name in V1} if version == 1 else set()
    return Group("one", {name: str(top / name) for name in controllers} or {"": str(top)})


@pytest.mark.parametrize("version", [1, 2])
def test_both_versions_give_the_same_values(tmp_path: Path, version: int) -> None:
    """Every limit and counter has one name and one unit."""
    found = read_all(lay(tmp_path, version))

    assert pytest.approx(VALUES) == {name: reading.value for name, reading in found.items()}
    assert list(KNOBS) == list(VALUES)


def test_each_value_says_which_file_it_was_read_from(tmp_path: Path) -> None:
    """The names that differ are what a reader of an old tutorial has to know."""
    (tmp_path / "1").mkdir()
    (tmp_path / "2").mkdir()

    assert Reading(25000, "cpu.cfs_quota_us") == read(lay(tmp_path / "1", 1), "cpu_quota_us")
    assert Reading(25000, "cpu.max") == read(lay(tmp_path / "2", 2), "cpu_quota_us")


@pytest.mark.parametrize(
    ("version", "file", "text", "name"),
    [
        (1, "memory/memory.limit_in_bytes", "9223372036854771712", "memory_limit_bytes"),
        (1, "cpu/cpu.cfs_quota_us", "-1", "cpu_quota_us"),
        (1, "pids/pids.max", "max", "pids_limit"),
        (2, "memory.max", "max", "memory_limit_bytes"),
        (2, "cpu.max", "max 100000", "cpu_quota_us"),
    ],
)
def test_no_limit_is_one_value(tmp_path: Path, version: int, file: str, text: str, name: str) -> None:
    """Each version has its own word for it, and version 1 has three."""
    group = lay(tmp_path, version)
    (tmp_path / file).write_text(text + "\n")

    assert read(group, name).value == NO_LIMIT > 2**70


@pytest.mark.parametrize(
    ("name", "value", "v1", "v2"),
    [
        ("memory_limit_bytes", 2**24, "16777216", "16777216"),
        ("memory_limit_bytes", NO_LIMIT, "-1", "max"),
        ("cpu_quota_us", 50_000, "50000", "50000"),
        ("cpu_quota_us", NO_LIMIT, "-1", "max"),
        ("cpu_period_us", 50_000, "50000", "25000 50000"),
        ("pids_limit", NO_LIMIT, "max", "max"),
        ("frozen", 0, "THAWED", "0"),
        ("frozen", 1, "FROZEN", "1"),
    ],
)
def test_a_limit_is_written_in_the_words_of_the_version(
    tmp_path: Path, name: str, value: float, v1: str, v2: str
) -> None:
    """One call sets the limit in either version."""
    for version, words in ((1, v1), (2, v2)):
        (tmp_path / str(version)).mkdir()
        assert words == Path(write(lay(tmp_path / str(version), version), name, value)).read_text()


def test_a_counter_cannot_be_set(tmp_path: Path) -> None:
    """Only the kernel counts."""
    with pytest.raises(ValueError, match="oom_kills is counted by the kernel"):
        write(lay(tmp_path, 2), "oom_kills", 0)


def test_a_limit_that_no_version_has(tmp_path: Path) -> None:
    """A name with a fault is an error, not a limit that is left out."""
    with pytest.raises(KeyError, match="memory_limit"):
        write(lay(tmp_path, 2), "memory_limit", 1)


@pytest.mark.parametrize(("version", "swap"), [(1, "memory/memory.memsw.limit_in_bytes"), (2, "memory.swap.max")])
def test_a_limit_of_memory_leaves_no_way_out_into_swap(tmp_path: Path, version: int, swap: str) -> None:
    """Otherwise the limit would be the double on a computer with swap."""
    group = lay(tmp_path, version)

    set_limits(group, memory_bytes=2**24)

    assert str(2**24 if version == 1 else 0) == (tmp_path / swap).read_text()


def test_swap_may_be_allowed_beside_memory(tmp_path: Path) -> None:
    """As `docker run` does it where nothing is said of swap: as much again."""
    for version in (1, 2):
        (tmp_path / str(version)).mkdir()
        set_limits(lay(tmp_path / str(version), version), memory_bytes=2**24, memory_and_swap_bytes=2**25)

    assert str(2**25) == (tmp_path / "1/memory/memory.memsw.limit_in_bytes").read_text()
    assert str(2**24) == (tmp_path / "2/memory.swap.max").read_text()


def test_a_part_of_the_processors(tmp_path: Path) -> None:
    """So much time in each period; 0.29 of it is no whole number for a computer."""
    for version in (1, 2):
        (tmp_path / str(version)).mkdir()
        set_limits(lay(tmp_path / str(version), version), cpus=0.29)

    assert "29000" == (tmp_path / "1/cpu/cpu.cfs_quota_us").read_text()
    assert "29000 100000" == (tmp_path / "2/cpu.max").read_text()


def test_a_controller_that_is_not_here(tmp_path: Path) -> None:
    """In version 1 a hierarchy may be missing: that is told, with the name."""
    with pytest.raises(FileNotFoundError, match="memory"):
        set_limits(Group("one", {"pids": str(tmp_path)}), memory_bytes=2**24)


def test_version_1_has_no_moment_with_less_swap_than_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its kernel refuses that: EINVAL."""
    group = lay(tmp_path, 1)
    memory, both = tmp_path / "memory/memory.limit_in_bytes", tmp_path / "memory/memory.memsw.limit_in_bytes"

    def write_as_the_kernel(path: str, text: str) -> None:
        if not (int(text) <= int(both.read_text()) if Path(path) == memory else int(text) >= int(memory.read_text())):
            raise OSError(errno.EINVAL, "Invalid argument", path)
        Path(path).write_text(text)

    monkeypatch.setattr(cgroup_limits, "write_file", write_as_the_kernel)

    for size in (2**27, 2**24, 2**26):
        set_limits(group, memory_bytes=size)
        assert [str(size)] * 2 == [memory.read_text(), both.read_text()]


def test_a_group_that_is_gone_has_no_values(tmp_path: Path) -> None:
    """Between two looks any container may have ended; who reads one value is told."""
    group = Group("gone", {"": str(tmp_path / "gone")})

    assert {} == read_all(group)
    with pytest.raises(FileNotFoundError):
        read(group, "pids")
