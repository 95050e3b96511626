"""A scripted engine answers on a Unix socket: for each connection a list of replies, one after each request."""

import socket
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

HOLD = b""  # after this reply the connection stays open until the client closes it
OK = b"HTTP/1.1 200 OK\r\n"
EMPTY = OK + b"Content-Length: 0\r\n\r\n"

Reply = bytes | Callable[[socket.socket], None]


class FakeEngine:
    """Play the scripts, one for each connection in turn; `requests` holds what came, by connection."""

    def __init__(self, path: Path, scripts: tuple[list[Reply], ...]) -> None:
        self.host = f"unix://{path}"
        self.requests: list[tuple[int, bytes]] = []
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(path))
        self._listener.listen()
        self._open: socket.socket | None = None
        self._thread = threading.Thread(target=self._play, args=(scripts,))
        self._thread.start()

    @property
    def lines(self) -> list[tuple[int, str]]:
        return [(number, raw.partition(b" HTTP")[0].decode()) for number, raw in self.requests]

    def stop(self) -> None:
        for each in (self._listener, self._open):
            if each is not None:
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()

    def _play(self, scripts: tuple[list[Reply], ...]) -> None:
        with suppress(OSError):  # stop() or the client ended the conversation
            for number, script in enumerate(scripts):
                self._open, _ = self._listener.accept()
                with self._open as connection, suppress(OSError):
                    self._converse(number, connection, script)

    def _converse(self, number: int, connection: socket.socket, script: list[Reply]) -> None:
        for reply in script:
            if reply == HOLD:
                while connection.recv(65536):
                    pass
            elif request := read_request(connection):
                self.requests.append((number, request))
                reply(connection) if callable(reply) else connection.sendall(reply)


def read_request(connection: socket.socket) -> bytes:
    raw = b""
    while b"\r\n\r\n" not in raw:
        if not (data := connection.recv(65536)):
            return b""
        raw += data
    head, _, body = raw.partition(b"\r\n\r\n")
    _, _, length = head.partition(b"Content-Length: ")
    missing = int(length.split(b"\r\n")[0] or 0) - len(body)
    while missing > 0:
        raw += (data := connection.recv(65536))
        missing -= len(data)
    return raw


def stop_all(fakes: Iterable[FakeEngine]) -> None:
    for fake in fakes:
        fake.stop()


def stall(connection: socket.socket) -> None:
    connection.recv(65536)
