"""What does the client make of an engine that misbehaves?

A scripted engine answers on a Unix socket: for each connection a list of replies, one after each request.
"""

import os
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from labkit.api.engine import MAX_JSON_LINE_BYTES, Engine
from labkit.api.http import MAX_HEAD_BYTES, MAX_LINE_BYTES
from labkit.errors import EngineError, EngineProtocolError, EngineRefusal, EngineTimeout, EngineUnreachable
from tests.engine.scripted import EMPTY, HOLD, OK, FakeEngine, Reply, stall

TIMEOUT_S = 0.2
PATIENCE_S = 5.0  # where an answer has to come at once, whatever else the machine does
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
PING = OK + b"Api-Version: 1.41\r\nContent-Length: 0\r\n\r\n"


def drip(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.sendall(OK)
        while True:
            connection.sendall(b"X-More: yes\r\n")
            time.sleep(0.01)


def body_of(length: str, body: bytes) -> bytes:
    return OK + f"Content-Length: {length}\r\n\r\n".encode() + body


BROKEN: dict[str, tuple[list[Reply], type[EngineError], str]] = {
    "nothing at all": ([stall], EngineTimeout, "no complete answer after .* 0 bytes received"),
    "a byte now and then": ([drip], EngineTimeout, "no complete answer after"),
    "half a head, then silence": ([OK, HOLD], EngineTimeout, "17 bytes received"),
    "half a body, then silence": ([body_of("10", b"abc"), HOLD], EngineTimeout, "no complete answer after"),
    "1xx without an end": ([b"HTTP/1.1 102 Processing\r\n\r\n", HOLD], EngineTimeout, "no complete answer after"),
    "closed at once": ([lambda _: None], EngineProtocolError, "before the end of the head"),
    "closed mid-head": ([OK + b"Content-"], EngineProtocolError, "before the end of the head"),
    "closed mid-status": ([b"HT"], EngineProtocolError, "before the end of the head"),
    "closed mid-body": ([body_of("10", b"abc")], EngineProtocolError, "with 7 of 10 bytes missing"),
    "closed mid-chunk": ([CHUNKED + b"5\r\nab"], EngineProtocolError, "with 3 of 5 bytes missing"),
    "closed mid-size": ([CHUNKED + b"5"], EngineProtocolError, "before the end of the chunk size"),
    "closed before the last chunk": ([CHUNKED + b"2\r\nab\r\n"], EngineProtocolError, "end of the chunk size"),
    "closed mid-trailer": ([CHUNKED + b"0\r\nX: y"], EngineProtocolError, "before the end of the trailer"),
    "closed after a 100": ([b"HTTP/1.1 100 Continue\r\n\r\n"], EngineProtocolError, "before the end of the head"),
    "chunk too long": ([CHUNKED + b"2\r\nabc\r\n0\r\n\r\n"], EngineProtocolError, "longer than announced"),
    "length too short": ([body_of("2", b"abc")], EngineProtocolError, "1 bytes came after the answer's end"),
    "huge head": ([OK + b"X: " + b"y" * MAX_HEAD_BYTES], EngineProtocolError, f"within {MAX_HEAD_BYTES} bytes"),
    "huge trailer": (
        [CHUNKED + b"0\r\n" + (b"X: " + b"y" * 1024 + b"\r\n") * 80, HOLD],
        EngineProtocolError,
        f"trailer is over {MAX_HEAD_BYTES} bytes",
    ),
    "huge chunk line": (
        [CHUNKED + b"1;" + b"x" * MAX_LINE_BYTES, HOLD],
        EngineProtocolError,
        f"chunk size does not end within {MAX_LINE_BYTES} bytes",
    ),
    "huge length": ([body_of(str(10**12), b""), HOLD], EngineProtocolError, f"{10**12} bytes is over the limit"),
    "huge chunk": ([CHUNKED + b"F" * 16 + b"\r\n", HOLD], EngineProtocolError, "over the limit"),
    "too many chunks": (
        [CHUNKED + b"400\r\n" + b"x" * 1024 + b"\r\n1\r\n", HOLD],
        EngineProtocolError,
        "limit of 1024",
    ),
    "body without end": ([OK + b"\r\n" + b"x" * 1025, HOLD], EngineProtocolError, "limit of 1024"),
    "another coding": ([OK + b"Transfer-Encoding: gzip\r\n\r\n", HOLD], EngineProtocolError, "'gzip' is not chunked"),
    "another protocol": ([b"SSH-2.0-x\r\n", HOLD], EngineProtocolError, "is not HTTP: does an engine listen there"),
    "bytes of TLS": ([b"\x15\x03\x01\x00\x02\x02\x16", HOLD], EngineProtocolError, "is not HTTP"),
    "HTTP/2": ([b"HTTP/2 200\r\n\r\n", HOLD], EngineProtocolError, "is no HTTP status line"),
    "no status": ([b"HTTP/1.1 OK\r\n\r\n", HOLD], EngineProtocolError, "is no HTTP status line"),
    "no colon": ([OK + b"nonsense\r\n\r\n", HOLD], EngineProtocolError, "'nonsense' is no header line"),
    "folded line": ([OK + b"A: b\r\n c: d\r\n\r\n", HOLD], EngineProtocolError, "is no header line"),
    "changed protocol": ([b"HTTP/1.1 101 Upgrade\r\n\r\n", HOLD], EngineProtocolError, "changed protocol"),
    **{
        f"length {text!r}": ([body_of(text, b"abc"), HOLD], EngineProtocolError, "is not one number")
        for text in ("-1", "+3", "abc", "3, 4", "0x3", "1" * 30, "", "\xb2")
    },
    **{
        f"chunk size {text!r}": ([CHUNKED + text.encode() + b"\r\n", HOLD], EngineProtocolError, "begin with its size")
        for text in ("zz", "-1", "0x10", "", " 3", "1" * 17)
    },
}


@pytest.mark.parametrize(("script", "kind", "words"), BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_answer_is_named(
    play: Callable[..., FakeEngine], script: list[Reply], kind: type[EngineError], words: str
) -> None:
    """The error says what was wrong, comes in time, names the request, and closes the connection at once."""
    before = open_sockets()
    fake = play(script)
    engine = Engine(fake.host, version="1.41", max_body_bytes=1024)
    timed_out = kind is EngineTimeout
    began = time.monotonic()

    with pytest.raises(kind, match=words) as caught:
        engine.get("/x", timeout_s=TIMEOUT_S if timed_out else 2 * PATIENCE_S)

    assert time.monotonic() - began < PATIENCE_S
    assert kind is caught.type
    assert [(0, "GET /v1.41/x")] == fake.lines
    assert not engine._idle
    fake.stop()
    assert before == open_sockets(), "the error, still held here, keeps one open"


def open_sockets() -> set[str]:
    names = set()
    for number in os.listdir("/proc/self/fd"):
        with suppress(OSError):
            names.add(os.readlink(f"/proc/self/fd/{number}"))
    return {name for name in names if name.startswith("socket:")}


WHOLE: dict[str, tuple[str, bytes, int, bytes, bool]] = {
    "length": ("GET", body_of("3", b"abc"), 200, b"abc", True),
    "the same length twice": ("GET", body_of("3, 3", b"abc"), 200, b"abc", True),
    "empty": ("GET", EMPTY, 200, b"", True),
    "chunks": ("GET", CHUNKED + b"2\r\nab\r\n1\r\nc\r\n0\r\n\r\n", 200, b"abc", True),
    "chunks with more": ("GET", CHUNKED + b"03;a=b\r\nabc\r\n0\r\nX: y\r\n\r\n", 200, b"abc", True),
    "until closed": ("GET", OK + b"\r\nabc", 200, b"abc", False),
    "HTTP/1.0": ("GET", b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nabc", 200, b"abc", False),
    "Connection: close": ("GET", body_of("3\r\nConnection: Close", b"abc"), 200, b"abc", False),
    "1xx before": ("POST", b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nA: b\r\n\r\n" + EMPTY, 200, b"", True),
    "HEAD": ("HEAD", body_of("300", b""), 200, b"", True),
    "HEAD of chunks": ("HEAD", CHUNKED, 200, b"", True),
    "204": ("POST", b"HTTP/1.1 204 No Content\r\nContent-Length: 300\r\n\r\n", 204, b"", True),
    "304": ("POST", b"HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n", 304, b"", True),
    "no reason": ("GET", b"HTTP/1.1 200\r\nContent-Length: 3\r\n\r\nabc", 200, b"abc", True),
}


@pytest.mark.parametrize("piece", [1, 2, 7, 4096])
@pytest.mark.parametrize(("method", "raw", "status", "body", "kept"), WHOLE.values(), ids=WHOLE.keys())
def test_a_whole_answer_is_read(
    play: Callable[..., FakeEngine], method: str, raw: bytes, status: int, body: bytes, kept: bool, piece: int
) -> None:
    """Body and reuse are right, however the bytes are cut on their way."""

    def send(connection: socket.socket) -> None:
        for start in range(0, len(raw), piece):
            connection.sendall(raw[start : start + piece])

    fake = play([send, EMPTY], [EMPTY]) if kept else play([send], [EMPTY])
    with Engine(fake.host, version="1.41", timeout_s=PATIENCE_S) as engine:
        answer = engine.call(method, "/x").answer
        engine.get("/again")

    assert (status, body) == (answer.status, answer.body)
    assert [(0, f"{method} /v1.41/x"), (0 if kept else 1, "GET /v1.41/again")] == fake.lines


REFUSALS = {
    "message": (b'{"message": "No such container: x"}', "No such container: x"),
    "plain text": (b"page not found\n", "page not found"),
    "JSON of another form": (b'["a"]', '["a"]'),
    "broken JSON": (b'{"message": ', '{"message":'),
    "no UTF-8": (b"\xff", "\ufffd"),
    "deep": (b"[" * 1000, "[" * 1000),
    "empty": (b"", "Not Found"),
}


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(("body", "words"), REFUSALS.values(), ids=REFUSALS.keys())
def test_a_refusal_keeps_its_words(play: Callable[..., FakeEngine], body: bytes, words: str, streamed: bool) -> None:
    """The engine's own words are the message, and the connection stays usable."""
    fake = play([b"HTTP/1.1 404 Not Found\r\nContent-Length: %d\r\n\r\n" % len(body) + body, EMPTY])
    with Engine(fake.host, version="1.41", timeout_s=PATIENCE_S) as engine:
        with pytest.raises(EngineRefusal) as caught:
            (engine.json_lines if streamed else engine.call)("GET", "/x", query={"a": 1})
        engine.get("/again")

    assert f"GET /x: 404: {words}" == str(caught.value)
    assert [0, 0] == [number for number, _ in fake.lines]


def test_a_refusal_without_any_word(play: Callable[..., FakeEngine]) -> None:
    """No body and no reason: the message says so; with `check` off it is an answer like others."""
    raw = b"HTTP/1.1 500\r\nContent-Length: 0\r\n\r\n"
    with Engine(play([raw, raw]).host, version="1.41") as engine:
        with pytest.raises(EngineRefusal, match="500: the engine gave no reason"):
            engine.get("/x")
        assert 500 == engine.get("/x", check=False).answer.status


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 100_000], ids=["empty", "cut", "no UTF-8", "deep"])
def test_a_body_that_is_no_json(play: Callable[..., FakeEngine], body: bytes) -> None:
    """`json()` names the request and shows how the body starts."""
    with Engine(play([body_of(str(len(body)), body)]).host, version="1.41") as engine:
        exchange = engine.get("/x")

    with pytest.raises(EngineProtocolError, match="GET /x: the body is not JSON: b'"):
        exchange.json()


@pytest.mark.parametrize(
    ("body", "items", "words"),
    [
        (b'{"a": 1}\n\n{"b": 2}', 2, ""),
        (b'{"a": 1}\r\n{"error": "x"}\r\n', 2, ""),
        (b'{"a": 1}\n{"b"', 1, "not a line of JSON"),
        (b'{"a": 1}\n7\n', 1, "not a JSON object"),
        (b"[" * 100_000, 0, "not a line of JSON"),
        (b" " * (MAX_JSON_LINE_BYTES + 1), 0, f"does not end within {MAX_JSON_LINE_BYTES} bytes"),
    ],
    ids=["two", "an error is an item", "cut", "no object", "deep", "endless"],
)
def test_json_lines(play: Callable[..., FakeEngine], body: bytes, items: int, words: str) -> None:
    """What came before a bad line is handed out; then the error, and then nothing more."""
    fake = play([body_of(str(len(body)), body), HOLD])
    seen: list[object] = []
    with Engine(fake.host, version="1.41") as engine, engine.json_lines("GET", "/events", idle_s=PATIENCE_S) as lines:
        try:
            seen.extend(iter(lambda: next(lines, None), None))
        except EngineProtocolError as error:
            assert words and words in str(error)
        else:
            assert not words
        # A list is extended item by item, so what came before the error is in it.
        assert items == len(seen)
        assert [] == list(lines)


def test_a_lost_connection_is_replaced_for_get(play: Callable[..., FakeEngine]) -> None:
    """Closed as the second request arrived: a GET is sent again, once, on a new connection."""
    fake = play([EMPTY, lambda _: None], [EMPTY])
    with Engine(fake.host, version="1.41", timeout_s=PATIENCE_S) as engine:
        engine.get("/first")
        engine.get("/second")

    assert [(0, "GET /v1.41/first"), (0, "GET /v1.41/second"), (1, "GET /v1.41/second")] == fake.lines


def test_a_lost_connection_is_not_tried_twice(play: Callable[..., FakeEngine]) -> None:
    """The second try is the last: an engine that closes every connection is an error."""
    fake = play([EMPTY, lambda _: None], [lambda _: None], [EMPTY])
    with Engine(fake.host, version="1.41", timeout_s=PATIENCE_S) as engine:
        engine.get("/first")
        with pytest.raises(EngineProtocolError, match="closed the connection"):
            engine.get("/second")

    assert [0, 0, 1] == [number for number, _ in fake.lines]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_a_change_is_never_sent_twice(play: Callable[..., FakeEngine], method: str) -> None:
    """It may have been carried out already: the caller is told, and decides."""
    fake = play([EMPTY, lambda _: None], [EMPTY])
    with Engine(fake.host, version="1.41", timeout_s=PATIENCE_S) as engine:
        engine.get("/first")
        with pytest.raises(EngineProtocolError, match=f"{method} /second: the engine closed the connection"):
            engine.call(method, "/second", body=b"x")

    assert [(0, "GET /v1.41/first"), (0, f"{method} /v1.41/second")] == fake.lines


def test_a_get_with_half_an_answer_is_not_sent_again(play: Callable[..., FakeEngine]) -> None:
    """Bytes had come: that is a broken answer, not a connection given up."""
    fake = play([EMPTY, OK], [EMPTY])
    with Engine(fake.host, version="1.41", timeout_s=PATIENCE_S) as engine:
        engine.get("/first")
        with pytest.raises(EngineProtocolError, match="before the end of the head"):
            engine.get("/second")


@pytest.mark.parametrize("last", [EMPTY, EMPTY + b"HTTP"], ids=["closed", "spoke unasked"])
def test_a_closed_idle_connection_is_not_used(play: Callable[..., FakeEngine], last: bytes) -> None:
    """Closed, or no longer quiet, between two calls: even a POST goes to a new connection, and only there."""
    late = threading.Event()

    def reply(connection: socket.socket) -> None:
        connection.sendall(EMPTY)
        late.wait(PATIENCE_S)
        connection.sendall(last[len(EMPTY) :])

    fake = play([reply], [EMPTY])
    with Engine(fake.host, version="1.41", timeout_s=PATIENCE_S) as engine:
        engine.get("/first")
        (kept,) = engine._idle
        late.set()
        wait_until(lambda: not kept.is_quiet())
        engine.post("/second")

    assert [(0, "GET /v1.41/first"), (1, "POST /v1.41/second")] == fake.lines


def wait_until(happened: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not happened():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.002)


def test_an_early_refusal_of_a_long_body(tmp_path: Path) -> None:
    """The engine answers and closes before the body is sent: its words are told, not a broken pipe."""

    def refuse(connection: socket.socket) -> None:
        connection.recv(1024)
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 3\r\n\r\nno!")

    early = EarlyEngine(tmp_path / "s", ([refuse],))
    engine = Engine(early.host, version="1.41", timeout_s=PATIENCE_S)
    try:
        with pytest.raises(EngineRefusal, match="400: no!"):
            engine.post("/x", body=bytes(4_000_000))
    finally:
        early.stop()


def test_a_body_in_pieces(play: Callable[..., FakeEngine]) -> None:
    """Pieces go out as chunks, an empty one does not end them, and the record has what was sent."""
    heard: list[bytes] = []

    def take(connection: socket.socket) -> None:
        heard.append(fake.requests[-1][1])  # perhaps all of it
        while not b"".join(heard).endswith(b"0\r\n\r\n"):
            heard.append(connection.recv(65536))
        connection.sendall(EMPTY)

    fake = play([take, EMPTY])
    with Engine(fake.host, version="1.41", timeout_s=PATIENCE_S) as engine:
        exchange = engine.put("/x", body=iter([b"hello", b"", b"world"]))
        engine.get("/again")

    assert b"Transfer-Encoding: chunked\r\n" in fake.requests[0][1]
    assert b"5\r\nhello\r\n5\r\nworld\r\n0\r\n\r\n" in b"".join(heard)
    assert b"helloworld" == exchange.request.body
    assert [0, 0] == [number for number, _ in fake.lines]


@pytest.mark.parametrize("closes", [False, True])
def test_an_early_refusal_of_an_endless_body(tmp_path: Path, closes: bool) -> None:
    """The engine says no and reads no further: its words are told, and the connection is not kept."""
    late = threading.Event()

    def refuse(connection: socket.socket) -> None:
        connection.recv(1024)
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 3\r\n\r\nno!")
        closes or late.wait(PATIENCE_S)

    early = EarlyEngine(tmp_path / "s", ([refuse],))
    engine = Engine(early.host, version="1.41", timeout_s=PATIENCE_S)
    try:
        with pytest.raises(EngineRefusal, match="400: no!"):
            engine.post("/x", body=iter(lambda: bytes(65536), b""))
        assert not engine._idle
    finally:
        late.set()
        early.stop()


def test_progress_while_a_body_is_sent(tmp_path: Path) -> None:
    """An engine that answers before it has read everything, and goes on reading, gets everything."""
    size, heard = 4_000_000, bytearray()

    def load(connection: socket.socket) -> None:
        connection.sendall(CHUNKED + b"3\r\none\r\n")
        while not heard.endswith(b"0\r\n\r\n"):
            heard.extend(connection.recv(65536))
        connection.sendall(b"3\r\ntwo\r\n0\r\n\r\n")

    early = EarlyEngine(tmp_path / "s", ([load],))
    with Engine(early.host, version="1.41", timeout_s=PATIENCE_S) as engine:
        answer = engine.post("/x", body=iter([bytes(size)])).answer
    early.stop()

    assert b"onetwo" == answer.body
    assert len(heard) > size


class EarlyEngine(FakeEngine):
    """Answers without reading the request to its end."""

    def _converse(self, number: int, connection: socket.socket, script: list[Reply]) -> None:
        for reply in script:
            assert callable(reply)
            reply(connection)


NO_HEAD = b"HTTP/1.1 404 Not Found\r\nContent-Length: 19\r\n\r\n"  # what engines before 19.03 say to HEAD


@pytest.mark.parametrize(
    ("script", "asked"),
    [
        ([PING, EMPTY], ["HEAD /_ping"]),
        ([NO_HEAD, PING, EMPTY], ["HEAD /_ping", "GET /_ping"]),
        ([EMPTY, PING, EMPTY], ["HEAD /_ping", "GET /_ping"]),
    ],
    ids=["by HEAD", "by GET", "HEAD says nothing"],
)
def test_the_version_is_negotiated_once(play: Callable[..., FakeEngine], script: list[Reply], asked: list[str]) -> None:
    """The first call asks /_ping, and the paths carry what it said."""
    fake = play([*script, EMPTY])
    with Engine(fake.host, timeout_s=PATIENCE_S) as engine:
        engine.get("/x")
        engine.get("/y")
        assert "1.41" == engine.version

    assert [*asked, "GET /v1.41/x", "GET /v1.41/y"] == [line for _, line in fake.lines]


def test_an_engine_before_it_named_its_version(play: Callable[..., FakeEngine]) -> None:
    """Engines of API 1.24 answer /_ping with OK and no version: then 1.24 is spoken, as by docker itself."""
    fake = play([NO_HEAD, body_of("2", b"OK"), EMPTY])
    with Engine(fake.host, timeout_s=PATIENCE_S) as engine:
        engine.get("/x")

    assert ["HEAD /_ping", "GET /_ping", "GET /v1.24/x"] == [line for _, line in fake.lines]


@pytest.mark.parametrize(
    "ping",
    [EMPTY, *(PING.replace(b"1.41", text) for text in (b"", b"new", b"1", b"1.41 x", b"1.41/..", b"1.4\xb2"))],
)
def test_no_version_to_be_had(play: Callable[..., FakeEngine], ping: bytes) -> None:
    """What names no version is not taken for an engine, and nothing of it gets into a path."""
    with (
        Engine(play([ping, ping]).host, timeout_s=PATIENCE_S) as engine,
        pytest.raises(EngineProtocolError, match=r"names no Api-Version like 1\.41: is it an engine\?"),
    ):
        engine.get("/x")


def test_a_refused_ping_keeps_its_words(play: Callable[..., FakeEngine]) -> None:
    """Something before the engine says no: its words are told."""
    words = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 6\r\n\r\n"
    with (
        Engine(play([words, words + b"not me"]).host, timeout_s=PATIENCE_S) as engine,
        pytest.raises(EngineRefusal, match="GET /_ping: 403: not me"),
    ):
        engine.get("/x")


@pytest.mark.parametrize("script", [[stall], [NO_HEAD, stall]], ids=["at HEAD", "at GET"])
@pytest.mark.parametrize("streamed", [False, True])
def test_negotiation_counts_for_the_timeout(
    play: Callable[..., FakeEngine], script: list[Reply], streamed: bool
) -> None:
    """The call's own timeout covers the question for the version too."""
    engine = Engine(play(script).host, timeout_s=10 * PATIENCE_S)
    began = time.monotonic()

    with engine, pytest.raises(EngineTimeout, match="/_ping: no complete answer"):
        (engine.stream if streamed else engine.call)("GET", "/x", timeout_s=TIMEOUT_S)

    assert time.monotonic() - began < PATIENCE_S


def test_an_engine_too_old_for_the_version(play: Callable[..., FakeEngine]) -> None:
    """A version given by hand that the engine does not speak is refused in its own words."""
    words = b'{"message":"client version 1.99 is too new. Maximum supported API version is 1.41"}'
    fake = play([b"HTTP/1.1 400 Bad Request\r\nContent-Length: %d\r\n\r\n" % len(words) + words])
    with (
        Engine(fake.host, version="1.99") as engine,
        pytest.raises(EngineRefusal, match="Maximum supported API version"),
    ):
        engine.get("/x")


STREAMS = {
    "chunked": CHUNKED + b'9\r\n{"a": 1}\n\r\n',
    "mid-chunk": CHUNKED + b'20\r\n{"a": 1}\n{"b"',
    "length": body_of("999", b'{"a": 1}\n'),
    "until closed": OK + b'\r\n{"a": 1}\n{"b',
}


@pytest.mark.parametrize("raw", STREAMS.values(), ids=STREAMS.keys())
def test_a_stream_is_stopped_from_another_thread(play: Callable[..., FakeEngine], raw: bytes) -> None:
    """The reader's loop ends quietly, and no socket and no thread is left."""
    fake = play([raw, HOLD])
    engine = Engine(fake.host, version="1.41", timeout_s=PATIENCE_S)
    lines = engine.json_lines("GET", "/events")
    seen: list[object] = []
    failed: list[BaseException] = []

    def read() -> None:
        try:
            seen.extend(lines)
        except BaseException as error:
            failed.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    wait_until(lambda: bool(seen))
    time.sleep(0.02)  # so that it most likely waits for more
    lines.close()
    reader.join(PATIENCE_S)

    assert not reader.is_alive()
    assert ([{"a": 1}], []) == (seen, failed)
    assert not engine._idle
    assert [200] == [exchange.answer.status for exchange in engine.exchanges]
    lines.close()


def test_many_streams_are_stopped_at_any_moment(play: Callable[..., FakeEngine]) -> None:
    """Closing a stream while its last bytes arrive never breaks the call that has taken its connection over."""
    rounds = 200
    taken_over = 0
    fake = play(*[[CHUNKED + b"1\r\na\r\n0\r\n\r\n", EMPTY, EMPTY]] * (2 * rounds + 1))
    with Engine(fake.host, version="1.41", timeout_s=PATIENCE_S) as engine:
        for number in range(rounds):
            stream = engine.stream("GET", "/x")
            closer = threading.Timer(number * 5e-6, stream.close)
            closer.start()
            list(stream)
            taken_over += bool(engine._idle)
            engine.post("/y")
            closer.join(PATIENCE_S)
            engine.post("/z")
            engine.close()
    assert taken_over, "no call was made on the connection of a stream"


def test_a_finished_stream_gives_its_connection_back(play: Callable[..., FakeEngine]) -> None:
    """Read to its end, a stream leaves a connection for the next call."""
    fake = play([CHUNKED + b"1\r\na\r\n0\r\n\r\n", EMPTY])
    with Engine(fake.host, version="1.41", timeout_s=PATIENCE_S) as engine:
        with engine.stream("GET", "/x") as stream:
            assert [b"a"] == list(stream)
        engine.post("/y")

    assert [0, 0] == [number for number, _ in fake.lines]


def test_an_interrupted_stream_does_not(play: Callable[..., FakeEngine], monkeypatch: pytest.MonkeyPatch) -> None:
    """After a keyboard interrupt half an answer is on its way: that connection is closed, not kept."""
    fake = play([CHUNKED + b"1\r\na\r\n", HOLD])
    with Engine(fake.host, version="1.41", timeout_s=PATIENCE_S) as engine:
        stream = engine.stream("GET", "/x")
        assert b"a" == next(stream)

        def interrupt() -> bool:
            raise KeyboardInterrupt

        monkeypatch.setattr(stream._connection, "_receive", interrupt)
        with pytest.raises(KeyboardInterrupt):
            next(stream)
        assert [] == list(stream)
        assert not engine._idle


def test_a_silent_stream_ends_after_its_idle_time(play: Callable[..., FakeEngine]) -> None:
    """`idle_s` bounds each silence, and the error names it."""
    fake = play([CHUNKED + b"1\r\na\r\n", HOLD])
    engine = Engine(fake.host, version="1.41", timeout_s=PATIENCE_S)
    with engine.stream("GET", "/x", idle_s=TIMEOUT_S) as stream:
        assert b"a" == next(stream)
        with pytest.raises(EngineTimeout, match=f"nothing came for {TIMEOUT_S} s: pass a larger idle_s"):
            next(stream)


def test_a_cut_stream_is_an_error(play: Callable[..., FakeEngine]) -> None:
    """Nobody asked it to stop: an end before the end is told."""
    fake = play([CHUNKED + b"1\r\na\r\n"])
    with Engine(fake.host, version="1.41").stream("GET", "/x") as stream:
        assert b"a" == next(stream)
        with pytest.raises(EngineProtocolError, match="GET /x: the engine closed the connection"):
            next(stream)


@pytest.mark.parametrize(
    ("host", "words"),
    [
        ("unix://", "write unix:///path or tcp://host:port"),
        ("/run/docker.sock", "no engine address"),
        ("tcp://localhost", "no engine address"),
        ("tcp://localhost:99999", "no engine address"),
        ("tcp://localhost:" + "9" * 5000, "no engine address"),
        ("tcp://:2375", "no engine address"),
        ("ssh://localhost:22", "no engine address"),
        ("unix:///nowhere/docker.sock", "/nowhere/docker.sock: No such file or directory: is dockerd running?"),
        (f"unix:///{'x' * 200}", "AF_UNIX path too long"),
        ("tcp://a..b:1", "is dockerd running"),
    ],
)
def test_nobody_can_be_there(host: str, words: str) -> None:
    """An address that cannot be one, or where nobody listens, says what to write or to do."""
    with pytest.raises(EngineUnreachable, match=words):
        Engine(host, version="1.41").get("/x", timeout_s=PATIENCE_S)


def test_a_socket_without_a_listener(tmp_path: Path) -> None:
    """The file is there, dockerd is not."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
    with pytest.raises(EngineUnreachable, match="Connection refused: is dockerd running"):
        Engine(f"unix://{tmp_path}/s").get("/x")


def test_a_socket_whose_queue_is_full(tmp_path: Path) -> None:
    """An engine that accepts nobody is stuck, not absent."""
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as first:
        listener.bind(str(tmp_path / "s"))
        listener.listen(0)
        first.connect(str(tmp_path / "s"))
        with pytest.raises(EngineTimeout, match="too many connections wait already"):
            Engine(f"unix://{tmp_path}/s").get("/x", timeout_s=TIMEOUT_S)


@pytest.mark.parametrize("path", ["x", "/a b", "/a\r\nX: y", "/\u00e9", ""])
def test_a_path_that_would_break_the_request(path: str) -> None:
    """It is refused before anything is sent."""
    with pytest.raises(ValueError, match="a path starts with / and holds no blanks"):
        Engine("unix:///nowhere", version="1.41").get(path, versioned=False)


@pytest.mark.parametrize("value", ["a\r\nX: y", "a\nb"])
def test_a_header_that_would_break_the_request(value: str) -> None:
    """It is refused before anything is sent."""
    with pytest.raises(ValueError, match="one line of text is allowed"):
        Engine("unix:///nowhere", version="1.41").get("/x", headers={"X-A": value})


def test_a_secret_is_sent_but_not_recorded(play: Callable[..., FakeEngine]) -> None:
    """The registry's password goes to the engine, and not into the record."""
    fake = play([EMPTY])
    with Engine(fake.host, version="1.41", timeout_s=PATIENCE_S) as engine:
        exchange = engine.post("/images/create", headers={"x-registry-auth": "hush"})

    assert b"X-Registry-Auth: hush\r\n" in fake.requests[0][1]
    assert b"hush" not in exchange.request.raw
    assert "hush" not in repr(engine.exchanges)


def test_a_password_in_a_body_is_sent_but_not_recorded(play: Callable[..., FakeEngine]) -> None:
    """Nor is the token that it is exchanged for; who asks gets it."""
    fake = play([OK + b'Content-Length: 11\r\n\r\n{"T":"tok"}'])
    with Engine(fake.host, version="1.41", timeout_s=PATIENCE_S) as engine:
        exchange = engine.post("/auth", json={"password": "hush"})

    assert b"hush" in fake.requests[0][1]
    assert {"T": "tok"} == exchange.json()
    assert not any(word in repr(engine.exchanges) + repr(exchange.request) for word in ("hush", "tok"))


def test_threads_share_one_engine(play: Callable[..., FakeEngine]) -> None:
    """Calls from several threads at once get each their own answer."""

    def echo(connection: socket.socket) -> None:
        connection.sendall(body_of("3\r\nConnection: close", b"%03d" % (len(fake.requests) - 1)))

    count = 8
    fake = play(*[[echo]] * count)
    with Engine(fake.host, version="1.41", timeout_s=PATIENCE_S) as engine:
        threads = [threading.Thread(target=engine.get, args=("/x",)) for _ in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE_S)

    assert [f"{number:03}" for number in range(count)] == sorted(exchange.text for exchange in engine.exchanges)
