"""How does labkit, or a cell, do in a process of its own what the notebook's kernel cannot or should not do?

call("labkit.isolation.namespaces:join", [pid])     a function, in a process that ends with it; gives its Outcome
run_source(Source("print(1)"))                      a cell's text in such a process
start("module:function", args, stdout=fd)           one that goes on: .pid, .wait(), .end()

A kernel has a dozen threads: unshare(CLONE_NEWUSER) and setns into mounts are refused there, and what succeeds moves
the kernel itself. So one small process of one thread is started at the first use (`labkit.isolation.resident`); it
forks for each experiment, in a millisecond or so. It ends with the kernel, and experiments with it.
"""

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import Any, NamedTuple

from labkit.errors import ExperimentError
from labkit.isolation.parcels import pack
from labkit.isolation.running import PATIENCE_S, Hear, Outcome, Running

__all__ = ["Source", "call", "close", "pid", "run_source", "start"]

CLOSING_PATIENCE_S = 2.0
PROGRAM = "import sys; sys.path[:] = {path!r}; from labkit.isolation.resident import main; main({fd}, {parent})"


class Source(NamedTuple):
    """A cell's text, and what it needs of its notebook: simple values, what to import, functions as text.

    `imports` gives for a name its module and the attribute there, "" for the module itself; `wanted` are the names
    whose values come back.
    """

    text: str
    values: Mapping[str, Any] = {}
    imports: Mapping[str, Sequence[str]] = {}
    functions: Sequence[str] = ()
    wanted: Sequence[str] = ()


@dataclass
class _Helper:
    """The resident process, and the socket to it; `owner` is the process that started it."""

    process: "subprocess.Popen[bytes]"
    requests: socket.socket
    owner: int


_helper: _Helper | None = None
_lock = threading.Lock()


def call(target: str, args: Sequence[Any] = (), *, timeout_s: float | None = PATIENCE_S, **streams: int) -> Outcome:
    """Call the function `target` ("module:function") in a process of its own, and wait for its end.

    Arguments and value are what `labkit.isolation.parcels` can carry. `streams` are as of `start`.
    Raises as `Running.wait`.
    """
    return start(target, args, **streams).wait(timeout_s)


def run_source(source: Source, hear: Hear | None = None, *, timeout_s: float | None = PATIENCE_S) -> Outcome:
    """Run a cell's text in a process of its own; `value` has what it gives back, by name. Raises as `Running.wait`.

    `hear` is called with each piece that it writes, as it comes.
    """
    return _begin({**source._asdict(), "values": pack(dict(source.values))}, hear, {}).wait(timeout_s)


def start(target: str, args: Sequence[Any] = (), **streams: int) -> Running:
    """Start the function `target` in a process of its own, which goes on until it returns, or is ended.

    `streams` are descriptors for `stdin`, `stdout` and `stderr`. An output that is not given is kept for
    `Running.wait`; the input is /dev/null. Raises TypeError for arguments that cannot travel, ExperimentError when
    there is no helper to be had.
    """
    return _begin({"target": target, "args": [pack(one) for one in args]}, None, streams)


def pid() -> int:
    """The number of the helper process, which is started where there is none."""
    with _lock:
        return _require().process.pid


def close() -> None:
    """End the helper and all experiments. The next experiment starts a new one."""
    global _helper
    with _lock:
        if _helper is not None and _helper.owner == os.getpid():
            _helper.requests.close()
            with suppress(subprocess.TimeoutExpired):
                _helper.process.wait(CLOSING_PATIENCE_S)
            _helper.process.kill()
            _helper.process.wait()
        _helper = None


def _begin(words: Mapping[str, Any], hear: Hear | None, streams: Mapping[str, int]) -> Running:
    text = json.dumps(words).encode() + b"\n"
    if unknown := streams.keys() - {"stdin", "stdout", "stderr"}:
        raise TypeError(f"streams are stdin, stdout and stderr, and not {', '.join(sorted(unknown))}")
    with ExitStack() as passed, ExitStack() as kept:
        ours, theirs = socket.socketpair()
        kept.callback(ours.close)
        passed.callback(theirs.close)
        pipes: dict[int, str] = {}
        descriptors = [theirs.fileno()]
        if (stdin := streams.get("stdin")) is None:
            stdin = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
            passed.callback(os.close, stdin)
        descriptors.append(stdin)
        for stream, name in (("stdout", "out"), ("stderr", "err")):
            if (descriptor := streams.get(stream)) is None:
                reading, descriptor = os.pipe()
                os.set_blocking(reading, False)
                pipes[reading] = name
                kept.callback(os.close, reading)
                passed.callback(os.close, descriptor)
            descriptors.append(descriptor)
        _ask(descriptors)
        running = Running(0, ours, pipes, hear)
        passed.close()
        with suppress(BrokenPipeError, ConnectionResetError):  # the helper has died, which is told next
            ours.sendall(text)
        running.wait_for_pid()
        kept.pop_all()
        return running


def _ask(descriptors: list[int]) -> None:
    """Hand an experiment's descriptors to the helper; one that has died is started again."""
    with _lock:
        try:
            socket.send_fds(_require().requests, [b"+"], descriptors)
        except OSError:
            socket.send_fds(_require(anew=True).requests, [b"+"], descriptors)


def _require(*, anew: bool = False) -> _Helper:
    """The helper of this process; started where there is none yet, and with a sentence where it has died."""
    global _helper
    if _helper is not None and _helper.owner == os.getpid():
        if not anew and _helper.process.poll() is None:
            return _helper
        _helper.requests.close()
        _helper.process.kill()
        _helper.process.wait()
        print("The helper process for experiments had ended. A new one is started.")
    _helper = _start_helper()
    return _helper


def _start_helper() -> _Helper:
    ours, theirs = socket.socketpair()
    try:
        program = PROGRAM.format(path=[one or os.getcwd() for one in sys.path], fd=theirs.fileno(), parent=os.getpid())
        process = subprocess.Popen(
            [sys.executable, "-S", "-P", "-c", program],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
            start_new_session=True,
        )
    except OSError as error:
        ours.close()
        raise ExperimentError(f"No helper process can be started for experiments: {error}") from error
    finally:
        theirs.close()
    return _Helper(process, ours, os.getpid())
