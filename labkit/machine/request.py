"""What is asked of a machine, and in which words do its two sides talk?

The request travels with the boot. After that both sides write JSON objects, one a line, on the control line:
a socket for `native`, a serial port for `uml`.

    inside says   {"event": "stage", "stage": "engine", ...}   a stage of the boot has passed
                  {"event": "failed", "detail": ...}           the machine, or its engine, did not come up
                  {"event": "output", "stream": 1, "data": base64}   bytes that the command wrote: 1 stdout, 2 stderr
                  {"event": "taken"}                           the last input was passed on; send more
                  {"event": "exit", "status": 0}               the kernel or the command ended
                  {"event": "progress", "note": text}          what a learner did, for labkit.progress; anybody's words
                  {"event": ..., "terminal": 3, ...}           of a terminal that somebody opened: inside/terminals.py
    outside says  {"order": "input", "data": base64}           bytes for the command; no data means end of input
                  {"order": "resize", "rows": 24, "columns": 80}
                  {"order": "signal", "number": 15}
                  {"order": ..., "terminal": 3, ...}
"""

import json
import os
import socket
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["GUEST_IP", "INPUT_BYTES", "PATHS", "Line", "Request", "read_engine_dir"]

PATHS = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"  # where a machine looks for programs
GUEST_IP = "10.0.2.100"  # what slirp4netns calls its guest
INPUT_BYTES = 1024  # a serial port's input queue holds 4 KiB and drops the rest: one piece of this size at a time
MAX_LINE_BYTES = 1 << 20


def read_engine_dir() -> str:
    """LABKIT_ENGINE as an absolute path; "" where it is not set."""
    named = os.environ.get("LABKIT_ENGINE")
    return os.path.abspath(named) if named else ""


@dataclass(frozen=True, slots=True)
class Request:
    """One machine: which kind, since when (seconds since the epoch), and what is to run in it.

    `connection` is the content of a Jupyter connection file, or else `command` is an argument list; a command
    starts when the engine is ready. `terminal` is (rows, columns), or None for pipes. `engine` is a directory whose
    programs go before the installed ones, or ""; `image_store` is "containerd", "graphdriver", or "" for the
    engine's own choice.
    """

    kind: str
    run_dir: str
    began: float
    cwd: str
    connection: dict[str, Any] | None = None
    command: list[str] = field(default_factory=list)
    terminal: tuple[int, int] | None = None
    memory_mib: int = 512
    proxies: dict[str, str] = field(default_factory=lambda: _read_proxies())  # as in the environment
    engine: str = field(default_factory=read_engine_dir)
    progress: dict[str, Any] | None = None  # what is kept already, as inside/notes.py has it; None: nothing is kept
    image_store: str = field(default_factory=lambda: os.environ.get("LABKIT_IMAGE_STORE", ""))

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "Request":
        return cls(**json.loads(text))

    def ports(self) -> list[int]:
        """The ports of the notebook's kernel, one a channel."""
        return [port for name, port in (self.connection or {}).items() if name.endswith("_port")]

    def needed_paths(self) -> list[Path]:
        """The directories of the host without which nothing runs inside: Python, labkit, the notebooks, the engine."""
        here = Path(__file__).resolve().parents[2]
        paths = {Path(sys.prefix), Path(sys.base_prefix), here, Path(self.cwd)}
        if self.engine:
            paths.add(Path(self.engine))
        return sorted(path.resolve() for path in paths)


class Line:
    """One end of the control line: JSON objects out, JSON objects in, whatever pieces the bytes come in."""

    def __init__(self, end: "socket.socket | int") -> None:
        self._end = end
        self._fd = end if isinstance(end, int) else end.fileno()
        self._rest = b""

    def fileno(self) -> int:
        return self._fd

    def send(self, **message: Any) -> None:
        """Write one message; raises OSError when the other side is gone."""
        left = memoryview(json.dumps(message).encode() + b"\n")
        while left:
            left = left[os.write(self._fd, left) :]

    def receive(self) -> list[dict[str, Any]] | None:
        """Read what is there: a list of whole messages, perhaps empty; None when the other side is gone.

        Bytes that are no message (a kernel's last words on the serial port) are passed over.
        """
        try:
            data = os.read(self._fd, 65536)
        except ConnectionError:
            data = b""
        if not data:
            return None
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > MAX_LINE_BYTES:
            self._rest = b""
        return [message for line in lines if (message := _parse(line)) is not None]


def _read_proxies() -> dict[str, str]:
    """The host's way to the internet, where it has one; what is inside the machine does not go by it."""
    names = ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY")
    found = {name: os.environ[name] for name in names if os.environ.get(name)}
    inside = ",".join(filter(None, ["localhost,127.0.0.1,::1", os.environ.get("no_proxy")]))
    return found | {"no_proxy": inside, "NO_PROXY": inside} if found else {}


def _parse(line: bytes) -> dict[str, Any] | None:
    try:
        message = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return message if isinstance(message, dict) else None
