"""What does `labkit layers` say of many archives, one after the other, in a process that may have little memory?

    python -m tests.hostile.ask BYTES < JSON list of [file, option ...]   ->   JSON list of answers

One process for all of them costs the start of Python once. Each answer says what the command wrote, how long it took,
how much memory it had at most, and which files it opened to write, programs it started and hosts it called.
"""

import io
import json
import os
import resource
import signal
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from labkit.cli import main

__all__ = ["Answer", "PATIENCE_S"]

PATIENCE_S = 20
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
DEEDS = ("os.", "shutil.", "subprocess.", "socket.", "tempfile.", "pty.")
HARMLESS = {"os.listdir", "os.scandir", "os.fwalk", "os.walk", "os.getxattr", "os.listxattr", "socket.gethostname"}


class Answer(NamedTuple):
    """What one run of the command did."""

    status: int
    out: str
    error: str  # what came to stderr, a traceback too
    seconds: float
    grown_bytes: int  # the most memory that it had, without what the process had before
    deeds: list[str]  # what it wrote, ran or called
    read: list[str]  # what it opened


class Late(BaseException):
    """The command did not end in time; no `except Exception` may swallow it."""


def ask(arguments: list[str]) -> Answer:
    """Run `labkit layers` with these arguments in this process, and watch it."""
    written = io.BytesIO(), io.BytesIO()
    out, error = (io.TextIOWrapper(each, "utf-8", errors="strict", write_through=True) for each in written)
    before, start = rss("VmRSS"), time.monotonic()
    with suppress(OSError):  # a kernel without clear_refs gives the most of the whole process
        Path("/proc/self/clear_refs").write_text("5")
    seen.clear()
    sys.stdout, sys.stderr = out, error
    try:
        with deadline():
            status = main(["layers", *arguments])
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 1
    except BaseException:
        traceback.print_exc()
        status = -1
    finally:
        sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__
    deeds = [f"{event} {details}" for event, details in seen if event != "read"]
    read = [details for event, details in seen if event == "read"]
    said, cried = (each.getvalue().decode() for each in written)
    return Answer(status, said, cried, time.monotonic() - start, max(0, rss("VmHWM") - before), deeds, read)


def rss(word: str) -> int:
    """Read a figure of this process's memory in bytes: VmRSS is now, VmHWM was the most."""
    status = Path("/proc/self/status").read_text()
    return int(status.split(f"{word}:")[1].split()[0]) * 1024


@contextmanager
def deadline() -> Iterator[None]:
    def stop(*_: object) -> None:
        raise Late(f"it did not end within {PATIENCE_S} s")

    signal.signal(signal.SIGALRM, stop)
    signal.alarm(PATIENCE_S)
    try:
        yield
    finally:
        signal.alarm(0)


seen: list[tuple[str, str]] = []


def watch(event: str, details: tuple[Any, ...]) -> None:
    """Note what Python is about to do, if it is more than to read a file (audit hooks, PEP 578)."""
    if event == "open":
        path, mode, flags = details
        writes = bool(flags & WRITES) or any(letter in str(mode or "") for letter in "wax+")
        seen.append((f"open {mode} {flags}" if writes else "read", str(path)))
    elif event.startswith(DEEDS) and event not in HARMLESS:
        seen.append((event, repr(details)))


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_AS, (int(sys.argv[1]),) * 2)
    sys.addaudithook(watch)
    asked = json.load(sys.stdin)
    json.dump([ask(arguments) for arguments in asked], sys.stdout)
