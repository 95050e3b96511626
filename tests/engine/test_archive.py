"""Is a file's description read as it is, and anything else refused?"""

from base64 import b64encode
from json import dumps

import pytest

from labkit.api.http import Answer
from labkit.api.path_stat import path_stat
from labkit.errors import EngineProtocolError

STAT = {"name": "note", "size": 3, "mode": 420, "mtime": "2026-01-01T00:00:00Z", "linkTarget": ""}


def answer_with(text: str) -> Answer:
    return Answer(200, "OK", {"x-docker-container-path-stat": text}, b"", b"")


def encode(value: object) -> str:
    return b64encode(dumps(value).encode()).decode()


def test_a_description() -> None:
    """It comes out as the engine put it in."""
    assert STAT == path_stat(answer_with(encode(STAT)))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("!", "not JSON under base64"),
        ("", "not JSON under base64"),
        (b64encode(b"[" * 40_000).decode(), "not JSON under base64"),
        (b64encode(b"\xff{}").decode(), "not JSON under base64"),
        (encode([STAT]), "not a file's description"),
        (encode(STAT | {"size": "3"}), "not a file's description"),
        (encode(STAT | {"size": True}), "not a file's description"),
        (encode({"name": "note"}), "not a file's description"),
    ],
)
def test_what_is_none(text: str, words: str) -> None:
    """A header that is something else is refused, and shown."""
    with pytest.raises(EngineProtocolError, match=words):
        path_stat(answer_with(text))


def test_no_description() -> None:
    """Only HEAD and GET send one."""
    with pytest.raises(EngineProtocolError, match="no header X-Docker-Container-Path-Stat: only HEAD and GET"):
        path_stat(Answer(200, "OK", {}, b"", b""))
