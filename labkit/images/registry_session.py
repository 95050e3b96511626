"""How does a request reach a registry, and what if it asks for a token, or sends us elsewhere?

One connection a request. A registry that wants to know who asks answers 401 and names, in WWW-Authenticate, who gives
out tokens: we fetch one and ask again. One that keeps its blobs elsewhere answers 307 and names the place. Sources: OCI
Distribution Specification 1.1; CNCF Distribution, "Token Authentication Specification"; RFC 9110, "WWW-Authenticate".
"""

import re
from base64 import b64encode
from collections import deque
from collections.abc import Mapping
from json import loads
from time import monotonic
from typing import TYPE_CHECKING
from urllib.parse import urlencode, urlsplit

from labkit.api.connection import Connection
from labkit.api.http import Address, Answer, Exchange, Request, build_request, parse_host
from labkit.api.secrets import MASK, mask_headers, mask_target
from labkit.errors import EngineError, EngineTimeout, RegistryError
from labkit.images.paths import printable

if TYPE_CHECKING:
    from ssl import SSLContext

__all__ = ["Session", "subject_of"]

MAX_REDIRECTS = 5
MAX_TOKEN_BYTES = 1024 * 1024
RECORDED_BODY_BYTES = 64 * 1024
PORTS = {"http": 80, "https": 443}
REDIRECTS = (301, 302, 303, 307, 308)
_BEARER = re.compile(r"\bBearer\s+(.*)", re.IGNORECASE | re.DOTALL)
_BASIC = re.compile(r"\bBasic\b", re.IGNORECASE)
_WORD = re.compile(r"[\x21-\x7e]+")
_PARAMETER = re.compile(r'([a-z]+)="([^"]*)"', re.IGNORECASE)


class Session:
    """Requests to one registry, and to those it names; `exchanges` keeps the last 500 without what is secret.

    `url` is http://host:port, https://host, or unix:///path; `credentials` a name and a password, which are shown to
    the registry itself and to givers of tokens that speak TLS, and only when they are asked for.
    Raises RegistryError for a URL that cannot be one.
    """

    def __init__(self, url: str, credentials: tuple[str, str] | None, timeout_s: float, max_body_bytes: int) -> None:
        self.exchanges: deque[Exchange] = deque(maxlen=500)
        self._address = _locate(url, url)
        self._credentials = credentials
        self._authorization = ""  # what the last challenge was answered with
        self._timeout_s = timeout_s
        self._max_body_bytes = max_body_bytes
        self._trust: SSLContext | None = None

    @property
    def name(self) -> str:
        """The registry's host and port."""
        return self._address.name

    def exchange(self, method: str, target: str, headers: Mapping[str, str], body: bytes | None) -> Exchange:
        """Send a request and read its whole answer, whatever its status; `target` is a path with a query, or a URL.

        A token that is asked for is fetched, and a redirect of GET or HEAD is followed. Raises RegistryError when
        nobody answers, when the answer is cut off or too large, and when a token is not to be had.
        """
        exchange = self._follow(method, target, headers, body)
        if exchange.answer.status == 401:
            challenge = exchange.answer.headers.get("www-authenticate", "")
            if authorization := self._answer_challenge(subject_of(exchange), challenge):
                self._authorization = authorization
                exchange = self._follow(method, target, headers, body)
        return exchange

    def _follow(self, method: str, target: str, headers: Mapping[str, str], body: bytes | None) -> Exchange:
        address, path = self._resolve(self._address, target, target)
        for _ in range(MAX_REDIRECTS + 1):
            own = {"Authorization": self._authorization} if self._authorization and address == self._address else {}
            exchange = self._send(method, address, path, {**headers, **own}, body, self._max_body_bytes)
            if exchange.answer.status not in REDIRECTS or method not in ("GET", "HEAD"):
                return exchange
            came_from = address
            address, path = self._resolve(address, exchange.answer.headers.get("location", ""), subject_of(exchange))
            if came_from.tls and not address.tls:
                raise RegistryError(f"{subject_of(exchange)}: it leads to {address.name}, in the clear")
        raise RegistryError(f"{subject_of(exchange)}: more than {MAX_REDIRECTS} redirects: they may lead in a circle")

    def _answer_challenge(self, subject: str, challenge: str) -> str:
        """What to send as Authorization; "" where there is nothing to be sent."""
        if bearer := _BEARER.search(challenge):
            return f"Bearer {self._fetch_token(subject, dict(_PARAMETER.findall(bearer[1])))}"
        return self._basic() if self._credentials and _BASIC.search(challenge) else ""

    def _fetch_token(self, subject: str, asked: Mapping[str, str]) -> str:
        """Ask the `realm` of a challenge for a token; the names `service` and `scope` say for what."""
        realm = asked.get("realm", "")
        address, path = self._resolve(self._address, realm, subject)
        query = [("service", asked["service"])] if "service" in asked else []
        query += [("scope", scope) for scope in asked.get("scope", "").split()]
        if query:
            path += ("&" if "?" in path else "?") + urlencode(query)
        may_know = address.tls or address == self._address
        headers = {"Authorization": self._basic()} if self._credentials and may_know else {}
        answer = self._send("GET", address, path, headers, None, MAX_TOKEN_BYTES, is_secret=True).answer
        try:
            given = loads(answer.body)
            token = given.get("token") or given.get("access_token")
        except (ValueError, AttributeError, RecursionError):
            token = None
        if answer.status != 200 or not isinstance(token, str) or not _WORD.fullmatch(token):
            raise RegistryError(
                f"{subject}: the registry asks for a token, and {printable(realm)} gives none ({answer.status}): "
                "pass credentials=(name, password) of somebody who may"
            )
        return token

    def _basic(self) -> str:
        name_and_password = ":".join(self._credentials or ())
        return f"Basic {b64encode(name_and_password.encode()).decode()}"

    def _send(
        self,
        method: str,
        address: Address,
        target: str,
        headers: Mapping[str, str],
        body: bytes | None,
        limit: int,
        *,
        is_secret: bool = False,
    ) -> Exchange:
        began = monotonic()
        given = {"Host": address.name, "User-Agent": "labkit", "Connection": "close", **headers}
        if body is not None or method not in ("GET", "HEAD"):
            given["Content-Length"] = str(len(body or b""))
        raw = build_request(method, target, given)
        shown = mask_headers(given)
        head = build_request(method, mask_target(target), shown)
        request = Request(method, mask_target(target), shown, (body or b"")[:RECORDED_BODY_BYTES], head)
        connection = self._connect(address, began + self._timeout_s)
        try:
            subject = _subject(request)
            connection.begin(subject, began, began + self._timeout_s)
            answer = _read_head(connection, subject, raw + (body or b""), address.name)
            whole = _read_body(connection, subject, method, answer, limit)
        finally:
            connection.close()
        answer = answer._replace(body=whole)
        exchange = Exchange(request, answer, monotonic() - began, began)
        kept = MASK.encode() if is_secret and whole else whole[:RECORDED_BODY_BYTES]
        self.exchanges.append(exchange._replace(answer=answer._replace(body=kept)))
        return exchange

    def _connect(self, address: Address, deadline: float) -> Connection:
        try:
            return Connection(address, deadline, self._context() if address.tls else None)
        except EngineError as error:
            cause = error.__cause__
            words = getattr(cause, "strerror", None) or (str(cause) if cause else str(error))
            raise RegistryError(
                f"{address.name}: no registry answers there ({words}): does it run, and is this its address?"
            ) from error

    def _context(self) -> "SSLContext":
        from ssl import create_default_context  # here, as importing ssl takes longer than all else

        self._trust = self._trust or create_default_context()
        return self._trust

    @staticmethod
    def _resolve(base: Address, target: str, subject: str) -> tuple[Address, str]:
        """Where a target of `base` is: a path stays there, a URL may lead away."""
        if not _WORD.fullmatch(target):
            raise RegistryError(f"{printable(subject)}: {printable(target)!r} is no place to go on at")
        if target.startswith("/") and not target.startswith("//"):
            return base, target
        address, parts = _locate(target, subject), urlsplit(target)
        return address, (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def subject_of(exchange: Exchange) -> str:
    """Name an exchange in an error: its method and its path."""
    return _subject(exchange.request)


def _subject(request: Request) -> str:
    return f"{request.method} {request.target.partition('?')[0]}"  # with /v2, which is a version to Request.path


def _locate(url: str, subject: str) -> Address:
    try:
        parts = urlsplit(url)
        if parts.scheme == "unix":
            return parse_host(url)
        name, port = parts.hostname or "", parts.port or PORTS[parts.scheme]
        return parse_host(f"{parts.scheme}://{f'[{name}]' if ':' in name else name}:{port}")
    except (ValueError, KeyError, EngineError) as error:
        raise RegistryError(
            f"{printable(subject)}: {printable(url)!r} is no address of a registry: write http://host:port"
        ) from error


def _read_head(connection: Connection, subject: str, raw: bytes, name: str) -> Answer:
    try:
        connection.send(raw)
        return connection.read_head()
    except EngineTimeout as error:
        raise RegistryError(f"{subject}: {name} has not answered in time: it is busy, or stuck") from error
    except EngineError as error:
        raise RegistryError(
            f"{subject}: {name} gives no answer that is HTTP: does a registry listen there, in the clear or with TLS?"
        ) from error


def _read_body(connection: Connection, subject: str, method: str, answer: Answer, limit: int) -> bytes:
    got = bytearray()
    try:
        for piece in connection.read_body(method, answer):
            got += piece
            if len(got) > limit:
                raise RegistryError(f"{subject}: the answer's body is over the limit of {limit} bytes")
    except EngineTimeout as error:
        raise RegistryError(f"{subject}: the body did not end in time: {len(got)} bytes came") from error
    except EngineError as error:
        of = f" of {answer.headers['content-length']}" if answer.headers.get("content-length", "").isdecimal() else ""
        raise RegistryError(
            f"{subject}: the answer's body is cut off, or not as HTTP promises, after {len(got)}{of} bytes: ask again"
        ) from error
    return bytes(got)
