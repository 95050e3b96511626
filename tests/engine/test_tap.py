"""Does a tap carry every byte, whatever its two sides do, and leave nothing behind?

A scripted engine listens on a Unix socket; each of its connections is given to a function, in a thread of its own.
"""

import errno
import os
import queue
import resource
import socket
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from labkit.api import tap as taps
from labkit.api.engine import Engine
from labkit.api.record import RecordedExchange
from labkit.api.tap import MAX_LINKS, Tap, tap
from labkit.errors import EngineUnreachable

PATIENCE_S = 5.0
PING = b"GET /_ping HTTP/1.1\r\nHost: docker\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK"
ATTACH = b"POST /containers/a/attach HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"
UPGRADED = b"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"

Handler = Callable[[socket.socket], None]


class Scripted:
    """An engine on a Unix socket that gives each connection to `handler`; `stop` ends them all."""

    def __init__(self, path: Path, handler: Handler) -> None:
        self.host = f"unix://{path}"
        self._handler = handler
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen(2 * MAX_LINKS)
        self._open: list[tuple[socket.socket, threading.Thread]] = []
        self._thread = threading.Thread(target=self._accept)
        self._thread.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError as error:
                if error.errno != errno.EMFILE:
                    return  # stop()
                time.sleep(0.01)
                continue
            connection.settimeout(PATIENCE_S)
            thread = threading.Thread(target=self._serve, args=(connection,))
            self._open.append((connection, thread))
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with suppress(OSError), connection:
            self._handler(connection)

    def stop(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()
        for connection, thread in self._open:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            thread.join()


@pytest.fixture
def tapped(tmp_path: Path) -> Iterator[Callable[[Handler], Tap]]:
    """Put a tap before a scripted engine."""
    with_stop: list[Callable[[], None]] = []

    def start(handler: Handler) -> Tap:
        engine = Scripted(tmp_path / "s", handler)
        with_stop.append(engine.stop)
        said = Tap(engine.host)
        with_stop.append(said.close)
        return said

    yield start
    for stop in reversed(with_stop):
        stop()


def connect(said: Tap) -> socket.socket:
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(PATIENCE_S)
    client.connect(said.host.removeprefix("unix://"))
    return client


def read_all(end: socket.socket) -> bytes:
    """Read until the other side has said all, or broke the connection."""
    data = bytearray()
    with suppress(ConnectionResetError):
        while more := end.recv(65536):
            data += more
    return bytes(data)


def read_head(end: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data and (more := end.recv(65536)):
        data += more
    return data


def answer_all(engine: socket.socket) -> None:
    while read_head(engine):
        engine.sendall(OK)


def wait_for(said: Tap, claim: Callable[[list[RecordedExchange]], bool]) -> list[RecordedExchange]:
    """Look until the claim is true."""
    end = time.monotonic() + PATIENCE_S
    while not claim(heard := said.exchanges):
        assert time.monotonic() < end, heard
        time.sleep(0.005)
    return heard


def test_the_block_and_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Inside, DOCKER_HOST is the tap's socket, for its owner alone; afterwards it is what it was, and all is gone."""
    for before in ("unix:///before", None):
        monkeypatch.delenv("DOCKER_HOST", raising=False)
        if before:
            monkeypatch.setenv("DOCKER_HOST", before)
        with pytest.raises(KeyError), tap() as said:
            place = Path(os.environ["DOCKER_HOST"].removeprefix("unix://"))
            assert (said.host, 0o700) == (f"unix://{place}", place.parent.stat().st_mode & 0o777)
            assert place.is_socket()
            raise KeyError
        assert (before, False) == (os.environ.get("DOCKER_HOST"), place.parent.exists())


def test_our_own_client(tapped: Callable[[Handler], Tap]) -> None:
    """A client's exchanges are all there as soon as it has them, with the bytes that it recorded itself."""
    said = tapped(answer_all)
    with Engine(said.host, version="1.41", timeout_s=PATIENCE_S) as engine:
        for number in range(20):
            mine = engine.get(f"/{number}")
            heard = said.exchanges
            assert number + 1 == len(heard)
            assert (mine.request.raw, mine.answer.raw) == (heard[-1].request.raw, heard[-1].answer.raw)
            assert heard[-1].finished

    assert [1] * 20 == [one.connection for one in said.exchanges]
    assert sorted(one.began_s for one in heard) == [one.began_s for one in heard]


def test_a_tap_on_a_tap(tapped: Callable[[Handler], Tap], monkeypatch: pytest.MonkeyPatch) -> None:
    """Taps nest: both hear the same."""
    monkeypatch.setenv("DOCKER_HOST", tapped(answer_all).host)
    with tap() as outer, tap() as inner, Engine(version="1.41") as engine:
        engine.get("/x")

    assert outer.host != inner.host
    assert [one.request.raw for one in outer.exchanges] == [one.request.raw for one in inner.exchanges] != []


def test_no_engine(tmp_path: Path) -> None:
    """The client sees the connection closed, and the record says why."""
    with Tap(f"unix://{tmp_path}/nobody") as said:
        with connect(said) as client:
            assert b"" == read_all(client)
        (one,) = said.exchanges

    assert f"{tmp_path}/nobody: No such file or directory: is dockerd running?" == one.note
    assert ("(bytes)", False) == (one.request.method, one.finished)


def test_a_busy_engine_holds_up_nobody_else(tmp_path: Path) -> None:
    """While one client waits for the engine to accept it, another is answered; then the first one is, too."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{tmp_path}/s")
        listener.listen(0)  # one connection waits in the queue, and no more
        with Tap(f"unix://{tmp_path}/s") as said, connect(said) as first, connect(said) as second:
            engine, _ = listener.accept()
            with engine, connect(said) as third:
                third.sendall(PING)  # it fits into no queue
                for client in (first, second):
                    client.sendall(PING)
                engine.settimeout(PATIENCE_S)
                read_head(engine)
                engine.sendall(OK)
                assert OK.startswith(first.recv(1))
                for _ in (second, third):
                    later, _ = listener.accept()
                    with later:
                        read_head(later)
                        later.sendall(OK)
                for client in (second, third):
                    assert OK == read_all(client)


def test_an_engine_that_never_accepts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The client is let go after a while, and the record says why."""
    monkeypatch.setattr(taps, "CONNECT_S", 0.2)
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as other:
        listener.bind(f"{tmp_path}/s")
        listener.listen(0)
        other.connect(f"{tmp_path}/s")
        with Tap(f"unix://{tmp_path}/s") as said, connect(said) as client:
            assert b"" == read_all(client)
            (one,) = said.exchanges

    assert one.note.endswith(": no connection within 0 s: is dockerd running?")


def test_a_name_that_leads_nowhere() -> None:
    """It is looked up once, when the tap opens, and not while others wait."""
    with pytest.raises(EngineUnreachable, match="no-such-host.invalid:2375: "):
        Tap("tcp://no-such-host.invalid:2375")


def test_no_address() -> None:
    """A host that cannot be one is said at once, and nothing is left."""
    with pytest.raises(EngineUnreachable, match="no engine address"):
        Tap("nonsense")


def test_no_place_for_the_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path that is too long for a socket is refused with the cure, and nothing is left."""
    long = tmp_path / ("x" * 100)
    long.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(long))
    with pytest.raises(EngineUnreachable, match="shorter path in TMPDIR"):
        Tap("unix:///x")
    assert [] == list(long.iterdir())


def test_the_client_has_said_all(tapped: Callable[[Handler], Tap]) -> None:
    """The end of the client's input reaches the engine, whose answer still comes."""

    def engine(end: socket.socket) -> None:
        assert ATTACH == read_head(end)
        end.sendall(UPGRADED)
        end.sendall(b"heard " + read_all(end))

    said = tapped(engine)
    with connect(said) as client:
        client.sendall(ATTACH)
        assert UPGRADED == read_head(client)
        client.sendall(b"input")
        client.shutdown(socket.SHUT_WR)
        assert b"heard input" == read_all(client)

    (one,) = wait_for(said, lambda heard: heard[0].finished)
    assert [("up", b"input"), ("down", b"heard input")] == [piece[1:] for piece in one.pieces]


def test_the_engine_has_said_all(tapped: Callable[[Handler], Tap]) -> None:
    """The other way round: the client hears the end, and the engine still hears the client."""
    heard: queue.SimpleQueue[bytes] = queue.SimpleQueue()

    def engine(end: socket.socket) -> None:
        read_head(end)
        end.sendall(UPGRADED + b"bye")
        end.shutdown(socket.SHUT_WR)
        heard.put(read_all(end))

    said = tapped(engine)
    with connect(said) as client:
        client.sendall(ATTACH)
        assert UPGRADED + b"bye" == read_all(client)
        client.sendall(b"still here")
    (one,) = wait_for(said, lambda heard: heard[0].finished)

    assert b"still here" == heard.get(timeout=PATIENCE_S)
    assert b"still here" == one.pieces[-1].data


def test_a_client_that_goes_ends_the_engines_side(tapped: Callable[[Handler], Tap]) -> None:
    """A client that is killed while an engine writes on and on: the engine learns it by its next write."""
    ended = threading.Event()

    def engine(end: socket.socket) -> None:
        read_head(end)
        end.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        with suppress(BrokenPipeError, ConnectionResetError):
            while True:
                end.sendall(b"x" * 1000)
        ended.set()

    said = tapped(engine)
    with connect(said) as client:
        client.sendall(PING)
        read_head(client)
    assert ended.wait(PATIENCE_S)

    (one,) = wait_for(said, lambda heard: heard[0].note != "")
    assert not one.finished


def test_a_client_that_waits_and_goes(tapped: Callable[[Handler], Tap]) -> None:
    """A client that gives up waiting closes both ways; the engine sees the end, though it never wrote."""
    saw: list[bytes] = []
    ended = threading.Event()

    def engine(end: socket.socket) -> None:
        saw.append(read_head(end))
        saw.append(read_all(end))
        ended.set()

    said = tapped(engine)
    with connect(said) as client:
        client.sendall(PING)
    assert ended.wait(PATIENCE_S)

    (one,) = said.exchanges
    assert [PING, b""] == saw
    assert (False, "the client closed first") == (one.finished, one.note)


@pytest.mark.parametrize("cut", [b"", b"HT", OK[:20], OK[:-1]])
def test_an_engine_that_dies(tapped: Callable[[Handler], Tap], cut: bytes) -> None:
    """The client gets what came, then the end, as it would have without a tap."""
    said = tapped(lambda end: (read_head(end), end.sendall(cut))[1])
    with connect(said) as client:
        client.sendall(PING)
        assert cut == read_all(client)
    (one,) = wait_for(said, lambda heard: heard[0].note != "")

    assert (False, "GET /_ping") == (one.finished, str(one.request))
    assert "closed first" in one.note or "within a head" in one.note


def test_an_engine_that_refuses_a_body(tapped: Callable[[Handler], Tap]) -> None:
    """An engine answers in the middle of a body and closes with bytes unread: the client still gets the answer."""
    refusal = b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno"
    said = tapped(lambda end: (read_head(end), end.sendall(refusal))[1])
    with connect(said) as client:
        client.sendall(b"PUT /x HTTP/1.1\r\nContent-Length: 100000000\r\n\r\n")
        with suppress(BrokenPipeError, ConnectionResetError):
            for _ in range(1000):
                client.sendall(b"x" * 100_000)
        assert refusal == read_all(client)
    (one,) = wait_for(said, lambda heard: heard[0].note != "")

    assert (413, b"no", False) == (one.answer.status, one.answer.body, one.finished)


def test_a_client_that_breaks_the_connection(tapped: Callable[[Handler], Tap]) -> None:
    """A client that closes without reading its answer: both connections end."""
    ended = threading.Event()

    def engine(end: socket.socket) -> None:
        read_head(end)
        end.sendall(OK)
        read_all(end)
        ended.set()

    said = tapped(engine)
    with connect(said) as client:
        client.sendall(PING)
        wait_for(said, lambda heard: heard != [] and heard[0].answer.status == 200)
    assert ended.wait(PATIENCE_S)
    assert said.exchanges[0].finished


@pytest.mark.parametrize(
    "noise", [b"\x16\x03\x01" + bytes(range(256)), b"\r\n\r\n" * 9, b"GET / HTTP/1.1\r\nx\r\n\r\n"]
)
def test_what_is_not_http(tapped: Callable[[Handler], Tap], noise: bytes) -> None:
    """Bytes that are no HTTP pass both ways, and are kept as bytes."""
    said = tapped(lambda end: end.sendall(b"\x00heard " + end.recv(65536)))
    with connect(said) as client:
        client.sendall(noise)
        assert b"\x00heard " + noise == read_all(client)
    (one,) = wait_for(said, lambda heard: heard != [])

    assert [("up", noise), ("down", b"\x00heard " + noise)] == [piece[1:] for piece in one.pieces]


def test_a_head_without_end(tapped: Callable[[Handler], Tap]) -> None:
    """A head of 10 MB that never ends passes; 64 KiB of it are kept."""
    size = 10_000_000
    counted: list[int] = []

    def engine(end: socket.socket) -> None:
        count = 0
        while count < size:
            count += len(end.recv(1 << 20))
        counted.append(count)
        end.sendall(OK)

    said = tapped(engine)
    with connect(said) as client:
        client.sendall(b"GET / HTTP/1.1\r\nA: ".ljust(size, b"x"))
        assert OK == read_all(client)
    (one,) = said.exchanges

    assert [size] == counted
    assert size == one.left_out_bytes + sum(len(piece.data) for piece in one.pieces if piece.direction == "up")
    assert 65536 >= size - one.left_out_bytes


def test_a_slow_reader_slows_the_writer(tapped: Callable[[Handler], Tap]) -> None:
    """While nobody reads, the engine can write no more than what fits on the way; then all of it comes."""
    size = 20_000_000
    written: list[int] = [0]

    def engine(end: socket.socket) -> None:
        read_head(end)
        end.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        while written[0] < size:
            written[0] += end.send(b"x" * min(100_000, size - written[0]))

    said = tapped(engine)
    with connect(said) as client:
        client.sendall(PING)
        stuck_at = -1
        while stuck_at != written[0]:
            stuck_at = written[0]
            time.sleep(0.1)
        assert 2_000_000 > stuck_at
        head, _, body = read_head(client).partition(b"\r\n\r\n")
        assert size == len(body) + len(read_all(client))


def resident_kib() -> int:
    """The memory that this process has now; its peak of earlier, getrusage(2), would hide what grows below it."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() // 1024


def test_a_gigabyte_in_flat_memory(tapped: Callable[[Handler], Tap]) -> None:
    """1 GB passes, chunk by chunk, and the process needs a few MB for it."""
    head, end_mark = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"0\r\n\r\n"
    block = b"%x\r\n" % (1 << 20) + bytes(1 << 20) + b"\r\n"

    def engine(end: socket.socket) -> None:
        read_head(end)
        end.sendall(head)
        for _ in range(1000):
            end.sendall(block)
        end.sendall(end_mark)

    said = tapped(engine)
    with connect(said) as client:
        client.sendall(PING)
        left = len(head) + 1000 * len(block) + len(end_mark)
        buffer = bytearray(1 << 20)
        before = most = resident_kib()
        while left > 0 and (count := client.recv_into(buffer)):
            left -= count
            most = max(most, resident_kib())
    assert 0 == left
    assert 8_000 > most - before
    assert said.exchanges[0].finished


def test_fifty_at_once(tapped: Callable[[Handler], Tap]) -> None:
    """Fifty clients talk at the same time; each gets its own answers, and the record has them all."""

    def echo(end: socket.socket) -> None:
        while head := read_head(end):
            path = head.split()[1]
            end.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(path) + path)

    said = tapped(echo)
    wrong: list[bytes] = []

    def talk(number: int) -> None:
        with connect(said) as client:
            for turn in range(5):
                path = b"/%d/%d" % (number, turn)
                client.sendall(b"GET %b HTTP/1.1\r\n\r\n" % path)
                data = read_head(client)
                while not data.endswith(path):
                    data += client.recv(100)
                if data.partition(b"\r\n\r\n")[2] != path:
                    wrong.append(data)

    clients = [threading.Thread(target=talk, args=(number,)) for number in range(50)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()

    heard = said.exchanges
    assert [] == wrong
    assert (250, 50) == (len(heard), len({one.connection for one in heard}))
    assert all(one.finished and one.answer.body.decode() == one.request.target for one in heard)


def test_more_than_fit(tapped: Callable[[Handler], Tap]) -> None:
    """Who comes when all places are taken waits, and is served when one is free."""
    said = tapped(answer_all)
    clients = [connect(said) for _ in range(MAX_LINKS)]
    try:
        said.exchanges  # noqa: B018  # all of them are in
        with connect(said) as late:
            late.sendall(PING)
            late.settimeout(0.1)
            with pytest.raises(TimeoutError):
                late.recv(1)
            clients.pop().close()
            late.settimeout(PATIENCE_S)
            assert OK[:1] == late.recv(1)
    finally:
        for client in clients:
            client.close()


def test_closing_while_a_client_hangs(tapped: Callable[[Handler], Tap]) -> None:
    """The tap ends at once, with the clients that hang on it; they see the end, and the record says so."""
    said = tapped(lambda end: (read_head(end), end.sendall(UPGRADED), read_all(end))[1])
    with connect(said) as hanging, connect(said) as silent:
        hanging.sendall(ATTACH)
        assert UPGRADED == read_head(hanging)
        began = time.monotonic()
        said.close()
        said.close()

        assert 1 > time.monotonic() - began
        assert (b"", b"") == (read_all(hanging), read_all(silent))
    (one,) = said.exchanges
    assert (False, "the tap closed first") == (one.finished, one.note)


def test_closing_while_somebody_talks_without_a_pause(tapped: Callable[[Handler], Tap]) -> None:
    """An engine that never stops talking does not keep the tap from closing."""

    def engine(end: socket.socket) -> None:
        read_head(end)
        end.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            end.sendall(b"x" * 100_000)

    said = tapped(engine)
    with connect(said) as client:
        client.sendall(PING)
        reader = threading.Thread(target=lambda: [None for _ in iter(lambda: client.recv(1 << 20), b"")])
        reader.start()
        wait_for(said, lambda heard: heard != [] and heard[0].answer.status == 200)
        began = time.monotonic()
        said.close()
        assert 2 > time.monotonic() - began
        reader.join(PATIENCE_S)
        assert not reader.is_alive()


def test_closing_while_somebody_looks(tapped: Callable[[Handler], Tap]) -> None:
    """Who looks just as others close, twice at once, sees the record, and rings no bell that is another file by now."""
    said = tapped(answer_all)
    looker = threading.current_thread()

    class Askers(deque[threading.Event]):
        def append(self, asker: threading.Event) -> None:
            super().append(asker)
            if threading.current_thread() is looker:
                closers = [threading.Thread(target=said.close) for _ in range(2)]
                for closer in closers:
                    closer.start()
                for closer in closers:
                    closer.join()

    said._waiters = Askers()
    assert [] == said.exchanges


def test_the_last_word_is_passed_on(tapped: Callable[[Handler], Tap]) -> None:
    """What a client said before it went reaches the engine, also when the tap closes right after."""
    heard: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    said = tapped(lambda end: heard.put(read_all(end)))
    with connect(said) as client:
        client.sendall(PING)
    said.close()

    assert ["GET /_ping"] == [str(one.request) for one in said.exchanges]
    assert PING == heard.get(timeout=PATIENCE_S)


def test_forgetting_and_changes(tapped: Callable[[Handler], Tap]) -> None:
    """`changes` stands still while nothing is said; `clear` forgets what was heard."""
    said = tapped(answer_all)
    with Engine(said.host, version="1.41", timeout_s=PATIENCE_S) as engine:
        engine.get("/one")
        assert said.exchanges
        before = said.changes
        assert said.exchanges and before == said.changes
        said.clear()
        engine.get("/two")

        assert before < said.changes
        assert ["/v1.41/two"] == [one.request.target for one in said.exchanges]


@pytest.mark.parametrize("left", [0, 1, 2])
def test_no_descriptor_is_left(tapped: Callable[[Handler], Tap], left: int) -> None:
    """Where the process may open too few files, a new client waits until it may; the others do not notice."""
    said = tapped(answer_all)
    with connect(said) as early, socket.socket(socket.AF_UNIX) as late:
        early.sendall(PING)
        assert OK == early.recv(1000)
        with no_descriptors(left) as again:
            late.settimeout(PATIENCE_S)
            late.connect(said.host.removeprefix("unix://"))
            late.sendall(PING)
            early.sendall(PING)
            assert OK == early.recv(1000)
            again()
            assert OK == late.recv(1000)


@contextmanager
def no_descriptors(left: int) -> Iterator[Callable[[], None]]:
    """Take all descriptors but `left` that this process may have; the function that is given gives them back."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken: list[int] = []

    def again() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        while taken:
            os.close(taken.pop())

    resource.setrlimit(resource.RLIMIT_NOFILE, (200, hard))
    try:
        with suppress(OSError):
            while True:
                taken.append(os.dup(0))
        for _ in range(left):
            os.close(taken.pop())
        yield again
    finally:
        again()


def test_over_tcp() -> None:
    """The engine may listen on tcp; the tap's own socket stays a Unix socket."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def engine() -> None:
            end, _ = listener.accept()
            with end:
                read_head(end)
                end.sendall(OK)

        thread = threading.Thread(target=engine)
        thread.start()
        with Tap(f"tcp://127.0.0.1:{listener.getsockname()[1]}") as said, connect(said) as client:
            client.sendall(PING)
            assert OK == read_all(client)
        thread.join()

    assert [b"OK"] == [one.answer.body for one in said.exchanges]


def test_another_process(tapped: Callable[[Handler], Tap]) -> None:
    """What a program said is in the record as soon as it has ended."""
    said = tapped(answer_all)
    for number in range(5):
        place = said.host.removeprefix("unix://")
        subprocess.run(
            ["curl", "-s", "--unix-socket", place, f"http://docker/{number}"], check=True, capture_output=True
        )
        assert f"GET /{number}" == str(said.exchanges[-1].request)
        assert said.exchanges[-1].finished
