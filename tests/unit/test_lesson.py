"""Does a lesson close what it opened, whatever happens in between?"""

import json
from pathlib import Path
from typing import Any

import pytest

from labkit import lesson as lessons
from labkit.errors import EngineUnreachable, MachineError


class Engine:
    """Stands for the engine: containers and images by name; `dead` makes it silent."""

    def __init__(self) -> None:
        self.containers = {"there before"}
        self.images = {"busybox:latest"}
        self.exchanges: list[object] = []
        self.dead = False

    def get(self, path: str, **_: Any) -> Any:
        if self.dead:
            raise EngineUnreachable(path)
        value = {
            "/containers/json": [{"Id": name} for name in self.containers],
            "/images/json": [{"Id": name, "RepoTags": [name]} for name in self.images],
        }.get(path)
        return type("Exchange", (), {"json": lambda _: value, "answer": type("Answer", (), {"status": 200})})()

    def delete(self, path: str, **_: Any) -> None:
        _, noun, name = path.split("/", 2)
        (self.containers if noun == "containers" else self.images).discard(name)

    def clear(self) -> None: ...
    def close(self) -> None: ...


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Engine:
    """An engine on a machine whose boot log says ready."""
    engine = Engine()
    monkeypatch.setattr(lessons, "Engine", lambda: engine)
    monkeypatch.setattr(lessons, "_opened", None)
    write_log(monkeypatch, tmp_path, "root", "ready")
    return engine


def write_log(monkeypatch: pytest.MonkeyPatch, directory: Path, *stages: str) -> None:
    log = directory / "boot.jsonl"
    log.write_text("".join(json.dumps({"stage": name, "seconds": 1, "detail": "why."}) + "\n" for name in stages))
    monkeypatch.setattr(lessons, "BOOT_LOG", log)
    monkeypatch.setattr(lessons, "read_boot_log", lambda: [json.loads(line) for line in log.open()])


def test_only_what_is_new_is_removed(engine: Engine, capsys: pytest.CaptureFixture[str]) -> None:
    """What was there before the lesson is there after it."""
    lesson = lessons.open_lesson("x")
    engine.containers.add("mine")
    engine.images.add("mine:today")
    lesson.close()

    assert ({"there before"}, {"busybox:latest"}) == (engine.containers, engine.images)
    assert capsys.readouterr().out.splitlines()[-1] == "lesson x is closed; left behind: nothing"


def test_a_failing_undo_stops_no_other(engine: Engine, capsys: pytest.CaptureFixture[str]) -> None:
    """Undos run newest first; one that fails is named, and the rest go on."""
    done: list[str] = []
    lesson = lessons.open_lesson("x")
    lesson.undo(done.append, "first registered")
    lesson.undo(int, "no number")
    lesson.undo(done.append, "last registered")
    lesson.close()

    assert done == ["last registered", "first registered"]
    assert "not undone: ValueError" in capsys.readouterr().out


def test_opening_again_closes_the_one_before(engine: Engine) -> None:
    """A notebook that is run again from the top finds the machine as it was."""
    lessons.open_lesson("x")
    engine.containers.add("left by the first run")
    lessons.open_lesson("x")

    assert engine.containers == {"there before"}


def test_a_dead_engine_is_revived_to_clean_up(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lesson may kill its engine and end there."""
    lesson = lessons.open_lesson("x")
    engine.containers.add("mine")
    engine.dead = True
    monkeypatch.setattr(lesson, "revive", lambda: setattr(engine, "dead", False))
    lesson.close()

    assert engine.containers == {"there before"}


def test_a_failed_boot_is_told_at_once(engine: Engine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Also where another stage came after the failure: Python and the engine start side by side."""
    write_log(monkeypatch, tmp_path, "root", "failed", "kernel")

    with pytest.raises(MachineError, match="did not come up: why"):
        lessons.open_lesson("x")


def test_no_lab_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The wrong kernel is the likeliest mistake: the error names the right one."""
    monkeypatch.setattr(lessons, "BOOT_LOG", tmp_path / "none")

    with pytest.raises(MachineError, match="Docker Lab"):
        lessons.open_lesson("x")
