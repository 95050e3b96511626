"""Are the parts of what was said told apart, and is what others may say, too, found?"""

import pytest

from labkit.show.said import Piece, read_pieces, shared_values

EXCHANGE = """POST /v1.41/containers/create?name=x HTTP/1.1
Host: docker
Content-Type: application/json
Content-Length: 20

{
  "Image": "busybox", "Tty": false
}

HTTP/1.1 201 Created
Api-Version: 1.41
Content-Type: application/json

{"Id": "f00d", "Warnings": []}"""


def kinds(text: str) -> list[str]:
    return [piece.kind for piece in read_pieces(text)]


def test_an_exchange() -> None:
    """Both heads, what matters of their headers, what does not, and both bodies are told apart; JSON is indented."""
    pieces = read_pieces(EXCHANGE)

    assert ["request", "header", "headers", "body", "status", "header", "headers", "body"] == [
        one.kind for one in pieces
    ]
    assert Piece("headers", "Host: docker\nContent-Length: 20") == pieces[2]
    assert Piece("body", '{\n  "Id": "f00d",\n  "Warnings": []\n}') == pieces[-1]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$ docker images\nREPOSITORY   TAG", ["command", "output"]),
        ("$ docker inspect x\n[]", ["command", "output"]),
        ("$ curl -s x:1/info\n{}", ["command", "body"]),
        ("$ curl -s -w '%{http_code}' x:1/a\n204", ["command", "status"]),
        ("$ curl -s -w '%{http_code}' x:1/a\n{}404", ["command", "body", "status"]),
        ("$ curl -s x:1/logs\nthe answer is 200", ["command", "body"]),
        ("$ curl -i x:1/info\nHTTP/1.1 200 OK\nServer: x\n\n{}", ["command", "status", "headers", "body"]),
        ("$ curl x:1/logs | od -c\n0000000 001  \\0\n0000010", ["command", "rows"]),
        (
            "GET /a HTTP/1.1\nHost: x\n\nHTTP/1.1 200 OK\n\n0000  01 00 6f     ..o",
            ["request", "headers", "status", "rows"],
        ),
        ("GET /a HTTP/1.1\nHost: x", ["request", "headers"]),  # no answer came
        ("[<Image: 'busybox'>]", ["output"]),
        ("$ true", ["command"]),
        ("", []),
    ],
)
def test_other_ways_to_say_it(text: str, expected: list[str]) -> None:
    """Whoever says it, the parts are those that a reader sees; only what curl prints is the engine's body."""
    assert expected == kinds(text)


def test_nothing_is_lost() -> None:
    """What is printed in several values, or is no JSON, stays as it is."""
    for body in ('{"a": 1}\n{"b": 2}', "[1, 2", "  indented\n\n  text", "0000  no row\nat all"):
        assert Piece("body", body) == read_pieces(f"$ curl x:1\n{body}")[-1]


def test_what_a_request_carries_is_found() -> None:
    """The texts in a sent body may stand in a docker line, too; names of fields, numbers and answers may not."""
    assert {"busybox"} == shared_values(read_pieces(EXCHANGE))
    assert {"cybertan"} == shared_values(
        read_pieces("""$ curl -d '{"Hostname": "cybertan", "Tty": 1}' x:1/a\n{"Id": "abc"}""")
    )


def test_the_message_of_an_error_is_found() -> None:
    """The words of the daemon are its own, whoever prints them."""
    assert {"No such container"} == shared_values(read_pieces('$ curl x:1/a\n{"message": "No such container"}'))


@pytest.mark.parametrize("body", ["{", "[" * 100_000, '{"a": "ab"}', '{"a": "a\\u0000bc"}', "null"])
def test_what_cannot_be_looked_for_is_not(body: str) -> None:
    """Broken JSON, what is too deep, too short, or cannot be shown, is no shared value."""
    assert set() == shared_values(read_pieces(f"$ curl -d '{body}' x:1/a"))
