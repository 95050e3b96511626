"""Does the client of a registry believe nothing that it cannot check? Against scripted registries, and a real one."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from labkit.daemons.registry import RegistryServer, start_registry
from labkit.errors import MachineError, RegistryError, RegistryRefusal
from labkit.images.registry import DOCKER_MANIFEST, OCI_MANIFEST, Registry
from tests.engine.scripted import HOLD, OK, FakeEngine
from tests.machine.host import wait_until

HELLO = b"hello"
DIGEST = f"sha256:{sha256(HELLO).hexdigest()}"
WRONG = f"sha256:{'0' * 64}"
MANIFEST = json.dumps({"schemaVersion": 2, "mediaType": OCI_MANIFEST}).encode()
MANIFEST_DIGEST = f"sha256:{sha256(MANIFEST).hexdigest()}"
Play = Callable[..., FakeEngine]


def answer(status: str, body: bytes = b"", **headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


def challenge(realm: str) -> bytes:
    words = f'Bearer realm="{realm}",service="the shelf",scope="repository:a/b:pull"'
    return answer("401 Unauthorized", b'{"errors": [{"code": "UNAUTHORIZED"}]}', WWW_Authenticate=words)


def manifest(body: bytes = MANIFEST, kind: str = OCI_MANIFEST, **headers: str) -> bytes:
    return answer("200 OK", body, Content_Type=kind, **headers)


def test_bytes_that_are_not_those_of_the_digest(play: Play) -> None:
    """A blob is compared before it is given out; the sentence has both digests."""
    with pytest.raises(RegistryError, match=f"GET /v2/a/b/blobs/{DIGEST}: wrong bytes: .*, and {DIGEST} was promised"):
        Registry(play([answer("200 OK", b"HELLO")]).host).blob("a/b", DIGEST)

    assert HELLO == Registry(play([answer("200 OK", HELLO)]).host).blob("a/b", DIGEST)


@pytest.mark.parametrize("digest", ["sha256:abc", "md5:" + "0" * 32, "latest", "sha512:" + "0" * 64])
def test_what_is_no_digest(digest: str, play: Play) -> None:
    """Nothing can be compared with it, so nothing is given out."""
    with pytest.raises(RegistryError, match="is no digest: it looks like sha256:0123"):
        Registry(play([answer("200 OK", HELLO)]).host).blob("a/b", digest)


def test_a_digest_of_another_algorithm(play: Play) -> None:
    """sha512 is compared as well."""
    from hashlib import sha512

    digest = f"sha512:{sha512(HELLO).hexdigest()}"

    assert HELLO == Registry(play([answer("200 OK", HELLO)]).host).blob("a/b", digest)


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (OK + b"Content-Length: 500\r\n\r\nhello", "is cut off, or not as HTTP promises, after 5 of 500 bytes"),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", "is cut off, .* after 5 bytes"),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n3\r\nhello\r\n", "is cut off, or not as HTTP promises"),
        (OK + b"Content-Length: many\r\n\r\nhello", "is cut off, or not as HTTP promises, after 0 bytes"),
        (OK + b"Content-Len", "gives no answer that is HTTP"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "gives no answer that is HTTP: does a registry listen there"),
        (answer("200 OK", b"x" * 2000), "the answer's body is over the limit of 1000 bytes"),
    ],
)
def test_an_answer_that_is_broken(raw: bytes, words: str, play: Play) -> None:
    """Cut off in the body or in the head, not HTTP, too large: each has its sentence, which names the request."""
    with pytest.raises(RegistryError, match=f"GET /v2/a/b/blobs/{DIGEST}: .*{words}"):
        Registry(play([raw]).host, max_body_bytes=1000).blob("a/b", DIGEST)


def test_a_registry_that_says_nothing(play: Play) -> None:
    """It is given up in time, before its head and within its body."""
    with pytest.raises(RegistryError, match="GET /v2/_catalog: .* has not answered in time"):
        Registry(play([HOLD]).host, timeout_s=0.2).repositories()
    with pytest.raises(RegistryError, match="the body did not end in time: 5 bytes came"):
        Registry(play([OK + b"Content-Length: 9\r\n\r\nhello", HOLD]).host, timeout_s=0.2).repositories()


def test_nobody_there(tmp_path: Path) -> None:
    """The place and the reason are told; what is no address is told, too."""
    with pytest.raises(RegistryError, match=r"no registry answers there \(No such file or directory\)"):
        Registry(f"unix://{tmp_path}/none").repositories()
    for url in ("ftp://somewhere", "localhost:5000", "http://", "http://host:99999", "http://[::1"):
        with pytest.raises(RegistryError, match="is no address of a registry: write http://host:port"):
            Registry(url)


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (manifest(kind=DOCKER_MANIFEST), re.escape(f"asked for {OCI_MANIFEST}, and {DOCKER_MANIFEST} came")),
        (manifest(kind="text/html\x1b[31m"), r"and text/html\\x1b\[31m came"),
        (answer("200 OK", MANIFEST), "and no type came"),
        (manifest(Docker_Content_Digest=WRONG), f"wrong bytes: their digest is {MANIFEST_DIGEST}, and {WRONG} was"),
        (manifest(Docker_Content_Digest="yes"), "'yes' is no digest"),
        (
            manifest(body=b'{"mediaType": "%s"}' % DOCKER_MANIFEST.encode()),
            re.escape(f"and it calls itself {DOCKER_MANIFEST}"),
        ),
        (manifest(body=b'{"mediaType": ["\\u001b"]}'), "and it calls itself"),
        (manifest(body=b"[" * 100_000), "a JSON object was asked for"),
        (manifest(body=b"<html>"), "a JSON object was asked for, and b'<html>' came"),
    ],
)
def test_a_manifest_that_is_not_what_was_asked_for(raw: bytes, words: str, play: Play) -> None:
    """Another media type, other bytes than its digest, no JSON, or one that calls itself something else."""
    with pytest.raises(RegistryError, match=f"GET /v2/a/b/manifests/v1: .*{words}") as refused:
        Registry(play([raw]).host).manifest("a/b", "v1", [OCI_MANIFEST])

    assert "\x1b" not in str(refused.value)


def test_a_manifest_by_its_digest(play: Play) -> None:
    """The digest that was asked for counts, whatever the registry says of its bytes."""
    fake = play([manifest(Docker_Content_Digest=WRONG)], [manifest(b"{}", Docker_Content_Digest=MANIFEST_DIGEST)])
    registry = Registry(fake.host)

    assert (MANIFEST_DIGEST, OCI_MANIFEST, MANIFEST) == registry.manifest("a/b", MANIFEST_DIGEST)
    with pytest.raises(RegistryError, match="wrong bytes"):
        registry.manifest("a/b", MANIFEST_DIGEST)


def test_a_token_that_is_asked_for(play: Play) -> None:
    """It is fetched from the realm, for the service and the scope that were named, and is not in the record."""
    fake = play(
        [challenge("/token?a=b")],
        [answer("200 OK", b'{"token": "s3cret"}')],
        [answer("200 OK", HELLO)],
        [answer("200 OK", HELLO)],
    )
    registry = Registry(fake.host, credentials=("me", "pw"))

    assert HELLO == registry.blob("a/b", DIGEST)
    assert HELLO == registry.blob("a/b", DIGEST)
    requests = [raw for _, raw in fake.requests]
    assert b"GET /token?a=b&service=the+shelf&scope=repository%3Aa%2Fb%3Apull HTTP" in requests[1]
    assert [False, False, True, True] == [b"Authorization: Bearer s3cret\r\n" in raw for raw in requests]
    assert [False, True, False, False] == [b"Authorization: Basic bWU6cHc=\r\n" in raw for raw in requests]
    assert not any("s3cret" in str(one) or "bWU6cHc" in str(one) for one in registry.exchanges)


@pytest.mark.parametrize(
    "given",
    [answer("401 Unauthorized"), answer("200 OK", b"[]"), answer("200 OK", b'{"token": "a\\r\\nHost: b"}')],
)
def test_a_token_that_is_not_given(given: bytes, play: Play) -> None:
    """The sentence says who gives none, and what to pass; a token that would break the request is none."""
    with pytest.raises(RegistryError, match=r"asks for a token, and /token gives none .*: pass credentials="):
        Registry(play([challenge("/token")], [given]).host).blob("a/b", DIGEST)


def test_a_token_that_is_not_enough(play: Play) -> None:
    """It is asked for once: a second 401 is the registry's answer. So is one that names nobody."""
    fake = play([challenge("/token")], [answer("200 OK", b'{"access_token": "t"}')], [challenge("/token")])
    with pytest.raises(RegistryRefusal, match=f"GET /v2/a/b/blobs/{DIGEST}: 401: UNAUTHORIZED"):
        Registry(fake.host).blob("a/b", DIGEST)
    with pytest.raises(RegistryRefusal, match="401: Unauthorized"):
        Registry(play([answer("401 Unauthorized")]).host).blob("a/b", DIGEST)


def test_a_password_that_is_asked_for(play: Play) -> None:
    """Basic: the name and the password are sent when they are asked for, not before."""
    asks = answer("401 Unauthorized", WWW_Authenticate='Basic realm="basic-realm"')
    fake = play([asks], [answer("200 OK", HELLO)])

    assert HELLO == Registry(fake.host, credentials=("me", "pw")).blob("a/b", DIGEST)
    assert [False, True] == [b"Authorization: Basic bWU6cHc=" in raw for _, raw in fake.requests]


def test_a_password_is_not_for_everybody(play: Play, server: RegistryServer) -> None:
    """A realm elsewhere, in the clear, is asked without it; a redirect elsewhere goes without the token."""
    fake = play([challenge(f"{server.url}/v2/")])
    with pytest.raises(RegistryError, match="gives none"):
        registry = Registry(fake.host, credentials=("me", "pw"))
        registry.blob("a/b", DIGEST)
    assert "Authorization" not in registry.exchanges[-1].request.headers

    asks = answer("401 Unauthorized", WWW_Authenticate="Basic")
    fake = play([asks], [answer("307 Temporary Redirect", Location=f"{server.url}/v2/_catalog")])
    registry = Registry(fake.host, credentials=("me", "pw"))
    assert {"repositories": []} == registry.call("GET", "/v2/a/b/blobs/x").json()
    assert ["Authorization" in one.request.headers for one in registry.exchanges] == [False, True, False]


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("/v2/again", "more than 5 redirects: they may lead in a circle"),
        ("", "is no place to go on at"),
        ("/v2/two words", "is no place to go on at"),
        ("file:///etc/passwd", "is no address of a registry"),
        ("//host", "is no address of a registry"),
    ],
)
def test_a_redirect_that_leads_nowhere(place: str, words: str, play: Play) -> None:
    """A circle is left, and what is no place is refused."""
    fake = play(*[[answer("307 Temporary Redirect", Location=place)]] * 6)
    with pytest.raises(RegistryError, match=words):
        Registry(fake.host).blob("a/b", DIGEST)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"errors": [{"code": "DENIED", "message": "not \\u001b[31myou"}]}', r"403: DENIED: not \\x1b\[31myou"),
        (b'{"errors": [{"code": "DENIED"}]}', "403: DENIED$"),
        (b'{"errors": []}', r'403: {"errors": \[\]}'),
        (b'{"errors": [7]}', "403: "),
        (b"go away\n", "403: go away"),
        (b"", "403: Forbidden"),
        (b"x" * 5000, r"403: x{300}\.\.\.$"),
    ],
)
def test_a_refusal_in_the_words_of_the_registry(body: bytes, words: str, play: Play) -> None:
    """Its code and its message, made safe to print; or what else it says."""
    with pytest.raises(RegistryRefusal, match=f"GET /v2/a/b/tags/list: {words}"):
        Registry(play([answer("403 Forbidden", body)]).host).tags("a/b")


def test_a_list_of_many_pages(play: Play) -> None:
    """Link names the next page; a list without an end is left."""
    page = answer("200 OK", b'{"tags": ["a"]}', Link='</v2/a/b/tags/list?n=1&last=a>; rel="next"')
    last = answer("200 OK", b'{"tags": null}')
    assert ["a"] == Registry(play([page], [last]).host).tags("a/b")

    with pytest.raises(RegistryError, match="the pages of this list do not come to an end"):
        Registry(play([page], [page]).host).tags("a/b")
    with pytest.raises(RegistryError, match="tags is not a list of names"):
        Registry(play([answer("200 OK", b'{"tags": [1]}')]).host).tags("a/b")


OPENED = answer("202 Accepted", Location="/v2/a/b/blobs/uploads/1?state=x")


@pytest.mark.parametrize(
    ("scripts", "words"),
    [
        ([[answer("202 Accepted")]], "POST /v2/a/b/blobs/uploads/: 202 with a Location was to come, and 202 came"),
        ([[answer("200 OK", Location="/x")]], "202 with a Location was to come, and 200 came"),
        (
            [[OPENED], [answer("202 Accepted", Location="/x", Range="0-2")]],
            "bytes 0-4 were sent, and the registry has '0-2'",
        ),
        ([[OPENED], [OPENED.replace(b"Location", b"Range: 0-4\r\nLocation")], [answer("200 OK")]], "and 200 came"),
        (
            [
                [OPENED],
                [OPENED.replace(b"Location", b"Range: 0-4\r\nLocation")],
                [answer("201 Created", Docker_Content_Digest=WRONG)],
            ],
            f"stored as {WRONG}, and it is {DIGEST}",
        ),
    ],
)
def test_an_upload_that_is_not_confirmed(scripts: list[list[bytes]], words: str, play: Play) -> None:
    """No place to go on, fewer bytes than were sent, no 201, another digest: each is told."""
    with pytest.raises(RegistryError, match=words):
        Registry(play(*scripts).host).upload("a/b", HELLO)


def test_an_upload_goes_on_where_the_registry_says(play: Play) -> None:
    """Its query is kept, and the digest is put behind it."""
    taken = answer("201 Created", Docker_Content_Digest=DIGEST)
    fake = play([OPENED], [OPENED.replace(b"Location", b"Range: 0-4\r\nLocation")], [taken])

    assert DIGEST == Registry(fake.host).upload("a/b", HELLO)
    assert [
        "POST /v2/a/b/blobs/uploads/",
        "PATCH /v2/a/b/blobs/uploads/1?state=x",
        f"PUT /v2/a/b/blobs/uploads/1?state=x&digest=sha256%3A{DIGEST[7:]}",
    ] == [line for _, line in fake.lines]


@pytest.fixture(scope="module")
def shared_server() -> Iterator[RegistryServer]:
    with start_registry() as running:
        yield running


@pytest.fixture
def server(shared_server: RegistryServer) -> RegistryServer:
    return shared_server


def test_the_real_one_takes_and_gives(server: RegistryServer) -> None:
    """Upload at once and in chunks, an empty blob, mount, manifest by tag and by digest, both lists."""
    registry = Registry(server.url)
    assert DIGEST == registry.upload("one/a", HELLO)
    long = os.urandom(100_000)
    digest = registry.upload("one/a", long, chunk_bytes=30_000)
    assert long == registry.blob("one/a", digest)
    assert registry.has_blob("one/a", registry.upload("one/a", b""))
    assert registry.mount("two/b", digest, "one/a")
    assert not registry.mount("two/b", WRONG, "one/a")
    assert [True, False] == [registry.has_blob("two/b", one) for one in (digest, DIGEST)]

    parts = {"config": (DIGEST, len(HELLO)), "layer": (digest, len(long))}
    config, layer = ({"mediaType": name, "digest": found, "size": size} for name, (found, size) in parts.items())
    body = json.dumps({"schemaVersion": 2, "mediaType": DOCKER_MANIFEST, "config": config, "layers": [layer]}).encode()
    stored = registry.put_manifest("one/a", "v1", body)
    by_tag, by_digest = (registry.manifest("one/a", reference) for reference in ("v1", stored))
    assert by_tag == by_digest == (stored, DOCKER_MANIFEST, body)
    assert ["v1"] == registry.tags("one/a")
    assert "one/a" in registry.repositories()
    with pytest.raises(
        RegistryError, match=r"asked for .*oci.image.manifest.*, and .*distribution.manifest.v2.json came"
    ):
        registry.manifest("one/a", stored, [OCI_MANIFEST])


def test_the_real_one_refuses(server: RegistryServer) -> None:
    """In its own words: a wrong digest, a manifest whose blobs are missing, names that it does not have."""
    registry = Registry(server.url)
    with pytest.raises(RegistryRefusal, match="400: DIGEST_INVALID: provided digest did not match") as refused:
        registry.upload("wrong/a", HELLO, digest=WRONG)
    assert (400, "DIGEST_INVALID") == (refused.value.status, refused.value.code)
    config = {"mediaType": "c", "digest": WRONG, "size": 1}
    body = json.dumps({"schemaVersion": 2, "mediaType": DOCKER_MANIFEST, "config": config, "layers": []}).encode()
    with pytest.raises(RegistryRefusal, match="400: MANIFEST_BLOB_UNKNOWN"):
        registry.put_manifest("wrong/a", "v1", body)
    with pytest.raises(RegistryRefusal, match="404: NAME_UNKNOWN"):
        registry.tags("wrong/none")
    with pytest.raises(RegistryRefusal, match="404: BLOB_UNKNOWN"):
        registry.blob("wrong/a", WRONG)


def test_it_says_what_was_asked_of_it(server: RegistryServer) -> None:
    """Method, path without its query, status and client, in their order."""
    registry = Registry(server.url)
    seen = len(server.accesses())
    registry.upload("log/a", HELLO)
    registry.has_blob("log/a", WRONG)

    assert wait_until(lambda: len(server.accesses()) == seen + 4, 5)
    asked = [(one.method, one.status, one.client) for one in server.accesses()[seen:]]
    assert [("POST", 202, "labkit"), ("PATCH", 202, "labkit"), ("PUT", 201, "labkit"), ("HEAD", 404, "labkit")] == asked
    assert f"/v2/log/a/blobs/{WRONG}" == server.accesses()[-1].path


def test_it_leaves_nothing() -> None:
    """Neither process nor file, also when it is closed twice."""
    server = start_registry()
    Registry(server.url).upload("a/b", HELLO)
    server.close()
    server.close()

    assert not server.place.exists()
    assert not Path(f"/proc/{server.pid}").exists()


def test_a_port_that_is_taken(server: RegistryServer) -> None:
    """Its own words are told, and nothing is left."""
    with pytest.raises(MachineError, match="docker-registry ended while it started. Its last words: .*in use"):
        start_registry(server.port)


def test_it_is_not_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The cure is told."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MachineError, match="The program docker-registry is missing. Run: apt-get install docker-reg"):
        start_registry()


def test_whoever_started_it_is_killed() -> None:
    """It goes with them, and so do its files."""
    code = """
from time import sleep
from labkit.daemons.registry import start_registry
server = start_registry()
print(server.pid, server.place, flush=True)
sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        pid, place = owner.stdout.readline().split()
        os.kill(owner.pid, signal.SIGKILL)

    assert wait_until(lambda: not Path(place).exists(), 5)
    assert not Path(f"/proc/{pid}/exe").exists()  # a process that has ended has none, also before it is waited for
