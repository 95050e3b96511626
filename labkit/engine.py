"""How does one talk to the engine, when all there is is a socket?

A call is one request and one answer on a kept connection; a stream hands out the answer while it is still
being written. `labkit.wire` has the bytes; here are versions, error words, reuse and the record.

    engine = Engine()
    engine.get("/containers/json", query={"all": True}).json()
    with engine.json_lines("GET", "/events") as events: ...
"""

import os
import re
import sys
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from json import dumps, loads
from threading import RLock
from time import monotonic
from typing import Any, Generic, NamedTuple, TypeVar
from urllib.parse import urlencode

from labkit.dump import dump
from labkit.errors import EngineAnswer, EngineError, EngineProtocolError
from labkit.wire import Answer, Connection, Request, build_request, parse_host

__all__ = ["Answer", "Engine", "Exchange", "Request", "Stream"]

DEFAULT_HOST = "unix:///run/docker.sock"
MAX_BODY_BYTES = 256 * 1024 * 1024
MAX_JSON_LINE_BYTES = 16 * 1024 * 1024
RECORDED_BODY_BYTES = 64 * 1024
SECRET_HEADERS = {"X-Registry-Auth", "X-Registry-Config"}
CAN_RESEND = {"GET", "HEAD"}  # asking twice changes nothing; a POST may have been carried out already
_API_VERSION = re.compile(r"[0-9]{1,4}\.[0-9]{1,4}", re.ASCII)
T = TypeVar("T")


class Exchange(NamedTuple):
    """One request, its answer, and how long both took together."""

    request: Request
    answer: Answer
    seconds: float

    def json(self) -> Any:
        """Read the answer's body as JSON; raises EngineProtocolError if it is none."""
        try:
            return loads(self.answer.body)
        except (ValueError, RecursionError) as error:
            start = self.answer.body[:80]
            raise EngineProtocolError(f"{self.request}: the body is not JSON: {start!r}") from error

    def __str__(self) -> str:
        """Both sides as they went over the wire, the bodies to be read."""
        sent, got = (part.head.decode("latin-1").replace("\r\n", "\n") + dump(part.body) for part in self[:2])
        return f"{sent.rstrip()}\n\n{got.rstrip()}"

    @property
    def text(self) -> str:
        """The answer's body as text; what is not UTF-8 is replaced."""
        return self.answer.body.decode("utf-8", "replace")


class Engine:
    """A client of one engine; safe to share between threads. `exchanges` keeps the last 500 of them.

    A kept exchange holds at most the first 64 KiB of each body. A stream is kept when it has ended.

    `host` is unix:///path or tcp://host:port (default: DOCKER_HOST, or Docker's own socket); `timeout_s` is for
    a call that names none; `version` ("1.41") saves asking for it; a longer body than `max_body_bytes` is
    refused unless it is streamed. Raises EngineUnreachable for a host that cannot be one.

    Every call raises EngineUnreachable, EngineTimeout, EngineProtocolError or EngineAnswer (`labkit.errors`), and
    ValueError for a path or header that cannot be sent. Paths, queries and bodies: the Engine API's reference.
    """

    def __init__(
        self,
        host: str | None = None,
        *,
        timeout_s: float = 60.0,
        version: str | None = None,
        max_body_bytes: int = MAX_BODY_BYTES,
    ) -> None:
        self.host = host or os.environ.get("DOCKER_HOST") or DEFAULT_HOST
        self.timeout_s = timeout_s
        self.max_body_bytes = max_body_bytes
        self.exchanges: deque[Exchange] = deque(maxlen=500)
        self._address = parse_host(self.host)
        self._version = version
        self._idle: deque[Connection] = deque()

    @property
    def version(self) -> str:
        """The API version in use: the one given, or else the newest the engine says it speaks."""
        if self._version is None:
            self._version = self._negotiate(self.timeout_s)
        return self._version

    def call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, object] | None = None,
        json: object = None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        versioned: bool = True,
        check: bool = True,
        timeout_s: float | None = None,
    ) -> Exchange:
        """Send one request and read its whole answer, both within `timeout_s`.

        `path` is the reference's, without a version: that is put before it unless `versioned` is False. `query`
        is encoded as the engine expects; `json` becomes the body, or else `body` does, as a tar.

        Raises EngineAnswer for a status of 400 and above unless `check` is False.
        """
        deadline = monotonic() + (self.timeout_s if timeout_s is None else timeout_s)
        request, raw = self._prepare(deadline, method, path, query, json, body, headers, versioned)
        began = monotonic()
        connection, answer = self._send(request, raw, deadline)
        return self._finish(connection, request, answer, began, check)

    def get(self, path: str, **options: Any) -> Exchange:
        """`call` with GET."""
        return self.call("GET", path, **options)

    def post(self, path: str, **options: Any) -> Exchange:
        """`call` with POST."""
        return self.call("POST", path, **options)

    def put(self, path: str, **options: Any) -> Exchange:
        """`call` with PUT."""
        return self.call("PUT", path, **options)

    def delete(self, path: str, **options: Any) -> Exchange:
        """`call` with DELETE."""
        return self.call("DELETE", path, **options)

    def head(self, path: str, **options: Any) -> Exchange:
        """`call` with HEAD."""
        return self.call("HEAD", path, **options)

    def stream(self, method: str, path: str, **options: Any) -> "Stream[bytes]":
        """Send one request and hand out the body's bytes as they come.

        Takes the options of `call`, and `idle_s`: the longest silence allowed (default: for ever).
        """
        return self._open_stream(method, path, _same, **options)

    def json_lines(self, method: str, path: str, **options: Any) -> "Stream[dict[str, Any]]":
        """As `stream`, one JSON object a line. An {"error": ...} line is handed out like any other."""
        return self._open_stream(method, path, _parse_json_lines, **options)

    def clear(self) -> None:
        """Forget the recorded exchanges."""
        self.exchanges.clear()

    def close(self) -> None:
        """Close the kept connections; the next call opens a new one."""
        with suppress(IndexError):  # none left
            while True:
                self._idle.pop().close()

    def __enter__(self) -> "Engine":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Engine({self.host!r})"

    def _negotiate(self, timeout_s: float) -> str:
        deadline = monotonic() + timeout_s
        for method in ("HEAD", "GET"):  # engines before 19.03 know only GET /_ping
            left_s = deadline - monotonic()
            answer = self.call(method, "/_ping", versioned=False, check=method == "GET", timeout_s=left_s).answer
            version = answer.headers.get("api-version", "")
            if answer.status == 200 and _API_VERSION.fullmatch(version):
                return version
        raise EngineProtocolError(f"{self.host} names no Api-Version like 1.41: is it an engine? Pass version=")

    def _prepare(
        self,
        deadline: float,
        method: str,
        path: str,
        query: Mapping[str, object] | None = None,
        json: object = None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        versioned: bool = True,
    ) -> tuple[Request, bytes]:
        if versioned and self._version is None:
            self._version = self._negotiate(deadline - monotonic())
        target = f"/v{self._version}{path}" if versioned else path
        if query:
            target += ("&" if "?" in path else "?") + _build_query(query)
        given = {name.title(): value for name, value in (headers or {}).items()}
        if json is not None:
            body, given = dumps(json).encode(), {"Content-Type": "application/json"} | given
        elif body is not None:
            given = {"Content-Type": "application/x-tar"} | given  # the only plain bytes the engine takes
        given = {"Host": self._address.name, "User-Agent": "labkit"} | given
        if body is not None or method not in CAN_RESEND:
            given["Content-Length"] = str(len(body or b""))
        shown = {name: "(masked)" if name in SECRET_HEADERS else value for name, value in given.items()}
        head = build_request(method, target, shown)
        sent = head if shown == given else build_request(method, target, given)
        return Request(method, target, shown, body or b"", head), sent + (body or b"")

    def _send(self, request: Request, raw: bytes, deadline: float) -> tuple[Connection, Answer]:
        """Send on a kept connection or a new one; return once the answer's head is there."""
        while True:
            kept = self._take_idle()
            connection = kept or Connection(self._address, deadline)
            connection.begin(request, deadline)
            try:
                connection.send(raw)
                return connection, connection.read_head()
            except BaseException as error:
                connection.close()
                # Closed before one byte came: the engine gave up the idle connection just as we used it.
                stale = kept and isinstance(error, EngineProtocolError) and connection.received == 0
                if not (stale and request.method in CAN_RESEND):
                    raise
                self.close()  # so that the second try is on a new connection, and the last

    def _take_idle(self) -> Connection | None:
        with suppress(IndexError):  # none left
            while connection := self._idle.pop():
                if connection.is_quiet():
                    return connection
                connection.close()
        return None

    def _finish(self, connection: Connection, request: Request, answer: Answer, began: float, check: bool) -> Exchange:
        try:
            body = b"".join(connection.read_body(request.method, answer, self.max_body_bytes))
        except BaseException:
            connection.close()
            raise
        self._keep(connection)
        exchange = Exchange(request, answer._replace(body=body), monotonic() - began)
        self._record(exchange)
        if check and answer.status >= 400:
            raise EngineAnswer(answer.status, _daemon_words(exchange), request.method, request.path)
        return exchange

    def _keep(self, connection: Connection) -> None:
        if connection.reusable and len(self._idle) < 4:
            self._idle.append(connection)
        else:
            connection.close()

    def _record(self, exchange: Exchange) -> None:
        request, answer, limit = exchange.request, exchange.answer, RECORDED_BODY_BYTES
        if len(request.body) > limit or len(answer.body) > limit:
            request = request._replace(body=request.body[:limit])
            answer = answer._replace(body=answer.body[:limit])
            exchange = exchange._replace(request=request, answer=answer)
        self.exchanges.append(exchange)

    def _open_stream(
        self, method: str, path: str, parse: Callable[[Iterator[bytes]], Iterator[T]], **options: Any
    ) -> "Stream[T]":
        idle_s: float | None = options.pop("idle_s", None)
        timeout_s: float | None = options.pop("timeout_s", None)
        check: bool = options.pop("check", True)
        deadline = monotonic() + (self.timeout_s if timeout_s is None else timeout_s)
        request, raw = self._prepare(deadline, method, path, **options)
        began = monotonic()
        connection, answer = self._send(request, raw, deadline)
        if check and answer.status >= 400:
            self._finish(connection, request, answer, began, check)
        connection.begin(request, None, idle_s)
        return Stream(self, connection, Exchange(request, answer, began), parse)


class Stream(Generic[T]):
    """An answer's body, piece by piece. `close` works from any thread, and ends the iteration quietly."""

    def __init__(
        self,
        engine: Engine,
        connection: Connection,
        opened: Exchange,
        parse: Callable[[Iterator[bytes]], Iterator[T]],
    ) -> None:
        self.answer = opened.answer
        self._engine, self._connection, self._opened = engine, connection, opened
        self._seen = bytearray()
        self._stopped = self._over = False
        self._reading = RLock()
        self._items = parse(self._pieces())

    def __iter__(self) -> "Stream[T]":
        return self

    def __next__(self) -> T:
        with self._reading:
            if self._over or self._stopped:
                raise StopIteration
            try:
                return next(self._items)
            except StopIteration:
                self._end(self._engine._keep)
                raise
            except BaseException as error:  # a keyboard interrupt too leaves half an answer behind
                self._end(Connection.close)
                if self._stopped and isinstance(error, EngineError):
                    raise StopIteration from None
                raise

    def close(self) -> None:
        """Stop, and close the connection: the engine learns from that that nobody listens any more."""
        self._stopped = True
        if not self._over:
            self._connection.wake()  # a reader in another thread returns now, and gives the lock back
        with self._reading:
            self._end(Connection.close)

    def __enter__(self) -> "Stream[T]":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _pieces(self) -> Iterator[bytes]:
        for piece in self._connection.read_body(self._opened.request.method, self.answer, sys.maxsize):
            self._seen += piece[: RECORDED_BODY_BYTES - len(self._seen)]
            yield piece

    def _end(self, dispose: Callable[[Connection], None]) -> None:
        if not self._over:
            self._over = True
            # Once close() was called it may wake this connection at any moment: nobody else can have it.
            (Connection.close if self._stopped else dispose)(self._connection)
            request, answer, began = self._opened
            self._engine._record(Exchange(request, answer._replace(body=bytes(self._seen)), monotonic() - began))


def _build_query(query: Mapping[str, object]) -> str:
    """Encode as the engine expects: true/false, filters and other structures as JSON, None left out."""
    return urlencode({name: _query_text(value) for name, value in query.items() if value is not None})


def _query_text(value: object) -> str:
    return dumps(value) if isinstance(value, bool | dict | list) else str(value)


def _daemon_words(exchange: Exchange) -> str:
    """The engine's own message: JSON {"message"}, or plain text, or (empty body) the reason."""
    try:
        return str(loads(exchange.answer.body)["message"])
    except (ValueError, LookupError, TypeError, RecursionError):
        return exchange.text.strip() or exchange.answer.reason or "the engine gave no reason"


def _same(pieces: Iterator[bytes]) -> Iterator[bytes]:
    return pieces


def _parse_json_lines(pieces: Iterator[bytes]) -> Iterator[dict[str, Any]]:
    rest = bytearray()
    for piece in pieces:
        rest += piece
        if b"\n" in piece:
            *lines, rest = rest.split(b"\n")
            yield from (_parse_json_line(line) for line in lines if line.strip())
        if len(rest) > MAX_JSON_LINE_BYTES:
            raise EngineProtocolError(f"a line of JSON does not end within {MAX_JSON_LINE_BYTES} bytes")
    if rest.strip():
        yield _parse_json_line(rest)


def _parse_json_line(line: bytearray) -> dict[str, Any]:
    try:
        value = loads(line)
    except (ValueError, RecursionError) as error:
        raise EngineProtocolError(f"not a line of JSON: {bytes(line[:80])!r}") from error
    if not isinstance(value, dict):
        raise EngineProtocolError(f"not a JSON object: {bytes(line[:80])!r}")
    return value
