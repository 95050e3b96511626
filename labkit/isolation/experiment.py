"""What does the process of one experiment do, from its fork to its end?

It reads a line of JSON: a cell's text, or a function's name and arguments. It does that, alone: one thread, a session
of its own. It answers with a line of JSON, a value or an error in words. An experiment may fork, and its children may
come to the end of the cell's text, too: they end there, and only the first process answers.
"""

import json
import linecache
import os
import signal
import socket
import sys
import traceback
from contextlib import suppress
from importlib import import_module
from mmap import MAP_ANONYMOUS, MAP_PRIVATE, mmap
from pathlib import Path
from typing import Any, NoReturn

from labkit.isolation.parcels import pack, unpack
from labkit.linux.syscalls import die_with_parent

__all__ = ["live"]

MADV_WIPEONFORK = 18  # <linux/mman.h>
NAME = "alone"  # in lists of processes
CELL = "<cell>"
NOTEBOOK = "<notebook>"  # functions that other cells have made


def live(parent: int, channel: socket.socket, standard: list[int]) -> NoReturn:
    """The life of a child: read what is asked on the channel, do it, answer there, end."""
    first = _FirstOnly()
    status = 1
    try:
        _become_experiment(parent, channel, standard)
        _say(channel, {"pid": os.getpid()})
        answer = _do(json.loads(_read_line(channel)))
        if first:
            _say(channel, answer)
        elif "error" in answer:  # a child that the experiment has forked, and that came to the end of its text
            print(f"a child ended with {answer['error']['kind']}: {answer['error']['text']}", file=sys.stderr)
        status = 1 if "error" in answer else 0
    except SystemExit as error:
        status = _read_status(error)
    except BaseException:
        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
        os._exit(status)


class _FirstOnly:
    """Is this the process that the resident has forked? False in what that one forks, by whichever system call."""

    def __init__(self) -> None:
        self._page = mmap(-1, 4096, flags=MAP_PRIVATE | MAP_ANONYMOUS)
        self._page.madvise(MADV_WIPEONFORK)
        self._page[0] = 1

    def __bool__(self) -> bool:
        return self._page[0] == 1


def _become_experiment(parent: int, channel: socket.socket, standard: list[int]) -> None:
    """A session of its own, Python's usual signals, and no descriptor but the channel and the standard ones."""
    die_with_parent(parent, signal.SIGKILL)
    Path("/proc/self/comm").write_text(NAME)
    os.setsid()
    for number, action in (
        (signal.SIGTERM, signal.SIG_DFL),
        (signal.SIGINT, signal.default_int_handler),
        (signal.SIGPIPE, signal.SIG_DFL),
    ):
        signal.signal(number, action)
    for target, descriptor in enumerate(standard):
        os.dup2(descriptor, target)
    os.closerange(3, channel.fileno())
    os.closerange(channel.fileno() + 1, 1 << 16)
    sys.stdin = open(0, closefd=False)
    # A line at a time, so that a child that is forked by a system call of its own has nothing to print twice.
    sys.stdout = open(1, "w", buffering=1, encoding="utf-8", errors="replace", closefd=False)
    sys.stderr = open(2, "w", buffering=1, encoding="utf-8", errors="replace", closefd=False)


def _do(asked: dict[str, Any]) -> dict[str, Any]:
    """Do what is asked, and give its value or its error, as JSON can carry it."""
    try:
        if "text" in asked:
            value = _run_source(asked)
        else:
            module, _, name = asked["target"].partition(":")
            function: Any = import_module(module)
            for part in name.split("."):
                function = getattr(function, part)
            value = _pack(asked["target"], function(*map(unpack, asked["args"])))
    except SystemExit:
        raise
    except BaseException as error:
        return {"error": _describe(error)}
    return {"value": value}


def _run_source(asked: dict[str, Any]) -> dict[str, Any]:
    """Run a cell's text in a namespace that holds what its notebook gave along; give the values that are wanted."""
    names: dict[str, Any] = {"__name__": "__main__", **unpack(asked["values"])}
    for name, (module, attribute) in asked["imports"].items():
        found: Any = import_module(module)
        names[name] = getattr(found, attribute) if attribute else found
    for text in asked["functions"]:
        exec(compile(text, NOTEBOOK, "exec"), names)
    linecache.cache[CELL] = (0, None, asked["text"].splitlines(keepends=True), CELL)
    exec(compile(asked["text"], CELL, "exec"), names)
    return {name: _pack(name, names[name]) for name in asked["wanted"] if name in names}


def _pack(name: str, value: object) -> Any:
    try:
        return pack(value)
    except TypeError as error:
        raise TypeError(f"{name} cannot leave its process: {error}") from None


def _read_status(error: SystemExit) -> int:
    if error.code is None or isinstance(error.code, int):
        return error.code or 0
    print(error.code, file=sys.stderr)
    return 1


def _describe(error: BaseException) -> dict[str, Any]:
    """An error in words: its kind, and where it was, from the experiment's own frames."""
    number = error.errno if isinstance(error, OSError) else None
    ours = [one for one in traceback.extract_tb(error.__traceback__) if one.filename != __file__]
    in_cell = [one for one in ours if one.filename == CELL]
    before = [one for one in ours if not one.filename.endswith("labkit/linux/syscalls.py")]
    at = (in_cell or before)[-1:]
    return {
        "kind": type(error).__name__,
        "name": error.name if isinstance(error, NameError) else None,
        "text": str(error),
        "errno": number,
        "strerror": error.strerror if isinstance(error, OSError) else None,
        "filename": str(error.filename) if isinstance(error, OSError) and error.filename is not None else None,
        "line": at[0].lineno if at else 0,
        "attempted": at[0].line if at else "",
        "traceback": "".join(traceback.format_list(ours)),
    }


def _read_line(channel: socket.socket) -> bytes:
    text = bytearray()
    while not text.endswith(b"\n"):
        data = channel.recv(1 << 16)
        if not data:
            raise EOFError("the kernel asks nothing any more")
        text += data
    return bytes(text)


def _say(channel: socket.socket, words: dict[str, Any]) -> None:
    channel.sendall(json.dumps(words).encode() + b"\n")
