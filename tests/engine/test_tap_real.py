"""Do docker's own clients notice the tap? The same session, with it and without it, against a private engine."""

import hashlib
import io
import os
import pickle
import re
import shutil
import socket
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import docker
import pexpect
import pytest

from labkit.api.engine import Engine
from labkit.api.frames import STDERR, STDOUT, Frame
from labkit.api.record import RecordedExchange
from labkit.api.tap import Tap, tap
from labkit.shell import sh
from tests.engine.daemon import IMAGE, PATIENCE_S, PrivateDaemon

PLACES = ("/usr/bin/docker", "/usr/local/bin/docker")
INSTALLED = {os.path.realpath(path) for path in PLACES if os.path.exists(path)}
# The first one on PATH, where `host` puts that of the engine; and what is installed besides.
COMMANDS = ["docker", *sorted(INSTALLED - {os.path.realpath(shutil.which("docker") or "")})]
TTY_NOISE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\r")
PROMPTS = re.compile(r"(/ # )+")  # a shell prints its prompt again when it is told the terminal's size
IDS = re.compile(r"\b[0-9a-f]{12,64}\b")

ROOT = Path(__file__).resolve().parents[2]
Step = Callable[[], object]


@pytest.fixture
def host(daemon: PrivateDaemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The engine's address; docker's clients find no configuration of this computer."""
    for name in ("DOCKER_TLS_VERIFY", "DOCKER_CONTEXT", "DOCKER_API_VERSION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "config"))
    monkeypatch.setenv("DOCKER_BUILDKIT", "0")
    monkeypatch.setenv("DOCKER_HOST", daemon.host)
    monkeypatch.setenv("PATH", daemon.path)
    return daemon.host


@contextmanager
def running(command: str, *options: str, program: str = "sleep 1000") -> Iterator[None]:
    """A container named "box" for the time of the block."""
    line = [command, "run", "-d", "--network=none", "--name=box", *options, IMAGE, *program.split(" ", 2)]
    subprocess.run(line, check=True, capture_output=True)
    try:
        yield
    finally:
        subprocess.run([command, "rm", "-f", "box"], check=True, capture_output=True)


def say(*line: str, given: bytes = b"") -> tuple[int, str, str]:
    """Run a program; give its status and what it wrote, identities masked."""
    done = subprocess.run(line, input=given, capture_output=True, timeout=60, check=False)
    out, err = (IDS.sub("ID", written.decode()) for written in (done.stdout, done.stderr))
    return done.returncode, out, err


def typed(*line: str, talk: list[tuple[str, str]]) -> tuple[int | None, str]:
    """Run a program in a terminal, and type each answer when what it waits for was seen."""
    child = pexpect.spawn(line[0], list(line[1:]), timeout=PATIENCE_S, encoding="utf-8", echo=False)
    seen = ""
    try:
        for expected, answer in talk:
            child.expect_exact(expected)
            seen += f"{child.before}{child.after}"
            child.send(answer)
        child.expect(pexpect.EOF)
        child.wait()
        return child.exitstatus, PROMPTS.sub("/ # ", IDS.sub("ID", TTY_NOISE.sub("", f"{seen}{child.before}")))
    finally:
        child.close(force=True)


def command_line(command: str, folder: Path) -> dict[str, object]:
    """What a learner does with the docker command, and what came of it."""
    (folder / "note").write_text("a note\n")
    (folder / "Dockerfile").write_text(f"FROM {IMAGE}\nCOPY note /\nRUN echo built\n")
    once = [command, "run", "--rm", "--network=none"]
    out: dict[str, object] = {
        "run": say(*once, IMAGE, "sh", "-c", "echo out; echo err >&2; exit 3"),
        "run, with input": say(*once, "-i", IMAGE, "cat", given=b"line\n" * 50_000),
        "run, in a terminal": typed(
            *once, "-it", IMAGE, "sh", talk=[("#", "echo $((6*7))\r"), ("42\r\n", "tty\r"), ("/dev/pts/0", "exit 3\r")]
        ),
        "build": say(command, "build", "--no-cache", "--network=none", "-t", "built", str(folder)),
        "images": say(command, "images", "built", "--format={{.Repository}}:{{.Tag}}"),
        "rmi": say(command, "rmi", "built")[0],
        "pull": say(command, "pull", "127.0.0.1:1/nothing"),
        "save": files(subprocess.check_output([command, "save", IMAGE])),
        "wrong": say(command, "inspect", "nobody"),
    }
    with running(command):
        out |= {
            "exec": say(command, "exec", "box", "sh", "-c", "echo out; echo err >&2; exit 4"),
            "exec, with input": say(command, "exec", "-i", "box", "cat", given=b"hello\n"),
            "exec, in a terminal": typed(command, "exec", "-it", "box", "sh", talk=[("#", "exit 5\r")]),
            "cp in": say(command, "cp", str(folder / "note"), "box:/note")[0],
            "cp out": files(subprocess.check_output([command, "cp", "box:/note", "-"])),
            "ps": say(command, "ps", "--format={{.Names}} {{.Image}} {{.State}}"),
            "stop": say(command, "stop", "-t", "0", "box"),
        }
    with running(command, program="sh -c for i in 1 2 3; do echo $i; echo x >&2; done; sleep 0.2; exit 6"):
        out["logs -f"] = say(command, "logs", "-f", "box")
        out["wait"] = say(command, "wait", "box")
    with running(command, "-it", program="cat"):
        out["attach"] = typed(command, "attach", "box", talk=[("", "hi\r"), ("hi\r\nhi\r\n", "\x10\x11")])
        out["detached"] = say(command, "inspect", "-f", "{{.State.Running}}", "box")
    return out


def files(packed: bytes) -> dict[str, str]:
    """The files in a tar, by name, and the digests of what is in them; newer engines put the time of a save into it."""
    with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
        opened = {each.name: tar.extractfile(each) for each in tar if each.isfile()}
        return {name: hashlib.sha256(file.read()).hexdigest() for name, file in opened.items() if file}


@pytest.mark.parametrize("command", COMMANDS)
def test_the_command_line(host: str, tmp_path: Path, command: str) -> None:
    """docker prints the same and exits with the same, and the tap understood every byte of it."""
    without = command_line(command, tmp_path)
    with tap() as said:
        assert host != os.environ["DOCKER_HOST"]
        through = command_line(command, tmp_path)

    assert without == through
    assert (3, "out\n", "err\n") == through["run"]
    assert 3 == through["run, in a terminal"][0]  # type: ignore[index]
    assert {"note": hashlib.sha256(b"a note\n").hexdigest()} == through["cp out"]
    assert "manifest.json" in through["save"]  # type: ignore[operator]
    # It tells a terminal's size and does not stay for the answer; nor, once detached, for the container's end.
    assert [] == [one.note for one in said.exchanges if one.note and not one.note.startswith("the client ")]
    unfinished = {one.request.path.rpartition("/")[2] for one in said.exchanges if not one.finished}
    assert {"resize", "wait"} >= unfinished


@pytest.mark.parametrize("command", COMMANDS)
def test_the_order_of_a_run(host: str, command: str) -> None:
    """`docker run` creates, attaches, asks to be told of the end, and only then starts: no output is missed."""
    with tap() as said:
        done = sh(f"{command} run --rm --network=none {IMAGE} sh -c 'echo out; echo err >&2; sleep 0.3; exit 3'")
        heard = said.exchanges

    assert (3, "out\n", "err\n") == (done.status, done.out, done.err)
    create, attach, wait, start = (
        find(heard, f"POST /containers/{name}$") for name in ("create", "[^/]*/attach", "[^/]*/wait", "[^/]*/start")
    )
    assert sorted([create, attach, wait, start], key=lambda one: one.began_s) == [create, attach, wait, start]
    assert (201, 101, 200, 204) == tuple(one.answer.status for one in (create, attach, wait, start))
    assert wait.head_s is not None and start.head_s is not None
    # The head of wait's answer is there before start is asked; its body comes when the container has ended.
    assert wait.began_s + wait.head_s < start.began_s
    assert wait.began_s + wait.seconds > start.began_s + start.head_s
    assert {Frame(STDOUT, b"out\n"), Frame(STDERR, b"err\n")} == set(attach.frames)
    assert all(one.finished for one in heard)


def find(heard: list[RecordedExchange], pattern: str) -> RecordedExchange:
    (one,) = (one for one in heard if re.match(pattern, str(one.request)))
    return one


def test_events_while_they_run(host: str) -> None:
    """A stream without end is in the record while it runs: its head, then each event; killed, it says who ended it."""
    with tap() as said, Engine(host) as engine:
        # The daemon sends the head before it listens: `since` makes it tell what happened in between.
        line = [COMMANDS[0], "events", f"--since={int(time.time())}", "--filter=event=tag", "--format={{.Action}}"]
        events = subprocess.Popen(line, stdout=subprocess.PIPE)
        try:
            wait_until(said, lambda one: one.answer.status == 200)
            before = said.changes
            engine.post(f"/images/{IMAGE}/tag", query={"repo": "seen", "tag": "1"})
            assert events.stdout and b"tag\n" == events.stdout.readline()
            running_ = wait_until(said, lambda one: b'"seen:1"' in one.answer.body)
        finally:
            events.kill()
            events.communicate()
        ended = said.exchanges[-1]
        engine.delete("/images/seen:1")

    assert before < said.changes
    assert (False, "", False, "the client closed first") == (
        running_.finished,
        running_.note,
        ended.finished,
        ended.note,
    )


def wait_until(said: Tap, claim: Callable[[RecordedExchange], bool]) -> RecordedExchange:
    """Look at the latest exchange until the claim is true."""
    end = time.monotonic() + PATIENCE_S
    while not (heard := said.exchanges) or not claim(heard[-1]):
        assert time.monotonic() < end, heard
        time.sleep(0.01)
    return heard[-1]


def library() -> dict[str, object]:
    """What a program does with docker's Python library."""
    with closing(docker.from_env(timeout=int(PATIENCE_S))) as client:
        run = client.containers.run(IMAGE, ["sh", "-c", "echo hi"], network_mode="none", remove=True)
        box = client.containers.run(IMAGE, ["cat"], network_mode="none", detach=True, stdin_open=True)
        try:
            exec_ = box.exec_run(["sh", "-c", "echo out; exit 7"])
            _, talk = box.exec_run(["cat"], stdin=True, socket=True)
            echoed = say_hello(talk)
            attached = say_hello(box.attach_socket(params={"stdin": 1, "stdout": 1, "stream": 1}))
            box.stop(timeout=0)
            logs = b"".join(box.logs(stream=True, follow=True))
        finally:
            box.remove(force=True)
        return {"run": run, "exec": exec_, "echoed": echoed, "attached": attached, "logs": logs}


def say_hello(talk: socket.SocketIO) -> bytes:
    """Say a line on a connection that the library took over, and read the frame that comes back."""
    with talk:
        end: socket.socket = talk._sock  # type: ignore[attr-defined]
        end.settimeout(PATIENCE_S)
        end.sendall(b"hello\n")
        heard = end.recv(14, socket.MSG_WAITALL)
        end.shutdown(socket.SHUT_WR)
        return heard


def library_elsewhere() -> dict[str, object]:
    """In a process of its own, as the library leaves sockets open until nobody knows when."""
    code = "import pickle, sys, tests.engine.test_tap_real as t; sys.stdout.buffer.write(pickle.dumps(t.library()))"
    found: dict[str, object] = pickle.loads(subprocess.check_output([sys.executable, "-c", code], cwd=ROOT))
    return found


def test_the_library(host: str) -> None:
    """docker's Python library gets the same, through connections that it took over too."""
    without = library_elsewhere()
    with tap() as said:
        through = library_elsewhere()

    assert without == through
    assert b"hello\n" in through["echoed"]  # type: ignore[operator]
    assert [] == [one for one in said.exchanges if one.note]


def compose(folder: Path) -> dict[str, object]:
    """What a learner does with compose, and what came of it."""
    (folder / "docker-compose.yml").write_text(
        f"version: '3'\nservices:\n  one:\n    image: {IMAGE}\n    network_mode: none\n"
        "    command: sh -c 'echo said; exit 2'\n"
    )
    line = ["docker-compose", "-p", "composed", "-f", str(folder / "docker-compose.yml")]
    up = say(*line, "up", "--exit-code-from", "one")
    logs = say(*line, "logs", "--no-color")
    down = say(*line, "down")
    return {"up": (up[0], "said" in up[1]), "logs": logs[:2], "down": down[0]}


def test_compose(host: str, tmp_path: Path) -> None:
    """compose brings a service up, shows what it says, passes its exit status on, and takes it down."""
    if not shutil.which("docker-compose"):
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(
            "compose is not installed: make test installs it"
        )
    without = compose(tmp_path)
    with tap() as said:
        through = compose(tmp_path)

    assert without == through
    assert (2, True) == through["up"]
    assert any("/attach" in one.request.target or "/logs" in one.request.target for one in said.exchanges)


def test_the_engine_dies(host: str) -> None:
    """Asked where no engine is, docker says that it reached none, in the words that it has for a broken connection."""
    with tap("unix:///nowhere/docker.sock") as said:
        status, _, words = say(COMMANDS[0], "ps")

    assert 1 == status and words
    assert said.exchanges and all("is dockerd running?" in one.note for one in said.exchanges)
