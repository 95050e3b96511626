"""Do the checks of lesson 08 name what is shared and should not be, and who root is outside?"""

from typing import Any, cast

import pytest

from labkit.api.engine import Engine
from labkit.check import isolations
from labkit.check.isolations import check_joined, check_mapped_root, outside_of_root
from labkit.errors import EngineRefusal
from labkit.isolation.namespaces import Process
from tests.processes import BOX, container, process

JOINED = container(30) | {kind: BOX[kind] for kind in ("pid", "net")}


class Engines:
    """An engine with these containers: the pid of each, 0 for one that has ended."""

    def __init__(self, **pids: int) -> None:
        self.pids = pids

    def get(self, path: str, **_: Any) -> Any:
        name = path.split("/")[2]
        if path == "/containers/json":
            return Json([{"Names": [f"/{one}"]} for one in self.pids])
        if name not in self.pids:
            raise EngineRefusal(404, "GET", path, f"No such container: {name}")
        pid = self.pids[name]
        state = {"Pid": pid, "Status": "running" if pid else "exited", "ExitCode": 0}
        host = {"NetworkMode": "bridge", "PidMode": ""}
        return Json({"Id": name, "State": state, "Path": "sleep", "Args": [], "HostConfig": host})


class Json:
    def __init__(self, value: Any) -> None:
        self.value = value

    def json(self) -> Any:
        return self.value


def judge(monkeypatch: pytest.MonkeyPatch, web: dict[str, int], doctor: dict[str, int]) -> str:
    """The verdict on two containers in these namespaces."""
    found = {"self": process(5, "python"), 24: process(24, "sleep", 1, 1, **web), 44: process(44, "sh", 1, 9, **doctor)}
    monkeypatch.setattr(isolations, "read_process", found.get)
    engine = cast(Engine, Engines(web=24, doctor=44))
    return repr(check_joined(engine, "doctor", "web", shared=("pid", "net"), apart=("mnt",)))


def test_two_that_share_what_they_should_are_done(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes and network, and no mounts."""
    assert "done" == judge(monkeypatch, BOX, JOINED)


@pytest.mark.parametrize(
    ("web", "doctor", "words"),
    [
        (BOX, container(30), "do not share the processes"),
        (BOX, container(30) | {"pid": BOX["pid"]}, "do not share the network"),
        (BOX, BOX, "doctor has no mounts of its own"),
        (BOX, JOINED | {"pid": 3}, "doctor has the processes of the machine itself"),
        (BOX | {"net": 4}, JOINED | {"net": 4}, "web has the network of the machine itself"),
    ],
)
def test_what_is_wrong_is_named(
    monkeypatch: pytest.MonkeyPatch, web: dict[str, int], doctor: dict[str, int], words: str
) -> None:
    """Each kind by its word, and the machine's own before all."""
    assert words in judge(monkeypatch, web, doctor)


def test_a_container_that_is_missing_or_over_is_named() -> None:
    """Without any of the two nothing was attempted."""
    said = [
        repr(check_joined(cast(Engine, Engines(**pids)), "doctor", "web", shared=("pid",), apart=()))
        for pids in ({}, {"web": 24}, {"doctor": 44}, {"web": 0, "doctor": 44})
    ]

    assert "not attempted" == said[0]
    assert "web is there, but no container doctor" in said[1] and "there is no container web yet" in said[2]
    assert "web exists, but it has ended" in said[3]


def test_who_is_root_is_read_from_the_map() -> None:
    """The first number outside, moved by where 0 lies; a map may have no 0."""
    assert 1000 == outside_of_root("         0       1000          1\n")
    assert 165536 == outside_of_root("1 1000 1\n0 165536 1\n")
    assert outside_of_root("") is None and outside_of_root("1 100000 65535\n") is None


def test_nobody_apart_is_no_try(monkeypatch: pytest.MonkeyPatch) -> None:
    """Containers have host names of their own, and process numbers too: they are none of it."""
    monkeypatch.setattr(isolations, "read_process", lambda _: process(5, "python"))
    monkeypatch.setattr(isolations, "read_processes", lambda: [process(5, "python"), process(24, "sleep", 1, 1, **BOX)])

    assert "not attempted" == repr(check_mapped_root(1000, "cell"))


def test_the_newest_try_is_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    """One with its own host name and the machine's users, after one that has ended meanwhile."""
    tries: list[Process] = [process(999_998, "sh", user=70, uts=71), process(999_999, "sleep", uts=72)]
    monkeypatch.setattr(isolations, "read_process", lambda _: process(5, "python"))
    monkeypatch.setattr(isolations, "read_processes", lambda: tries)

    assert "sleep has a host name of its own, but the users of the machine" in repr(check_mapped_root(1000, "cell"))
    tries.pop()
    assert "sh has ended" in repr(check_mapped_root(1000, "cell"))
