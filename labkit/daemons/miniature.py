"""How does one have a function answer HTTP requests on a socket file, as a daemon does?

with Miniature("/run/small.sock", lambda method, path: (200, "hello\n")):
    sh("curl -s --unix-socket /run/small.sock http://localhost/hello")
"""

from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingUnixStreamServer
from threading import Thread
from typing import Self

__all__ = ["Answer", "Miniature"]

Answer = Callable[[str, str], tuple[int, str]]  # method and path in, status and body out


class Miniature:
    """A server in a thread of this process, on a socket file, until it is closed; a file that lies there is replaced.

    Raises OSError where the socket cannot be made. An error in `answer` becomes the status 500, with its words.
    """

    def __init__(self, path: str | Path, answer: Answer) -> None:
        self._path = Path(path)
        self._path.unlink(missing_ok=True)
        self._server = ThreadingUnixStreamServer(str(path), _handler(answer))
        self._server.daemon_threads = True
        self._thread = Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop answering, and remove the socket file; more than once does no harm."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        self._path.unlink(missing_ok=True)

    stop = close  # a lesson keeps it as it keeps a view

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _handler(answer: Answer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def handle_one_request(self) -> None:
            with suppress(ConnectionError):  # who asked is gone
                super().handle_one_request()

        def _answer(self) -> None:
            try:
                status, body = answer(self.command, self.path)
            except Exception as error:  # it is the learner's function
                status, body = 500, f"{type(error).__name__}: {error}\n"
            content = body.encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_DELETE = _answer

        def log_message(self, *_: object) -> None:
            """Nothing: the lesson shows what was answered."""

        def address_string(self) -> str:
            return "socket"

    return Handler
