"""What does a talk both ways make of an engine that misbehaves, before and after the change of protocol?

Hijacked connections and websockets, against the scripted engine of `test_hostile`.
"""

import socket
import struct
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from hashlib import sha1

import pytest

from labkit.api.engine import Engine
from labkit.api.frames import STDERR, STDOUT, Frame, build_frame
from labkit.api.hijack import Hijack
from labkit.api.stream import RECORDED_BODY_BYTES
from labkit.api.websocket import MAX_FRAME_BYTES, RFC_6455
from labkit.errors import EngineError, EngineProtocolError, EngineRefusal, EngineTimeout
from tests.engine.scripted import EMPTY, HOLD, OK, FakeEngine, Reply, stall

TIMEOUT_S = 0.2
PATIENCE_S = 5.0
UPGRADED = b"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"
RAW = OK + b"Content-Type: application/vnd.docker.raw-stream\r\n\r\n"
FRAMES = [Frame(STDOUT, b"out\n"), Frame(STDERR, b"err\n"), Frame(STDOUT, b"")]
BYTES = b"".join(build_frame(*frame) for frame in FRAMES)


@pytest.fixture
def client(play: Callable[..., FakeEngine]) -> Iterator[Callable[..., Engine]]:
    """A client of an engine that plays these replies on one connection."""
    opened: list[Engine] = []

    def make(*script: Reply) -> Engine:
        opened.append(Engine(play(list(script)).host, version="1.41", timeout_s=PATIENCE_S))
        return opened[-1]

    yield make
    for engine in opened:
        engine.close()


@pytest.mark.parametrize("size", [1, 2, 7, 4096])
@pytest.mark.parametrize("head", [UPGRADED, RAW, b"HTTP/1.1 100 Continue\r\n\r\n" + UPGRADED])
def test_any_split_gives_the_same_frames(client: Callable[..., Engine], head: bytes, size: int) -> None:
    """Nothing is lost, wherever the bytes are cut: in the head, after it, within a frame."""
    raw = head + BYTES

    def send(connection: socket.socket) -> None:
        for start in range(0, len(raw), size):
            connection.sendall(raw[start : start + size])

    with client(send).hijack("POST", "/x", idle_s=PATIENCE_S) as talk:
        assert FRAMES == list(talk.frames())


def test_frames_asked_for_twice(client: Callable[..., Engine]) -> None:
    """Who asks for the frames again goes on where the last one stopped: nothing that was read is lost."""
    with client(lambda connection: connection.sendall(UPGRADED + BYTES)).hijack("POST", "/x", idle_s=5) as talk:
        assert FRAMES[0] == next(talk.frames())
        assert FRAMES[1:] == list(talk.frames())


def test_both_directions_and_the_record(play: Callable[..., FakeEngine]) -> None:
    """The echo of what is sent comes back, the half-close ends it; both are in the record, up to 64 KiB."""

    def echo(connection: socket.socket) -> None:
        connection.sendall(UPGRADED)
        while data := connection.recv(65536):
            connection.sendall(data)

    fake = play([echo])
    text = bytes(range(256)) * 4000
    with Engine(fake.host, version="1.41", timeout_s=PATIENCE_S) as engine:
        with engine.hijack("POST", "/x", json={"a": 1}, idle_s=PATIENCE_S) as talk:
            sender = threading.Thread(target=lambda: (talk.send(text), talk.close_write()))
            sender.start()
            heard = b"".join(talk)
            sender.join(PATIENCE_S)
        (exchange,) = engine.exchanges
        assert not engine._idle, "a connection that was talked on is never kept"

    assert text == heard
    assert b"Connection: Upgrade\r\nUpgrade: tcp\r\n" in fake.requests[0][1]
    assert (b'{"a": 1}' + text)[:RECORDED_BODY_BYTES] == exchange.request.body
    assert text[:RECORDED_BODY_BYTES] == exchange.answer.body


BROKEN: dict[str, tuple[list[Reply], type[EngineError], str]] = {
    "nothing at all": ([stall], EngineTimeout, "POST /x: no complete answer after"),
    "closed at once": ([lambda _: None], EngineProtocolError, "before the end of the head"),
    "mid-header": ([UPGRADED[:-4]], EngineProtocolError, "before the end of the head"),
    "another protocol": ([b"SSH-2.0-x\r\n", HOLD], EngineProtocolError, "is not HTTP"),
    "refused": ([b"HTTP/1.1 404 Not Found\r\nContent-Length: 3\r\n\r\nno!"], EngineRefusal, "404: no!"),
    "no content": ([b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"], EngineRefusal, "204: No Content"),
    "wrong length": ([OK + b"Content-Length: x\r\n\r\n", HOLD], EngineProtocolError, "is not one number"),
    "length too long": ([OK + b"Content-Length: 9\r\n\r\n\1\0"], EngineProtocolError, "with 7 of 9 bytes missing"),
    "mid-chunk": ([OK + b"Transfer-Encoding: chunked\r\n\r\n9\r\n\1\0"], EngineProtocolError, "with 7 of 9 bytes"),
    "mid-frame": ([UPGRADED + BYTES[:9]], EngineProtocolError, "ended within a frame, 9 bytes into it"),
    "mid-header of a frame": ([UPGRADED + BYTES[:3]], EngineProtocolError, "ended within a frame, 3 bytes into it"),
    "a frame of 4 GiB": ([UPGRADED + b"\1\0\0\0\xff\xff\xff\xff", HOLD], EngineProtocolError, "4294967295 bytes"),
    "a terminal": ([UPGRADED + b"/ # ", HOLD], EngineProtocolError, "does the container have a terminal"),
    "silence after the 101": ([UPGRADED, HOLD], EngineTimeout, f"nothing came for {TIMEOUT_S} s"),
    "silence mid-frame": ([UPGRADED + BYTES[:9], HOLD], EngineTimeout, f"nothing came for {TIMEOUT_S} s"),
}


@pytest.mark.parametrize(("script", "kind", "words"), BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_talk_is_named(
    client: Callable[..., Engine], script: list[Reply], kind: type[EngineError], words: str
) -> None:
    """The error says what was expected, and comes in time."""
    began = time.monotonic()
    with pytest.raises(kind, match=words) as caught:  # noqa: SIM117
        with client(*script).hijack("POST", "/x", idle_s=TIMEOUT_S, timeout_s=TIMEOUT_S) as talk:
            list(talk.frames())

    assert kind is caught.type
    assert time.monotonic() - began < PATIENCE_S


def test_an_unchecked_refusal_is_read(client: Callable[..., Engine]) -> None:
    """With `check` off the refusal's body comes out of the talk."""
    engine = client(b"HTTP/1.1 404 Not Found\r\nContent-Length: 3\r\n\r\nno!")
    with engine.hijack("POST", "/x", check=False) as talk:
        assert (404, [b"no!"]) == (talk.answer.status, list(talk))


@pytest.mark.parametrize("came", [b"", BYTES[:9]], ids=["silence", "mid-frame"])
def test_a_talk_is_ended_from_another_thread(client: Callable[..., Engine], came: bytes) -> None:
    """The reader ends quietly, even within a frame, and sending says that it is over."""
    talk = client(UPGRADED + came, HOLD).hijack("POST", "/x")
    failed: list[BaseException] = []

    def read() -> None:
        try:
            list(talk.frames())
        except BaseException as error:
            failed.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    time.sleep(0.02)
    talk.close()
    reader.join(PATIENCE_S)

    assert not reader.is_alive()
    assert [] == failed
    with pytest.raises(EngineError, match="POST /x: this conversation is over"):
        talk.send(b"x")


def test_an_engine_that_takes_nothing(play: Callable[..., FakeEngine]) -> None:
    """What is sent is taken within the engine's timeout, or that is an error."""
    late = threading.Event()

    def deaf(connection: socket.socket) -> None:
        connection.sendall(UPGRADED)
        late.wait(PATIENCE_S)

    with (
        Engine(play([deaf]).host, version="1.41", timeout_s=TIMEOUT_S) as engine,
        engine.hijack("POST", "/x") as talk,
        pytest.raises(EngineTimeout, match="nothing was taken for"),
    ):
        talk.send(bytes(10_000_000))
    late.set()


def test_sending_after_the_engine_has_closed(client: Callable[..., Engine]) -> None:
    """Nobody takes it any more: that is told."""
    with client(UPGRADED).hijack("POST", "/x", idle_s=PATIENCE_S) as talk:
        assert [] == list(talk)
        with pytest.raises(EngineError, match="POST /x: this conversation is over"):
            talk.send(b"x")


def test_who_still_sends_learns_that_it_is_over(play: Callable[..., FakeEngine]) -> None:
    """The reader ends the talk while the engine takes nothing: the sender learns it then, not after its patience."""
    late = threading.Event()
    failed: list[BaseException] = []

    def deaf(connection: socket.socket) -> None:
        connection.sendall(UPGRADED)
        late.wait(PATIENCE_S)

    def send(talk: Hijack) -> None:
        try:
            talk.send(bytes(10_000_000))
        except BaseException as error:
            failed.append(error)

    with Engine(play([deaf]).host, version="1.41", timeout_s=PATIENCE_S) as engine:
        talk = engine.hijack("POST", "/x", idle_s=TIMEOUT_S)
        sender = threading.Thread(target=send, args=(talk,))
        sender.start()
        with pytest.raises(EngineTimeout):
            next(talk)
        sender.join(PATIENCE_S / 2)
        ended_early = not sender.is_alive()
        late.set()
        sender.join()

    assert ended_early
    assert ["POST /x: this conversation is over: open another one"] == [str(error) for error in failed]


def accept(connection: socket.socket, request: bytes) -> bytes:
    key = request.partition(b"Sec-Websocket-Key: ")[2].split(b"\r\n")[0]
    told = b64encode(sha1(key + RFC_6455.encode()).digest())
    head = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    return head + b"Sec-WebSocket-Accept: %s\r\n\r\n" % told


def message(data: bytes, first: int = 0x82) -> bytes:
    """A message from the engine: its kind, its length, its bytes (RFC 6455, "Base Framing Protocol")."""
    length = bytes([len(data)]) if len(data) < 126 else struct.pack(">BH", 126, len(data))
    return bytes([first]) + length + data


def websocket(play: Callable[..., FakeEngine], raw: bytes, then: Reply | None = None, size: int = 65536) -> Engine:
    """A client of an engine that accepts a websocket, and sends `raw` at once after that."""

    def reply(connection: socket.socket) -> None:
        everything = accept(connection, fake.requests[-1][1]) + raw
        for start in range(0, len(everything), size):
            connection.sendall(everything[start : start + size])
        if callable(then):
            then(connection)

    fake = play([reply, HOLD] if then == HOLD else [reply])
    return Engine(fake.host, version="1.41", timeout_s=PATIENCE_S)


CUT = b"\x82\x05he"
CLOSE = message(struct.pack(">H", 1000), 0x88)


@pytest.mark.parametrize("size", [1, 3, 4096])
def test_messages(play: Callable[..., FakeEngine], size: int) -> None:
    """Messages come out as they are, however they are cut; pings are not among them, and a close ends it."""
    raw = message(b"one") + message(b"?", 0x89) + message(b"2" * 300) + message(b"", 0x8A) + CLOSE
    with websocket(play, raw, size=size) as engine:  # noqa: SIM117
        with engine.websocket("/x", idle_s=PATIENCE_S) as talk:
            assert [b"one", b"2" * 300] == list(talk)


def test_a_message_is_sent_masked(play: Callable[..., FakeEngine]) -> None:
    """A client masks what it sends (RFC 6455, "Client-to-Server Masking"); the record has it in the clear."""
    heard: list[bytes] = []

    with websocket(play, b"", lambda connection: heard.append(connection.recv(100))) as engine:
        with engine.websocket("/x", idle_s=PATIENCE_S) as talk:
            talk.send(b"hello")
            assert [] == list(talk)
        assert b"hello" == engine.exchanges[-1].request.body

    mask, masked = heard[0][2:6], heard[0][6:]
    assert b"\x82\x85" == heard[0][:2]
    assert b"hello" == bytes(byte ^ mask[number % 4] for number, byte in enumerate(masked))


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (CUT, "closed the connection with 3 bytes missing"),
        (b"\x82", "closed the connection with 1 bytes missing"),
        (b"\x82\x7f" + struct.pack(">Q", 2**63 - 1), f"over {MAX_FRAME_BYTES} is a lie"),
        (b"\x83\x00", "broken websocket"),
        (b"\xf2\x00", "broken websocket"),
    ],
    ids=["mid-message", "mid-header", "8 EiB", "no such kind", "unknown extension"],
)
def test_a_broken_websocket(play: Callable[..., FakeEngine], raw: bytes, words: str) -> None:
    """The error says what is wrong; what came before is handed out."""
    with (
        websocket(play, message(b"one") + raw) as engine,
        engine.websocket("/x", idle_s=PATIENCE_S) as talk,
    ):
        assert b"one" == next(talk)
        with pytest.raises(EngineProtocolError, match=words):
            next(talk)


def test_a_silent_websocket(play: Callable[..., FakeEngine]) -> None:
    """`idle_s` bounds the silence."""
    with websocket(play, b"", HOLD) as engine, engine.websocket("/x", idle_s=TIMEOUT_S) as talk:  # noqa: SIM117
        with pytest.raises(EngineTimeout, match="nothing came for"):
            next(talk)


@pytest.mark.parametrize(
    ("raw", "kind", "words"),
    [
        (UPGRADED, EngineProtocolError, "Sec-WebSocket-Accept is '' instead of"),
        (EMPTY, EngineRefusal, "200: OK"),
        (b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\nnull origin", EngineRefusal, "400: null origin"),
    ],
    ids=["no proof", "no upgrade", "refused"],
)
def test_no_websocket(play: Callable[..., FakeEngine], raw: bytes, kind: type[EngineError], words: str) -> None:
    """What does not speak it is named."""
    with Engine(play([raw]).host, version="1.41", timeout_s=PATIENCE_S) as engine, pytest.raises(kind, match=words):
        engine.websocket("/x")
