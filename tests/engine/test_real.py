"""Does the client get on with a real engine?

Which engine it is says tests/engine/daemon.py.
"""

import ctypes
import io
import socket
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from labkit.api.engine import Engine
from labkit.api.frames import STDERR, STDOUT, build_frame, parse_frames
from labkit.api.hijack import Hijack
from labkit.api.path_stat import path_stat
from labkit.api.tls import read_context
from labkit.errors import EngineError, EngineRefusal, EngineUnreachable
from labkit.linux.syscalls import CLONE_NEWNET
from tests.engine.daemon import IMAGE, PATIENCE_S, PrivateDaemon


@pytest.fixture
def engine(daemon: PrivateDaemon) -> Iterator[Engine]:
    """A client of the engine."""
    with Engine(daemon.host, timeout_s=PATIENCE_S) as engine:
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

    filters = {"reference": ["other", IMAGE]}
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

    stat = path_stat(head)
    assert ("note", len(text), b"") == (stat["name"], stat["size"], head.body)
    with tarfile.open(fileobj=io.BytesIO(out)) as tar:
        file = tar.extractfile("note")
        assert file and text == file.read()


def test_events_are_stopped_from_another_thread(engine: Engine, create: Callable[..., str]) -> None:
    """Events come as they happen; closing the stream ends the loop that waits for the next."""
    filters = {"event": ["create"], "label": ["test=events"]}
    # The daemon sends the head before it listens: `since` makes it tell what happened in between.
    events = engine.json_lines("GET", "/events", query={"since": int(time.time()), "filters": filters})
    seen: list[dict[str, Any]] = []
    reader = threading.Thread(target=lambda: seen.extend(events))
    reader.start()
    name = create("true", Labels={"test": "events"})
    end = time.monotonic() + PATIENCE_S
    while not seen and time.monotonic() < end:
        time.sleep(0.005)
    events.close()
    reader.join(PATIENCE_S)

    assert not reader.is_alive()
    assert [("create", name)] == [(event["Action"], event["Actor"]["ID"]) for event in seen]


def test_progress_is_read_line_by_line(engine: Engine) -> None:
    """An error after the head is a line like others: the status was sent long before."""
    with engine.json_lines(
        "POST", "/build", body=tar_of("Dockerfile", f"FROM {IMAGE}\nCOPY nothing /\n".encode()), idle_s=PATIENCE_S
    ) as lines:
        told = list(lines)

    assert any("error" in line for line in told)


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
    with pytest.raises(EngineRefusal, match=words) as caught:
        engine.call(method, path)

    assert (status, method) == (caught.value.status, caught.value.method)


def test_a_conflict_in_the_daemons_words(engine: Engine, create: Callable[..., str]) -> None:
    """A running container cannot be removed; the daemon says what to do."""
    name = create("sleep", "1000")
    engine.post(f"/containers/{name}/start")

    with pytest.raises(EngineRefusal, match="cannot remove .*running") as caught:
        engine.delete(f"/containers/{name}")
    assert 409 == caught.value.status


@pytest.mark.parametrize("version", ["1.99", "0.1"])
def test_a_version_that_it_does_not_speak(daemon: PrivateDaemon, version: str) -> None:
    """A version given by hand is refused in the daemon's words."""
    with (
        Engine(daemon.host, version=version, timeout_s=PATIENCE_S) as engine,
        pytest.raises(EngineRefusal, match=f"client version {version} is too (new|old)"),
    ):
        engine.get("/info")


ATTACH = {"stream": True, "stdin": True, "stdout": True, "stderr": True}
OPEN = {"OpenStdin": True, "StdinOnce": True, "AttachStdin": True}


def said(talk: Hijack, stream: int = STDOUT) -> bytes:
    """All that comes on one stream until the end."""
    return b"".join(frame.payload for frame in talk.frames() if frame.stream == stream)


def test_attached_input_ends(engine: Engine, create: Callable[..., str]) -> None:
    """What is sent comes back from cat; the half-closed connection ends it, and all of it is recorded."""
    name = create("cat", **OPEN)
    with engine.hijack("POST", f"/containers/{name}/attach", query=ATTACH, idle_s=PATIENCE_S) as talk:
        engine.post(f"/containers/{name}/start")
        talk.send(b"hello\n")
        talk.close_write()
        heard = said(talk)

    assert b"hello\n" == heard
    assert 0 == engine.post(f"/containers/{name}/wait").json()["StatusCode"]
    attached = next(each for each in engine.exchanges if each.request.path.endswith("/attach"))
    assert (101, b"hello\n", build_frame(STDOUT, b"hello\n")) == (
        attached.answer.status,
        attached.request.body,
        attached.answer.body,
    )


def test_a_lot_of_input(engine: Engine, create: Callable[..., str]) -> None:
    """One thread sends more than fits on the way while another reads: nothing is lost."""
    name = create("cat", **OPEN)
    text = bytes(range(256)) * 8000
    with engine.hijack("POST", f"/containers/{name}/attach", query=ATTACH, idle_s=PATIENCE_S) as talk:
        engine.post(f"/containers/{name}/start")

        def send() -> None:
            talk.send(text)
            talk.close_write()

        sender = threading.Thread(target=send)
        sender.start()
        heard = said(talk)
        sender.join(PATIENCE_S)

    assert text == heard


def test_two_see_the_same(engine: Engine, create: Callable[..., str]) -> None:
    """Two attachers of one container, one of which types: both read what it writes."""
    name = create("cat", OpenStdin=True, AttachStdin=True)
    path = f"/containers/{name}/attach"
    with (
        engine.hijack("POST", path, query=ATTACH, idle_s=PATIENCE_S) as one,
        engine.hijack("POST", path, query=ATTACH, idle_s=PATIENCE_S) as other,
    ):
        engine.post(f"/containers/{name}/start")
        one.send(b"hello\n")
        assert (STDOUT, b"hello\n") == next(one.frames()) == next(other.frames())


def test_an_attached_terminal(engine: Engine, create: Callable[..., str]) -> None:
    """With a terminal the bytes are plain, and the terminal echoes what is typed."""
    name = create("cat", Tty=True, OpenStdin=True, AttachStdin=True)
    heard = b""
    with engine.hijack("POST", f"/containers/{name}/attach", query=ATTACH, idle_s=PATIENCE_S) as talk:
        engine.post(f"/containers/{name}/start")
        talk.send(b"hi\n")
        while heard.count(b"\r\n") < 2:
            heard += next(talk)

    assert b"hi\r\nhi\r\n" == heard


def test_attached_without_being_asked_to(engine: Engine, create: Callable[..., str]) -> None:
    """A refusal keeps the daemon's words, and an attachment is ended from another thread."""
    with pytest.raises(EngineRefusal, match="404: No such container: nobody"):
        engine.hijack("POST", "/containers/nobody/attach", query=ATTACH)
    name = create("sleep", "1000")
    engine.post(f"/containers/{name}/start")
    with engine.hijack("POST", f"/containers/{name}/attach", query=ATTACH) as talk:
        reader = threading.Thread(target=lambda: list(talk.frames()))
        reader.start()
        talk.close()
        reader.join(PATIENCE_S)

    assert not reader.is_alive()


@pytest.mark.parametrize("tty", [False, True])
def test_exec(engine: Engine, create: Callable[..., str], tty: bool) -> None:
    """A second process in a running container: its output over a hijacked connection, its status afterwards."""
    name = create("sleep", "1000")
    engine.post(f"/containers/{name}/start")
    wanted = {"Cmd": ["sh", "-c", "echo $((6 * 7)); exit 5"], "AttachStdout": True, "Tty": tty}
    made = engine.post(f"/containers/{name}/exec", json=wanted).json()["Id"]
    start = {"Detach": False, "Tty": tty}
    with engine.hijack("POST", f"/exec/{made}/start", json=start, idle_s=PATIENCE_S) as talk:
        heard = b"".join(talk) if tty else said(talk)

    assert (b"42\r\n" if tty else b"42\n") == heard
    state = engine.get(f"/exec/{made}/json").json()
    assert (5, False) == (state["ExitCode"], state["Running"])


def test_exec_that_is_detached(engine: Engine, create: Callable[..., str]) -> None:
    """There is nothing to talk to: the answer is 200 without an upgrade, and empty."""
    name = create("sleep", "1000")
    engine.post(f"/containers/{name}/start")
    made = engine.post(f"/containers/{name}/exec", json={"Cmd": ["echo"]}).json()["Id"]
    with engine.hijack("POST", f"/exec/{made}/start", json={"Detach": True}, idle_s=PATIENCE_S) as talk:
        assert (200, []) == (talk.answer.status, list(talk))


def test_attach_over_a_websocket(engine: Engine, create: Callable[..., str]) -> None:
    """What is sent comes back in messages, without the 8 bytes of a frame; the end of the process is the end."""
    name = create("sh", "-c", "read line; echo $line", OpenStdin=True, AttachStdin=True)
    engine.post(f"/containers/{name}/start")
    with engine.websocket(f"/containers/{name}/attach/ws", query=ATTACH, idle_s=PATIENCE_S) as talk:
        talk.send(b"hello\n")
        assert b"hello\n" == b"".join(talk)

    assert (101, b"hello\n", b"hello\n") == (
        talk.answer.status,
        engine.exchanges[-1].request.body,
        engine.exchanges[-1].answer.body,
    )
    with pytest.raises(EngineRefusal, match="404: No such container: nobody"):
        engine.websocket("/containers/nobody/attach/ws", query=ATTACH)


def test_stats_stream(engine: Engine, create: Callable[..., str]) -> None:
    """One object a second, until the stream is closed; the last moment's is the next one's past."""
    name = create("sleep", "1000")
    engine.post(f"/containers/{name}/start")
    with engine.json_lines("GET", f"/containers/{name}/stats", idle_s=PATIENCE_S) as lines:
        first, second = next(lines), next(lines)

    assert name == first["id"]
    assert first["read"] == second["preread"]


def test_a_pull_that_fails(engine: Engine) -> None:
    """Nobody is at that registry: the daemon's words, as a status or as a line of progress."""
    query = {"fromImage": "127.0.0.1:1/nothing", "tag": "1"}
    with pytest.raises(EngineRefusal, match="connection refused") as caught:  # noqa: SIM117
        with engine.json_lines("POST", "/images/create", query=query, idle_s=PATIENCE_S) as lines:
            for line in lines:
                if "error" in line:
                    raise EngineRefusal(500, str(line["error"]), "POST", "/images/create")

    assert 500 == caught.value.status


def test_a_context_in_pieces(engine: Engine) -> None:
    """A build context is sent as it is made; the image has the label that it asks for."""
    context = tar_of("Dockerfile", f"FROM {IMAGE}\nLABEL a=b\n".encode())
    pieces = (context[start : start + 1000] for start in range(0, len(context), 1000))
    query = {"t": "made:1", "networkmode": "none"}
    with engine.json_lines("POST", "/build", query=query, body=pieces, idle_s=PATIENCE_S) as lines:
        told = list(lines)

    assert [] == [line for line in told if "error" in line]
    assert {"a": "b"} == engine.get("/images/made:1/json").json()["Config"]["Labels"]
    engine.delete("/images/made:1")


def test_an_image_saved_and_loaded(engine: Engine) -> None:
    """An image goes from one call's answer into the next one's body, and is never whole in memory."""
    engine.post(f"/images/{IMAGE}/tag", query={"repo": "copy", "tag": "1"})
    with engine.stream("GET", "/images/copy:1/get") as saved:
        pieces = list(saved)
    engine.delete("/images/copy:1")
    told = engine.post("/images/load", body=iter(pieces)).text

    assert "Loaded image: copy:1" in told
    engine.delete("/images/copy:1")


def test_files_in_pieces(engine: Engine, create: Callable[..., str]) -> None:
    """An archive whose place is not there is refused while it is being sent, in the daemon's words."""
    name = create("sleep", "1")
    content = tar_of("note", bytes(3_000_000))
    archive = f"/containers/{name}/archive"
    engine.put(archive, query={"path": "/"}, body=iter([content[:5000], content[5000:]]))

    assert 3_000_000 == path_stat(engine.head(archive, query={"path": "/note"}).answer)["size"]
    with pytest.raises(EngineRefusal, match="404: .*nowhere"):
        engine.put(archive, query={"path": "/nowhere"}, body=(bytes(65536) for _ in range(1000)))


def tar_of(name: str, text: bytes) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        entry = tarfile.TarInfo(name)
        entry.size = len(text)
        tar.addfile(entry, io.BytesIO(text))
    return packed.getvalue()


@pytest.fixture
def tls_port(daemon: PrivateDaemon) -> Iterator[int]:
    """A port here that leads to the engine's TLS port, which is in its own network."""
    if daemon.network is None:
        pytest.skip("this engine is not ours: it has no TLS address")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        network = daemon.network
        relay = threading.Thread(target=relay_all, args=(listener, lambda: connect_inside(network)))
        relay.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            relay.join(PATIENCE_S)


def connect_inside(network: Path) -> socket.socket:
    """Connect to the TLS port from within the network; a thread that has entered it does nothing else."""
    made: list[socket.socket] = []

    def connect() -> None:
        with network.open() as file:
            assert 0 == ctypes.CDLL(None).setns(file.fileno(), CLONE_NEWNET)
        made.append(socket.create_connection(("127.0.0.1", 2376)))

    thread = threading.Thread(target=connect)
    thread.start()
    thread.join(PATIENCE_S)
    return made[0]


def test_over_tls(
    daemon: PrivateDaemon, tls_port: int, create: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the certificates that the environment names: calls, and a talk whose input ends."""
    monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
    monkeypatch.setenv("DOCKER_CERT_PATH", str(daemon.certificates))
    name = create("cat", **OPEN)
    text = bytes(range(256)) * 2000
    with Engine(f"tcp://127.0.0.1:{tls_port}", timeout_s=PATIENCE_S) as engine:
        assert name == engine.get(f"/containers/{name}/json").json()["Id"]
        with engine.hijack("POST", f"/containers/{name}/attach", query=ATTACH, idle_s=PATIENCE_S) as talk:
            engine.post(f"/containers/{name}/start")
            sender = threading.Thread(target=lambda: (talk.send(text), talk.close_write()))
            sender.start()
            heard = said(talk)
            sender.join(PATIENCE_S)

    assert text == heard


def test_tls_without_a_certificate_of_ours(daemon: PrivateDaemon, tls_port: int) -> None:
    """The engine refuses who shows none; the error says which files it wants."""
    context = read_context(daemon.certificates / "stranger")
    with (
        Engine(f"tcp://127.0.0.1:{tls_port}", tls=context, timeout_s=PATIENCE_S) as engine,
        pytest.raises(EngineUnreachable, match=r"the engine refuses: .*cert\.pem and key\.pem"),
    ):
        engine.get("/info")


def test_the_clear_where_tls_is_spoken(tls_port: int) -> None:
    """Without TLS the engine says itself what it wants."""
    with (
        Engine(f"http://127.0.0.1:{tls_port}", timeout_s=PATIENCE_S) as engine,
        pytest.raises(EngineRefusal, match="400: Client sent an HTTP request to an HTTPS server"),
    ):
        engine.get("/info")


def test_over_tcp(daemon: PrivateDaemon) -> None:
    """The tcp:// form speaks to the same engine, here through a relay, as the daemon's network is its own."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        relay = threading.Thread(target=relay_all, args=(listener, lambda: connect_unix(daemon.host)))
        relay.start()
        try:
            host = f"tcp://127.0.0.1:{listener.getsockname()[1]}"
            with Engine(host, timeout_s=PATIENCE_S) as engine:
                exchange = engine.get("/info")
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            relay.join(PATIENCE_S)

    assert host == f"tcp://{exchange.request.headers['Host']}"
    assert exchange.json()["Images"] > 0


def connect_unix(host: str) -> socket.socket:
    made = socket.socket(socket.AF_UNIX)
    made.connect(host.removeprefix("unix://"))
    return made


def relay_all(listener: socket.socket, connect: Callable[[], socket.socket]) -> None:
    """Carry each connection's bytes both ways until the listener is shut down."""
    relays = []
    with suppress(OSError):
        while True:
            client, _ = listener.accept()
            relays.append(threading.Thread(target=relay_one, args=(client, connect)))
            relays[-1].start()
    for relay in relays:
        relay.join(PATIENCE_S)


def relay_one(client: socket.socket, connect: Callable[[], socket.socket]) -> None:
    with client, connect() as server:
        back = threading.Thread(target=carry, args=(server, client))
        back.start()
        carry(client, server)
        with suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)  # dockerd 20.10 keeps a hijacked TLS connection half-open
        back.join()


def carry(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)
