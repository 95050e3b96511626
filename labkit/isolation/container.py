"""How does one run a container by hand, as `docker run` does?

    run("busybox", ["echo", "hello"])     to its end: its status, what it wrote, and the steps with their times
    box = start("busybox", ["sleep", "60"])
    logs(box), stop(box), remove(box)     labkit.isolation.join has `execute`, for one more program in it

`run` makes the container's first process, in new namespaces (labkit.isolation.first_process has its steps), waits for
its end, and removes what would stay: the control groups. `start` has a **shim** do that, which goes on, as containerd's
does. Mounts, the writable layer, the logs and all other processes live only as long as the processes that hold them.
So nothing is left, whoever is killed: a guard removes the groups of a caller, and a caller those of its shim. If both
are killed at once, empty groups stay, and the next start removes them.

Only for a process of one thread, as each of these functions forks. In a notebook, call them by labkit.isolation.helper.
"""

import gc
import json
import os
import re
import signal
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from labkit.errors import ContainerError
from labkit.isolation.defences import ALL, Defences
from labkit.isolation.docker_defaults import directory_root, docker_spec
from labkit.isolation.first_process import OnStep
from labkit.isolation.groups import sweep
from labkit.isolation.guard import Guard
from labkit.isolation.handle import STOP_PATIENCE_S, Container, Finished, Step, is_running, read_of_shim
from labkit.isolation.making import Network, Orders, Told, see_through, words_of
from labkit.isolation.spec import Spec
from labkit.isolation.started import Started, fork_shim
from labkit.isolation.streams import as_file, read_all
from labkit.linux.proc import read_stat
from labkit.linux.syscalls import pidfd_open

__all__ = ["Container", "Finished", "Step", "is_running", "logs", "remove", "run", "start", "stop", "wait"]

NAP_S = 0.002
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")

What = Spec | str | Path


def run(
    what: What,
    args: Sequence[str] = (),
    *,
    stdin: bytes | int = b"",
    network: Network | None = None,
    timeout_s: float | None = None,
    has_guard: bool = True,
    defences: Defences = ALL,
    on_step: OnStep | None = None,
    **changes: Any,
) -> Finished:
    """Run a container to its end.

    `what` is a Spec; or the name of an image in the engine's store; or a Path: a directory with a root file system, or
    the archive of an image. `args` are the program and its arguments, if `what` is no Spec; `changes` are fields of the
    Spec. `stdin` is what the program reads, or a descriptor. `network` is called with the first process's pid before
    the program starts, and what it returns is called at the end; without, there is only `lo`. After `timeout_s` the
    container is killed. Without a guard it starts faster: that is for processes whose own parent removes the groups
    when they are killed, as labkit.isolation.resident does. Raises ContainerError with the step and the kernel's words
    when the program does not start.
    """
    spec = _spec(what, args, changes)
    sweep()
    streams = as_file(stdin), os.memfd_create("stdout"), os.memfd_create("stderr")
    orders, told = Orders(spec, streams, None, network, timeout_s, defences, on_step), Told()
    gc.freeze()  # a collection in a child would touch, and so copy, all memory
    guard = Guard(spec.name) if has_guard else None
    try:
        done = see_through(orders, told)
        return Finished(done["status"], read_all(streams[1]), read_all(streams[2]), _steps(done), done["oom"])
    except (OSError, ValueError) as error:
        raise ContainerError(words_of(error, told)) from error
    finally:
        if guard is not None:
            guard.dismiss()
        for each in streams:
            os.close(each)


def start(
    what: What,
    args: Sequence[str] = (),
    *,
    stdin: bytes | int = b"",
    network: Network | None = None,
    owner: int | None = None,
    defences: Defences = ALL,
    on_step: OnStep | None = None,
    **changes: Any,
) -> Container:
    """Start a container, and return as soon as its program is executed.

    It lives as long as the process `owner`, by default the caller, unless it ends earlier; `remove` forgets it.
    All else is as with `run`.
    """
    spec = _spec(what, args, changes)
    sweep()
    started = Started(spec.name, stdin)
    streams = started.stdin, started.stdout, started.stderr
    watched = pidfd_open(owner or os.getpid())
    fork_shim(Orders(spec, streams, watched, network, None, defences, on_step), started)
    try:
        report = started.read_report()
        shim = read_stat(started.shim)
        if shim is None:
            raise ContainerError(f"The shim of {spec.name} was killed.")
        places = (started.stdout, started.stderr, started.state)
        return Container(spec.name, report["pid"], started.shim, shim.start_time, spec, places, _steps(report))
    except BaseException:
        started.reap()
        raise
    finally:
        started.close()
        os.close(watched)


def logs(container: Container) -> tuple[bytes, bytes]:
    """What the program has written so far: stdout, stderr. Raises ContainerError when it was removed."""
    return read_of_shim(container, container.descriptors[0]), read_of_shim(container, container.descriptors[1])


def wait(container: Container, timeout_s: float | None = None) -> int:
    """Wait for its end; give its status. Raises TimeoutError, and ContainerError when it was removed."""
    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    while not (state := read_of_shim(container, container.descriptors[2])):
        if deadline is not None and time.monotonic() > deadline:
            raise TimeoutError(f"the container {container.name} has not ended after {timeout_s} s")
        time.sleep(NAP_S)
    return int(json.loads(state)["status"])


def stop(container: Container, timeout_s: float = STOP_PATIENCE_S) -> int:
    """Send SIGTERM, and SIGKILL if it has not ended after `timeout_s`; give its status.

    The kernel keeps from the first process of a PID namespace each signal for which it has no handler, but SIGKILL.
    """
    for number, patience in ((signal.SIGTERM, timeout_s), (signal.SIGKILL, None)):
        if is_running(container):
            with suppress(ProcessLookupError):
                os.kill(container.pid, number)
        with suppress(TimeoutError):
            return wait(container, patience)
    raise ContainerError(f"The container {container.name} does not end.")  # unreachable: the last wait is without end


def remove(container: Container) -> None:
    """Kill it if it still runs, and forget it with its logs. What was removed already is no error."""
    with suppress(ContainerError, ProcessLookupError):  # it ends by itself at this moment
        stop(container, 0)
        os.kill(container.shim, signal.SIGKILL)
    with suppress(ChildProcessError):  # it may be the child of another process
        os.waitpid(container.shim, 0)


def _spec(what: What, args: Sequence[str], changes: dict[str, Any]) -> Spec:
    """Fill in what is not said. A container has a name, and calls its machine by it, as Docker's do by their id."""
    if isinstance(what, Spec):
        spec = what
    elif isinstance(what, Path) and what.is_dir():
        spec = docker_spec(directory_root(what), args, **changes)
    else:
        # Imported where it is needed: each process of a container is a copy of this one, and the larger, the slower.
        from labkit.isolation.layers import image_spec

        spec = image_spec(what, args, **changes)
    if not spec.args:
        raise ContainerError("There is no program to run: neither was one given, nor does the image name one.")
    if any("\0" in text for text in (*spec.args, *spec.env)):
        raise ContainerError("An argument or a variable of the environment has a null byte: the kernel ends it there.")
    name = spec.name or os.urandom(6).hex()
    if not _NAME.fullmatch(name):
        raise ContainerError(
            f"{name!r} cannot be the name of a container: use letters, digits, and _ . - between them."
        )
    if isinstance(what, Spec) or spec.hostname:
        return replace(spec, name=name)
    return replace(spec, name=name, hostname=name, env=(*spec.env, f"HOSTNAME={name}"))


def _steps(report: dict[str, Any]) -> tuple[Step, ...]:
    return tuple(Step(name, seconds) for name, seconds in report["steps"])
