"""Does TLS find out whom not to trust, and does the error say what to do?

A small TLS server with certificates of its own plays the engine, on the loopback.
"""

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from labkit.api.engine import Engine
from labkit.api.tls import read_context
from labkit.daemons.certificates import make_certificates
from labkit.errors import EngineError, EngineProtocolError, EngineTimeout, EngineUnreachable
from tests.engine.scripted import EMPTY

TIMEOUT_S = 0.2
PATIENCE_S = 5.0
UPGRADED = b"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"

Play = Callable[[socket.socket], None]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """ca.pem, cert.pem, key.pem, as docker wants them, and the server's."""
    folder = tmp_path_factory.mktemp("certificates")
    make_certificates(folder)
    return folder


@pytest.fixture
def serve() -> Iterator[Callable[[Play], int]]:
    """Play with one connection on a port of the loopback."""
    stops: list[Callable[[], None]] = []

    def start(play: Play, address: str = "127.0.0.1") -> int:
        listener = socket.create_server((address, 0))

        def run() -> None:
            with suppress(OSError):
                connection, _ = listener.accept()
                with connection:
                    play(connection)

        def stop() -> None:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()
            listener.close()

        thread = threading.Thread(target=run)
        thread.start()
        stops.append(stop)
        return int(listener.getsockname()[1])

    yield start
    for stop in stops:
        stop()


def under_tls(folder: Path, play: Play, *, wants_certificate: bool = True, newest: str = "TLSv1_3") -> Play:
    """Shake hands as `dockerd --tlsverify` does, then play."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem", folder / "server.key")
    context.maximum_version = ssl.TLSVersion[newest]
    if wants_certificate:
        context.load_verify_locations(folder / "ca.pem")
        context.verify_mode = ssl.CERT_REQUIRED

    def wrapped(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as secured:
            secured.recv(65536)
            play(secured)

    return wrapped


def end(secured: socket.socket) -> None:
    """End as the engine does: with close_notify."""
    assert isinstance(secured, ssl.SSLSocket)
    secured.unwrap()


@pytest.mark.parametrize("newest", ["TLSv1_2", "TLSv1_3"])
@pytest.mark.parametrize("host", ["tcp://127.0.0.1", "https://localhost"])
def test_both_sides_are_known(
    serve: Callable[[Play], int], folder: Path, monkeypatch: pytest.MonkeyPatch, newest: str, host: str
) -> None:
    """With the certificates that the environment names, and by each of the engine's names, an answer comes."""
    monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
    monkeypatch.setenv("DOCKER_CERT_PATH", str(folder))
    body = bytes(300_000)
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    port = serve(under_tls(folder, lambda secured: secured.sendall(answer), newest=newest))
    with Engine(f"{host}:{port}", version="1.41", timeout_s=PATIENCE_S) as engine:
        assert body == engine.get("/x").answer.body


def test_the_input_ends_and_the_output_goes_on(serve: Callable[[Play], int], folder: Path) -> None:
    """close_notify ends one direction only: what the engine has read, it still sends back."""

    def echo(secured: socket.socket) -> None:
        secured.sendall(UPGRADED)
        heard = b""
        while data := secured.recv(65536):
            heard += data
        secured.sendall(heard)
        end(secured)

    text = bytes(range(256)) * 2000
    host = f"tcp://127.0.0.1:{serve(under_tls(folder, echo))}"
    with Engine(host, version="1.41", tls=read_context(folder), timeout_s=PATIENCE_S) as engine:  # noqa: SIM117
        with engine.hijack("POST", "/x", idle_s=PATIENCE_S) as talk:
            talk.send(text)
            talk.close_write()
            assert text == b"".join(talk)


def test_nothing_follows_the_end_of_the_input(serve: Callable[[Play], int], folder: Path) -> None:
    """What is sent after close_write is refused in the client's own words, as it is in the clear."""

    def wait(secured: socket.socket) -> None:
        secured.sendall(UPGRADED)
        secured.recv(65536)
        end(secured)

    host = f"tcp://127.0.0.1:{serve(under_tls(folder, wait))}"
    with Engine(host, version="1.41", tls=read_context(folder), timeout_s=PATIENCE_S) as engine:  # noqa: SIM117
        with engine.hijack("POST", "/x", idle_s=PATIENCE_S) as talk:
            talk.close_write()
            with pytest.raises(EngineProtocolError):
                talk.send(b"more")


def stall(connection: socket.socket) -> None:
    while connection.recv(65536):
        pass


def hang_up(connection: socket.socket) -> None:
    connection.recv(65536)


def answer_in_the_clear(connection: socket.socket) -> None:
    connection.recv(65536)
    connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")


def send_a_broken_record(connection: socket.socket) -> None:
    connection.recv(65536)
    connection.sendall(b"\x16\x03\x03\x00\x05abcde")
    stall(connection)


BROKEN: dict[str, tuple[Play, type[EngineError], str]] = {
    "nothing at all": (stall, EngineTimeout, "TLS with 127.0.0.1:.*: no complete answer after"),
    "hangs up": (hang_up, EngineProtocolError, "closed the connection during the handshake"),
    "in the clear": (answer_in_the_clear, EngineProtocolError, "is not TLS: .*unset DOCKER_TLS_VERIFY"),
    "a broken record": (send_a_broken_record, EngineProtocolError, "broken TLS: "),
}


@pytest.mark.parametrize(("play", "kind", "words"), BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_handshake(
    serve: Callable[[Play], int], folder: Path, play: Play, kind: type[EngineError], words: str
) -> None:
    """The error says what came instead, in time."""
    began = time.monotonic()
    engine = Engine(f"tcp://127.0.0.1:{serve(play)}", version="1.41", tls=read_context(folder))
    with pytest.raises(kind, match=words):
        engine.get("/x", timeout_s=TIMEOUT_S if kind is EngineTimeout else PATIENCE_S)

    assert time.monotonic() - began < PATIENCE_S


def test_cut_without_an_end(serve: Callable[[Play], int], folder: Path) -> None:
    """An answer that ends with the connection needs the end that TLS promises: else someone may have cut it."""

    def cut(secured: socket.socket) -> None:
        secured.sendall(b"HTTP/1.1 200 OK\r\n\r\nhalf")
        secured.shutdown(socket.SHUT_RDWR)

    host = f"tcp://127.0.0.1:{serve(under_tls(folder, cut))}"
    with (
        Engine(host, version="1.41", tls=read_context(folder), timeout_s=PATIENCE_S) as engine,
        pytest.raises(EngineProtocolError, match="without the end that TLS promises"),
    ):
        engine.get("/x")


def test_an_answer_that_ends_with_tls(serve: Callable[[Play], int], folder: Path) -> None:
    """With that end it is whole."""

    def whole(secured: socket.socket) -> None:
        secured.sendall(b"HTTP/1.1 200 OK\r\n\r\nwhole")
        end(secured)

    host = f"tcp://127.0.0.1:{serve(under_tls(folder, whole))}"
    with Engine(host, version="1.41", tls=read_context(folder), timeout_s=PATIENCE_S) as engine:
        assert b"whole" == engine.get("/x").answer.body


def test_an_unknown_authority(serve: Callable[[Play], int], folder: Path) -> None:
    """Signed by nobody that we know: refused before a byte of the request is sent."""
    port = serve(under_tls(folder, lambda _: None))
    with (
        Engine(f"tcp://127.0.0.1:{port}", version="1.41", tls=ssl.create_default_context()) as engine,
        pytest.raises(EngineUnreachable, match=r"certificate: .*have in ca\.pem the authority that signed it"),
    ):
        engine.get("/x", timeout_s=PATIENCE_S)


def test_another_name(serve: Callable[..., int], folder: Path) -> None:
    """The certificate is good, but for another engine: 127.0.0.2 is none of its names."""
    host = f"tcp://127.0.0.2:{serve(under_tls(folder, lambda _: None), '127.0.0.2')}"
    with (
        Engine(host, version="1.41", tls=read_context(folder)) as engine,
        pytest.raises(EngineUnreachable, match=r"mismatch.*call it by a name in its certificate"),
    ):
        engine.get("/x", timeout_s=PATIENCE_S)


@pytest.mark.parametrize("newest", ["TLSv1_2", "TLSv1_3"])
def test_no_certificate_of_ours(serve: Callable[[Play], int], folder: Path, newest: str) -> None:
    """The engine wants one: the error says which files, whether it is told at once or with the first answer."""
    port = serve(under_tls(folder, lambda _: None, newest=newest))
    context = read_context(folder / "stranger")
    with (
        Engine(f"tcp://127.0.0.1:{port}", version="1.41", tls=context) as engine,
        pytest.raises(EngineUnreachable, match=r"the engine refuses: .*cert\.pem and key\.pem"),
    ):
        engine.get("/x", timeout_s=PATIENCE_S)


def test_no_certificates_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder without them is told at once; so is one with something else in them."""
    monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
    monkeypatch.setenv("DOCKER_CERT_PATH", str(tmp_path))
    with pytest.raises(EngineUnreachable, match="No such file or directory: DOCKER_CERT_PATH has to name a folder"):
        Engine("tcp://127.0.0.1:2376")
    (tmp_path / "ca.pem").write_text("nonsense")
    with pytest.raises(EngineUnreachable, match="DOCKER_CERT_PATH has to name a folder"):
        Engine("tcp://127.0.0.1:2376")


def test_tls_is_only_where_it_can_be(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Unix socket and http:// have none: the environment does not touch them, and a context there is a mistake."""
    monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
    monkeypatch.setenv("DOCKER_CERT_PATH", "/nowhere")
    for host in ("unix:///run/docker.sock", "http://127.0.0.1:2375"):
        assert None is Engine(host)._context
        with pytest.raises(ValueError, match="TLS is for tcp:// and https://"):
            Engine(host, tls=ssl.create_default_context())


def test_nothing_asked_for_is_the_clear(monkeypatch: pytest.MonkeyPatch, serve: Callable[[Play], int]) -> None:
    """Without DOCKER_TLS_VERIFY a tcp:// address is spoken to in the clear, as docker does."""
    monkeypatch.delenv("DOCKER_TLS_VERIFY", raising=False)

    def plain(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(EMPTY)

    with Engine(f"tcp://127.0.0.1:{serve(plain)}", version="1.41", timeout_s=PATIENCE_S) as engine:
        assert 200 == engine.get("/x").answer.status
