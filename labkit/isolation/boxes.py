"""How does a notebook run containers by hand, though its kernel has many threads?

    run("busybox", ["echo", "hello"]).stdout            to its end, in a process of its own
    box = start("busybox", ["sleep", "600"])            box.pid, box.name, box.steps
    box.execute(["ps"]).stdout, box.logs(), box.stop()
    box.close()                                         kills it if it still runs, and forgets it

Both call labkit.isolation.container in the helper process. A box has a keeper there: a process that has started it and
does what is asked, one line of JSON after another. The container ends with its keeper, and both with the notebook.
`image` is an image's name, or a directory or an archive, as a Path. What may be said of the container is in
labkit.isolation.spec: `limits={"memory_bytes": 2**26}`, `user="nobody"`, `hostname`, `cwd`, `env`, `name`, and others.
"""

import base64
import json
import socket
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from labkit.errors import ContainerError
from labkit.isolation import helper
from labkit.isolation.handle import STOP_PATIENCE_S, Finished, Step
from labkit.isolation.streams import pack

__all__ = ["Box", "run", "start"]

PATIENCE_S = 600.0


def run(image: str | Path, args: Sequence[str] = (), *, stdin: bytes = b"", **options: Any) -> Finished:
    """Run a container to its end. Raises ContainerError with the step and the kernel's words when it does not start."""
    words = [str(image), isinstance(image, Path), list(args), pack(stdin), options]
    return _finished(helper.call("labkit.isolation.keeper:run_here", words, timeout_s=PATIENCE_S).value)


def start(image: str | Path, args: Sequence[str] = (), *, stdin: bytes = b"", **options: Any) -> "Box":
    """Start a container; return as soon as its program is executed. Raises as `run`."""
    return Box([str(image), isinstance(image, Path), list(args), pack(stdin), options])


class Box:
    """A container that was started, as a notebook sees it: its `name`, the `pid` of its first process, its `steps`."""

    def __init__(self, words: list[Any]) -> None:
        self._line, theirs = socket.socketpair()
        with theirs:
            streams = {"stdin": theirs.fileno(), "stdout": theirs.fileno()}
            self._keeper = helper.start("labkit.isolation.keeper:keep", words, **streams)
        self._answers = self._line.makefile("rb")
        try:
            about = self._hear()
        except BaseException:
            self.close()
            raise
        self.name: str = about["name"]
        self.pid: int = about["pid"]
        self.steps = tuple(Step(name, seconds) for name, seconds in about["steps"])

    def execute(self, args: Sequence[str], *, stdin: bytes = b"", **options: Any) -> Finished:
        """Run one more program in it, to its end: labkit.isolation.join."""
        return _finished(self._ask("execute", list(args), pack(stdin), options))

    def logs(self) -> tuple[bytes, bytes]:
        """What the program has written so far: stdout, stderr."""
        out, err = map(base64.b64decode, self._ask("logs")["logs"])
        return out, err

    def is_running(self) -> bool:
        """Has its first process not ended yet?"""
        return bool(self._ask("is_running")["is_running"])

    def stop(self, timeout_s: float = STOP_PATIENCE_S) -> int:
        """Send SIGTERM, and SIGKILL if it has not ended after that time; give its status."""
        return int(self._ask("stop", timeout_s)["status"])

    def close(self) -> None:
        """Kill it if it still runs, and forget it. More than once does no harm."""
        self._answers.close()
        self._line.close()  # the keeper hears it, removes the container, and ends
        self._keeper.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _ask(self, *words: Any) -> dict[str, Any]:
        try:
            self._line.sendall(json.dumps(words).encode() + b"\n")
            return self._hear()
        except (OSError, ValueError) as error:  # ValueError: it was closed
            raise ContainerError("This container was closed: start another one.") from error

    def _hear(self) -> dict[str, Any]:
        line = self._answers.readline()
        if not line:
            raise ContainerError("The process that kept this container has ended.")
        return _unless_error(json.loads(line))


def _finished(words: dict[str, Any]) -> Finished:
    found = _unless_error(words)
    streams = {name: base64.b64decode(found[name]) for name in ("stdout", "stderr")}
    steps = tuple(Step(name, seconds) for name, seconds in found["steps"])
    return Finished(**(found | streams | {"steps": steps}))


def _unless_error(words: dict[str, Any]) -> dict[str, Any]:
    if "error" in words:
        raise ContainerError(words["error"])
    return words
