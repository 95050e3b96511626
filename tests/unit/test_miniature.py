"""Does a function answer requests on a socket file, until it is closed?"""

import socket
from pathlib import Path

import pytest

from labkit.daemons.miniature import Miniature


def ask(path: Path, line: str) -> str:
    """Send one request line and read the whole answer."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(5)
        client.connect(str(path))
        client.sendall(f"{line} HTTP/1.0\r\n\r\n".encode())
        return client.makefile("rb").read().decode()


def test_the_function_answers(tmp_path: Path) -> None:
    """With the method and the path of the request."""
    with Miniature(tmp_path / "s", lambda method, path: (201, f"{method} of {path}")):
        said = ask(tmp_path / "s", "POST /things")

    assert said.startswith("HTTP/1.0 201 Created") and said.endswith("POST of /things")


def test_an_error_becomes_an_answer(tmp_path: Path) -> None:
    """With its words, as the learner's function may have one."""

    def answer(_method: str, _path: str) -> tuple[int, str]:
        raise KeyError("no job")

    with Miniature(tmp_path / "s", answer):
        assert "500" in ask(tmp_path / "s", "GET /") and "no job" in ask(tmp_path / "s", "GET /")


def test_nothing_is_left(tmp_path: Path) -> None:
    """The file is gone, and closing again does no harm; what lay there is replaced."""
    (tmp_path / "s").write_text("old")
    small = Miniature(tmp_path / "s", lambda _method, _path: (200, ""))
    small.close()
    small.close()

    assert list(tmp_path.iterdir()) == []
    with pytest.raises(FileNotFoundError):
        ask(tmp_path / "s", "GET /")
