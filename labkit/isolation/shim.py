"""Who makes the first process of a container, waits for its end, and tidies up after it?

The shim: a process of its own, as containerd's `containerd-shim-runc-v2`. It outlives the one who asked for the
container, just long enough to end it and to remove its control groups. It holds what the program writes, in files in
memory (memfd_create(2)) that have no name, and so are gone with it.
"""

import json
import os
import select
import signal
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from typing import Any, NamedTuple, NoReturn

from labkit.errors import ContainerError
from labkit.isolation import groups
from labkit.isolation.defences import Defences
from labkit.isolation.first_process import OnStep, Order, become
from labkit.isolation.groups import Groups
from labkit.isolation.limits import write_limits
from labkit.isolation.spec import Spec
from labkit.linux import syscalls

__all__ = ["Network", "Orders", "be_shim"]

Network = Callable[[int], Callable[[], object] | None]  # given the pid of the first process; gives its own undoing

_CLONE_FLAGS = {
    "mount": syscalls.CLONE_NEWNS,
    "pid": syscalls.CLONE_NEWPID,
    "uts": syscalls.CLONE_NEWUTS,
    "ipc": syscalls.CLONE_NEWIPC,
    "network": syscalls.CLONE_NEWNET,
}


class Orders(NamedTuple):
    """What the shim is to do. `report` is a pipe for lines of JSON; at the end of `owner`, a pidfd, it ends all."""

    spec: Spec
    streams: tuple[int, int, int]
    state: int
    report: int
    owner: int
    network: Network | None
    timeout_s: float | None
    stays: bool
    defences: Defences
    on_step: OnStep | None


class _Told:
    """What the first process has told of its steps, and when."""

    def __init__(self) -> None:
        self.times: list[tuple[int, str]] = []
        self.error = ""
        self._rest = b""

    def begin(self, name: str, on_step: OnStep | None) -> None:
        self.times.append((time.perf_counter_ns(), name))
        if on_step is not None:
            on_step(name)

    def take(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            when, _, words = line.decode().partition(" ")
            if when == "!":
                self.error = words
            else:
                self.times.append((int(when), words))

    def end(self) -> None:
        self.times.append((time.perf_counter_ns(), ""))

    def steps(self) -> list[tuple[str, float]]:
        pairs = zip(self.times, self.times[1:], strict=False)
        return [(name, (after - began) / 1e9) for (began, name), (after, _) in pairs]


def be_shim(orders: Orders) -> NoReturn:
    """Make the container, and see it to its end. The process ends with this function."""
    told = _Told()
    try:
        os.setsid()  # a Ctrl-C at the caller's terminal is not for the shim
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE):
            signal.signal(number, signal.SIG_IGN)
        with ExitStack() as undo:
            final = _see_through(orders, told, undo)
        _write(orders.state, final)
        _write(orders.report, final)
        os.close(orders.report)
        if orders.stays:
            _wait_for(orders.owner)
    except BaseException as error:
        where = f"{told.times[-1][1]}: " if told.times else ""
        words = str(error) if isinstance(error, ContainerError) else f"{where}{_words(error)}"
        _write(orders.report, {"error": words})
    finally:
        os._exit(0)


def _words(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror + (f": {error.filename}" if error.filename else "")
    return str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"


def _see_through(orders: Orders, told: _Told, undo: ExitStack) -> dict[str, Any]:
    spec = orders.spec
    told.begin("control groups", orders.on_step)
    own_groups = groups.find_groups(spec.name)
    lock = groups.make_groups(own_groups)
    undo.callback(groups.remove_groups, own_groups)
    write_limits(own_groups, spec.limits)
    told.begin("namespaces", orders.on_step)
    tells_read, tells = os.pipe2(os.O_CLOEXEC)
    hears, hears_write = os.pipe2(os.O_CLOEXEC)
    flags = sum(_CLONE_FLAGS[each] for each in spec.namespaces if each in _CLONE_FLAGS)
    pid = syscalls.clone3(flags, lock if own_groups.is_version_2 else None)
    if pid == 0:
        has_network = orders.network is not None
        become(
            Order(spec, own_groups, orders.streams, tells, hears, has_network, orders.defences, orders.on_step),
        )
        os._exit(127)
    process = _Process(pid)
    undo.callback(process.end)
    os.close(tells)
    os.close(hears)
    if orders.network is not None:
        if (undo_network := orders.network(pid)) is not None:
            undo.callback(undo_network)
        with suppress(BrokenPipeError):  # it has failed meanwhile, and has told why
            os.write(hears_write, b"n")
    return _wait(orders, told, process, tells_read, own_groups)


class _Process:
    """The first process: ended, it is reaped once."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.pidfd = syscalls.pidfd_open(pid)
        self.status: int | None = None

    def end(self) -> int:
        """Kill it if it is alive; give its status, 128 and more for a signal."""
        if self.status is None:
            signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)
        return self.reap()

    def reap(self) -> int:
        """Wait for its end."""
        if self.status is None:
            _, status = os.waitpid(self.pid, 0)
            code = os.waitstatus_to_exitcode(status)
            self.status = code if code >= 0 else 128 - code
        return self.status


def _wait(orders: Orders, told: _Told, process: _Process, tells: int, own_groups: Groups) -> dict[str, Any]:
    """Pass on how the start went, then wait for the end of the process, its owner, or the time."""
    poller = select.poll()
    for each in (tells, process.pidfd, orders.owner):
        poller.register(each, select.POLLIN)
    deadline = None if orders.timeout_s is None else time.monotonic() + orders.timeout_s
    started = False
    while True:
        patience = None if deadline is None else max(0.0, (deadline - time.monotonic()) * 1000)
        ready = {number for number, _ in poller.poll(patience)}
        if tells in ready:
            data = os.read(tells, 65536)
            told.take(data)
            if not data:
                poller.unregister(tells)
                told.end()
                if told.error:
                    raise ContainerError(f"{_failed_step(told)}: {told.error.partition(': ')[2]}")
                started = told.times[-2][1] == "program"
                if started and orders.stays:
                    _write(orders.report, {"pid": process.pid, "steps": told.steps()})
        if process.pidfd in ready and tells not in ready:
            break
        if orders.owner in ready or not ready:
            process.end()
            poller.unregister(orders.owner)
            deadline = None
            if not started:
                raise ContainerError("The container was ended before its program started.")
    status = process.reap()
    if not started:
        raise ContainerError(f"{_failed_step(told)}: the first process has ended (status {status}).")
    oom = orders.spec.limits.memory_bytes is not None and groups.was_killed_for_memory(own_groups)
    return {"status": status, "oom": oom, "steps": told.steps()}


def _failed_step(told: _Told) -> str:
    return f"The container was not started, in the step {[name for _, name in told.times if name][-1]!r}"


def _write(where: int, value: dict[str, Any]) -> None:
    with suppress(OSError):  # who asked may be gone
        os.write(where, json.dumps(value).encode() + b"\n")


def _wait_for(owner: int) -> None:
    poller = select.poll()
    poller.register(owner, select.POLLIN)
    poller.poll()
