"""Does the client get on with a real engine?

A private dockerd runs in namespaces of its own: no file, network or container of this machine is in its reach,
and when its first process ends, the kernel ends the rest. Only its socket is outside, in a directory of the test.
"""

import base64
import io
import json
import os
import shutil
import signal
import socket
import subprocess
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from labkit.engine import Engine
from labkit.errors import EngineAnswer, EngineError
from labkit.frames import STDERR, STDOUT, parse_frames

UP_S = 30.0  # for the daemon; it needs about a second
PATIENCE_S = 10.0
IMAGE = "busybox:test"

START = """
ip link set lo up
mount -t tmpfs tmpfs /run
echo '{}' > /run/daemon.json
exec dockerd --config-file=/run/daemon.json --host="unix://$1" --tls=false --cgroup-parent="$2" \
    --data-root=/run/data --exec-root=/run/docker --pidfile=/run/dockerd.pid --bridge=none --iptables=false
"""


def reason_to_skip() -> str | None:
    if os.geteuid() != 0:
        return "a private dockerd needs root"
    missing = [name for name in ("dockerd", "unshare", "ip", "busybox") if not shutil.which(name)]
    if missing:
        return f"not installed: {', '.join(missing)}"
    if subprocess.run(["unshare", "-m", "-n", "-p", "-f", "true"], capture_output=True, check=False).returncode:
        return "this root may not make namespaces"
    return None


@pytest.fixture(scope="module")
def sock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The socket of a private dockerd that answers and has busybox loaded."""
    if reason := reason_to_skip():
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(reason)
    folder = tmp_path_factory.mktemp("d")
    cgroup = f"labkit-test-{os.getpid()}"
    namespaces = ["unshare", "-m", "-n", "-i", "-u", "-p", "-f", "--kill-child", "--mount-proc"]
    with (folder / "log").open("wb") as log:
        daemon = subprocess.Popen(
            [*namespaces, "sh", "-ec", START, "sh", str(folder / "s"), f"/{cgroup}"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        wait_until_up(folder, daemon)
        with Engine(f"unix://{folder}/s") as engine:
            load_busybox(engine)
        yield folder / "s"
    finally:
        end_all(daemon)
        remove_cgroups(cgroup)


def end_all(unshare: subprocess.Popen[bytes]) -> None:
    """End dockerd, PID 1 of its namespace, and so all in there; then unshare, its parent, ends by itself."""
    with suppress(OSError):  # it ended already
        for pid in Path(f"/proc/{unshare.pid}/task/{unshare.pid}/children").read_text().split():
            os.kill(int(pid), signal.SIGKILL)
    try:
        unshare.wait(PATIENCE_S)
    except subprocess.TimeoutExpired:
        unshare.kill()
        unshare.wait()


def wait_until_up(folder: Path, daemon: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + UP_S
    while time.monotonic() < end and daemon.poll() is None:
        with suppress(EngineError), Engine(f"unix://{folder}/s", timeout_s=1) as engine:
            engine.get("/_ping", versioned=False)
            return
        time.sleep(0.02)
    tail = (folder / "log").read_text(errors="replace")[-2000:]
    pytest.fail(f"dockerd (status {daemon.poll()}) did not answer within {UP_S:.0f} s:\n{tail}")


def load_busybox(engine: Engine) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        tar.add(Path(str(shutil.which("busybox"))).resolve(), "bin/busybox")
        for name in ("sh", "echo", "sleep", "cat", "tty"):
            link = tarfile.TarInfo(f"bin/{name}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)
    repo, _, tag = IMAGE.partition(":")
    query = {"fromSrc": "-", "repo": repo, "tag": tag}
    engine.post("/images/create", query=query, body=packed.getvalue())


def remove_cgroups(name: str) -> None:
    """Remove the groups that the daemon made, deepest first, once the kernel has emptied them."""
    end = time.monotonic() + PATIENCE_S
    root = Path("/sys/fs/cgroup")
    while left := [top for top in (*root.glob(name), *root.glob(f"*/{name}")) if top.is_dir()]:
        for top in left:
            for folder in sorted((path for path in top.rglob("*") if path.is_dir()), reverse=True):
                with suppress(OSError):
                    folder.rmdir()
            with suppress(OSError):
                top.rmdir()
        assert time.monotonic() < end, f"control groups are left: {left}"
        time.sleep(0.01)


@pytest.fixture
def engine(sock: Path) -> Iterator[Engine]:
    """A client of the private engine."""
    with Engine(f"unix://{sock}", timeout_s=PATIENCE_S) as engine:
        yield engine


@pytest.fixture
def create(engine: Engine) -> Iterator[Callable[..., str]]:
    """Create containers, and remove them after the test."""
    made: list[str] = []

    def create(*command: str, **config: object) -> str:
        body = {"Image": IMAGE, "Cmd": list(command), "HostConfig": {"NetworkMode": "none"}} | config
        made.append(engine.post("/containers/create", json=body).json()["Id"])
        return made[-1]

    yield create
    for name in made:
        engine.delete(f"/containers/{name}", query={"force": True}, check=False)


def test_the_version_is_negotiated(engine: Engine) -> None:
    """The client speaks the newest version that the engine names, in every path."""
    told = engine.get("/version", versioned=False).json()["ApiVersion"]

    assert told == engine.version
    assert f"/v{told}/info" == engine.get("/info").request.target


def test_a_container_from_create_to_remove(engine: Engine, create: Callable[..., str]) -> None:
    """Create, start, wait, logs, inspect, remove: each says what the reference promises."""
    name = create("sh", "-c", "echo out; echo err >&2; exit 3")

    assert 204 == engine.post(f"/containers/{name}/start").answer.status
    assert 3 == engine.post(f"/containers/{name}/wait").json()["StatusCode"]
    raw = engine.get(f"/containers/{name}/logs", query={"stdout": True, "stderr": True}).answer.body
    state = engine.get(f"/containers/{name}/json").json()["State"]
    assert 204 == engine.delete(f"/containers/{name}").answer.status

    frames = list(parse_frames([raw]))
    assert b"out\n" == b"".join(frame.payload for frame in frames if frame.stream == STDOUT)
    assert b"err\n" == b"".join(frame.payload for frame in frames if frame.stream == STDERR)
    assert ("exited", 3) == (state["Status"], state["ExitCode"])
    assert name not in [each["Id"] for each in engine.get("/containers/json", query={"all": True}).json()]


def test_frames_of_a_running_container(engine: Engine, create: Callable[..., str]) -> None:
    """Followed logs come while the container runs, and end when the stream is closed."""
    name = create("sh", "-c", "echo now; exec sleep 1000")
    engine.post(f"/containers/{name}/start")
    query = {"stdout": True, "follow": True}
    with engine.stream("GET", f"/containers/{name}/logs", query=query, idle_s=PATIENCE_S) as pieces:
        assert (STDOUT, b"now\n") == next(parse_frames(pieces))

    assert engine.get(f"/containers/{name}/json").json()["State"]["Running"]


def test_a_terminal_has_no_frames(engine: Engine, create: Callable[..., str]) -> None:
    """With a terminal the bytes are plain, and parse_frames says why it cannot read them."""
    name = create("echo", "hi", Tty=True)
    engine.post(f"/containers/{name}/start")
    engine.post(f"/containers/{name}/wait")
    raw = engine.get(f"/containers/{name}/logs", query={"stdout": True}).answer.body

    assert b"hi\r\n" == raw
    with pytest.raises(EngineError, match="does the container have a terminal"):
        list(parse_frames([raw]))


def test_an_image_is_tagged_and_removed(engine: Engine) -> None:
    """A second name for the image comes and goes; the first one stays."""
    assert 201 == engine.post(f"/images/{IMAGE}/tag", query={"repo": "other", "tag": "1"}).answer.status
    assert {"Untagged": "other:1"} in engine.delete("/images/other:1").json()

    filters = {"reference": ["other", "busybox"]}
    (image,) = engine.get("/images/json", query={"filters": filters}).json()
    assert [IMAGE] == image["RepoTags"]


def test_files_in_and_out(engine: Engine, create: Callable[..., str]) -> None:
    """A tar is put in, described by HEAD, and comes out as it was."""
    name = create("sleep", "1")
    text = bytes(range(256)) * 1000
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        entry = tarfile.TarInfo("note")
        entry.size = len(text)
        tar.addfile(entry, io.BytesIO(text))

    archive = f"/containers/{name}/archive"
    engine.put(archive, query={"path": "/"}, body=packed.getvalue())
    head = engine.head(archive, query={"path": "/note"}).answer
    out = engine.get(archive, query={"path": "/note"}).answer.body

    stat = json.loads(base64.b64decode(head.headers["x-docker-container-path-stat"]))
    assert ("note", len(text), b"") == (stat["name"], stat["size"], head.body)
    with tarfile.open(fileobj=io.BytesIO(out)) as tar:
        file = tar.extractfile("note")
        assert file and text == file.read()


def test_events_are_stopped_from_another_thread(engine: Engine, create: Callable[..., str]) -> None:
    """Events come as they happen; closing the stream ends the loop that waits for the next."""
    filters = {"event": ["create"], "label": ["test=events"]}
    # The daemon sends the head before it listens: `since` makes it tell what happened in between.
    events = engine.json_lines("GET", "/events", query={"since": int(time.time()), "filters": filters})
    seen: list[dict[str, object]] = []
    reader = threading.Thread(target=lambda: seen.extend(events))
    reader.start()
    name = create("true", Labels={"test": "events"})
    end = time.monotonic() + PATIENCE_S
    while not seen and time.monotonic() < end:
        time.sleep(0.005)
    events.close()
    reader.join(PATIENCE_S)

    assert not reader.is_alive()
    assert [("create", name)] == [(event["Action"], event["id"]) for event in seen]


def test_progress_is_read_line_by_line(engine: Engine) -> None:
    """An error after the head is a line like others: the status was sent long before."""
    with engine.json_lines("POST", "/build", body=empty_context(), idle_s=PATIENCE_S) as lines:
        told = list(lines)

    assert any("error" in line for line in told)


def empty_context() -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        text = f"FROM {IMAGE}\nCOPY nothing /\n".encode()
        entry = tarfile.TarInfo("Dockerfile")
        entry.size = len(text)
        tar.addfile(entry, io.BytesIO(text))
    return packed.getvalue()


@pytest.mark.parametrize(
    ("method", "path", "status", "words"),
    [
        ("GET", "/containers/nobody/json", 404, "No such container: nobody"),
        ("POST", "/containers/nobody/start", 404, "No such container: nobody"),
        ("DELETE", "/images/nothing", 404, "No such image: nothing:latest"),
        ("GET", "/nowhere", 404, "page not found"),
        ("HEAD", "/containers/nobody/archive?path=/", 404, "Not Found"),
    ],
)
def test_a_refusal_in_the_daemons_words(engine: Engine, method: str, path: str, status: int, words: str) -> None:
    """The error has the status, and the words that the daemon chose."""
    with pytest.raises(EngineAnswer, match=words) as caught:
        engine.call(method, path)

    assert (status, method) == (caught.value.status, caught.value.method)


def test_a_conflict_in_the_daemons_words(engine: Engine, create: Callable[..., str]) -> None:
    """A running container cannot be removed; the daemon says what to do."""
    name = create("sleep", "1000")
    engine.post(f"/containers/{name}/start")

    with pytest.raises(EngineAnswer, match="cannot remove .*running") as caught:
        engine.delete(f"/containers/{name}")
    assert 409 == caught.value.status


@pytest.mark.parametrize("version", ["1.99", "0.1"])
def test_a_version_that_it_does_not_speak(sock: Path, version: str) -> None:
    """A version given by hand is refused in the daemon's words."""
    with (
        Engine(f"unix://{sock}", version=version, timeout_s=PATIENCE_S) as engine,
        pytest.raises(EngineAnswer, match=f"client version {version} is too (new|old)"),
    ):
        engine.get("/info")


def test_over_tcp(sock: Path) -> None:
    """The tcp:// form speaks to the same engine, here through a relay, as the daemon's network is its own."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        relay = threading.Thread(target=relay_one, args=(listener, sock))
        relay.start()
        try:
            host = f"tcp://127.0.0.1:{listener.getsockname()[1]}"
            with Engine(host, timeout_s=PATIENCE_S) as engine:
                exchange = engine.get("/info")
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            relay.join(PATIENCE_S)

    assert host == f"tcp://{exchange.request.headers['Host']}"
    assert 1 == exchange.json()["Images"]


def relay_one(listener: socket.socket, sock: Path) -> None:
    """Carry one connection's bytes both ways until the client closes it."""
    with suppress(OSError):
        client, _ = listener.accept()
        with client, socket.socket(socket.AF_UNIX) as server:
            server.connect(str(sock))
            back = threading.Thread(target=carry, args=(server, client))
            back.start()
            carry(client, server)
            server.shutdown(socket.SHUT_RDWR)
            back.join()


def carry(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
