"""Does each check tell an untouched exercise, a wrong answer and a right one apart?"""

import io
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from labkit.api.frames import build_frame
from labkit.api.http import Answer
from labkit.check import containers, images, streams


class Answers:
    """Stands for the engine: a prepared (status, JSON or bytes) for each path."""

    def __init__(self, prepared: dict[str, tuple[int, Any]]) -> None:
        self.prepared = {"/images/busybox/json": image("b0"), "/images/json": (200, []), **prepared}
        self.read_bytes = 0

    def get(self, path: str, **_: Any) -> Any:
        status, value = self.prepared.get(path, (404, None))
        return type("Exchange", (), {"answer": Answer(status, "", {}, b"", b""), "json": lambda self: value})()

    @contextmanager
    def stream(self, method: str, path: str, **_: Any) -> Iterator[Any]:
        status, value = self.prepared.get(path, (404, b""))
        pieces = map(self.count, (value[at : at + 4096] for at in range(0, len(value), 4096)))
        yield type("Stream", (), {"answer": Answer(status, "", {}, b"", b""), "__iter__": lambda _: pieces})()

    def count(self, piece: bytes) -> bytes:
        self.read_bytes += len(piece)
        return piece


def image(identity: str) -> tuple[int, Any]:
    return 200, {"Id": identity}


def container(status: str, *, restarts: int = 0, image: str = "b0", pid: int = 0) -> tuple[int, Any]:
    state = {"Running": status in ("running", "restarting", "paused"), "Status": status, "Pid": pid}
    config = {"Hostname": "rex"}
    return 200, {"State": state, "RestartCount": restarts, "Image": image, "Mounts": [], "Config": config}


@pytest.mark.parametrize(
    ("prepared", "verdict"),
    [
        ({}, "not attempted"),
        ({"/images/json": (200, [{"RepoTags": ["mine:latest"]}])}, "not yet: there is mine:latest, but no mine"),
        ({"/images/mine/json": image("a1")}, "not yet: mine is another image than busybox"),
        (
            {"/images/mine/json": image("b0"), "/images/busybox/json": (404, None)},
            "not yet: mine is another image than busybox",
        ),
        ({"/images/mine/json": image("b0")}, "done"),
    ],
)
def test_image_tagged(prepared: dict[str, Any], verdict: str) -> None:
    """A second name has to lead to the same image."""
    assert repr(images.check_image_tagged(Answers(prepared), "mine", "busybox")) == verdict  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("pet", "hostname", "verdict"),
    [
        (None, None, "not attempted"),
        (container("exited"), None, "not yet: pet exists, but its state is exited"),
        (container("restarting"), None, "not yet: pet exists, but its state is restarting"),
        (container("paused"), "rex", "not yet: pet exists, but its state is paused"),
        (container("running", restarts=2), "rex", "not yet: pet does not keep running: its restart count is 2"),
        (container("running", image="a1"), "rex", "not yet: pet was not made from busybox"),
        (container("running"), "cat", "not yet: pet runs, but calls itself cat, not rex"),
        (container("running"), None, "not yet: pet ended while it was looked at"),
        (container("running"), "rex", "done"),
    ],
)
def test_container_runs(
    pet: tuple[int, Any] | None, hostname: str | None, verdict: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A container that does not go on, of another image or with another name inside, is not yet right."""
    monkeypatch.setattr(containers, "_read_hostname", lambda pid: hostname)
    prepared = {"/containers/pet/json": pet} if pet else {}

    assert repr(containers.check_container_runs(Answers(prepared), "pet", "rex")) == verdict  # type: ignore[arg-type]


def test_a_process_that_ended_has_no_name() -> None:
    """It may end between the engine's answer and the look: 0 is the pid of a container that does not run."""
    with subprocess.Popen(["true"]) as ended:
        ended.wait()

    assert [None, None] == [containers._read_hostname(pid) for pid in (ended.pid, 0)]


def tar_of(text: bytes) -> tuple[int, Any]:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        entry = tarfile.TarInfo("note.txt")
        entry.size = len(text)
        tar.addfile(entry, io.BytesIO(text))
    return 200, file.getvalue()


def tar_of_entry(kind: bytes) -> tuple[int, Any]:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        entry = tarfile.TarInfo("note.txt")
        entry.type, entry.linkname = kind, "/etc/passwd"
        tar.addfile(entry)
    return 200, file.getvalue()


WRONG_KIND = "not yet: /note.txt in letter is no ordinary file"


@pytest.mark.parametrize(
    ("letter", "archive", "verdict"),
    [
        (None, None, "not attempted"),
        (container("created"), None, "not yet: letter has no /note.txt"),
        (container("created"), (500, b"no idea\n"), "not yet: the engine does not give /note.txt of letter: no idea"),
        (container("created"), tar_of(b"bye\n"), "not yet: /note.txt in letter says 'bye', not 'hello'"),
        (container("created"), tar_of(b""), "not yet: /note.txt in letter says '', not 'hello'"),
        (container("created"), tar_of_entry(tarfile.SYMTYPE), WRONG_KIND),
        (container("created"), tar_of_entry(tarfile.LNKTYPE), WRONG_KIND),
        (container("created"), tar_of_entry(tarfile.DIRTYPE), WRONG_KIND),
        (container("created"), tar_of_entry(tarfile.FIFOTYPE), WRONG_KIND),
        (container("created"), (200, b""), WRONG_KIND),
        (container("created"), (200, b"no tar" * 200), WRONG_KIND),
        (container("created"), (200, tar_of(b"hello\n")[1][:300]), WRONG_KIND),
        (
            container("created"),
            (200, tar_of(b"hello\n")[1][:515]),
            "not yet: /note.txt in letter says 'hel…', not 'hello'",
        ),
        (container("exited"), tar_of(b"hello\n"), "not yet: letter was started: its state is exited, not created"),
        (container("running"), tar_of(b"hello\n"), "not yet: letter was started: its state is running, not created"),
        (container("created", image="a1"), tar_of(b"hello\n"), "not yet: letter was not made from busybox"),
        (container("created"), tar_of(b"hello\n"), "done"),
    ],
)
def test_note_in_container(letter: tuple[int, Any] | None, archive: tuple[int, Any] | None, verdict: str) -> None:
    """The file, its text, its image, and that nobody ran the container."""
    found = containers.check_note_in_container(engine_with(letter, archive), "letter", "/note.txt", "hello")  # type: ignore[arg-type]

    assert repr(found) == verdict


def engine_with(letter: tuple[int, Any] | None, archive: tuple[int, Any] | None) -> Answers:
    prepared = {"/containers/letter/json": letter, "/containers/letter/archive": archive}
    return Answers({path: answer for path, answer in prepared.items() if answer})


def test_white_space_hides_nothing() -> None:
    """What was not read may hold anything."""
    engine = engine_with(container("created"), tar_of(b"hello" + b" " * containers.START_BYTES + b"bye"))

    found = containers.check_note_in_container(engine, "letter", "/note.txt", "hello")  # type: ignore[arg-type]

    assert "/note.txt in letter says 'hello…', not 'hello'" == found.missing


def test_a_huge_note_is_not_read_to_its_end() -> None:
    """What a learner puts there has any size; the beginning says that it is wrong, and is cut."""
    engine = engine_with(container("created"), tar_of(b"hello " * 1_000_000))

    found = containers.check_note_in_container(engine, "letter", "/note.txt", "hello")  # type: ignore[arg-type]

    assert found.missing.endswith("hello hello …', not 'hello'") and len(found.missing) < 120
    assert containers.START_BYTES == engine.read_bytes


LIMITS = {"Memory": 32 << 20, "PidsLimit": 20, "ReadonlyRootfs": True}


@pytest.mark.parametrize(
    ("config", "verdict"),
    [
        (None, "not attempted"),
        ({"Memory": 0, "PidsLimit": None, "ReadonlyRootfs": True}, "not yet: boxed: Memory is 0, not 33554432; PidsLi"),
        ({**LIMITS, "ReadonlyRootfs": False}, "not yet: boxed: ReadonlyRootfs is False, not True"),
        ({**LIMITS, "Init": True}, "done"),
    ],
)
def test_container_limits(config: dict[str, Any] | None, verdict: str) -> None:
    """Each field that has another value is named with both values."""
    prepared = {} if config is None else {"/containers/boxed/json": (200, {"Image": "b0", "HostConfig": config})}

    assert repr(containers.check_container_limits(Answers(prepared), "boxed", **LIMITS)).startswith(verdict)  # type: ignore[arg-type]


def test_limits_of_another_image() -> None:
    """The right fields in a container from another image are not what was asked for."""
    prepared = {"/containers/boxed/json": (200, {"Image": "a1", "HostConfig": LIMITS})}

    found = containers.check_container_limits(Answers(prepared), "boxed", **LIMITS)  # type: ignore[arg-type]
    assert "boxed was not made from busybox" == found.missing


def test_a_note_on_a_mount() -> None:
    """A file that is mounted there is not in the container."""
    for where, verdict in (("/note.txt", "not yet: /note.txt lies on"), ("/", "not yet: "), ("/note", "done")):
        status, made = container("created")
        engine = engine_with((status, {**made, "Mounts": [{"Destination": where}]}), tar_of(b"hello\n"))

        assert repr(containers.check_note_in_container(engine, "letter", "/note.txt", "hello")).startswith(verdict)  # type: ignore[arg-type]


def ended(code: int, *, tty: bool = False, status: str = "exited") -> tuple[int, Any]:
    return 200, {"State": {"Status": status, "ExitCode": code}, "Config": {"Tty": tty}}


LOG = build_frame(2, b"from ") + build_frame(2, b"me\n")


@pytest.mark.parametrize(
    ("mine", "log", "verdict"),
    [
        (None, b"", "not attempted"),
        (ended(0, status="running"), LOG, "not yet: mine has not run to its end: its state is running"),
        (ended(0), LOG, "not yet: mine ended with 0, not with 7"),
        (ended(7, tty=True), LOG, "not yet: mine has a terminal, where stdout and stderr are one"),
        (ended(7), b"", "not yet: mine wrote '' to stderr, not 'from me\\n'"),
        (ended(7), LOG[:-1], "not yet: mine wrote 'from ' to stderr, not 'from me\\n'"),
        (ended(7), LOG + build_frame(1, b"x" * 99), f"not yet: mine wrote '{'x' * 60}…' to stdout, not ''"),
        (ended(7), LOG * 2, "not yet: mine wrote 'from me\\n' to stderr more than once: remove it, and begin again"),
        (ended(7), LOG, "done"),
    ],
)
def test_container_ran(mine: tuple[int, Any] | None, log: bytes, verdict: str) -> None:
    """Status and both texts have to be right, and nothing else may have been written."""
    prepared = {"/containers/mine/json": mine, "/containers/mine/logs": (200, log)} if mine else {}

    assert repr(containers.check_container_ran(Answers(prepared), "mine", 7, stderr="from me\n")) == verdict  # type: ignore[arg-type]


def parrot(*command: str, status: str = "running", tty: bool = False) -> tuple[int, Any]:
    config = {"Env": ["PATH=/bin"], "Tty": tty, "OpenStdin": command[0] != "sleep"}
    return 200, {"State": {"Status": status}, "Path": command[0], "Args": list(command[1:]), "Config": config}


@pytest.mark.parametrize(
    ("found", "log", "verdict"),
    [
        (None, b"", "not attempted"),
        (parrot("cat", status="exited"), b"hello\n", "not yet: parrot exists, but its state is exited"),
        (
            parrot("echo", "hello"),
            b"hello\n",
            "not yet: parrot was started with 'hello': let it read them from its input",
        ),
        (
            parrot("sleep", "600", tty=True),
            b"hello\n",
            "not yet: parrot has a terminal, which repeats by itself what is typed: start it without one",
        ),
        (parrot("cat"), b"good day\n", "not yet: parrot has not repeated 'hello' yet"),
        (parrot("sleep", "600"), b"hello\n", "not yet: parrot has no input: it was made without OpenStdin"),
        (parrot("read"), b"hello\n", "not yet: parrot has repeated 'hello', but not what it was told just now"),
        (parrot("cat"), b"oh, hello\n", "done"),
    ],
)
def test_heard(found: tuple[int, Any] | None, log: bytes, verdict: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The words have to have come through its input, and others have to come, too."""
    monkeypatch.setattr(streams, "REPLY_S", 0.1)
    prepared = {"/containers/parrot/json": found, "/containers/parrot/logs": (200, build_frame(1, log))}

    assert repr(streams.check_heard(Parrot(prepared if found else {}), "parrot", "hello")) == verdict  # type: ignore[arg-type]


class Parrot(Answers):
    """An engine whose container repeats what it is sent, if it is cat."""

    @contextmanager
    def hijack(self, *_: Any, **__: Any) -> Iterator[Any]:
        yield self

    def send(self, data: bytes) -> None:
        if self.prepared["/containers/parrot/json"][1]["Path"] == "cat":
            status, log = self.prepared["/containers/parrot/logs"]
            self.prepared["/containers/parrot/logs"] = status, log + build_frame(1, data)


class Mortal(Answers):
    """An engine with one container, which somebody may start again after it was killed."""

    def __init__(self, *, status: str = "running", policy: str = "no", lives: int = 2) -> None:
        state = {"Status": status, "StartedAt": "early"}
        super().__init__(
            {"/containers/phoenix/json": (200, {"State": state, "HostConfig": {"RestartPolicy": {"Name": policy}}})}
        )
        self.lives, self.gone = lives, False

    def get(self, path: str, **options: Any) -> Any:
        if self.gone:
            self.gone = False
            return super().get("/containers/another/json")
        return super().get(path, **options)

    def post(self, path: str) -> None:
        _, before = self.prepared["/containers/phoenix/json"]
        state = {"Status": "running", "StartedAt": f"{self.lives} left"} if self.lives else {"Status": "exited"}
        self.prepared["/containers/phoenix/json"] = 200, {**before, "State": state}
        self.lives, self.gone = self.lives - 1, self.lives > 0


@pytest.mark.parametrize(
    ("engine", "verdict"),
    [
        (Answers({}), "not attempted"),
        (Mortal(policy="always"), "not yet: phoenix has a restart policy: here somebody else is to start it again"),
        (Mortal(status="exited"), "not yet: phoenix exists, but its state is exited"),
        (Mortal(lives=0), "not yet: phoenix was killed, and 0 s later nobody had started it again"),
        (Mortal(lives=1), "not yet: phoenix was killed again, and 0 s later nobody had started it again"),
        (Mortal(), "done"),
    ],
)
def test_revived(engine: Answers, verdict: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is killed here and now, twice, and has to run again, by no policy of the engine; it may be replaced."""
    monkeypatch.setattr(containers, "REVIVAL_S", 0.1)

    assert repr(containers.check_revived(engine, "phoenix")) == verdict  # type: ignore[arg-type]
