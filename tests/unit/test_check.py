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
from labkit.errors import EngineRefusal


class Answers:
    """Stands for the engine: a prepared (status, JSON or bytes) for each path; 404 for all others.

    It lists those containers and images for which there is an answer.
    """

    def __init__(self, prepared: dict[str, tuple[int, Any]]) -> None:
        made = [path.split("/")[2] for path in prepared if path.startswith("/containers/") and path.endswith("/json")]
        listed = [{"Names": [f"/{name}"]} for name in made]
        lists = {"/containers/json": (200, listed), "/images/json": (200, [])}
        self.prepared = {**lists, "/images/busybox/json": image("b0"), **prepared}
        self.read_bytes = 0

    def get(self, path: str, *, check: bool = True, **_: Any) -> Any:
        status, value = self.prepared.get(path, (404, {"message": "no such thing"}))
        if check and status >= 400:
            raise EngineRefusal(status, value["message"], "GET", path)
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


def container(status: str, *, restarts: int = 0, image: str = "b0", pid: int = 0, **more: Any) -> tuple[int, Any]:
    """As "Inspect a container" gives it; `more` goes into its Config."""
    return 200, {
        "State": {"Status": status, "Pid": pid, "ExitCode": 0},
        "RestartCount": restarts,
        "Image": image,
        "Mounts": [],
        "Config": {"Hostname": "rex", "Image": {"b0": "busybox"}.get(image, "other"), **more},
        "Path": "sleep",
        "Args": ["1"],
    }


def images_named(*names: str | None) -> dict[str, Any]:
    """A list of the images of the engine: busybox has all these names."""
    return {
        "/images/json": (
            200,
            [{"Id": "b0", "RepoTags": [name]} if name else {"Id": "a1", "RepoTags": None} for name in names],
        )
    }


@pytest.mark.parametrize(
    ("prepared", "verdict"),
    [
        ({}, "not attempted"),
        (images_named("mine:latest"), "not yet: there is mine:latest, but no mine:today"),
        (images_named("mini:today"), "not yet: there is mini:today, but no mine:today"),
        (images_named("my-own:1"), "not yet: busybox has a second name, my-own:1, but not mine:today"),
        (images_named("busybox:latest", None), "not attempted"),
        ({"/images/mine:today/json": image("a1")}, "not yet: mine:today is another image than busybox"),
        (
            {"/images/mine:today/json": image("b0"), "/images/busybox/json": (404, {"message": ""})},
            "not yet: there is no image busybox here any more",
        ),
        ({"/images/mine:today/json": image("b0")}, "done"),
    ],
)
def test_image_tagged(prepared: dict[str, Any], verdict: str) -> None:
    """A second name has to lead to the same image."""
    assert repr(images.check_image_tagged(Answers(prepared), "mine:today", "busybox")) == verdict  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("pet", "hostname", "verdict"),
    [
        (None, None, "not attempted"),
        (
            container("exited"),
            None,
            "not yet: pet exists, but it has ended: its command, `sleep 1`, is over (exit status 0)",
        ),
        (container("created"), None, "not yet: pet exists, but it was made, but never started"),
        (container("restarting"), None, "not yet: pet exists, but its state is restarting"),
        (container("paused"), "rex", "not yet: pet exists, but its state is paused"),
        (container("running", restarts=2), "rex", "not yet: pet does not keep running: its restart count is 2"),
        (container("running", image="a1"), "rex", "not yet: pet runs, but it was made from other, not from busybox"),
        (container("running"), "cat", "not yet: pet runs, but its host name is cat, not rex"),
        (container("running"), "rex", "done"),
    ],
)
def test_container_runs(
    pet: tuple[int, Any] | None, hostname: str | None, verdict: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A container that does not go on, of another image or with another name inside, is not yet right."""
    monkeypatch.setattr(containers, "_read_hostname", lambda pid: hostname)
    monkeypatch.setattr(containers, "SECOND_LOOK_S", 0)
    prepared = {"/containers/pet/json": pet} if pet else {}

    assert repr(containers.check_container_runs(Answers(prepared), "pet", "rex")) == verdict  # type: ignore[arg-type]


class Fleeting(Answers):
    """An engine whose container is gone from one look to the next."""

    def get(self, path: str, **options: Any) -> Any:
        answer = super().get(path, **options)
        if path == "/containers/pet/json" and self.later:
            self.prepared[path] = self.later.pop()
        return answer

    later: list[tuple[int, Any]]


@pytest.mark.parametrize(
    ("later", "verdict"),
    [
        (container("exited"), "not yet: pet exists, but it has ended: its command, `sleep 1`, is over (exit status 0)"),
        ((404, {"message": "gone"}), "not yet: pet was removed while it was looked at"),
        (container("running"), "done"),
    ],
)
def test_a_container_that_is_soon_over(later: tuple[int, Any], verdict: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It ran at the first look, and even told its name: there is a second one."""
    monkeypatch.setattr(containers, "_read_hostname", lambda pid: "rex")
    monkeypatch.setattr(containers, "SECOND_LOOK_S", 0)
    engine = Fleeting({"/containers/pet/json": container("running")})
    engine.later = [later]

    assert verdict == repr(containers.check_container_runs(engine, "pet", "rex"))  # type: ignore[arg-type]


def test_a_process_that_ended_has_no_name() -> None:
    """It may end between the engine's answer and the look: 0 is the pid of a container that does not run."""
    with subprocess.Popen(["true"]) as ended:
        ended.wait()

    assert ["", ""] == [containers._read_hostname(pid) for pid in (ended.pid, 0)]


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
        (
            container("created"),
            None,
            "not yet: letter has no /note.txt (did you send a tar, and name its type? Else `curl` calls it a form)",
        ),
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
        (
            container("created", image="a1"),
            tar_of(b"hello\n"),
            "not yet: /note.txt is in letter, but it was made from other, not from busybox",
        ),
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
        (
            {"Memory": 0, "PidsLimit": None, "ReadonlyRootfs": True},
            "not yet: boxed: Memory is 0, not 33554432 (32 MiB); Pids",
        ),
        ({**LIMITS, "ReadonlyRootfs": False}, "not yet: boxed: ReadonlyRootfs is False, not True"),
        ({**LIMITS, "Init": True}, "done"),
    ],
)
def test_container_limits(config: dict[str, Any] | None, verdict: str) -> None:
    """Each field that has another value is named with both values."""
    prepared = (
        {} if config is None else {"/containers/boxed/json": (200, {**container("created")[1], "HostConfig": config})}
    )

    assert repr(containers.check_container_limits(Answers(prepared), "boxed", **LIMITS)).startswith(verdict)  # type: ignore[arg-type]


def test_limits_of_another_image() -> None:
    """The right fields in a container from another image are not what was asked for."""
    prepared = {"/containers/boxed/json": (200, {**container("created", image="a1")[1], "HostConfig": LIMITS})}

    found = containers.check_container_limits(Answers(prepared), "boxed", **LIMITS)  # type: ignore[arg-type]
    assert "boxed exists, but it was made from other, not from busybox" == found.missing


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
        (ended(0, status="created"), LOG, "not yet: mine was made, but never started"),
        (ended(0, status="running"), LOG, "not yet: mine has not run to its end: its state is running"),
        (ended(0), LOG, "not yet: mine ended with 0, not with 7"),
        (ended(7, tty=True), LOG, "not yet: mine has a terminal, where stdout and stderr are one"),
        (ended(7), b"", "not yet: mine wrote nothing to stderr, and should write 'from me\\n'"),
        (ended(7), LOG[:-1], "not yet: mine wrote 'from ' to stderr, and should write 'from me\\n'"),
        (
            ended(7),
            LOG + build_frame(1, b"x" * 99),
            f"not yet: mine wrote '{'x' * 60}…' to stdout, and should write nothing",
        ),
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
    return 200, {**container(status)[1], "Path": command[0], "Args": list(command[1:]), "Config": config}


@pytest.mark.parametrize(
    ("found", "log", "verdict"),
    [
        (None, b"", "not attempted"),
        (
            parrot("cat", status="exited"),
            b"hello\n",
            "not yet: parrot exists, but it has ended: its command, `cat`, is over (exit status 0)",
        ),
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
        made = {**container(status)[1], "HostConfig": {"RestartPolicy": {"Name": policy}}}
        made["State"]["StartedAt"] = "early"
        super().__init__({"/containers/phoenix/json": (200, made)})
        self.lives, self.gone = lives, False

    def get(self, path: str, **options: Any) -> Any:
        if self.gone:
            self.gone = False
            return super().get("/containers/another/json", **options)
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
        (Mortal(status="paused"), "not yet: phoenix exists, but its state is paused"),
        (Mortal(lives=0), "not yet: phoenix was killed, and 0 s later nobody had started it again"),
        (Mortal(lives=1), "not yet: phoenix was killed again, and 0 s later nobody had started it again"),
        (Mortal(), "done"),
    ],
)
def test_revived(engine: Answers, verdict: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is killed here and now, twice, and has to run again, by no policy of the engine; it may be replaced."""
    monkeypatch.setattr(containers, "REVIVAL_S", 0.1)

    assert repr(containers.check_revived(engine, "phoenix")) == verdict  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("there", "verdict"),
    [
        ({"Pet": container("running")}, "not yet: there is a container Pet, but none named pet"),
        ({"pets": container("running")}, "not yet: there is a container pets, but none named pet"),
        (
            {"rover": container("running", Hostname="rex")},
            "not yet: there is a container with what was asked for (its host name is rex), but its name is rover",
        ),
        (
            {"nice_newton": (200, container("created")[1] | {"Path": "--name", "Args": ["pet", "--hostname", "rex"]})},
            "not yet: docker took `--name pet --hostname rex` for the command of a container: its flags come before "
            "the image",
        ),
        ({"shared": container("running", Hostname="4c01db0b339c")}, "not attempted"),
        ({"nice_newton": container("running", Hostname="4c01db0b339c")}, "not attempted"),
    ],
)
def test_a_near_miss_is_named(there: dict[str, Any], verdict: str) -> None:
    """A name in capitals, one more letter, the right container by another name, flags behind the image."""
    engine = Answers({f"/containers/{name}/json": made for name, made in there.items()})

    assert verdict == repr(containers.check_container_runs(engine, "pet", "rex"))  # type: ignore[arg-type]


BROKEN = (500, {"message": "input/output error"})
OF_CONTAINERS = {
    "runs": lambda engine: containers.check_container_runs(engine, "x", "rex"),
    "note": lambda engine: containers.check_note_in_container(engine, "x", "/note.txt", "hello"),
    "limits": lambda engine: containers.check_container_limits(engine, "x", PidsLimit=1),
    "ran": lambda engine: containers.check_container_ran(engine, "x", 7),
    "revived": lambda engine: containers.check_revived(engine, "x"),
    "heard": lambda engine: streams.check_heard(engine, "x", "hello"),
}


@pytest.mark.parametrize("check", OF_CONTAINERS)
@pytest.mark.parametrize("path", ["/containers/x/json", "/containers/json"])
def test_the_daemons_words_reach_the_learner(path: str, check: str) -> None:
    """A container, or a list, that the engine cannot read is raised in its words, and is no "not attempted"."""
    with pytest.raises(EngineRefusal, match="500: input/output error"):
        OF_CONTAINERS[check](Answers({path: BROKEN}))


def test_so_do_its_words_on_images() -> None:
    """The one that was asked for, the one it is compared with, and the list of all."""
    for path in ("/images/mine/json", "/images/busybox/json", "/images/json"):
        with pytest.raises(EngineRefusal, match="500: input/output error"):
            images.check_image_tagged(Answers({path: BROKEN}), "mine", "busybox")  # type: ignore[arg-type]
    engine = Answers({"/containers/pet/json": container("running"), "/images/busybox/json": BROKEN})
    with pytest.raises(EngineRefusal, match="500: input/output error"):
        containers.check_container_runs(engine, "pet", "rex")  # type: ignore[arg-type]
