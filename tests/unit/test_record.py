"""What does the record make of the bytes of a connection, however they were split?"""

import random
import socket
import threading
from collections.abc import Iterable
from pathlib import Path

import pytest

from labkit.api.conversation import Conversation
from labkit.api.engine import Engine
from labkit.api.frames import STDERR, STDOUT, Frame, build_frame
from labkit.api.http import MAX_HEAD_BYTES, parse_request
from labkit.api.record import (
    KEPT_BYTES,
    KEPT_EXCHANGES,
    KEPT_PIECES,
    Direction,
    Record,
    RecordedExchange,
    find_exchange,
)
from labkit.errors import NotHeard
from labkit.show.wire import wire_text

UP: Direction = "up"
DOWN: Direction = "down"
Said = tuple[Direction, bytes]

GET = b"GET /v1.41/info HTTP/1.1\r\nHost: docker\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK"
ATTACH = b"POST /containers/a/attach?stdin=1 HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"
UPGRADED = b"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"
SECRET = b"c2VjcmV0"


def hear(said: Iterable[Said], *, close: bool = True) -> list[RecordedExchange]:
    """Let a record hear one connection; each piece takes a second."""
    record = Record()
    talk = Conversation(record, 1)
    for at_s, (direction, data) in enumerate(said):
        talk.hear(direction, data, float(at_s))
    if close:
        talk.end(UP, 100.0)
        talk.end(DOWN, 100.0)
        talk.close()
    return record.exchanges


def short(heard: RecordedExchange) -> tuple[str, bytes, int, bytes, bool]:
    return (str(heard.request), heard.request.body, heard.answer.status, heard.answer.body, heard.finished)


CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"
DIALOGUES: dict[str, tuple[bytes, bytes, list[tuple[str, bytes, int, bytes, bool]]]] = {
    "no body, and a length": (GET, OK, [("GET /info", b"", 200, b"OK", True)]),
    "two on one connection": (
        GET + b"POST /x HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc" + GET,
        OK + b"HTTP/1.1 204 No Content\r\n\r\n" + OK,
        [
            ("GET /info", b"", 200, b"OK", True),
            ("POST /x", b"abc", 204, b"", True),
            ("GET /info", b"", 200, b"OK", True),
        ],
    ),
    "chunks both ways, with a trailer": (
        b"PUT /x HTTP/1.1\r\n" + CHUNKED + b"3\r\nabc\r\n2;a=b\r\nde\r\n0\r\n\r\n" + GET,
        b"HTTP/1.1 200 OK\r\n" + CHUNKED + b"00A\r\n0123456789\r\n0\r\nA: b\r\nC: d\r\n\r\n" + OK,
        [("PUT /x", b"abcde", 200, b"0123456789", True), ("GET /info", b"", 200, b"OK", True)],
    ),
    "HEAD and 304 announce a body that does not come": (
        b"HEAD /x HTTP/1.1\r\n\r\n" + GET + GET,
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"
        + b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n"
        + OK,
        [
            ("HEAD /x", b"", 200, b"", True),
            ("GET /info", b"", 304, b"", True),
            ("GET /info", b"", 200, b"OK", True),
        ],
    ),
    "continue first": (
        b"PUT /x HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc",
        b"HTTP/1.1 100 Continue\r\n\r\n" + OK,
        [("PUT /x", b"abc", 200, b"OK", True)],
    ),
    "a body until the end": (
        GET,
        b"HTTP/1.0 200 OK\r\n\r\nall of it",
        [("GET /info", b"", 200, b"all of it", True)],
    ),
    "an answer that is cut": (
        GET,
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
        [("GET /info", b"", 200, b"abc", False)],
    ),
    "an answer before all was asked": (
        b"PUT /x HTTP/1.1\r\nContent-Length: 10\r\n\r\nabc",
        b"HTTP/1.1 400 Bad Request\r\nContent-Length: 2\r\n\r\nno",
        [("PUT /x", b"abc", 400, b"no", False)],
    ),
    "an upgrade that is refused": (
        ATTACH,
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno",
        [("POST /containers/a/attach", b"", 404, b"no", True)],
    ),
}


@pytest.mark.parametrize("name", DIALOGUES)
def test_every_split(name: str) -> None:
    """Cut anywhere, or at every byte, the same is heard."""
    up, down, expected = DIALOGUES[name]
    splits = [[(UP, up), (DOWN, down)]]
    splits += [[(UP, up[:at]), (UP, up[at:]), (DOWN, down)] for at in range(1, len(up))]
    splits += [[(UP, up), (DOWN, down[:at]), (DOWN, down[at:])] for at in range(1, len(down))]
    splits += [[(UP, bytes([byte])) for byte in up] + [(DOWN, bytes([byte])) for byte in down]]

    for said in splits:
        assert expected == [short(one) for one in hear(said)], said


@pytest.mark.parametrize(
    "head", [UPGRADED, b"HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.raw-stream\r\n\r\n"]
)
def test_a_connection_that_is_given_away(head: bytes) -> None:
    """After 101, or the 200 of an attach that asked for no upgrade, every byte is a piece, split anywhere."""
    frames = build_frame(STDOUT, b"out\n") + build_frame(STDERR, b"err\n")
    down = head + frames
    for at in range(1, len(down)):
        (one,) = hear([(UP, ATTACH), (DOWN, down[:at]), (DOWN, down[at:]), (UP, b"in\n")])

        assert (b"in\n", frames) == tuple(
            b"".join(piece.data for piece in one.pieces if piece.direction == way) for way in (UP, DOWN)
        )
        assert (Frame(STDOUT, b"out\n"), Frame(STDERR, b"err\n")) == one.frames
        assert one.finished


def test_a_terminal_has_no_frames() -> None:
    """A wrong guess gives no frames, and no error; neither does half a frame."""
    (terminal,) = hear([(UP, ATTACH), (DOWN, UPGRADED + b"hi\r\n")])
    (half,) = hear([(UP, ATTACH), (DOWN, UPGRADED + build_frame(STDOUT, b"one") + build_frame(STDOUT, b"two")[:-1])])

    assert () == terminal.frames
    assert (Frame(STDOUT, b"one"),) == half.frames


def test_what_ends_a_connection_that_was_given_away() -> None:
    """It has finished when one side ends or breaks it, which the note says; not when somebody else cuts it."""
    for cut in (False, True):
        record = Record()
        talk = Conversation(record, 1)
        talk.hear(UP, ATTACH, 0)
        talk.hear(DOWN, UPGRADED, 0)
        talk.close("broken", cut=cut)

        assert (not cut, "broken") == (record.exchanges[0].finished, record.exchanges[0].note)


def test_early_input() -> None:
    """What the client says before the engine has given the connection away is not taken for a request."""
    (one,) = hear([(UP, ATTACH + b"GET / HT"), (DOWN, UPGRADED)])

    assert [b"GET / HT"] == [piece.data for piece in one.pieces]


def test_a_head_comes_before_its_body() -> None:
    """`wait` answers at once, and says the status when the container exits: both times are kept, while it runs too."""
    head = b"HTTP/1.1 200 OK\r\n" + CHUNKED
    said: list[Said] = [(UP, b"POST /containers/a/wait HTTP/1.1\r\n\r\n"), (DOWN, head)]
    (early,) = hear(said, close=False)
    (late,) = hear([*said, (DOWN, b""), (DOWN, b"2\r\n{}\r\n"), (DOWN, b"0\r\n\r\n")])

    assert (200, 1.0, 1.0, False) == (early.answer.status, early.head_s, early.seconds, early.finished)
    assert (b"{}", 1.0, 4.0, True) == (late.answer.body, late.head_s, late.seconds, late.finished)


def test_no_answer_yet() -> None:
    """A question is heard before its answer; afterwards the note says who ended it."""
    (open_,) = hear([(UP, GET)], close=False)
    (closed,) = hear([(UP, GET)])

    assert (0, None, False, "") == (open_.answer.status, open_.head_s, open_.finished, open_.note)
    assert (0, False, "the client closed first") == (closed.answer.status, closed.finished, closed.note)
    assert "GET /info  ->  no answer yet\nGET /info  ->  the client closed first" == wire_text([open_, closed])


@pytest.mark.parametrize(
    ("up", "down", "words"),
    [
        (b"\x16\x03\x01\x02\x00", b"HTTP/1.1 400 Bad Request\r\n\r\n", "not HTTP/1"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"", "no request of HTTP/1"),
        (b"GET / HTTP/1.1\r\nno header\r\n\r\n", b"", "is no header"),
        (b"GET / HTTP/1.1\r\nContent-Length: 1, 2\r\n\r\n", b"", "is not one number"),
        (b"GET / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n", b"", "is not chunked"),
        (b"GET / HTTP/1.1\r\n" + CHUNKED + b"nonsense\r\n", b"", "does not begin with its size"),
        (b"GET / HTTP/1.1\r\n" + CHUNKED + b"1\r\nabc", b"", "does not"),
        (b"GET / HTTP/1.1\r\nA: " + b"x" * MAX_HEAD_BYTES, b"", "does not"),
        (GET, b"SSH-2.0-x\r\n", "not HTTP/1"),
        (GET, OK + OK, "without being asked"),
        (GET, b"HTTP/1.1 200 OK\r\nno header\r\n\r\n", "no header line"),
    ],
)
def test_what_is_not_understood(up: bytes, down: bytes, words: str) -> None:
    """The rest of the connection is kept as bytes, with the reason; nothing raises."""
    one = hear([(UP, up), (DOWN, down), (UP, b"more"), (DOWN, b"last")])[-1]

    assert words in one.note
    assert (DOWN, b"last") == one.pieces[-1][1:]


def test_a_broken_head_is_kept() -> None:
    """What turned out to be no head is among the pieces, from its first byte."""
    head = b"GET / HTTP/1.1\r\nno header\r\n\r\n"
    (one,) = hear([(UP, head[:20]), (UP, head[20:])])

    assert head == b"".join(piece.data for piece in one.pieces)


def test_noise() -> None:
    """Whatever is heard, in whatever order, and cut wherever: the record keeps its limits and does not raise."""
    rng = random.Random(1)
    parts = [GET, OK, ATTACH, UPGRADED, b"\r\n\r\n", CHUNKED, b"5\r\nhello\r\n", b"0\r\n\r\n", bytes(range(256))]
    parts += [up for up, _, _ in DIALOGUES.values()] + [down for _, down, _ in DIALOGUES.values()]
    for _ in range(2000):
        said: list[Said] = []
        for _ in range(rng.randrange(1, 8)):
            part = rng.choice(parts)
            said.append((rng.choice((UP, DOWN)), part[: rng.randrange(len(part) + 1)]))
        for one in hear(said):
            assert one.finished or one.note, said
            assert one.frames is not None


@pytest.mark.parametrize("name", ["X-Registry-Auth", "x-registry-config", "AUTHORIZATION", "Proxy-Authorization"])
def test_secret_headers(name: str) -> None:
    """The value is masked in the headers and in the head, split anywhere, also where a line breaks within it."""
    for value in (SECRET, b"Basic\n" + SECRET, SECRET + b"\r" + SECRET):
        request = b"POST /images/create HTTP/1.1\r\n%b: %b\r\nA: b\r\n\r\n" % (name.encode(), value)
        for at in range(1, len(request)):
            (one,) = hear([(UP, request[:at]), (UP, request[at:]), (DOWN, OK)])

            assert ("(masked)", "b") == (one.request.headers[name.lower()], one.request.headers["a"])
            assert SECRET not in repr(one).encode()


SECRET_BODIES = {  # by method and path: does the request hold a secret, and does the answer?
    ("POST", "/auth"): (True, True),
    ("POST", "/secrets/create"): (True, False),
    ("POST", "/secrets/s1/update"): (True, False),
    ("POST", "/swarm/init"): (True, False),
    ("POST", "/swarm/join"): (True, False),
    ("POST", "/swarm/unlock"): (True, False),
    ("POST", "/swarm/update"): (True, False),
    ("GET", "/swarm"): (False, True),
    ("GET", "/swarm/unlockkey"): (False, True),
    ("POST", "/images/a/b/push"): (True, False),
    ("POST", "/plugins/a/push"): (True, False),
}


@pytest.mark.parametrize("version", ["", "/v1.2", "/v1.41"])
@pytest.mark.parametrize(("method", "path"), SECRET_BODIES)
def test_secret_bodies(method: str, path: str, version: str) -> None:
    """What the Engine API's reference calls a password, a token or a key is masked; no byte of it is kept."""
    asks, tells = SECRET_BODIES[method, path]
    body = b'{"password":"%b"}' % SECRET if asks else b""
    answer = b'{"token":"%b"}' % SECRET if tells else b"{}"
    head = f"{method} {version}{path} HTTP/1.1\r\nContent-Length: {len(body)}\r\n\r\n"
    (one,) = hear(
        [
            (UP, head.encode() + body),
            (DOWN, b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(answer) + answer),
        ]
    )

    assert [asks, tells] == [b"(masked)" == side.body for side in (one.request, one.answer)]
    assert one.finished
    assert SECRET not in repr(one).encode()


@pytest.mark.parametrize("is_chunked", [False, True])
@pytest.mark.parametrize(("method", "path"), SECRET_BODIES)
def test_secret_bodies_of_the_client(method: str, path: str, is_chunked: bool, tmp_path: Path) -> None:
    """The client's own record holds none either, in one piece or in chunks; the caller gets the answer whole."""
    asks, tells = SECRET_BODIES[method, path]
    body = b"x" + SECRET if asks else None
    answer = b'{"token":"%b"}' % SECRET if tells else b"{}"

    def serve(listener: socket.socket) -> None:
        end, _ = listener.accept()
        with end:
            sent = b""
            while body is not None and body not in sent.replace(b"\r\n", b"\n") or b"\r\n\r\n" not in sent:
                sent += end.recv(65536)
            end.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(answer) + answer)

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{tmp_path}/s")
        listener.listen()
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        with Engine(f"unix://{tmp_path}/s", version="1.41", timeout_s=10) as engine:
            told = engine.call(method, path, body=iter([body]) if body and is_chunked else body)
            (one,) = engine.exchanges
        thread.join()

    assert answer == told.answer.body
    assert SECRET not in repr(one).encode()


@pytest.mark.parametrize(
    "up",
    [
        b"GET / HTTP/1.1\r\nX-Registry-Auth: first\r\n " + SECRET + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nbroken\r\nAuthorization: " + SECRET + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nX-Registry-Auth: " + SECRET,  # and then the end
        b"GET / HTTP/1.1\r\nX-Registry-Config: " + SECRET * (MAX_HEAD_BYTES // 4),
        b"POST /auth HTTP/1.1\r\n" + CHUNKED + b'bad\r\n{"password":"' + SECRET,
        b'POST /auth HTTP/3\r\n\r\n{"password":"' + SECRET,
        b"\x00" + b'{"password":"' + SECRET,
    ],
)
def test_secrets_in_what_is_not_understood(up: bytes) -> None:
    """Where a secret may stand in bytes that nobody understands, the rest of them is left out, split anywhere."""
    for at in range(1, min(len(up), 200)):
        heard = hear([(UP, up[:at]), (UP, up[at:])])

        assert SECRET not in repr(heard).encode()
        assert len(SECRET) <= heard[-1].left_out_bytes or b"(masked)" == heard[-1].request.body


def test_users_in_addresses() -> None:
    """An address in the query keeps its host, and loses its user and password; other addresses stay as they are."""
    seen = parse_request(b"POST /build?remote=https%3A%2F%2Fme%3Apass%40host%2Fa HTTP/1.1\r\n\r\n")
    plain = parse_request(b"POST /build?remote=https://host/a@b&c=d%40e HTTP/1.1\r\n\r\n")

    assert "/build?remote=https%3A%2F%2F(masked)%40host%2Fa" == seen.target
    assert seen.target.encode() in seen.head
    assert "/build?remote=https://host/a@b&c=d%40e" == plain.target


def test_the_arguments_of_a_build() -> None:
    """They often hold a token: their place in the query is kept, and their values are not."""
    seen = parse_request(
        b"POST /v1.41/build?t=x&buildargs=%7B%22KEY%22%3A%22" + SECRET + b"%22%7D&q=1 HTTP/1.1\r\n\r\n"
    )

    assert "/v1.41/build?t=x&buildargs=(masked)&q=1" == seen.target
    assert SECRET not in seen.head


def test_http2_is_counted() -> None:
    """BuildKit asks the client for passwords over HTTP/2: how much was said is known, not what."""
    session = b"POST /session HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
    (one,) = hear([(UP, session), (DOWN, UPGRADED.replace(b"tcp", b"h2c") + b"abc"), (UP, SECRET)])

    assert ((), 3 + len(SECRET), True) == (one.pieces, one.left_out_bytes, one.finished)
    assert "HTTP/2" in one.note


def test_limits() -> None:
    """Of each direction 64 KiB are kept, of the pieces 1000, of the exchanges 500; the rest is counted."""
    size = KEPT_BYTES + 10
    put = b"PUT /x HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % size
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size
    (body,) = hear([(UP, put), (UP, b"a" * size), (DOWN, answer), (DOWN, b"b" * size)])
    (typed,) = hear([(UP, ATTACH), (DOWN, UPGRADED), *[(UP, b"x")] * (KEPT_PIECES + 7)])

    assert (KEPT_BYTES, KEPT_BYTES, 20) == (len(body.request.body), len(body.answer.body), body.left_out_bytes)
    assert (KEPT_PIECES, 7) == (len(typed.pieces), typed.left_out_bytes)

    record = Record()
    talk = Conversation(record, 1)
    for _ in range(KEPT_EXCHANGES + 3):
        talk.hear(UP, GET, 0.0)
        talk.hear(DOWN, OK, 0.0)
    assert (KEPT_EXCHANGES, 3) == (len(record.exchanges), record.forgotten)


def test_too_many_questions() -> None:
    """Who asks and asks, and never gets an answer, does not fill the memory."""
    record = Record()
    talk = Conversation(record, 1)
    talk.hear(UP, GET * (2 * KEPT_EXCHANGES), 0.0)

    assert (KEPT_EXCHANGES, 1) == (len(record.exchanges), record.forgotten)
    assert "wait for their answers" in record.exchanges[-1].note
    assert KEPT_BYTES >= sum(len(piece.data) for piece in record.exchanges[-1].pieces)


def test_changes_grow() -> None:
    """A view sees by one number that there is something new, and by its standing still that there is nothing."""
    record = Record()
    talk = Conversation(record, 1)
    seen = [record.changes]
    for act in (lambda: talk.hear(UP, GET, 0), lambda: talk.hear(DOWN, OK, 0), lambda: talk.end(UP, 0), talk.close):
        act()
        seen.append(record.changes)
    assert record.exchanges

    assert sorted(set(seen)) == seen
    assert seen[-1] == record.changes


def test_forgetting() -> None:
    """What was heard is forgotten; what is heard later is there."""
    record = Record()
    talk = Conversation(record, 1)
    talk.hear(UP, GET, 0)
    record.clear()
    talk.hear(DOWN, OK, 0)
    talk.hear(UP, b"POST /x HTTP/1.1\r\n\r\n", 0)

    assert ["POST /x"] == [str(one.request) for one in record.exchanges]


def asked(*lines: str) -> list[RecordedExchange]:
    """What a record has of requests, each answered without a body."""
    done = b"HTTP/1.1 204 No Content\r\n\r\n"
    return hear([said for line in lines for said in ((UP, f"{line} HTTP/1.1\r\n\r\n".encode()), (DOWN, done))])


@pytest.mark.parametrize(
    ("method", "path", "number"),
    [
        ("POST", "/containers/create", 2),
        ("GET", "/containers/box/json", 1),
        ("POST", "/exec/*/start", 4),
        ("POST", "/containers/*", 2),
    ],
)
def test_an_exchange_is_found_by_what_it_is(method: str, path: str, number: int) -> None:
    """By method and path, without version and query, the first that has them; a * is one part of a path."""
    heard = asked(
        "HEAD /_ping",
        "GET /v1.41/containers/box/json",
        "POST /v1.51/containers/create?name=box",
        "GET /v1.51/containers/box/json",
        "POST /v1.51/exec/0123456789ab/start",
    )

    assert heard[number] == find_exchange(heard, method, path)


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/containers/create"), ("POST", "/containers"), ("POST", "/*"), ("POST", "/containers/c.eate")],
)
def test_an_exchange_that_is_not_there(method: str, path: str) -> None:
    """The error says what was looked for, and what there is."""
    heard = asked("HEAD /_ping", "POST /v1.41/containers/create")

    with pytest.raises(NotHeard) as raised:
        find_exchange(heard, method, path)

    assert f"Nobody said {method} {path}. What was heard: HEAD /_ping, POST /containers/create." == str(raised.value)


def test_an_exchange_of_nothing() -> None:
    """Nothing was heard, and of a long record the error names a part."""
    with pytest.raises(NotHeard, match="What was heard: nothing"):
        find_exchange([], "GET", "/info")
    with pytest.raises(NotHeard, match=r"GET /x11 and 3 more\.$"):
        find_exchange(asked(*(f"GET /x{number}" for number in range(15))), "GET", "/info")
