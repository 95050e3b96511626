"""What does the notebook's side see of an experiment that runs, and how does it end one?

running = helper.start("module:function", args)
running.wait()        its Outcome: value, outputs, exit status; or the error that it ended with
running.end()         with all that it has started

At the other side of the channel is `labkit.isolation.experiment`, and `labkit.isolation.resident` when that has ended.
"""

import json
import os
import selectors
import signal
import socket
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from labkit.errors import ExperimentError
from labkit.isolation.parcels import unpack

__all__ = ["PATIENCE_S", "Hear", "Outcome", "Running"]

PATIENCE_S = 60.0
GRACE_S = 0.5  # for an experiment that was interrupted, before it is killed
KEPT_BYTES = 16 << 20  # of what an experiment writes and answers
READ_BYTES = 1 << 16

Hear = Callable[[str, bytes], object]  # "out" or "err", and what was written


class Outcome(NamedTuple):
    """How an experiment ended: its value, its outputs, and its exit status (minus the number of a signal).

    `value` is None, too, where the experiment has become another program (execve) or was killed.
    """

    value: Any
    out: bytes
    err: bytes
    status: int


@dataclass
class Running:
    """An experiment that runs. `pid` is its number as this process sees it."""

    pid: int
    _channel: socket.socket
    _pipes: dict[int, str]  # what this side reads: a descriptor, and "out" or "err"
    _hear: Hear | None = None
    _heard: bytearray = field(default_factory=bytearray)  # on the channel, not yet a line
    _outputs: dict[str, bytearray] = field(default_factory=lambda: {"out": bytearray(), "err": bytearray()})
    _answer: dict[str, Any] = field(default_factory=dict)
    _status: int | None = None
    _outcome: Outcome | None = None

    def wait_for_pid(self) -> None:
        """Wait until the experiment's process has said its number. Raises ExperimentError when there will be none."""
        while self.pid == 0 and self._status is None:
            self._listen()

    def wait(self, timeout_s: float | None = PATIENCE_S) -> Outcome:
        """Wait until it has ended; None waits for ever.

        Raises OSError when it ended with one, with the kernel's errno, and as `filename` what it has attempted.
        Raises ExperimentError when it ended with another error, was not over in time, or wrote more than 16 MiB; then,
        and when the cell is interrupted, it is ended with all that it has started.
        """
        if self._outcome is None:
            try:
                self._follow(timeout_s)
            except BaseException as error:
                self.end(interrupt=isinstance(error, KeyboardInterrupt))
                raise
            self._let_go()
            out, err = (bytes(self._outputs[name]) for name in ("out", "err"))
            self._outcome = Outcome(_unpack(self._answer.get("value")), out, err, self._status or 0)
        if "error" in self._answer:
            raise _as_error(self._answer["error"])
        return self._outcome

    def end(self, *, interrupt: bool = False) -> None:
        """End it with all that it has started; with `interrupt`, Ctrl-C comes first. More than once does no harm."""
        if self._status is None and interrupt:
            with suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGINT)
            with suppress(ExperimentError, OSError):
                self._follow(GRACE_S)
        if self._status is None:
            with suppress(OSError):
                self._channel.shutdown(socket.SHUT_WR)  # the resident kills it, and tells that it has ended
            with suppress(ExperimentError, OSError):
                self._follow(GRACE_S)
        self._let_go()

    def _let_go(self) -> None:
        self._channel.close()
        for pipe in self._pipes:
            os.close(pipe)
        self._pipes.clear()

    def _follow(self, timeout_s: float | None) -> None:
        """Read what it writes and answers until it has ended."""
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        with selectors.DefaultSelector() as selector:
            selector.register(self._channel, selectors.EVENT_READ)
            for pipe in self._pipes:
                selector.register(pipe, selectors.EVENT_READ)
            while self._status is None:
                left_s = None if deadline is None else deadline - time.monotonic()
                if left_s is not None and left_s <= 0:
                    raise ExperimentError(f"The experiment had not ended after {timeout_s:g} s, and was ended.")
                for key, _ in selector.select(left_s):
                    if key.fileobj is self._channel:
                        self._listen()
                    elif not self._take(key.fd):
                        selector.unregister(key.fd)
        for pipe in list(self._pipes):  # what was written last
            while self._take(pipe):
                pass

    def _take(self, pipe: int) -> bool:
        """Keep what is there of an output, and pass it on; False: nothing is there, or it has ended."""
        try:
            data = os.read(pipe, READ_BYTES)
        except BlockingIOError:
            return False
        name = self._pipes[pipe]
        self._outputs[name] += data
        if data and self._hear is not None:
            self._hear(name, data)
        self._limit(sum(map(len, self._outputs.values())))
        return bool(data)

    def _listen(self) -> None:
        """Read lines of the channel: the pid, the answer, how it ended."""
        data = b""
        with suppress(ConnectionResetError):  # it was killed before it had read what it was told
            data = self._channel.recv(READ_BYTES)
        if not data:
            raise ExperimentError(
                "The helper process ended while the experiment ran. Run the cell again: a new helper is started."
            )
        self._heard += data
        self._limit(len(self._heard))
        *lines, rest = self._heard.split(b"\n")
        self._heard = rest
        for line in filter(None, lines):
            said = _read_words(bytes(line))
            self.pid = self.pid or said.get("pid", 0)  # the first line is ours; what comes later may be anybody's
            self._status = said.pop("ended", self._status)
            self._answer.update({key: said[key] for key in ("value", "error") if key in said})

    def _limit(self, size: int) -> None:
        if size > KEPT_BYTES:
            raise ExperimentError(f"The experiment wrote more than {KEPT_BYTES >> 20} MiB, and was ended.")


def _read_words(line: bytes) -> dict[str, Any]:
    """What a line of the channel says; nothing where it is none, as of an experiment that was killed while it wrote."""
    try:
        said = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(said, dict):
        return {}
    kinds = {"pid": int, "ended": int, "error": dict, "value": object}
    return {key: said[key] for key, kind in kinds.items() if key in said and isinstance(said[key], kind)}


def _unpack(parcel: object) -> Any:
    try:
        return unpack(parcel)
    except (ValueError, TypeError) as error:
        raise ExperimentError(f"The experiment has answered with no value: {error}") from error


def _as_error(told: Mapping[str, Any]) -> Exception:
    """What an experiment ended with: OSError as the kernel has refused it, anything else in words."""
    kind, text, attempted = (str(told.get(key) or "") for key in ("kind", "text", "attempted"))
    error: Exception
    if isinstance(number := told.get("errno"), int):
        error = OSError(number, told.get("strerror"), told.get("filename") or attempted)
    elif kind == "NameError":
        error = NameError(text, name=told.get("name"))
    elif kind == "AssertionError":
        error = AssertionError(text)
    else:
        where = f" (line {told.get('line')}: {attempted})" if attempted else ""
        error = ExperimentError(f"The experiment ended with {kind}: {text}{where}")
    error.add_note(str(told.get("traceback", "")))
    return error
