"""How does one talk to the engine, when all there is is a socket?

A call is one request and one answer on a kept connection; a stream hands out the answer while it is still
being written; a hijacked connection is no longer HTTP. `labkit.api.http` has the text of HTTP,
`labkit.api.connection` the socket; here are versions, error words, reuse and the record.

    engine = Engine()
    engine.get("/containers/json", query={"all": True}).json()
    with engine.json_lines("GET", "/events") as events: ...
"""

import os
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from json import dumps, loads
from time import monotonic
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from labkit.api.connection import Connection
from labkit.api.http import DEFAULT_HOST, Address, Answer, Exchange, Request, build_request, parse_host
from labkit.api.secrets import MASK, hides_answer, hides_request, mask_headers, mask_target
from labkit.api.stream import RECORDED_BODY_BYTES, Stream
from labkit.errors import EngineProtocolError, EngineRefusal

if TYPE_CHECKING:
    from ssl import SSLContext

    from labkit.api.hijack import Hijack
    from labkit.api.websocket import WebSocket

__all__ = ["Answer", "Engine", "Exchange", "Request", "Stream"]

FIRST_VERSION = "1.24"  # of engines that do not name theirs in /_ping, as docker's own client takes it
MAX_BODY_BYTES = 256 * 1024 * 1024
MAX_JSON_LINE_BYTES = 16 * 1024 * 1024
CAN_RESEND = {"GET", "HEAD"}  # asking twice changes nothing; a POST may have been carried out already
ACCEPTED = {"": range(200, 400), "tcp": (101, 200), "websocket": (101,)}  # statuses, by the protocol asked for
_API_VERSION = re.compile(r"[0-9]{1,4}\.[0-9]{1,4}", re.ASCII)


class Engine:
    """A client of one engine; safe to share between threads. `exchanges` keeps the last 500 of them.

    A kept exchange holds at most the first 64 KiB of each body, and nothing of what `labkit.api.secrets` names. A
    stream is kept when it has ended.

    `host` is unix:///path or tcp://host:port (default: DOCKER_HOST, or Docker's own socket); `timeout_s` is for
    a call that names none; `version` ("1.41") saves asking for it; a longer body than `max_body_bytes` is
    refused unless it is streamed. `tls` encrypts what goes to a tcp:// host; without it DOCKER_TLS_VERIFY, or
    https://, has the certificates of DOCKER_CERT_PATH (default: ~/.docker) used, as docker does.
    Raises EngineUnreachable for a host that cannot be one, or certificates that cannot be read.

    Every call raises EngineUnreachable, EngineTimeout, EngineProtocolError or EngineRefusal (`labkit.errors`), and
    ValueError for a path or header that cannot be sent. Paths, queries and bodies: the Engine API's reference.
    """

    def __init__(
        self,
        host: str | None = None,
        *,
        timeout_s: float = 60.0,
        version: str | None = None,
        tls: "SSLContext | None" = None,
        max_body_bytes: int = MAX_BODY_BYTES,
    ) -> None:
        self.host = host or os.environ.get("DOCKER_HOST") or DEFAULT_HOST
        self.timeout_s = timeout_s
        self.max_body_bytes = max_body_bytes
        self.exchanges: deque[Exchange] = deque(maxlen=500)
        self._address = parse_host(self.host)
        self._context = _choose_context(self._address, tls)
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
        body: bytes | Iterable[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
        versioned: bool = True,
        check: bool = True,
        timeout_s: float | None = None,
    ) -> Exchange:
        """Send one request and read its whole answer, both within `timeout_s`.

        `path` is the reference's, without a version: that is put before it unless `versioned` is False. `query`
        is encoded as the engine expects; `json` becomes the body, or else `body` does, as a tar; pieces of unknown
        number are sent as they come, in chunks.

        Raises EngineRefusal for a status of 400 and above unless `check` is False.
        """
        began, deadline = self._begin(versioned, timeout_s)
        outgoing = self._prepare(method, path, query, json, body, headers, versioned)
        connection, request, answer = self._send(outgoing, began, deadline)
        exchange = self._finish(connection, request, answer, began)
        if check and answer.status >= 400:
            _refuse(exchange)
        return exchange

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

    def stream(self, method: str, path: str, **options: Any) -> Stream[bytes]:
        """Send one request and hand out the body's bytes as they come.

        Takes the options of `call`, and `idle_s`: the longest silence allowed (default: for ever).
        """
        return Stream(*self._open(method, path, "", **options), lambda pieces: pieces)

    def json_lines(self, method: str, path: str, **options: Any) -> Stream[dict[str, Any]]:
        """As `stream`, one JSON object a line. An {"error": ...} line is handed out like any other."""
        return Stream(*self._open(method, path, "", **options), _parse_json_lines)

    def hijack(self, method: str, path: str, **options: Any) -> "Hijack":
        """Send one request and take the connection over, to talk both ways (attach, exec start).

        Takes the options of `stream`. Raises EngineRefusal for any status but 101 and 200, unless `check` is False.
        """
        from labkit.api.hijack import Hijack

        return Hijack(*self._open(method, path, "tcp", **options), self.timeout_s)

    def websocket(self, path: str, **options: Any) -> "WebSocket":
        """Ask for a websocket, to talk in messages (/containers/ID/attach/ws).

        Takes the options of `stream`. Raises EngineRefusal for any status but 101, unless `check` is False.
        """
        from labkit.api.websocket import WebSocket, build_headers, check_accept

        asked = build_headers(f"http://{self._address.name}")
        headers = asked | (options.pop("headers", None) or {})
        socket = WebSocket(*self._open("GET", path, "websocket", headers=headers, **options), self.timeout_s)
        try:
            check_accept(socket.answer, asked)
        except EngineProtocolError:
            socket.close()
            raise
        return socket

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

    def _begin(self, versioned: bool, timeout_s: float | None) -> tuple[float, float]:
        """Look at the clock, once the version is known: when the exchange begins, and by when it has to end."""
        began = monotonic()
        deadline = began + (self.timeout_s if timeout_s is None else timeout_s)
        if versioned and self._version is None:
            self._version = self._negotiate(deadline - began)
            began = monotonic()
        return began, deadline

    def _negotiate(self, timeout_s: float) -> str:
        deadline = monotonic() + timeout_s
        for method in ("HEAD", "GET"):  # engines before 19.03 know only GET /_ping
            left_s = deadline - monotonic()
            answer = self.call(method, "/_ping", versioned=False, check=method == "GET", timeout_s=left_s).answer
            version = answer.headers.get("api-version", "")
            if answer.status == 200 and _API_VERSION.fullmatch(version):
                return version
        if answer.body == b"OK" and not version:
            return FIRST_VERSION
        raise EngineProtocolError(f"{self.host} names no Api-Version like 1.41: is it an engine? Pass version=")

    def _prepare(
        self,
        method: str,
        path: str,
        query: Mapping[str, object] | None = None,
        json: object = None,
        body: bytes | Iterable[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
        versioned: bool = True,
    ) -> "_Outgoing":
        target = f"/v{self._version}{path}" if versioned else path
        if query:
            target += ("&" if "?" in path else "?") + _build_query(query)
        given = {name.title(): value for name, value in (headers or {}).items()}
        if json is not None:
            body, given = dumps(json).encode(), {"Content-Type": "application/json"} | given
        elif body is not None:
            given = {"Content-Type": "application/x-tar"} | given  # the only plain bytes the engine takes
        given = {"Host": self._address.name, "User-Agent": "labkit"} | given
        whole, pieces = (body, None) if body is None or isinstance(body, bytes) else (b"", body)
        if pieces is not None:
            given["Transfer-Encoding"] = "chunked"
        elif whole is not None or method not in CAN_RESEND:
            given["Content-Length"] = str(len(whole or b""))
        sent, shown = build_request(method, target, given), mask_headers(given)
        shown_target = mask_target(target)
        is_whole = shown == given and shown_target == target
        head = sent if is_whole else build_request(method, shown_target, shown)
        request = Request(method, shown_target, shown, whole or b"", head)
        if whole and hides_request(request.path):
            request = request._replace(body=MASK.encode())
        return _Outgoing(request, sent + (whole or b""), pieces)

    def _send(self, outgoing: "_Outgoing", began: float, deadline: float) -> tuple[Connection, Request, Answer]:
        """Send on a kept connection or a new one; return once the answer's head is there."""
        request = outgoing.request
        while True:
            idle = self._take_idle()
            connection = idle or Connection(self._address, deadline, self._context)
            connection.begin(request, began if idle else monotonic(), deadline)
            try:
                connection.send(outgoing.raw)
                if outgoing.pieces is not None:
                    kept = connection.send_chunks(outgoing.pieces, RECORDED_BODY_BYTES)
                    request = request._replace(body=MASK.encode() if hides_request(request.path) else kept)
                return connection, request, connection.read_head(upgrade="Upgrade" in request.headers)
            except BaseException as error:
                connection.close()
                # Closed before one byte came: the engine gave up the idle connection just as we used it.
                stale = idle and isinstance(error, EngineProtocolError) and connection.received == 0
                if not (stale and request.method in CAN_RESEND and outgoing.pieces is None):
                    raise
                self.close()  # so that the second try is on a new connection, and the last

    def _take_idle(self) -> Connection | None:
        with suppress(IndexError):  # none left
            while connection := self._idle.pop():
                if connection.is_quiet():
                    return connection
                connection.close()
        return None

    def _finish(self, connection: Connection, request: Request, answer: Answer, began: float) -> Exchange:
        try:
            body = b"".join(connection.read_body(request.method, answer, self.max_body_bytes))
        except BaseException:
            connection.close()
            raise
        self._keep(connection)
        exchange = Exchange(request, answer._replace(body=body), monotonic() - began)
        self._record(exchange)
        return exchange

    def _open(
        self,
        method: str,
        path: str,
        protocol: str,
        *,
        idle_s: float | None = None,
        timeout_s: float | None = None,
        check: bool = True,
        versioned: bool = True,
        headers: Mapping[str, str] | None = None,
        **options: Any,
    ) -> tuple[Connection, Exchange, Callable[[Connection, Exchange], None]]:
        """Send one request that may ask for another protocol; what a Stream needs to read the answer."""
        if protocol:
            headers = {"Connection": "Upgrade", "Upgrade": protocol} | dict(headers or {})
        began, deadline = self._begin(versioned, timeout_s)
        outgoing = self._prepare(method, path, headers=headers, versioned=versioned, **options)
        connection, request, answer = self._send(outgoing, began, deadline)
        if check and answer.status not in ACCEPTED[protocol]:
            _refuse(self._finish(connection, request, answer, began))
        connection.begin(request, began, None, idle_s)
        return connection, Exchange(request, answer, began), self._end_stream

    def _end_stream(self, connection: Connection, exchange: Exchange) -> None:
        self._keep(connection)
        self._record(exchange)

    def _keep(self, connection: Connection) -> None:
        if connection.reusable and len(self._idle) < 4:
            self._idle.append(connection)
        else:
            connection.close()

    def _record(self, exchange: Exchange) -> None:
        request, answer, limit = exchange.request, exchange.answer, RECORDED_BODY_BYTES
        if answer.body and hides_answer(request.method, request.path):
            exchange = exchange._replace(answer=answer._replace(body=MASK.encode()))
        elif len(request.body) > limit or len(answer.body) > limit:
            request = request._replace(body=request.body[:limit])
            answer = answer._replace(body=answer.body[:limit])
            exchange = exchange._replace(request=request, answer=answer)
        self.exchanges.append(exchange._replace(began_s=monotonic() - exchange.seconds))


class _Outgoing(NamedTuple):
    """A request to be recorded, the bytes to be sent for it, and what follows them in chunks."""

    request: Request
    raw: bytes
    pieces: Iterable[bytes] | None


def _choose_context(address: Address, given: "SSLContext | None") -> "SSLContext | None":
    if given is not None and address.tls is False:
        raise ValueError(f"TLS is for tcp:// and https://, not for {address.place}")
    if given is not None or not (address.tls or address.tls is None and os.environ.get("DOCKER_TLS_VERIFY")):
        return given
    from labkit.api.tls import read_context  # here, as importing ssl takes longer than all else

    return read_context(os.environ.get("DOCKER_CERT_PATH") or os.path.expanduser("~/.docker"))


def _build_query(query: Mapping[str, object]) -> str:
    """Encode as the engine expects: true/false, filters and other structures as JSON, None left out."""
    from urllib.parse import urlencode  # here, as it takes a tenth of the import of this module

    return urlencode({name: _query_text(value) for name, value in query.items() if value is not None})


def _query_text(value: object) -> str:
    return dumps(value) if isinstance(value, bool | dict | list) else str(value)


def _daemon_words(exchange: Exchange) -> str:
    """The engine's own message: JSON {"message"}, or plain text, or (empty body) the reason."""
    try:
        return str(loads(exchange.answer.body)["message"])
    except (ValueError, LookupError, TypeError, RecursionError):
        return exchange.text.strip() or exchange.answer.reason or "the engine gave no reason"


def _refuse(exchange: Exchange) -> NoReturn:
    request = exchange.request
    raise EngineRefusal(exchange.answer.status, _daemon_words(exchange), request.method, request.path)


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
        value = loads(line.decode())
    except (ValueError, RecursionError) as error:
        raise EngineProtocolError(f"not a line of JSON: {bytes(line[:80])!r}") from error
    if not isinstance(value, dict):
        raise EngineProtocolError(f"not a JSON object: {bytes(line[:80])!r}")
    return value
