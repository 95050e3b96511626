"""Which process forks for an experiment, and ends with the notebook's kernel?

The program of the helper (`labkit.isolation.helper`). It has one thread, imports little, and does no experiment itself:
for each it forks, and the child changes its own namespaces, root and groups as it likes.

    kernel ── socket, one byte and four descriptors for each experiment ── resident ── fork ── experiment
       └───────────────── channel: a line of JSON each way, then how it ended ──────────────────┘

The descriptors are the channel and the experiment's stdin, stdout and stderr. So what an experiment prints is not
passed on by anybody. When the kernel lets go of a channel, that experiment is killed with all that it has started; when
the kernel ends, the resident ends all of them and itself (PR_SET_PDEATHSIG, and the end of the socket).
"""

import array
import gc
import json
import os
import select
import signal
import socket
import time
from contextlib import suppress
from importlib import import_module
from pathlib import Path

from labkit.isolation.experiment import live
from labkit.isolation.groups import sweep, sweep_after
from labkit.linux.proc import pids, read_stat
from labkit.linux.syscalls import become_subreaper, die_with_parent

__all__ = ["main"]

DESCRIPTORS = 4
PRELOADED = ("labkit.isolation.namespaces", "labkit.isolation.keeper")  # what most want, once and not in each
NAME = "lab-helper"  # in lists of processes
KILL_ROUNDS = 100
KILL_NAP_S = 0.001


class Resident:
    """The children that run experiments: by descriptor of the process (pidfd), its pid and its channel."""

    def __init__(self, requests: socket.socket) -> None:
        self.requests = requests
        self.running: dict[int, tuple[int, socket.socket]] = {}
        self.poll = select.poll()
        self.poll.register(requests, select.POLLIN)

    def serve(self) -> None:
        """Fork for each request, tell how each child ended; return when nobody is there to ask any more."""
        while True:
            ready = [fd for fd, _ in self.poll.poll()]
            for fd in ready:
                if fd in self.running:
                    self._end(fd)
                elif fd != self.requests.fileno():
                    self._kill(fd)
            # Last, as a new experiment's descriptors may have the numbers of those that were closed here.
            if self.requests.fileno() in ready and not self._fork():
                return

    def _fork(self) -> bool:
        """Fork for one request; False: the other side is closed."""
        message, descriptors = _receive(self.requests)
        if not message:
            return False
        channel = socket.socket(fileno=descriptors.pop(0))
        own = os.getpid()
        try:
            pid = os.fork()
        except OSError as error:  # too many processes
            _refuse(channel, descriptors, error)
            return True
        if pid == 0:
            live(own, channel, descriptors)
        for descriptor in descriptors:
            os.close(descriptor)
        pidfd = os.pidfd_open(pid)
        self.running[pidfd] = (pid, channel)
        self.poll.register(pidfd, select.POLLIN)
        self.poll.register(channel, select.POLLRDHUP)  # what is said there is the experiment's to read
        return True

    def _end(self, pidfd: int) -> None:
        """Reap a child that has ended, end what it has left, and tell how it ended."""
        pid, channel = self.running.pop(pidfd)
        self.poll.unregister(pidfd)
        os.close(pidfd)
        with suppress(KeyError):
            self.poll.unregister(channel)
        _, status = os.waitpid(pid, 0)
        self.end_strays(pid)
        if os.WIFSIGNALED(status):
            sweep_after(pid)  # it may have had a container
        with suppress(OSError):
            channel.setblocking(False)  # who does not read is not waited for
            channel.send(f"\n{json.dumps({'ended': os.waitstatus_to_exitcode(status)})}\n".encode())
        channel.close()

    def _kill(self, fd: int) -> None:
        """The kernel has let go of a channel: kill its experiment, whose end is seen next."""
        for pidfd, (_, channel) in self.running.items():
            if channel.fileno() == fd:
                self.poll.unregister(fd)
                with suppress(ProcessLookupError):
                    signal.pidfd_send_signal(pidfd, signal.SIGKILL)

    def end_strays(self, session: int) -> None:
        """Kill the processes of a session that is over, and orphans that are of no experiment that still runs.

        An orphan has become this process's child (PR_SET_CHILD_SUBREAPER). One that has made a session of its own can
        be anybody's while others run: it is ended with the last of them.
        """
        sessions = {pid for pid, _ in self.running.values()}
        for _ in range(KILL_ROUNDS):
            strays = self._find_strays(session, sessions) if self.running or _has_children() else []
            if not strays:
                return
            for pid in strays:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                with suppress(ChildProcessError):  # a stray's own child, which comes to us next
                    os.waitpid(pid, os.WNOHANG)  # one that is frozen by its control group ends later
            time.sleep(KILL_NAP_S)

    def _find_strays(self, session: int, sessions: set[int]) -> list[int]:
        own, found = os.getpid(), []
        for pid in pids():
            stat = read_stat(pid)
            if stat is None or pid == own or pid in sessions:
                continue
            is_orphan = stat.ppid == own and (not sessions or stat.session not in sessions | {stat.pid})
            if stat.session == session or is_orphan:
                found.append(pid)
        return found

    def close(self) -> None:
        """Kill every experiment and what each has started."""
        for pidfd, (pid, channel) in list(self.running.items()):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            self._end(pidfd)
            channel.close()


def _refuse(channel: socket.socket, descriptors: list[int], error: OSError) -> None:
    """Tell that no process can be made for an experiment, in the words in which its own errors are told."""
    told = {"kind": type(error).__name__, "errno": error.errno, "strerror": error.strerror, "filename": "fork()"}
    with suppress(OSError):
        channel.send(f"{json.dumps({'error': told})}\n{json.dumps({'ended': 1})}\n".encode())
    for descriptor in descriptors:
        os.close(descriptor)
    channel.close()


def _has_children() -> bool:
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def _receive(requests: socket.socket) -> tuple[bytes, list[int]]:
    """One request: a byte, and its descriptors; no byte at the end."""
    descriptors = array.array("i")
    message, ancillary, _, _ = requests.recvmsg(1, socket.CMSG_LEN(DESCRIPTORS * descriptors.itemsize))
    for level, kind, data in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            descriptors.frombytes(data[: len(data) - len(data) % descriptors.itemsize])
    return message if len(descriptors) == DESCRIPTORS else b"", descriptors.tolist()


def main(descriptor: int, parent: int) -> None:
    """Serve requests that come through a socket, until the parent closes it or ends."""

    requests = socket.socket(fileno=descriptor)

    def reconsider(*_: object) -> None:
        # The signal comes as well when only that thread of the parent ends which had started this process: prctl(2).
        if os.getppid() == parent:
            die_with_parent(parent, signal.SIGTERM)
        else:
            with suppress(OSError):
                requests.shutdown(socket.SHUT_RDWR)  # an exception here would come into the middle of anything

    signal.signal(signal.SIGTERM, reconsider)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    die_with_parent(parent, signal.SIGTERM)
    become_subreaper()
    Path("/proc/self/comm").write_text(NAME)
    for module in PRELOADED:
        import_module(module)
    with suppress(OSError):  # there are no control groups here, or they are not ours
        sweep()  # and where they are is known then, to each child too
    gc.collect()
    gc.freeze()  # a child then copies no page for counting what it never frees
    resident = Resident(requests)
    try:
        resident.serve()
    finally:
        resident.close()
