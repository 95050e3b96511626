"""What does HTTP/1.1 look like on a socket?

A request is a few lines of text, then a body. An answer is a head, then a body whose end is told by
Content-Length, by chunks, or by the connection closing (RFC 9112). Every length is checked before it is
believed.

>>> build_request("GET", "/_ping", {"Host": "docker"})
b'GET /_ping HTTP/1.1\\r\\nHost: docker\\r\\n\\r\\n'

TLS and upgraded connections (attach, exec) are not spoken here.
"""

import math
import re
import select
import socket
from collections.abc import Iterator, Mapping
from contextlib import suppress
from time import monotonic
from typing import NamedTuple

from labkit.errors import EngineError, EngineProtocolError, EngineTimeout, EngineUnreachable

__all__ = ["Address", "Answer", "Connection", "Request", "build_request", "parse_head", "parse_host"]

MAX_HEAD_BYTES = 64 * 1024
MAX_CHUNK_LINE_BYTES = 4096
MAX_WAIT_MS = 1 << 30  # twelve days; poll(2) takes an int
_START = b"HTTP/"
_WORD = re.compile(r"[\x21-\x7e]+")
_STATUS_LINE = re.compile(r"HTTP/1\.([01]) ([1-9][0-9][0-9])(?: (.*))?")
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,16})[ \t]*(?:;.*)?", re.DOTALL)
_VERSION = re.compile(r"^/v[0-9.]+(?=/)")


class Request(NamedTuple):
    """What was sent; the values of secret headers are masked."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    head: bytes

    @property
    def raw(self) -> bytes:
        """The request as bytes, head and body, secrets still masked."""
        return self.head + self.body

    @property
    def path(self) -> str:
        """The target without version and query."""
        return _VERSION.sub("", self.target.partition("?")[0])

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


class Answer(NamedTuple):
    """What came back: header names in lower case, the body without its chunk marks, the head as it was."""

    status: int
    reason: str
    headers: dict[str, str]
    body: bytes
    head: bytes

    @property
    def raw(self) -> bytes:
        """Head and body as bytes; the marks between the chunks are gone."""
        return self.head + self.body


def build_request(method: str, target: str, headers: Mapping[str, str]) -> bytes:
    """Write the head of a request, up to and with its empty line (RFC 9112, "Request Line").

    `target` is the path and query, quoted already; each header is one line. Raises ValueError for a blank or a
    line's end where it would change the meaning of the request.
    """
    if not _WORD.fullmatch(method) or not _WORD.fullmatch(target) or target[0] != "/":
        raise ValueError(f"{method!r} {target!r}: a path starts with / and holds no blanks; quote() it")
    lines = [f"{method} {target} HTTP/1.1"]
    for name, value in headers.items():
        if not _WORD.fullmatch(name) or "\r" in value or "\n" in value:
            raise ValueError(f"header {name!r} would break the request: one line of text is allowed")
        lines.append(f"{name}: {value}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def parse_head(head: bytes) -> Answer:
    r"""Read the head of an answer, up to and with its empty line; the body stays empty (RFC 9112, "Status Line").

    A header that comes twice is joined with a comma. Raises EngineProtocolError for a line that cannot be one.

    >>> parse_head(b"HTTP/1.1 204 No Content\r\nApi-Version: 1.41\r\n\r\n").headers
    {'api-version': '1.41'}
    """
    first, *lines = head.decode("latin-1")[:-4].split("\r\n")
    status = _STATUS_LINE.fullmatch(first)
    if not status:
        raise EngineProtocolError(f"{first[:80]!r} is no HTTP status line: does an engine listen there?")
    headers: dict[str, str] = {}
    if status[1] == "0":
        headers["connection"] = "close"  # what HTTP/1.0 means when it says nothing
    for line in lines:
        name, colon, value = line.partition(":")
        name, value = name.lower(), value.strip(" \t")
        if not colon or not _WORD.fullmatch(name):
            raise EngineProtocolError(f"{line[:80]!r} is no header line")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return Answer(int(status[2]), status[3] or "", headers, b"", head)


class Address(NamedTuple):
    """Where an engine listens, as the socket calls want it."""

    family: socket.AddressFamily
    place: str | tuple[str, int]
    name: str  # for the Host header


def parse_host(host: str) -> Address:
    """Read an address as DOCKER_HOST writes it: unix:///path, or tcp://host:port (http:// means the same).

    >>> parse_host("tcp://[::1]:2375").place
    ('::1', 2375)

    Raises EngineUnreachable for anything else.
    """
    scheme, _, rest = host.partition("://")
    if scheme == "unix" and rest:
        return Address(socket.AF_UNIX, rest, "docker")
    name, _, port = rest.rstrip("/").rpartition(":")
    if scheme in ("tcp", "http") and name and port.isdecimal() and int(port) < 65536:
        family = socket.AF_INET6 if name.startswith("[") else socket.AF_INET
        return Address(family, (name.strip("[]"), int(port)), f"{name}:{port}")
    raise EngineUnreachable(f"{host!r} is no engine address: write unix:///path or tcp://host:port")


class Connection:
    """A socket, the bytes received and not yet used, and the time by which the exchange must be over.

    `deadline` is a time of the monotonic clock, in seconds. Raises EngineUnreachable if nobody listens, and
    EngineTimeout if nobody accepts in time. Every method that waits raises EngineTimeout when the time is over,
    and EngineProtocolError for bytes that HTTP does not allow.
    """

    def __init__(self, address: Address, deadline: float) -> None:
        self.reusable = False  # until an answer's end was found
        self.received = 0
        self._buffer = bytearray()
        self._socket = socket.socket(address.family, socket.SOCK_STREAM)
        try:
            self._socket.settimeout(max(deadline - monotonic(), 0.001))
            self._socket.connect(address.place)
        except (OSError, UnicodeError) as error:  # UnicodeError: a host name that DNS cannot hold
            self._socket.close()
            raise _unreachable(address, error) from error
        # From here on no call of the socket waits: `_wait` does, so that a call costs as few system calls as it can.
        self._socket.setblocking(False)
        self._poll = select.poll()

    def begin(self, request: Request, deadline: float | None, idle_s: float | None = None) -> None:
        """Name the exchange that follows, for error messages, and say when to give up.

        `deadline` ends the whole exchange (None: never); without one, `idle_s` is the longest silence allowed.
        """
        self._request, self._deadline, self._idle_s = request, deadline, idle_s
        self._began = monotonic()
        self.received = 0

    def send(self, raw: bytes) -> None:
        """Send all of `raw`; a connection that the engine closed is noticed by reading, not here."""
        left = memoryview(raw)
        while left:
            try:
                left = left[self._socket.send(left) :]
            except BlockingIOError:  # the engine reads more slowly than we write
                self._wait(select.POLLOUT)
            except (BrokenPipeError, ConnectionResetError):
                return  # an engine may refuse a body half-way; its answer, or the lack of one, says why
            except OSError as error:
                raise self._lost(error) from error

    def read_head(self) -> Answer:
        """Read up to the body of the final answer; the 1xx answers before it are passed over."""
        while True:
            while len(self._buffer) < len(_START):
                if not self._receive():
                    raise self._cut("before the end of the head")
            if not self._buffer.startswith(_START):  # at once: the end of such a head may never come
                start = bytes(self._buffer[:80])
                raise EngineProtocolError(f"{self._request}: {start!r} is not HTTP: does an engine listen there?")
            answer = parse_head(self._read_until(b"\r\n\r\n", MAX_HEAD_BYTES, "head"))
            if answer.status == 101:
                raise EngineProtocolError(f"{self._request}: the engine changed protocol without being asked")
            if answer.status >= 200:
                return answer

    def read_body(self, method: str, answer: Answer, limit: int) -> Iterator[bytes]:
        """Hand out the body, at most `limit` bytes, and find out whether the connection can be used again."""
        headers = answer.headers
        self.reusable = False
        can_stay = "close" not in headers.get("connection", "").lower()
        if method == "HEAD" or answer.status in (204, 304):
            pass  # these have no body, whatever their headers announce
        elif "transfer-encoding" in headers:
            yield from self._read_chunks(headers["transfer-encoding"], limit)
        elif "content-length" in headers:
            yield from self._read_exactly(self._length(headers["content-length"], limit))
        else:
            can_stay = False
            yield from self._read_to_close(limit)
        if self._buffer:
            raise EngineProtocolError(f"{self._request}: {len(self._buffer)} bytes came after the answer's end")
        self.reusable = can_stay

    def is_quiet(self) -> bool:
        """True if the idle connection is open and nothing came on it; end of file makes it readable too."""
        try:
            self._socket.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return True
        except OSError:
            pass
        return False

    def wake(self) -> None:
        """End the wait of another thread that reads here: it sees the end of the stream."""
        with suppress(OSError):  # the engine was first to close
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the socket; a second time does nothing."""
        self._socket.close()

    def _length(self, text: str, limit: int) -> int:
        lengths = {part.strip() for part in text.split(",")}
        length = lengths.pop()
        if lengths or not (length.isascii() and length.isdecimal() and len(length) < 20):
            raise EngineProtocolError(f"{self._request}: Content-Length {text[:80]!r} is not one number")
        self._check_size(int(length), limit)
        return int(length)

    def _check_size(self, size_bytes: int, limit: int) -> None:
        if size_bytes > limit:
            raise EngineProtocolError(
                f"{self._request}: a body of {size_bytes} bytes is over the limit of {limit}: "
                "use stream(), or Engine(max_body_bytes=...)"
            )

    def _read_exactly(self, count: int) -> Iterator[bytes]:
        left = count
        while left:
            if not self._buffer and not self._receive():
                raise self._cut(f"with {left} of {count} bytes missing")
            piece = bytes(self._buffer[:left])
            del self._buffer[:left]
            left -= len(piece)
            yield piece

    def _read_chunks(self, coding: str, limit: int) -> Iterator[bytes]:
        if coding.lower() != "chunked":
            raise EngineProtocolError(f"{self._request}: Transfer-Encoding {coding[:80]!r} is not chunked")
        total = 0
        while size := self._chunk_size():
            total += size
            self._check_size(total, limit)
            yield from self._read_exactly(size)
            if b"".join(self._read_exactly(2)) != b"\r\n":
                raise EngineProtocolError(f"{self._request}: a chunk is longer than announced")
        trailer_bytes = 0
        while (line := self._read_until(b"\r\n", MAX_CHUNK_LINE_BYTES, "trailer")) != b"\r\n":
            trailer_bytes += len(line)
            if trailer_bytes > MAX_HEAD_BYTES:
                raise EngineProtocolError(f"{self._request}: the trailer is over {MAX_HEAD_BYTES} bytes")

    def _chunk_size(self) -> int:
        line = self._read_until(b"\r\n", MAX_CHUNK_LINE_BYTES, "chunk size")[:-2]
        size = _CHUNK_SIZE.fullmatch(line)
        if not size:
            raise EngineProtocolError(f"{self._request}: {line[:80]!r} is no chunk size")
        return int(size[1], 16)

    def _read_to_close(self, limit: int) -> Iterator[bytes]:
        total = 0
        while self._buffer or self._receive():
            total += len(self._buffer)
            self._check_size(total, limit)
            piece = bytes(self._buffer)
            self._buffer.clear()
            yield piece

    def _read_until(self, mark: bytes, limit: int, what: str) -> bytes:
        searched = 0
        while (end := self._buffer.find(mark, searched)) < 0 and len(self._buffer) < limit:
            searched = max(len(self._buffer) - len(mark) + 1, 0)
            if not self._receive():
                raise self._cut(f"before the end of the {what}")
        end += len(mark)
        if end < len(mark) or end > limit:
            raise EngineProtocolError(f"{self._request}: the {what} does not end within {limit} bytes")
        found = bytes(self._buffer[:end])
        del self._buffer[:end]
        return found

    def _receive(self) -> bool:
        """Add what comes next to the buffer; False when the engine has closed the connection."""
        self._wait(select.POLLIN)
        try:
            data = self._socket.recv(65536)
        except BlockingIOError:  # woken for nothing
            return self._receive()
        except ConnectionResetError:
            data = b""
        except OSError as error:
            raise self._lost(error) from error
        self._buffer += data
        self.received += len(data)
        return bool(data)

    def _wait(self, event: int) -> None:
        """Wait until the socket can be read or written, or has come to its end; raises EngineTimeout."""
        self._poll.register(self._socket, event)
        remaining_s = self._remaining_s()
        if not self._poll.poll(None if remaining_s is None else min(math.ceil(remaining_s * 1000), MAX_WAIT_MS)):
            raise self._timeout()

    def _remaining_s(self) -> float | None:
        if self._deadline is None:
            return self._idle_s
        remaining = self._deadline - monotonic()
        if remaining <= 0:
            raise self._timeout()
        return remaining

    def _timeout(self) -> EngineTimeout:
        if self._deadline is None:
            return EngineTimeout(
                f"{self._request}: nothing came for {self._idle_s} s: pass a larger idle_s to wait longer"
            )
        waited = monotonic() - self._began
        return EngineTimeout(
            f"{self._request}: no complete answer after {waited:.1f} s, {self.received} bytes received: "
            "the engine is busy or stuck; try again, or pass a larger timeout_s"
        )

    def _cut(self, where: str) -> EngineProtocolError:
        return EngineProtocolError(
            f"{self._request}: the engine closed the connection {where}: did it stop? Its own log says why"
        )

    def _lost(self, error: OSError) -> EngineUnreachable:
        return EngineUnreachable(f"{self._request}: {error.strerror or error}: the way to the engine is gone")


def _unreachable(address: Address, error: OSError | UnicodeError) -> EngineError:
    place = address.place if isinstance(address.place, str) else address.name
    if isinstance(error, TimeoutError):
        return EngineTimeout(f"{place}: no connection in time: is the engine's machine up?")
    if isinstance(error, BlockingIOError):
        return EngineTimeout(f"{place}: too many connections wait already: is the engine stuck? Try again")
    if isinstance(error, PermissionError):
        return EngineUnreachable(f"{place}: {error.strerror}: become root, or join the group that owns it")
    words = getattr(error, "strerror", None) or str(error)
    return EngineUnreachable(
        f"{place}: {words}: is dockerd running? lesson.revive() starts it again in a lesson; "
        "elsewhere start it, or name another engine in DOCKER_HOST"
    )
