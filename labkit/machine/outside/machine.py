"""How does a process outside get a machine, and talk to it?

    clients = watch_clients(parent)               for whom the machine is
    with Machine.running(request) as machine:     the guard is forked; it starts the parts
        for event in machine.events(clients): ... what the inside says, until the machine is gone
                                                  and then nothing of it is left

The ports that a client knows on 127.0.0.1 lead to the notebook's kernel: see channels.py. For `native` they are the
kernel's own; for `uml` slirp4netns passes on what comes there.
"""

import errno
import json
import os
import select
import signal
import socket
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from labkit.errors import MachineError, PortTaken
from labkit.machine import doctor
from labkit.machine.engine_programs import ask_versions, require_engine
from labkit.machine.outside import guard, native, uml
from labkit.machine.outside.ports import listen
from labkit.machine.places import memory_dir, state_dir
from labkit.machine.request import GUEST_IP, Line, Request

__all__ = ["Machine", "watch_clients"]

BOOT_PATIENCE_S = 90.0
SLIRP_PATIENCE_S = 10.0


class Machine:
    """One machine, from its outside. Everything that it consists of belongs to its guard."""

    def __init__(self, run_dir: Path, guard_pid: int, owner: socket.socket, line: socket.socket):
        self.run_dir = run_dir
        self.guard_pid = guard_pid
        self.why: str | None = None
        self.line = Line(line)
        self._line_socket = line
        self._owner = owner
        self._reserved: list[socket.socket] = []

    @classmethod
    @contextmanager
    def running(cls, request: Request, reserved: Sequence[socket.socket] = ()) -> Iterator["Machine"]:
        """A machine for the length of a `with` block, on a host of which `doctor.require` has nothing to say.

        `reserved` are sockets bound to the ports of the notebook's kernel; they are the machine's from now on.
        SIGINT, SIGTERM and SIGHUP wait while the machine is made, and while it is ended: what their handlers raise
        would leave a half of it. Raises MachineError, with the cure, when the machine's directory cannot be locked,
        when others that were started meanwhile have taken the memory, and when no machine can run this engine; and
        PortTaken.
        """
        base = state_dir()
        turn = _take_turn(base, request.kind)
        ask_versions()
        with _signals_held() as let_come:
            try:
                machine = cls._boot(request, base, turn, reserved)
            finally:
                os.close(turn)
            try:
                let_come()
                require_engine()  # the versions came while the machine began to boot
                yield machine
            finally:
                signal.pthread_sigmask(signal.SIG_BLOCK, guard.ENDING_SIGNALS)
                machine.close()

    @classmethod
    def _boot(cls, request: Request, base: Path, turn: int, reserved: Sequence[socket.socket]) -> "Machine":
        run_dir = base / os.urandom(4).hex()  # made by the guard, which outlives this process
        request = replace(request, run_dir=str(run_dir))
        if request.kind == "native":
            listen(reserved)
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        line, inner = socket.socketpair()
        pid = os.fork()
        if pid == 0:
            ours.close()
            line.close()
            guard.run_guard(run_dir, turn, theirs, lambda ledger: _start(request, ledger, inner.fileno(), reserved))
        theirs.close()
        inner.close()
        machine = cls(run_dir, pid, ours, line)
        machine._reserved = list(reserved)
        if request.kind == "native":
            machine._let_ports_go()
        return machine

    def events(
        self, clients: Collection[int], others: Collection[int] = (), *, patience_s: float = BOOT_PATIENCE_S
    ) -> Iterator[dict[str, Any]]:
        """Yield what the inside says, until the machine is gone; then `why` holds the guard's reason.

        {"event": "orphaned"} comes when one of `clients` (see `watch_clients`) has ended, however much the inside
        says, and {"event": "readable", "fd": n} when one of `others` can be read (the caller may change that
        collection as it goes). Raises MachineError when no message comes for `patience_s` seconds after the start.
        """
        deadline: float | None = time.monotonic() + patience_s  # of the first message
        while True:
            wait_s = None if deadline is None else max(0.0, deadline - time.monotonic())
            ready, _, _ = select.select([*clients, self.line.fileno(), self._owner.fileno(), *others], [], [], wait_s)
            if any(client in ready for client in clients):
                yield {"event": "orphaned"}
            if self.line.fileno() in ready:
                messages = self.line.receive()
                if messages is None:
                    ready = [self._owner.fileno()]
                else:
                    deadline = None if messages else deadline
                    yield from messages
            for fd in tuple(others):
                if fd in ready:
                    yield {"event": "readable", "fd": fd}
            if self._owner.fileno() in ready:
                self._learn_why()
                return
            if deadline is not None and time.monotonic() > deadline:
                self._owner.shutdown(socket.SHUT_WR)  # the guard ends it, and tells its last words
                self._learn_why()
                raise MachineError(f"The machine said nothing for {patience_s:.0f} s: {self.why}. Try again.")

    def open_ports(self) -> None:
        """Have the reserved ports lead to the kernel, now that the machine has a network; for `native` they do already.

        Raises PortTaken, and MachineError when slirp4netns does not answer.
        """
        for held in self._reserved:
            self.forward(held.getsockname()[1])
        self._let_ports_go()

    def forward(self, port: int) -> None:
        """Open a port on 127.0.0.1 that leads to the same port inside; if the machine is gone, events() says so.

        Raises PortTaken, and MachineError when slirp4netns does not answer.
        """
        order = {"proto": "tcp", "host_addr": "127.0.0.1", "host_port": port}
        order |= {"guest_addr": GUEST_IP, "guest_port": port}
        answer = self._ask_slirp({"execute": "add_hostfwd", "arguments": order})
        if "error" in answer:
            raise PortTaken(port, answer["error"].get("desc", "refused"))

    def wait_for_reader(self, output: int, clients: Collection[int]) -> bool:
        """Wait until one of this process's outputs takes some bytes; False when one of `clients` has ended before.

        That may take as long as its reader likes: if the machine ends meanwhile, nothing of it is left all the same.
        """
        while True:
            owner = [self._owner.fileno()] if self.why is None else []
            ready, writable, _ = select.select([*clients, *owner], [output], [])
            if any(client in ready for client in clients):
                return False
            if writable:
                return True
            self._learn_why()
            self._settle()

    def close(self) -> None:
        """End the machine, and wait until nothing of it is left."""
        self._owner.close()
        self._line_socket.close()
        self._let_ports_go()
        self._settle()

    def _settle(self) -> None:
        with suppress(ChildProcessError):
            os.waitpid(self.guard_pid, 0)
        guard.settle(self.run_dir)  # nothing is left to do, unless the guard was killed

    def _let_ports_go(self) -> None:
        while self._reserved:
            self._reserved.pop().close()

    def _ask_slirp(self, order: dict[str, Any]) -> dict[str, Any]:
        path = str(self.run_dir / uml.CHANNELS_API)
        deadline = time.monotonic() + SLIRP_PATIENCE_S
        try:
            with socket.socket(socket.AF_UNIX) as control:
                control.settimeout(20)  # for a user-mode kernel it answers once the guest is connected
                while control.connect_ex(path) in (errno.ENOENT, errno.ECONNREFUSED):  # it is there, then it listens
                    if self._is_gone(0.005):
                        return {}
                    if time.monotonic() > deadline:
                        words = "slirp4netns did not open its control socket. Restart the kernel to try again."
                        raise MachineError(words)
                control.sendall(json.dumps(order).encode())
                control.shutdown(socket.SHUT_WR)
                answer = b""
                while data := control.recv(4096):
                    answer += data
            result: dict[str, Any] = json.loads(answer)
        except (OSError, ValueError) as error:
            if self._is_gone(2):
                return {}
            raise MachineError(f"slirp4netns does not answer ({error}). Restart the kernel to try again.") from error
        return result

    def _is_gone(self, patience_s: float) -> bool:
        """Does the guard have something to say within that time? Then it is the machine's end."""
        return bool(select.select([self._owner], [], [], patience_s)[0])

    def _learn_why(self) -> None:
        if self.why is None:
            self.why = guard.hear_end(self._owner)


def _take_turn(base: Path, kind: str) -> int:
    try:
        turn = guard.take_turn(base)
    except OSError as error:
        raise MachineError(f"{base} cannot be locked ({error.strerror}). Name another in LABKIT_TMPDIR.") from error
    try:
        doctor.require_memory(kind)
    except BaseException:
        os.close(turn)
        raise
    return turn


@contextmanager
def _signals_held() -> Iterator[Callable[[], object]]:
    """Hold back what would end this process, but where the function that is given has been called."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, guard.ENDING_SIGNALS)
    try:
        yield lambda: signal.pthread_sigmask(signal.SIG_SETMASK, before)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def watch_clients(parent: int, *others: int) -> list[int]:
    """Descriptors that select(2) finds readable when one of these processes has ended: pidfd_open(2).

    `parent` is this process's parent, as it was noted first of all: with another parent, it is gone. A parent outside
    this PID namespace has the number 0 and cannot be watched.
    """
    handles = [_open_handle(pid) for pid in (parent, *others) if pid > 0]
    return handles if os.getppid() == parent else [*handles, _ended_handle()]


def _open_handle(pid: int) -> int:
    try:
        return os.pidfd_open(pid)
    except ProcessLookupError:
        return _ended_handle()


def _ended_handle() -> int:
    """A descriptor that is readable at once, as the pidfd of a process that has ended: a pipe without a writer."""
    ended, writer = os.pipe()
    os.close(writer)
    return ended


def _start(
    request: Request, ledger: guard.Ledger, line: int, reserved: Sequence[socket.socket]
) -> Iterator[guard.Part]:
    if request.kind == "native":
        yield from native.start(request, ledger, line, reserved)
    else:
        for held in reserved:  # the launcher's alone
            held.close()
        yield from uml.start(request, ledger, line, doctor.require_kernel(), memory_dir())
