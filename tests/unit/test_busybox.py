"""What does a machine say when the engine does not take its image?"""

import socket
import threading
from contextlib import nullcontext
from pathlib import Path

import pytest

from labkit.errors import MachineError
from labkit.machine.inside import busybox


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b'HTTP/1.0 200 OK\r\n\r\n{"status":"sha256:0"}\r\n', None),
        (b'HTTP/1.0 200 OK\r\n\r\n{"status":"a"}\r\n{"error":"no space left"}\r\n', "busybox: no space left$"),
        (b'HTTP/1.0 500 Internal Server Error\r\n\r\n{"message":"no driver"}\n', "busybox: no driver$"),
        (b"HTTP/1.0 403 Forbidden\r\n\r\n", "busybox: HTTP/1.0 403 Forbidden$"),
        (b"", "busybox: $"),
    ],
)
def test_the_engines_own_words_are_told(
    answer: bytes, words: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An image that is taken is taken quietly; else the error says why, in the words of the engine."""
    monkeypatch.setattr(busybox, "build_layer", lambda: b"layer")
    heard: list[bytes] = []

    def serve() -> None:
        end, _ = listener.accept()
        with end:
            request = b""
            while not request.endswith(b"layer"):
                request += end.recv(4096)
            heard.append(request)
            end.sendall(answer)

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{tmp_path}/s")
        listener.listen()
        thread = threading.Thread(target=serve)
        thread.start()
        refused = nullcontext() if words is None else pytest.raises(MachineError, match=words)
        with refused:
            busybox.import_busybox(tmp_path / "s")
        thread.join()

    assert heard[0].startswith(b"POST /images/create?fromSrc=-&repo=busybox&tag=latest&")
