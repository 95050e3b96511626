"""How are images pushed to a registry and pulled from one? With requests of our own.

A registry keeps two kinds of things. A blob is bytes, and its name is their digest: layers and configurations. A
manifest is a short JSON text that lists blobs; it has a digest too, and may have tags. Everything that comes is
compared with its digest before it is given out. Source: OCI Distribution Specification 1.1.

    registry = Registry("http://localhost:5000")
    digest = registry.upload("mine/first", b"any bytes")
    registry.blob("mine/first", digest)
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from hashlib import new
from json import loads
from typing import Any, NamedTuple, NoReturn
from urllib.parse import quote, urlencode

from labkit.api.http import Exchange
from labkit.errors import RegistryError, RegistryRefusal
from labkit.images.oci import digest_of
from labkit.images.paths import printable
from labkit.images.registry_session import Session, subject_of

__all__ = ["DOCKER_LIST", "DOCKER_MANIFEST", "OCI_INDEX", "OCI_MANIFEST", "Registry", "StoredManifest"]

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
ANY_MANIFEST = (OCI_MANIFEST, OCI_INDEX, DOCKER_MANIFEST, DOCKER_LIST)

MAX_BODY_BYTES = 256 * 1024 * 1024
MAX_PAGES = 1000  # of a list
_DIGEST = re.compile(r"(sha256):[0-9a-f]{64}|(sha512):[0-9a-f]{128}")
_NEXT = re.compile(r"<([^>]+)>\s*;\s*rel=\"?next\"?")
_BYTES = {"Content-Type": "application/octet-stream"}


class StoredManifest(NamedTuple):
    """A manifest as the registry has it: its digest, its media type, and its bytes."""

    digest: str
    media_type: str
    body: bytes

    def json(self) -> Any:
        """Read it; it was JSON when it was fetched."""
        return loads(self.body)


class Registry:
    """A client of one registry; `exchanges` keeps the last 500 requests and answers, without tokens and passwords.

    `url` is http://host:port, https://host or unix:///path; `credentials` a name and a password, for a registry that
    asks for them; an exchange may take `timeout_s` seconds, and a body have `max_body_bytes`.

    Every call raises RegistryRefusal when the registry says no, and RegistryError when nobody answers, when an answer
    is cut off, and when what came is not what was asked for.
    """

    def __init__(
        self,
        url: str,
        *,
        credentials: tuple[str, str] | None = None,
        timeout_s: float = 60.0,
        max_body_bytes: int = MAX_BODY_BYTES,
    ) -> None:
        self.url = url
        self._session = Session(url, credentials, timeout_s, max_body_bytes)
        self.exchanges = self._session.exchanges

    def call(
        self,
        method: str,
        target: str,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        check: bool = True,
    ) -> Exchange:
        """Send one request and read its whole answer; `target` is a path, or a URL that the registry has named.

        Raises RegistryRefusal for a status of 400 and above unless `check` is False.
        """
        if query:
            target += ("&" if "?" in target else "?") + urlencode(query)
        exchange = self._session.exchange(method, target, headers or {}, body)
        if check and exchange.answer.status >= 400:
            _refuse(exchange)
        return exchange

    def repositories(self) -> list[str]:
        """The names of all repositories (GET /v2/_catalog)."""
        return self._list("/v2/_catalog", "repositories")

    def tags(self, repository: str) -> list[str]:
        """The tags of a repository (GET /v2/NAME/tags/list)."""
        return self._list(f"{_path(repository)}/tags/list", "tags")

    def has_blob(self, repository: str, digest: str) -> bool:
        """Does the repository have this blob? (HEAD /v2/NAME/blobs/DIGEST)"""
        exchange = self.call("HEAD", f"{_path(repository)}/blobs/{quote(digest, safe=':')}", check=False)
        if exchange.answer.status >= 400 and exchange.answer.status != 404:
            _refuse(exchange)
        return exchange.answer.status == 200

    def blob(self, repository: str, digest: str) -> bytes:
        """The bytes of a blob, compared with their digest (GET /v2/NAME/blobs/DIGEST)."""
        exchange = self.call("GET", f"{_path(repository)}/blobs/{quote(digest, safe=':')}")
        _require_digest(exchange, digest)
        return exchange.answer.body

    def upload(self, repository: str, content: bytes, *, digest: str = "", chunk_bytes: int = 0) -> str:
        """Upload a blob: POST opens the upload, PATCH brings its bytes, PUT closes it and says their digest.

        With `chunk_bytes` there is a PATCH for each so many bytes. The digest is that of `content`, unless another one
        is given: then the registry has to refuse it. Returns the digest that the registry has taken.
        """
        digest = digest or digest_of(content)
        opened = self.call("POST", f"{_path(repository)}/blobs/uploads/")
        place = _location(opened, 202)
        step = chunk_bytes or max(1, len(content))
        for start in range(0, len(content), step):
            piece = content[start : start + step]
            end = start + len(piece) - 1
            sent = self.call("PATCH", place, headers=_BYTES | {"Content-Range": f"{start}-{end}"}, body=piece)
            place = _location(sent, 202)
            if (has := sent.answer.headers.get("range", "")) != f"0-{end}":
                raise RegistryError(
                    f"{subject_of(sent)}: bytes 0-{end} were sent, and the registry has {printable(has)!r}"
                )
        closed = self.call("PUT", place, query={"digest": digest}, headers=_BYTES, body=b"")
        return _require_taken(closed, digest)

    def mount(self, repository: str, digest: str, source: str) -> bool:
        """Have the registry give a blob of the repository `source` to another one, without sending its bytes.

        (POST /v2/NAME/blobs/uploads/?mount=DIGEST&from=SOURCE.) False where the registry wants the bytes after all: it
        has opened an upload, which is given up.
        """
        query = {"mount": digest, "from": source}
        exchange = self.call("POST", f"{_path(repository)}/blobs/uploads/", query=query)
        if exchange.answer.status == 201:
            _require_taken(exchange, digest)
            return True
        self.call("DELETE", _location(exchange, 202), check=False)  # not every registry lets go of one
        return False

    def manifest(self, repository: str, reference: str, accept: Sequence[str] = ANY_MANIFEST) -> StoredManifest:
        """Fetch a manifest by its tag or its digest (GET /v2/NAME/manifests/REFERENCE), of one of these media types.

        Raises RegistryError for one of another media type, for one whose bytes are not those of its digest, and for
        one that is no JSON object or calls itself something else than the registry does.
        """
        exchange = self.call(
            "GET", f"{_path(repository)}/manifests/{quote(reference, safe=':')}", headers={"Accept": ", ".join(accept)}
        )
        answer, subject = exchange.answer, subject_of(exchange)
        media_type = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
        if media_type not in accept:
            asked = " or ".join(accept)
            raise RegistryError(f"{subject}: asked for {asked}, and {printable(media_type) or 'no type'} came")
        named = answer.headers.get("docker-content-digest", "")
        digest = reference if _DIGEST.fullmatch(reference) else named or digest_of(answer.body)
        _require_digest(exchange, digest)
        says = _read_object(exchange).get("mediaType", media_type)
        if says != media_type:
            raise RegistryError(
                f"{subject}: the registry calls it {media_type}, and it calls itself {printable(str(says))}"
            )
        return StoredManifest(digest, media_type, answer.body)

    def put_manifest(self, repository: str, reference: str, body: bytes, media_type: str = DOCKER_MANIFEST) -> str:
        """Store a manifest under a tag, or under its digest (PUT /v2/NAME/manifests/REFERENCE); returns its digest."""
        exchange = self.call(
            "PUT",
            f"{_path(repository)}/manifests/{quote(reference, safe=':')}",
            headers={"Content-Type": media_type},
            body=body,
        )
        return _require_taken(exchange, digest_of(body))

    def _list(self, target: str, name: str) -> list[str]:
        """All pages of a list; the header Link names the next."""
        found: list[str] = []
        seen: set[str] = set()
        while target and target not in seen and len(seen) < MAX_PAGES:
            seen.add(target)
            exchange = self.call("GET", target)
            items = _read_object(exchange).get(name)
            if not isinstance(items, list | None) or not all(isinstance(item, str) for item in items or []):
                raise RegistryError(f"{subject_of(exchange)}: {name} is not a list of names")
            found += items or []
            following = _NEXT.search(exchange.answer.headers.get("link", ""))
            target = following[1] if following else ""
        if target:
            raise RegistryError(f"GET {printable(target)}: the pages of this list do not come to an end")
        return found


def _path(repository: str) -> str:
    return f"/v2/{quote(repository)}"


def _require_digest(exchange: Exchange, digest: str) -> None:
    """Compare the body of an answer with what it should be."""
    known = _DIGEST.fullmatch(digest)
    if not known:
        raise RegistryError(f"{subject_of(exchange)}: {printable(digest)!r} is no digest: it looks like sha256:0123…")
    algorithm = known[1] or known[2]
    got = f"{algorithm}:{new(algorithm, exchange.answer.body).hexdigest()}"
    if got != digest:
        raise RegistryError(f"{subject_of(exchange)}: wrong bytes: their digest is {got}, and {digest} was promised")


def _require_taken(exchange: Exchange, digest: str) -> str:
    """Was the thing stored, under this digest?"""
    answer = exchange.answer
    if answer.status != 201:
        raise RegistryError(f"{subject_of(exchange)}: status 201 says that it is stored, and {answer.status} came")
    named = answer.headers.get("docker-content-digest", digest)
    if named != digest:
        raise RegistryError(f"{subject_of(exchange)}: stored as {printable(named)}, and it is {digest}")
    return digest


def _location(exchange: Exchange, status: int) -> str:
    """Where an upload goes on."""
    place = exchange.answer.headers.get("location", "")
    if exchange.answer.status != status or not place:
        raise RegistryError(
            f"{subject_of(exchange)}: {status} with a Location was to come, and {exchange.answer.status} came"
        )
    return place


def _read_object(exchange: Exchange) -> dict[str, Any]:
    try:
        value = loads(exchange.answer.body)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        start = exchange.answer.body[:40]
        raise RegistryError(f"{subject_of(exchange)}: a JSON object was asked for, and {start!r} came")
    return value


def _errors(body: bytes) -> Iterator[tuple[str, str]]:
    """Codes and messages of {"errors": [{"code", "message"}]}."""
    try:
        for error in loads(body)["errors"]:
            yield printable(str(error["code"])), printable(str(error.get("message") or ""))
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return


def _refuse(exchange: Exchange) -> NoReturn:
    answer = exchange.answer
    for code, message in _errors(answer.body):
        raise RegistryRefusal(answer.status, code, message, subject_of(exchange))
    words = answer.body.decode("utf-8", "replace").strip() or answer.reason or "the registry gave no reason"
    raise RegistryRefusal(answer.status, "", printable(words), subject_of(exchange))
