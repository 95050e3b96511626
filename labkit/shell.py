"""What does a line print, when a learner types it into a shell?"""

import os
import selectors
import signal
import subprocess
import threading
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from typing import IO, Any, NamedTuple

from labkit.errors import ShellStopped

__all__ = ["ShellResult", "TypedLine", "end_background", "sh", "typed"]

PATIENCE_S = 60.0
GRACE_S = 0.5  # for a line that was told to end, before it is killed
READ_BYTES = 64 * 1024
KEPT_BYTES = 64 << 20  # of each output: a small machine has 512 MiB of memory
SHOWN_CHARACTERS = 200
KEPT_LINES = 100


@dataclass
class TypedLine:
    """A line that `sh` ran, and from when to when, in seconds of the monotonic clock; None: it still runs."""

    line: str
    began_s: float
    ended_s: float | None = None


typed: deque[TypedLine] = deque(maxlen=KEPT_LINES)  # the latest: a view shows what was said under each
_background: dict[int, str] = {}  # process groups that went on when their shell had ended, and the line of each


class ShellResult(NamedTuple):
    """A line, what it wrote to its two outputs, and its exit status."""

    line: str
    out: str
    err: str
    status: int

    def __str__(self) -> str:
        return f"$ {self.line}\n{self.out}{self.err}".rstrip()

    def _repr_pretty_(self, printer: Any, _cycle: bool) -> None:
        """What a notebook shows where a cell ends with a result: IPython.lib.pretty."""
        printer.text(str(self))


def sh(line: str, *, timeout_s: float = PATIENCE_S) -> ShellResult:
    """Have /bin/sh run a line, and give what came of it; what is not UTF-8 is replaced. Its input is /dev/null.

    The shell has a session of its own. What it starts in the background (`sleep 300 &`) goes on when the shell has
    ended; what that writes from then on is dropped. `end_background` ends it.

    Raises ShellStopped when the shell has not ended after `timeout_s` seconds, or writes more than 64 MiB. Then, and
    when the cell is interrupted, every process of its group is ended.
    """
    note = TypedLine(line, time.monotonic())
    typed.append(note)
    shell = subprocess.Popen(
        ["/bin/sh", "-c", line],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    assert shell.stdout is not None and shell.stderr is not None
    written = {shell.stdout: bytearray(), shell.stderr: bytearray()}
    try:
        trouble = _read(shell, written, timeout_s)
        if trouble:
            _end_group(shell, signal.SIGTERM)
        for pipe, text in written.items():  # what was written last is in the pipe, which holds no more than this
            _take(pipe, text)
    except BaseException:
        _end_group(shell, signal.SIGINT)  # as Ctrl-C does
        raise
    finally:
        note.ended_s = time.monotonic()
        for pipe in written:
            _let_go(pipe)
    out, err = (bytes(text).decode(errors="replace") for text in written.values())
    said = ShellResult(line, out, err, shell.wait())
    if _group_exists(shell.pid):
        _background[shell.pid] = line
    if trouble:
        words = f" It wrote last: {(out + err)[-SHOWN_CHARACTERS:]!r}." if out or err else ""
        raise ShellStopped(f"`{line}` {trouble}, and was stopped.{words}", said)
    return said


def end_background() -> list[str]:
    """Kill what lines of `sh` have left in the background; give the lines that had something left, the oldest first."""
    lines = []
    while _background:
        group, line = next(iter(_background.items()))
        with suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)
            lines.append(line)
        del _background[group]
    return lines


def _group_exists(group: int) -> bool:
    with suppress(ProcessLookupError):
        os.killpg(group, 0)  # asks only: kill(2)
        return True
    return False


def _read(shell: "subprocess.Popen[bytes]", written: dict[IO[bytes], bytearray], timeout_s: float) -> str:
    """Read both outputs until the shell has ended, whoever else holds them; give why it has not, or ""."""
    deadline = time.monotonic() + timeout_s
    with selectors.DefaultSelector() as selector, _open_pidfd(shell) as ended:
        selector.register(ended, selectors.EVENT_READ)
        for pipe in written:
            os.set_blocking(pipe.fileno(), False)
            selector.register(pipe, selectors.EVENT_READ)
        while shell.poll() is None:
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                longer = f"sh(..., timeout_s={max(2 * timeout_s, 1):g}) would wait longer"
                return f"had not ended after {timeout_s:g} s ({longer})"
            ready = [key.fileobj for key, _ in selector.select(left_s)]
            for pipe in (pipe for pipe in written if pipe in ready):
                if not _take(pipe, written[pipe]):
                    selector.unregister(pipe)
                if len(written[pipe]) > KEPT_BYTES:
                    return f"wrote more than {KEPT_BYTES >> 20} MiB"
    return ""


def _open_pidfd(shell: "subprocess.Popen[bytes]") -> IO[bytes]:
    """A file that can be read when the shell has ended: pidfd_open(2). Until it is waited for, its pid is its own."""
    return open(os.pidfd_open(shell.pid), "rb", buffering=0)


def _take(pipe: IO[bytes], text: bytearray) -> bool:
    """Add what is there; False at the end."""
    try:
        data = os.read(pipe.fileno(), READ_BYTES)
    except BlockingIOError:
        return True
    text += data
    return bool(data)


def _end_group(shell: "subprocess.Popen[bytes]", first: signal.Signals) -> None:
    """Ask every process of the shell's group to end, and kill those that have not after half a second."""
    with suppress(ProcessLookupError):
        os.killpg(shell.pid, first)
        with suppress(subprocess.TimeoutExpired):
            shell.wait(GRACE_S)
        os.killpg(shell.pid, signal.SIGKILL)
    shell.wait()


def _let_go(pipe: IO[bytes]) -> None:
    """Close it; where somebody in the background still writes to it, when he has ended, so that he is not killed."""

    def drain() -> None:
        with pipe:
            os.set_blocking(pipe.fileno(), True)
            while os.read(pipe.fileno(), READ_BYTES):
                pass

    try:
        is_over = not os.read(pipe.fileno(), READ_BYTES)
    except BlockingIOError:
        is_over = False
    if is_over:
        pipe.close()
    else:
        threading.Thread(target=drain, name="sh: in the background", daemon=True).start()
