"""What does HTTP/1.1 look like on a socket?

A request is a few lines of text, then a body. An answer is a head, then a body whose end is told by
Content-Length, by chunks, or by the connection closing (RFC 9112). Every length is checked before it is
believed.

>>> build_request("GET", "/_ping", {"Host": "docker"})
b'GET /_ping HTTP/1.1\\r\\nHost: docker\\r\\n\\r\\n'

Here are values only; `labkit.api.connection` sends and receives them.
"""

import re
import socket
from collections.abc import Mapping
from json import loads
from typing import Any, NamedTuple

from labkit.api.secrets import mask_head, mask_target
from labkit.dump import dump
from labkit.errors import EngineProtocolError, EngineUnreachable

__all__ = [
    "DEFAULT_HOST",
    "MAX_HEAD_BYTES",
    "MAX_LINE_BYTES",
    "Address",
    "Answer",
    "Exchange",
    "Request",
    "build_chunk",
    "build_request",
    "parse_chunk_size",
    "parse_head",
    "parse_host",
    "parse_length",
    "parse_request",
]

DEFAULT_HOST = "unix:///run/docker.sock"
MAX_HEAD_BYTES = 64 * 1024  # of a head, and of the lines behind a body in chunks
MAX_LINE_BYTES = 4096  # of a line that announces a chunk

_WORD = re.compile(r"[\x21-\x7e]+")
_HEADER_LINE = re.compile(r"[\x21-\x39\x3b-\x7e]+:")
_REQUEST_LINE = re.compile(rb"([!-~]{1,32}) ([^ \r\n]+) HTTP/1\.[01]")
_STATUS_LINE = re.compile(r"HTTP/1\.([01]) ([1-9][0-9][0-9])(?: (.*))?")
_TLS_BY_SCHEME = {"tcp": None, "http": False, "https": True}
_VERSION = re.compile(r"^/v[0-9.]+(?=/)")
_PORT = re.compile(r"[0-9]{1,5}")
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,16})[ \t]*(?:;.*)?", re.DOTALL)


class Request(NamedTuple):
    """What was sent; the values of secret headers are masked, and bodies that hold a secret."""

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


class Exchange(NamedTuple):
    """One request, its answer, how long both took together, and when it began, in seconds of the monotonic clock."""

    request: Request
    answer: Answer
    seconds: float
    began_s: float = 0.0

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

    def _repr_pretty_(self, printer: Any, _cycle: bool) -> None:
        """What a notebook shows where a cell ends with an exchange: IPython.lib.pretty."""
        printer.text(str(self))

    @property
    def text(self) -> str:
        """The answer's body as text; what is not UTF-8 is replaced."""
        return self.answer.body.decode("utf-8", "replace")


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


def build_chunk(data: bytes) -> bytes:
    r"""Put the marks of a chunk around `data`; an empty one ends the body (RFC 9112, "Chunked Transfer Coding").

    >>> build_chunk(b"hello")
    b'5\r\nhello\r\n'
    """
    return b"%x\r\n%b\r\n" % (len(data), data)


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
        if not _HEADER_LINE.match(line):
            raise EngineProtocolError(f"{line[:80]!r} is no header line")
        name, _, value = line.partition(":")
        name, value = name.lower(), value.strip(" \t")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return Answer(int(status[2]), status[3] or "", headers, b"", head)


def parse_request(head: bytes) -> Request:
    r"""Read the head of a request, up to and with its empty line, and mask its secrets; the body stays empty.

    >>> parse_request(b"POST /images/create HTTP/1.1\r\nX-Registry-Auth: c2VjcmV0\r\n\r\n").headers
    {'x-registry-auth': '(masked)'}

    Raises EngineProtocolError for what is no head, in words that hold nothing of it.
    """
    first, mark, lines = head.partition(b"\r\n")
    line = _REQUEST_LINE.fullmatch(first)
    if not line:
        raise EngineProtocolError("the first line is no request of HTTP/1")
    target = mask_target(line[2].decode("latin-1"))
    lines = mask_head(lines)
    try:  # behind the first line a request's head is like an answer's
        headers = parse_head(b"HTTP/1.1 200 OK\r\n" + lines).headers
    except EngineProtocolError:
        raise EngineProtocolError("a line in the head of a request is no header") from None
    shown = first.replace(line[2], target.encode("latin-1")) + mark + lines
    return Request(line[1].decode("latin-1"), target, headers, b"", shown)


def parse_length(text: str) -> int:
    """Read a Content-Length, in bytes; raises EngineProtocolError unless it is one number of less than 20 digits."""
    lengths = {part.strip() for part in text.split(",")}
    length = lengths.pop()
    if lengths or not (length.isascii() and length.isdecimal() and len(length) < 20):
        raise EngineProtocolError(f"Content-Length {text[:80]!r} is not one number")
    return int(length)


def parse_chunk_size(line: bytes) -> int:
    """Read the line before a chunk, without its end: the chunk's bytes. Raises EngineProtocolError for another line."""
    size = _CHUNK_SIZE.fullmatch(line)
    if not size:
        raise EngineProtocolError("a chunk does not begin with its size")  # not with the line: it may hold a secret
    return int(size[1], 16)


class Address(NamedTuple):
    """Where an engine listens, as the socket calls want it."""

    family: socket.AddressFamily
    place: str | tuple[str, int]
    name: str  # for the Host header
    tls: bool | None = None  # None: tcp://, where the environment decides

    @property
    def host(self) -> str:
        """The name alone, which the engine's certificate has to hold."""
        return self.place if isinstance(self.place, str) else self.place[0]


def parse_host(host: str) -> Address:
    """Read an address as DOCKER_HOST writes it: unix:///path or tcp://host:port; https:// and http:// name it too.

    >>> parse_host("tcp://[::1]:2375").place
    ('::1', 2375)

    Raises EngineUnreachable for anything else.
    """
    scheme, _, rest = host.partition("://")
    if scheme == "unix" and rest:
        return Address(socket.AF_UNIX, rest, "docker", tls=False)
    name, _, port = rest.rstrip("/").rpartition(":")
    if scheme in _TLS_BY_SCHEME and name and _PORT.fullmatch(port) and int(port) < 65536:
        family = socket.AF_INET6 if name.startswith("[") else socket.AF_INET
        return Address(family, (name.strip("[]"), int(port)), f"{name}:{port}", _TLS_BY_SCHEME[scheme])
    raise EngineUnreachable(f"{host!r} is no engine address: write unix:///path or tcp://host:port")
