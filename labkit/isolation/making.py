"""How is the first process of a container made, and watched to its end?

`see_through` is done by the caller itself, where it waits for the end, and else by a shim (labkit.isolation.shim).
"""

import os
import select
import signal
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from typing import Any, NamedTuple

from labkit.errors import ContainerError
from labkit.isolation.defences import Defences
from labkit.isolation.first_process import OnStep, Order, become
from labkit.isolation.groups import group_of_box, make_group
from labkit.isolation.limits import was_killed_for_memory, write_limits
from labkit.isolation.spec import Spec
from labkit.linux import syscalls
from labkit.linux.cgroups import Group

__all__ = ["Network", "Orders", "Told", "see_through", "words_of"]

Network = Callable[[int], Callable[[], object] | None]  # given the pid of the first process; gives its own undoing

_CLONE_FLAGS = {
    "mount": syscalls.CLONE_NEWNS,
    "pid": syscalls.CLONE_NEWPID,
    "uts": syscalls.CLONE_NEWUTS,
    "ipc": syscalls.CLONE_NEWIPC,
    "network": syscalls.CLONE_NEWNET,
}


class Orders(NamedTuple):
    """What is to be made. `owner` is a pidfd, at whose end the container is ended; None: the maker is the owner.

    `has_started` is called with the pid and the steps when the program is executed.
    """

    spec: Spec
    streams: tuple[int, int, int]
    owner: int | None
    network: Network | None
    timeout_s: float | None
    defences: Defences
    on_step: OnStep | None
    has_started: Callable[[int, list[tuple[str, float]]], object] | None = None


class Told:
    """What the first process has told of its steps, and when."""

    def __init__(self) -> None:
        self.times: list[tuple[int, str]] = []
        self.error = ""

    def begin(self, name: str, on_step: OnStep | None) -> None:
        self.times.append((time.perf_counter_ns(), name))
        if on_step is not None:
            on_step(name)

    def take(self, data: bytes) -> None:
        for line in data.splitlines():
            when, _, words = line.decode().partition(" ")
            if when == "!":
                self.error = words
            else:
                self.times.append((int(when), words))

    def end(self) -> None:
        self.times.append((time.perf_counter_ns(), ""))

    @property
    def last(self) -> str:
        """The step that was begun last."""
        return [name for _, name in self.times if name][-1]

    def steps(self) -> list[tuple[str, float]]:
        pairs = zip(self.times, self.times[1:], strict=False)
        return [(name, (after - began) / 1e9) for (began, name), (after, _) in pairs]


def see_through(orders: Orders, told: Told) -> dict[str, Any]:
    """Make the container, wait for its end, and remove what would stay; give its status.

    Raises ContainerError where it does not start, OSError where the kernel refuses its groups or namespaces.
    """
    with ExitStack() as undo, ExitStack() as passed:
        told.begin("control groups", orders.on_step)
        group = group_of_box(orders.spec.name)
        lock = make_group(group)
        undo.callback(os.close, lock)
        undo.callback(group.remove)
        write_limits(group, orders.spec.limits)
        told.begin("namespaces", orders.on_step)
        tells_read, tells = os.pipe2(os.O_CLOEXEC)
        undo.callback(os.close, tells_read)
        passed.callback(os.close, tells)
        hears, hears_write = os.pipe2(os.O_CLOEXEC)
        undo.callback(os.close, hears_write)
        passed.callback(os.close, hears)
        process = _make_process(orders, group, lock, tells, hears)
        undo.callback(process.end)
        passed.close()
        if orders.network is not None:
            if (undo_network := orders.network(process.pid)) is not None:
                undo.callback(undo_network)
            with suppress(BrokenPipeError):  # it has failed meanwhile, and has told why
                os.write(hears_write, b"n")
        return _wait(orders, told, process, tells_read, group)


def _make_process(orders: Orders, group: Group, lock: int, tells: int, hears: int) -> "_Process":
    spec = orders.spec
    flags = sum(_CLONE_FLAGS[each] for each in spec.namespaces if each in _CLONE_FLAGS)
    pid = syscalls.clone3(flags, lock if group.version == 2 else None)
    if pid == 0:
        has_network = orders.network is not None
        become(Order(spec, group, orders.streams, tells, hears, has_network, orders.defences, orders.on_step))
        os._exit(127)
    return _Process(pid)


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
        status = self.reap()
        if self.pidfd >= 0:
            os.close(self.pidfd)
            self.pidfd = -1
        return status

    def reap(self) -> int:
        """Wait for its end."""
        if self.status is None:
            _, status = os.waitpid(self.pid, 0)
            code = os.waitstatus_to_exitcode(status)
            self.status = code if code >= 0 else 128 - code
        return self.status


def _wait(orders: Orders, told: Told, process: _Process, tells: int, group: Group) -> dict[str, Any]:
    """Wait until the program is executed, then for the end of the process, its owner, or the time."""
    poller = select.poll()
    poller.register(tells, 0)  # it ends (POLLHUP) when the program is executed; what comes before is read then
    for each in (process.pidfd, *([] if orders.owner is None else [orders.owner])):
        poller.register(each, select.POLLIN)
    deadline = None if orders.timeout_s is None else time.monotonic() + orders.timeout_s
    is_told = False
    while True:
        patience = None if deadline is None else max(0.0, (deadline - time.monotonic()) * 1000)
        ready = {number for number, _ in poller.poll(patience)}
        if not is_told and (tells in ready or process.pidfd in ready):
            is_told = True
            poller.unregister(tells)
            told.take(os.read(tells, 1 << 16))
            told.end()
            if told.error:
                raise ContainerError(f"{_failed_step(told)}: {told.error.partition(': ')[2]}")
            if told.last == "program" and orders.has_started is not None:
                orders.has_started(process.pid, told.steps())
        if process.pidfd in ready:
            break
        if orders.owner in ready or not ready:
            process.end()
            if not is_told:
                raise ContainerError("The container was ended before its program started.")
            break
    status = process.reap()
    if told.last != "program":
        raise ContainerError(f"{_failed_step(told)}: the first process has ended (status {status}).")
    oom = orders.spec.limits.memory_bytes is not None and was_killed_for_memory(group)
    return {"status": status, "oom": oom, "steps": told.steps()}


def _failed_step(told: Told) -> str:
    return f"The container was not started, in the step {told.last!r}"


def words_of(error: BaseException, told: Told) -> str:
    """What went wrong, and in which step."""
    if isinstance(error, ContainerError):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        words = error.strerror + (f": {error.filename}" if error.filename else "")
    else:
        words = str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
    return f"{_failed_step(told)}: {words}" if told.times else words
