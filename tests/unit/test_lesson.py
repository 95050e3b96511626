"""Does a lesson close what it opened, whatever happens in between?"""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from labkit import journal, leftovers
from labkit import lesson as lessons
from labkit.errors import EngineRefusal, EngineTimeout, EngineUnreachable, MachineError
from labkit.machine.boot_log import read_boot_log
from labkit.widgets import boot
from labkit.widgets.bar import LiveBar


class Engine:
    """Stands for the engine, and answers as 20.10 does; `dead` makes it silent, `refuses` is a path it cannot delete.

    `images` has each image's names by its identity.
    """

    def __init__(self) -> None:
        self.containers = {"there before"}
        self.networks = {"of the machine": "bridge", "n1": "there before"}
        self.volumes: set[str] = set()
        self.images = {"sha256:b0": ["busybox:latest"]}
        self.exchanges: list[object] = []
        self.dead = False
        self.refuses = ""
        self.in_swarm = False
        self.built_on: dict[str, str] = {}  # images that show when the image that was built on them is gone

    def state(self) -> tuple[object, ...]:
        return set(self.containers), dict(self.networks), set(self.volumes), dict(self.images)

    def get(self, path: str, **_: Any) -> Any:
        if self.dead:
            raise EngineUnreachable(path)
        value = {
            "/containers/json": [{"Id": name} for name in self.containers],
            "/networks": [{"Id": identity, "Name": name} for identity, name in self.networks.items()],
            "/info": {"Swarm": {"LocalNodeState": "active" if self.in_swarm else "inactive"}},
            "/volumes": {"Volumes": [{"Name": name} for name in self.volumes] or None, "Warnings": None},
            "/images/json": [
                {"Id": identity, "RepoTags": names or ["<none>:<none>"]} for identity, names in self.images.items()
            ],
        }.get(path)
        return type("Exchange", (), {"json": lambda _: value, "answer": type("Answer", (), {"status": 200})})()

    def delete(self, path: str, **_: Any) -> None:
        if path == self.refuses:
            raise EngineTimeout(path)
        noun, name = path.split("/", 2)[1:]
        match noun:
            case "containers":
                self.containers.remove(name)
            case "networks":
                self.networks.pop(name)
            case "volumes":
                self.volumes.remove(name)
            case "images" if name in self.images:
                self.images.pop(name)
                if below := self.built_on.get(name):
                    self.images[below] = []
            case "images":
                owner = next((identity for identity, names in self.images.items() if name in names), None)
                if owner is None:
                    raise EngineRefusal(400, f"invalid reference format: {name}", "DELETE", path)
                self.images[owner] = [other for other in self.images[owner] if other != name]
                if not self.images[owner]:
                    del self.images[owner]

    def post(self, path: str, **_: Any) -> None:
        assert path == "/swarm/leave"
        self.in_swarm = False

    def clear(self) -> None: ...
    def close(self) -> None: ...


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Engine:
    """An engine on a machine whose boot log says ready."""
    engine = Engine()
    monkeypatch.setattr(lessons, "Engine", lambda: engine)
    monkeypatch.setattr(lessons, "read_proofs", lambda _: {"busybox": "there it is"})
    monkeypatch.setattr(lessons, "_opened", None)
    monkeypatch.setattr(journal, "_lessons", {})
    monkeypatch.setattr(journal, "KEPT", tmp_path / "nothing")
    monkeypatch.setattr(leftovers, "DOCKER_CLI", tmp_path / "docker-cli")
    write_log(monkeypatch, tmp_path, "root", "ready")
    return engine


def write_log(monkeypatch: pytest.MonkeyPatch, directory: Path, *stages: str) -> None:
    log = directory / "boot.jsonl"
    log.write_text("".join(json.dumps({"stage": name, "seconds": 1, "detail": "why."}) + "\n" for name in stages))
    monkeypatch.setattr(boot, "BOOT_LOG", log)
    monkeypatch.setattr(boot, "read_boot_log", lambda: read_boot_log(log))


def test_only_what_is_new_is_removed(engine: Engine, capsys: pytest.CaptureFixture[str]) -> None:
    """What was there before the lesson is there after it, and a second name of it goes; an image needs no name."""
    before = engine.state()
    lesson = lessons.open_lesson("x")
    engine.containers.add("mine")
    engine.networks["n2"] = "mine"
    engine.volumes.add("mine")
    engine.images |= {"sha256:a1": ["mine:today", "mine:too"], "sha256:a2": []}
    engine.images["sha256:b0"] = ["busybox:latest", "second:name"]
    lesson.close()

    assert before == engine.state()
    assert "lesson x is closed; left behind: nothing" in capsys.readouterr().out.splitlines()


def test_an_image_that_lost_its_name_stays(engine: Engine) -> None:
    """It was there before the lesson, whatever it was called."""
    lesson = lessons.open_lesson("x")
    engine.images = {"sha256:b0": [], "sha256:a1": ["busybox:latest"]}
    lesson.close()

    assert {"sha256:b0", "sha256:a1"} == set(engine.images)


def test_the_networks_of_a_new_engine_stay(engine: Engine) -> None:
    """An engine that died and came back has made its own network anew."""
    lesson = lessons.open_lesson("x")
    engine.networks = {"anew": "bridge", "n1": "there before"}
    lesson.close()

    assert {"anew", "n1"} == set(engine.networks)


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


def test_a_close_that_fails_can_be_repeated(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the engine did not come back the first time, the second call cleans, and undoes nothing twice."""
    done: list[str] = []
    lesson = lessons.open_lesson("x")
    lesson.undo(done.append, "once")
    engine.containers.add("mine")
    engine.dead = True
    monkeypatch.setattr(lesson, "revive", fail)
    with pytest.raises(MachineError):
        lesson.close()

    monkeypatch.setattr(lesson, "revive", lambda: setattr(engine, "dead", False))
    lesson.close()

    assert (["once"], {"there before"}) == (done, engine.containers)


def fail() -> None:
    raise MachineError("dockerd ended while it started")


def test_an_interrupted_undo_is_called_again(engine: Engine) -> None:
    """A learner who loses patience and closes again loses nothing."""
    done: list[str] = []
    interrupts = [KeyboardInterrupt]

    def undo() -> None:
        if interrupts:
            raise interrupts.pop()
        done.append("undone")

    lesson = lessons.open_lesson("x")
    lesson.undo(undo)
    with pytest.raises(KeyboardInterrupt):
        lesson.close()
    lesson.close()

    assert ["undone"] == done


def test_what_cannot_be_deleted_is_said(engine: Engine, capsys: pytest.CaptureFixture[str]) -> None:
    """One thing that stays keeps no other; the engine's words are said, and the next call tries again."""
    lesson = lessons.open_lesson("x")
    engine.containers |= {"stuck"}
    engine.volumes.add("mine")
    engine.refuses = "/containers/stuck"
    lesson.close()

    assert not engine.volumes
    assert [
        "lesson x is closed; left behind: 1",
        "not undone: EngineTimeout: /containers/stuck",
    ] == capsys.readouterr().out.splitlines()[-3:-1]

    engine.refuses = ""
    lesson.close()

    assert engine.containers == {"there before"}
    assert "lesson x is closed; left behind: nothing" == capsys.readouterr().out.splitlines()[0]


def test_a_closed_lesson_is_closed_again(engine: Engine, capsys: pytest.CaptureFixture[str]) -> None:
    """After Run All, cells are run once more: what they leave, and what they want undone, is not forgotten."""
    done: list[str] = []
    lesson = lessons.open_lesson("x")
    lesson.close()
    engine.containers.add("left by a cell that ran again")
    lesson.undo(done.append, "undone")
    lesson.close()

    assert (["undone"], {"there before"}) == (done, engine.containers)
    assert capsys.readouterr().out.count("lesson x is closed; left behind: nothing") == 2


def test_the_next_lesson_takes_the_notebook(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The cells after a close are still the lesson's, and no cell after the next opening is."""
    called: list[object] = []
    events = type("Events", (), {"register": lambda *_: None, "unregister": lambda *call: called.append(call[1:])})()
    monkeypatch.setattr(lessons, "get_ipython", lambda: type("Shell", (), {"events": events})())
    monkeypatch.setattr(lessons, "show", lambda view: None)
    monkeypatch.setattr(boot, "display", lambda view: None)
    lesson = lessons.open_lesson("x")
    lesson.close()
    assert [] == called
    lessons.open_lesson("x")
    assert [("pre_run_cell", lesson._begin_cell), ("post_run_cell", lesson._end_cell)] == called


def test_a_failed_boot_is_told_at_once(engine: Engine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Also where another stage came after the failure: Python and the engine start side by side."""
    write_log(monkeypatch, tmp_path, "root", "failed", "kernel")

    with pytest.raises(MachineError, match="did not come up: why"):
        lessons.open_lesson("x")


def test_no_lab_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The wrong kernel is the likeliest mistake: the error names the right one."""
    monkeypatch.setattr(boot, "BOOT_LOG", tmp_path / "none")

    with pytest.raises(MachineError, match="Docker Lab"):
        lessons.open_lesson("x")


class Drawings(list[str]):
    """Stands for the widget of the boot, and keeps what is drawn."""

    def __init__(self, *_: str) -> None: ...

    @property
    def html(self) -> str:
        return self[-1] if self else ""

    @html.setter
    def html(self, html: str) -> None:
        self.append(html)


def test_the_boot_is_drawn_once_a_stage(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """However long it takes, each stage that passes is one drawing, and the end is one more, with proofs and map."""
    stages = [{"stage": name, "seconds": 1, "detail": ""} for name in ("root", "network", "kernel", "engine", "ready")]
    reads = iter([count for count in range(3, 6) for _ in range(4)])  # each state is read four times
    drawings = Drawings()
    monkeypatch.setattr(boot, "read_boot_log", lambda: stages[: next(reads)])
    monkeypatch.setattr(boot, "View", lambda *_: drawings)
    monkeypatch.setattr(time, "sleep", lambda _: None)

    lessons.open_lesson("01-x")

    assert 4 == len(drawings)
    assert "there it is" in drawings[-1] and "the map of the course" in drawings[-1]


def test_the_bar_follows_what_is_done(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """After each cell the bar is told how many steps are done."""
    told: list[int] = []
    monkeypatch.setattr(LiveBar, "refresh", lambda _, done: told.append(done))
    lesson = lessons.open_lesson("01-x")
    monkeypatch.setattr(type(lesson.progress), "steps_done", lambda _: 2)
    lesson._end_cell(None)

    assert [0, 2] == told


@pytest.mark.parametrize("text", ["[1, 2", "5", '{"stage": "root"}'])
def test_an_overwritten_boot_log(engine: Engine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str) -> None:
    """A learner may write anything over it: one sentence says so, and names the restart."""
    log = tmp_path / "boot.jsonl"
    log.write_text(f"{text}\n")

    with pytest.raises(MachineError, match=r"has been overwritten.*Kernel > Restart"):
        lessons.open_lesson("x")


def test_a_dead_engine_is_revived_at_the_opening(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cell that ran before the first one may have killed it: `lesson.revive` is no word yet."""
    engine.dead = True
    monkeypatch.setattr(lessons, "start_engine", lambda: setattr(engine, "dead", False))

    assert lessons.open_lesson("x").engine_alive()


def test_an_undo_that_registers_another(engine: Engine) -> None:
    """Each is called once, the one that came last first."""
    done: list[str] = []
    lesson = lessons.open_lesson("x")

    def undo() -> None:
        done.append("first")
        lesson.undo(done.append, "registered meanwhile")

    lesson.undo(undo)
    lesson.close()

    assert ["first", "registered meanwhile"] == done


def test_a_view_is_stopped_at_the_end(engine: Engine) -> None:
    """`keep` gives the view back, whatever it is, and its learner is told which one that was live has stopped."""
    view = type("Clock", (), {"name": "a clock", "is_live": True, "stop": lambda self: setattr(self, "is_live", False)})
    lesson = lessons.open_lesson("x")
    clock = lesson.keep(view())
    sentences = lesson._clean()

    assert not clock.is_live
    assert "a clock" in " ".join(sentences)
    assert "a clock" not in " ".join(lesson._clean())


def test_a_swarm_is_left(engine: Engine) -> None:
    """The next lesson finds an engine as it was."""
    lesson = lessons.open_lesson("x")
    engine.in_swarm = True
    engine.networks["n3"] = "docker_gwbridge"

    assert "swarm" in " ".join(lesson._clean())
    assert (False, False) == (engine.in_swarm, "n3" in engine.networks)


def test_what_lines_left_running_is_ended(engine: Engine) -> None:
    """The learner is told which line it was."""
    lesson = lessons.open_lesson("x")
    lessons.sh("sleep 60 &")

    assert "`sleep 60 &` had left something" in " ".join(lesson._clean())
    assert "sleep 60" not in " ".join(lesson._clean())


def test_what_shows_when_others_are_gone_is_removed(engine: Engine, capsys: pytest.CaptureFixture[str]) -> None:
    """With containerd's store an image that others are built on is listed when these are gone, and has no name."""
    lesson = lessons.open_lesson("x")
    engine.images["sha256:a3"] = []
    engine.built_on = {"sha256:a3": "sha256:a2", "sha256:a2": "sha256:a1"}
    lesson.close()

    assert {"sha256:b0"} == set(engine.images)
    assert "left behind: nothing" in capsys.readouterr().out


def test_a_registry_ends_with_its_lesson(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each one before the next begins, and the last one when the lesson is closed; then again."""
    events: list[str] = []

    class Server:
        def __init__(self, port: int) -> None:
            events.append(f"begins on {port}")

        def close(self) -> None:
            events.append("ends")

    monkeypatch.setattr(lessons, "start_registry", Server)
    lesson = lessons.open_lesson("x")
    for _ in range(2):
        lesson.registry()
        lesson.registry()
        lesson.close()

    assert ["begins on 5000", "ends"] * 4 == events


def test_a_context_is_left(engine: Engine, tmp_path: Path) -> None:
    """What the docker command has written down is gone; only another context is worth a word."""
    lesson = lessons.open_lesson("x")
    directory = tmp_path / "docker-cli"
    for text, words in (('{"currentContext": "other"}', "context"), ("{}", ""), ("not JSON", "")):
        directory.mkdir()
        (directory / "config.json").write_text(text)
        assert bool(words) == ("context" in " ".join(lesson._clean()))
        assert not directory.exists()


def test_the_end_says_what_was_done(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page has each wrong prediction with its reason, and each exercise; what is stored has none of it."""
    shown: list[Any] = []
    monkeypatch.setattr(lessons, "show", shown.append)
    lesson = lessons.open_lesson("x")
    wrong, right = lessons.predict("Who?", "he", "she"), lessons.predict("When?", "now", "then")
    wrong.chosen = right.chosen = 0
    wrong.verdict("she", "She was there.")
    right.verdict("now", "It is late.")
    lesson.progress.note_exercise("A", False)
    lesson.close()

    (end,) = shown
    for words in ("2 of 2, and 1 of them was right", "Who?", "he", "she", "She was there.", "A: not done yet, after 1"):
        assert words in end.html
    assert "When?" not in end.html
    assert "(what you predicted and did, on a live page)" == repr(end)
