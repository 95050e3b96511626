"""How does a machine come out of the host's own kernel?

By unshare(2): fresh mount, network, PID, UTS, IPC and cgroup namespaces, and a control group of its own in every
hierarchy. A holder process makes them; its child is PID 1 inside. The holder dies with the guard, PID 1 with the
holder, and everything else with PID 1.
"""

import os
import signal
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from labkit.errors import MachineError
from labkit.linux import syscalls
from labkit.linux.cgroups import fill_cpuset, hierarchies, join
from labkit.linux.delegation import pass_controllers_on, step_aside
from labkit.machine.inside.init import become_init
from labkit.machine.outside.guard import Ledger, Part
from labkit.machine.outside.slirp import start_slirp, take_own_mounts
from labkit.machine.request import Request

__all__ = ["start"]

NAMESPACES = (
    syscalls.CLONE_NEWNS
    | syscalls.CLONE_NEWNET
    | syscalls.CLONE_NEWUTS
    | syscalls.CLONE_NEWIPC
    | syscalls.CLONE_NEWPID
    | syscalls.CLONE_NEWCGROUP
)
HALF_OF_MEMORY = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
LIMITS = {  # so that an accident inside is none outside; by the names of both versions of control groups
    "pids.max": 4096,  # a fork bomb ends here
    "memory.limit_in_bytes": HALF_OF_MEMORY,  # and so do files in memory that fill every disk
    "memory.max": HALF_OF_MEMORY,
}


def start(request: Request, ledger: Ledger, line: int, listening: Sequence[socket.socket]) -> Iterator[Part]:
    """Start the machine's processes; give each as it starts. `line` is the inside's end of the control line.

    `listening` are the sockets of the notebook's kernel: they are closed here, and go on inside.
    Raises MachineError when the kernel refuses a step.
    """
    groups = make_cgroups(ledger, f"labkit-{ledger.run_dir.name}")
    unshared, announce = os.pipe()
    connected, connect = os.pipe()
    sockets = [end.fileno() for end in listening]
    holder = fork_child(
        lambda: _hold(
            groups, announce, [line, connected, *sockets], lambda: become_init(request, line, sockets, connected)
        )
    )
    ledger.add_process(holder)
    yield "the machine", holder
    for end in listening:
        end.close()
    os.close(connected)
    os.close(announce)
    with os.fdopen(unshared, "rb") as pipe:
        words = pipe.read()
    if not words:  # it has ended, and the guard sees how
        return
    if words != b"ok":
        raise MachineError(f"the kernel refused to make the machine's namespaces: {words.decode()}")
    # Root can let it have no file, and no capability but CAP_NET_BIND_SERVICE.
    command = ["--enable-sandbox", "--configure", f"--ready-fd={connect}", "--netns-type=path"]
    command += [f"/proc/{holder}/ns/net", "tap0"]
    yield "its network (slirp4netns)", start_slirp(ledger, "slirp.log", command, connect, prepare=take_own_mounts)
    os.close(connect)


def fork_child(run: Callable[[], None]) -> int:
    """Fork a child that dies with this process; give its pid."""
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        try:
            syscalls.die_with_parent(parent, signal.SIGKILL)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            run()
        finally:
            os._exit(1)
    return pid


def _hold(groups: list[Path], announce: int, handed: list[int], become: Callable[[], None]) -> None:
    """Make the namespaces, and fork their first process, which has the descriptors `handed`, to call `become`."""
    try:
        for group in groups:
            join(group)
        syscalls.unshare(NAMESPACES)
        syscalls.mount("", "/", "", syscalls.MS_REC | syscalls.MS_PRIVATE)
        for group in groups:
            step_aside(group)
    except OSError as error:
        os.write(announce, str(error).encode())
        return
    os.write(announce, b"ok")
    os.close(announce)
    init = os.fork()
    if init == 0:
        syscalls.die_with_parent(0, signal.SIGKILL)  # a parent outside one's PID namespace has the number 0
        close_others(*handed)
        become()
    os.waitpid(init, 0)
    os._exit(0)


def close_others(*keep: int) -> None:
    """Close every descriptor above stderr but the given ones: nothing of the outside is to be held inside."""
    for name in os.listdir("/proc/self/fd"):
        if int(name) > 2 and int(name) not in keep:
            with suppress(OSError):
                os.close(int(name))


def make_cgroups(ledger: Ledger, name: str) -> list[Path]:
    """Make a control group of that name in every hierarchy that is mounted writable: cgroups(7)."""
    made = []
    for top in hierarchies():
        group = top / name
        ledger.add_cgroup(group)
        try:
            group.mkdir()
        except OSError:  # mounted read-only, or not ours: the machine stays in the group it is in
            continue
        pass_controllers_on(top)
        if (group / "tasks").exists() and (group / "cpuset.cpus").exists():  # version 1
            fill_cpuset(str(group))
        for knob, limit in LIMITS.items():
            if (group / knob).exists():
                (group / knob).write_text(str(limit))
        made.append(group)
    return made
