"""What does the first process of a lab machine do?

It makes the contract true (root, devices, cgroups, network), forks the notebook's kernel, has the engine started
beside it, and from then on reaps, passes bytes between a command and the control line, and ends the machine when
the kernel or the command has ended. It is the same program for both kinds: `native` calls `become_init` in a
process that already has new namespaces; in `uml` the kernel executes this file as its init.
"""

import fcntl
import json
import os
import pty
import select
import signal
import socket
import struct
import sys
import termios
import time
import traceback
import tty
from base64 import b64decode, b64encode
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from labkit.linux import syscalls
from labkit.machine.boot_log import STATE, log_stage, read_boot_log
from labkit.machine.channels import CARD, listen_apart, make_network, read_tcp_queues
from labkit.machine.inside import contract, oom
from labkit.machine.inside.jobs import boot_engine, run_command, run_kernel
from labkit.machine.inside.notes import hear_note, open_notes
from labkit.machine.inside.terminals import Terminals
from labkit.machine.request import GUEST_IP, Line, Request

__all__ = ["become_init"]

UML_SERIAL = "/dev/ttyS0"
OUTPUT_BYTES = 4096
LOGIN_SHELL = ["bash", "-l"]
LAST_NOTES = 100


def become_init(
    request: Request, line_fd: int, listening: Sequence[int] = (), connected: int | None = None
) -> NoReturn:
    """Be PID 1 of a machine; never returns. What goes wrong is said on the control line.

    `native` has from outside the sockets of the notebook's kernel, and a pipe whose first byte says that slirp4netns
    has configured the network; `uml` makes both itself.
    """
    os.umask(0o022)  # the outer one may be stricter, and inside there are other users
    try:
        Init(request, Line(line_fd), list(listening), connected).run()
    except ConnectionError:
        pass  # nobody is left outside, and so the machine ends
    except BaseException as error:
        traceback.print_exc()
        steps = [frame.name for frame in traceback.extract_tb(error.__traceback__)]
        report = {"event": "failed", "detail": f"{type(error).__name__}: {error} (in {' > '.join(steps[-3:])})"}
        os.write(line_fd, json.dumps(report).encode() + b"\n")
        time.sleep(0.2)
    finally:
        _end_machine()


class Init:
    """PID 1: `job` is the kernel or the command, whose end is the machine's end."""

    def __init__(self, request: Request, line: Line, listening: list[int], connected: int | None) -> None:
        self.request = request
        self.line = line
        self.listening = listening
        self.connected = connected
        self.apart: int | None = None  # the network namespace of the kernel's sockets, where they were made here
        self.job = 0
        self.booter = 0
        self.starting: int | None = None  # readable when the kernel answers, or has ended
        self.input: int | None = None  # where the command reads
        self.waiting = b""  # a piece of input that the command has not taken yet
        self.outputs: set[int] = set()
        self.notes: socket.socket | None = None  # what a learner does, where that is kept
        self.terminals = Terminals(line, lambda: run_command(LOGIN_SHELL, request.cwd), _resize)
        self.status: int | None = None

    def run(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        self._make_contract()
        if self.request.connection is not None:
            initialized, announce = os.pipe()
            self.job = self._fork(lambda: run_kernel(self.request, announce, self.listening))
            for fd in (announce, *self.listening):
                os.close(fd)
            self.starting = initialized
            if self.request.kind == "uml":
                select.select([initialized], [], [])  # one processor: the kernel first, at full speed
        self.booter = self._fork(lambda: boot_engine(self.request))
        self._serve()
        if self.apart is not None:
            wait_until_sent(self.apart)
        self.line.send(event="exit", status=self.status)
        time.sleep(0.05 if self.request.kind == "uml" else 0)  # the serial port has no way to say "delivered"

    def _make_contract(self) -> None:
        contract.make_root(self.request)
        contract.mount_kernel_file_systems(self.request.kind)
        oom.spare(self.request.kind)
        STATE.mkdir(mode=0o755)
        if self.request.progress is not None:
            self.notes = open_notes(self.request.progress)
        self._log("root", "the host's files, read-only underneath, writable on top")
        contract.set_names()
        if self.connected is not None:
            os.read(self.connected, 1)
            os.close(self.connected)
        if self.request.kind == "uml":
            self._configure_network()
        self._log("network", f"{GUEST_IP} through slirp4netns")
        contract.set_environment(self.request)
        if self.request.kind == "native":
            contract.copy_shells()

    def _configure_network(self) -> None:
        if self.request.connection is None:
            contract.configure_network()
            return
        self.apart = make_network()
        # ip(8) is dear to start here, and so moves the card when it configures the other one.
        contract.configure_network(f"link set {CARD} netns /proc/self/fd/{self.apart}\n", self.apart)
        self.listening = listen_apart(self.apart, self.request.ports())

    def _log(self, stage: str, detail: str) -> None:
        log_stage(self.request.began, stage, detail)
        self.line.send(event="stage", stage=stage, detail=detail)

    def _serve(self) -> None:
        """Reap children and pass bytes until the job has ended and its output is through."""
        wake, woken = os.pipe()
        os.set_blocking(woken, False)
        signal.set_wakeup_fd(woken, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self._reap()
        while self.status is None or self.outputs:
            starting = [] if self.starting is None else [self.starting]
            writers = [self.input] if self.waiting and self.input is not None else []
            notes = [] if self.notes is None else [self.notes.fileno()]
            readers = [wake, self.line.fileno(), *starting, *self.outputs, *notes, *self.terminals.readers()]
            ready, writable, _ = select.select(readers, [*writers, *self.terminals.writers()], [])
            if self.starting in ready:
                self._kernel_is_up()
            if wake in ready:
                os.read(wake, 4096)
                self._reap()
            for fd in self.outputs & set(ready):
                self._pass_output(fd)
            if notes and notes[0] in ready:
                self._pass_notes()
            if self.input in writable:
                self._pass_input()
            if self.line.fileno() in ready:
                self._obey()
            self.terminals.move(set(ready), set(writable))

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            self.terminals.note_end(pid)
            if pid == self.job:
                self.status = os.waitstatus_to_exitcode(status)
                self._drain()
            elif pid == self.booter:
                self._engine_is_up(os.waitstatus_to_exitcode(status))

    def _kernel_is_up(self) -> None:
        assert self.starting is not None
        if os.read(self.starting, 1):
            self.line.send(event="stage", stage="kernel", detail="")
        os.close(self.starting)
        self.starting = None

    def _engine_is_up(self, status: int) -> None:
        if status == 0:
            self.line.send(event="stage", stage="ready", detail="")
        else:
            self.line.send(event="failed", detail=_why_boot_failed())
        if self.request.command:
            if status == 0:
                self._start_command()
            else:
                self.status = 125

    def _start_command(self) -> None:
        if self.request.terminal:
            self.job, terminal = pty.fork()
            if self.job == 0:
                run_command(self.request.command, self.request.cwd)
            _resize(terminal, *self.request.terminal)
            os.set_blocking(terminal, False)
            self.input, self.outputs = terminal, {terminal}
            return
        stdin, self.input = os.pipe()
        os.set_blocking(self.input, False)
        out, err = os.pipe(), os.pipe()

        def child() -> None:
            for number, fd in enumerate((stdin, out[1], err[1])):
                os.dup2(fd, number)
            run_command(self.request.command, self.request.cwd)

        self.job = self._fork(child)
        for fd in (stdin, out[1], err[1]):
            os.close(fd)
        self.streams = {out[0]: 1, err[0]: 2}
        self.outputs = {out[0], err[0]}

    def _pass_output(self, fd: int) -> bool:
        """Send one piece of the command's output; give whether there may be more."""
        try:
            data = os.read(fd, OUTPUT_BYTES)
        except BlockingIOError:
            return True
        except OSError:  # a terminal whose last user has gone
            data = b""
        if not data:
            self.outputs.discard(fd)
            return False
        stream = 1 if self.request.terminal else self.streams[fd]
        self.line.send(event="output", stream=stream, data=b64encode(data).decode())
        return True

    def _pass_notes(self, at_most: int = 1) -> None:
        """Pass on what lessons have noted; not all at once, as others wait, and whoever is root here can send more."""
        for _ in range(at_most):
            if self.notes is not None and (note := hear_note(self.notes)):
                self.line.send(event="progress", note=note)

    def _drain(self) -> None:
        """Send what the ended job has written and noted; its leftover children are not waited for."""
        for fd in list(self.outputs):
            while select.select([fd], [], [], 0)[0] and self._pass_output(fd):
                pass
        self.outputs.clear()
        self._pass_notes(LAST_NOTES)

    def _obey(self) -> None:
        messages = self.line.receive()
        if messages is None:
            _end_machine()
        for message in messages:
            match message:
                case {"terminal": int()}:
                    self.terminals.obey(message)
                case {"order": "input", "data": str(data)}:
                    self._take_input(b64decode(data))
                case {"order": "resize", "rows": int(rows), "columns": int(columns)} if self.input is not None:
                    _resize(self.input, rows, columns)
                case {"order": "signal", "number": int(number)} if self.job:
                    with suppress(ProcessLookupError):
                        os.killpg(self.job, number)

    def _take_input(self, data: bytes) -> None:
        if data:
            self.waiting = data
            return
        if self.request.terminal:
            self.waiting = b"\x04"
        elif self.input is not None:
            os.close(self.input)
            self.input = None

    def _pass_input(self) -> None:
        """Write as much of the waiting piece as the command takes; never wait for one that does not read."""
        assert self.input is not None
        try:
            self.waiting = self.waiting[os.write(self.input, self.waiting) :]
        except BlockingIOError:
            return
        except OSError:  # the command does not read any more: the bytes are lost, as in a shell's pipe
            self.waiting = b""
        if not self.waiting:
            self.line.send(event="taken")

    def _fork(self, child: Callable[[], None]) -> int:
        pid = os.fork()
        if pid:
            return pid
        try:
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD):
                signal.signal(number, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            os.close(self.line.fileno())
            if self.notes is not None:
                self.notes.close()
            if self.apart is not None:
                os.close(self.apart)
            os.setsid()
            child()
            os._exit(0)
        except SystemExit as error:
            os._exit(error.code if isinstance(error.code, int) else 0)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(1)


def wait_until_sent(namespace: int, patience_s: float = 1.0) -> None:
    """Let a user-mode kernel's network take the last words of the notebook's Python, its answer to a shutdown."""
    deadline = time.monotonic() + patience_s
    with suppress(OSError):  # a learner may have unmounted /proc
        while any(not queues.startswith("00000000:") for queues in read_tcp_queues(namespace)):
            if time.monotonic() > deadline:
                return
            time.sleep(0.01)


def _why_boot_failed() -> str:
    with suppress(OSError, ValueError):  # a learner may have removed it
        for stage in read_boot_log():
            if stage["stage"] == "failed":
                return str(stage["detail"])
    return "the process that starts the engine was killed"


def _resize(terminal: int, rows: int, columns: int) -> None:
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


def _end_machine() -> NoReturn:
    with suppress(OSError):
        syscalls.power_off()
    os._exit(0)  # PID 1's end takes every process of its PID namespace along


def _init_of_uml() -> NoReturn:
    """Entered when a user-mode kernel executes this file: the request is a file, the line is a serial port."""
    request = Request.from_json(Path(sys.argv[1]).read_text())
    line = os.open(UML_SERIAL, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    tty.setraw(line)
    become_init(request, line)


if __name__ == "__main__":
    _init_of_uml()
