"""Is a group made, found and removed as one thing, though it has a directory in each hierarchy?

Ordinary directories stand for the hierarchies: the kernel's own are asked in tests/machine.
"""

import time
from pathlib import Path

import pytest

from labkit.linux import cgroups
from labkit.linux.cgroups import Group, find_group, group_named
from labkit.linux.proc import Membership, parse_membership


@pytest.fixture
def tops(tmp_path: Path) -> dict[str, str]:
    """Hierarchies of version 1."""
    for name in ("memory", "cpu,cpuacct", "systemd"):
        (tmp_path / name).mkdir()
    return {path.name: str(path) for path in sorted(tmp_path.iterdir())}


def test_a_group_is_made_and_removed_in_each_hierarchy(tops: dict[str, str]) -> None:
    """With the group above, and with what is below."""
    group = group_named("outer/inner", tops)

    group.make()

    assert group.exists() and group.above.exists()
    assert group.above.remove() and not any(list(Path(top).iterdir()) for top in tops.values())
    assert group.remove(), "what is gone already is removed"


def test_a_name_that_is_taken_in_one_hierarchy(tops: dict[str, str]) -> None:
    """The group is made in none, and what was there stays."""
    (Path(tops["systemd"]) / "mine").mkdir()

    with pytest.raises(FileExistsError, match="systemd/mine"):
        group_named("mine", tops).make()

    assert ["systemd"] == [name for name, top in tops.items() if (Path(top) / "mine").exists()]


def test_a_new_cpuset_has_the_processors_of_the_group_above(tmp_path: Path) -> None:
    """In version 1 it would have none, and could take no process."""
    top = tmp_path / "cpuset"
    for place in (top, top / "mine"):
        place.mkdir()
        for knob in ("cpuset.cpus", "cpuset.mems"):
            (place / knob).write_text("0-3\n" if place == top else "\n")

    cgroups.fill_cpuset(str(top / "mine"))

    assert ["0-3\n"] * 2 == [(top / "mine" / knob).read_text() for knob in ("cpuset.cpus", "cpuset.mems")]


def test_a_group_that_is_in_use(tops: dict[str, str]) -> None:
    """One is told, and not later than asked for; the first hierarchy is the last to lose it."""
    group = group_named("mine", tops)
    group.make()
    (Path(group.directory("memory")) / "a file keeps it, as a process does").touch()
    began = time.monotonic()

    assert not group.remove(patience_s=0.05)

    assert time.monotonic() - began < 1
    assert [group.directory("memory")] == [path for path in group.directories.values() if Path(path).exists()]


def test_a_controller_is_found_in_the_hierarchy_that_it_shares(tops: dict[str, str]) -> None:
    """Version 1 may have several in one; version 2 has all in one."""
    assert f"{tops['cpu,cpuacct']}/mine" == group_named("mine", tops).directory("cpuacct")
    assert "/top/mine" == group_named("mine", {"": "/top"}).directory("cpuacct")
    with pytest.raises(FileNotFoundError, match="pids"):
        group_named("mine", tops).directory("pids")


def belong(monkeypatch: pytest.MonkeyPatch, *memberships: Membership) -> None:
    monkeypatch.setattr(cgroups, "read_memberships", lambda pid: list(memberships))


def test_the_group_of_a_process(tops: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """By the hierarchies that are mounted. The one of version 2 that stands beside them has no limits."""
    lines = ["5:memory:/a/b", "4:cpu,cpuacct:/a/b", "3:pids:/a/b", "1:name=systemd:/a/b", "0::/other"]
    belong(monkeypatch, *map(parse_membership, lines))

    assert group_named("a/b", tops) == find_group(1, tops)
    assert 1 == find_group(1, tops).version


def test_the_topmost_group(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has no name."""
    belong(monkeypatch, Membership(0, (), "/"))

    assert Group("", {"": "/top"}) == find_group(1, {"": "/top"})
    assert 2 == find_group(1, {"": "/top"}).version


def test_a_group_out_of_sight(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process of another cgroup namespace."""
    belong(monkeypatch, Membership(0, (), "/../other"))

    with pytest.raises(FileNotFoundError, match="above what is seen here"):
        find_group(1, {"": "/top"})
