"""Who sees to it that nothing of a machine is left?

The guard is a process that starts every part of one machine and waits. When its owner (the launcher), or any
part, ends in any way, it ends all parts and removes what they leave. Each thing is written to a ledger before or
as it is made. Should the guard itself be killed, its children die with it (PR_SET_PDEATHSIG), and the launcher
settles the ledger; should both be killed at once, the next machine's start does.
"""

import fcntl
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, NoReturn

from labkit.errors import MachineError
from labkit.linux import cgroups, syscalls
from labkit.linux.proc import pids, read_stat
from labkit.machine import last_words

__all__ = ["ENDING_SIGNALS", "Ledger", "Part", "claim", "hear_end", "run_guard", "settle", "take_turn", "tell_end"]

ENDING_SIGNALS = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
PATIENCE_S = 8.0
PIPE_BYTES = 65536
MAX_MESSAGE_BYTES = 65536

Part = tuple[str, int]  # what it is, in the words of a message; its pid


class Ledger:
    """The list of what has to be undone, in the machine's run directory."""

    def __init__(self, run_dir: Path) -> None:
        self.run_dir = run_dir
        self.path = run_dir / "ledger"
        self.entries: list[dict[str, Any]] = []
        self.logs: dict[int, str] = {}
        self.last_words: dict[str, bytes] = {}  # by the name of the log
        self._programs: list[subprocess.Popen[bytes]] = []

    def add_process(self, pid: int) -> None:
        """Note a child process. Its start time tells it from a later one of that pid."""
        self._add(pid=pid, born=start_time(pid), group=False, numbers=pid_space())

    def add_program(self, program: "subprocess.Popen[bytes]") -> None:
        """Note the whole process group of a program that was just started.

        Its handle is kept: once nobody holds it, Python reaps the program, and nobody learns how it ended.
        """
        self._programs.append(program)
        self._add(pid=program.pid, born=start_time(program.pid), group=True, numbers=pid_space())

    def add_cgroup(self, path: Path) -> None:
        """Note a control group's directory; to be called before it is made."""
        self._add(cgroup=str(path))

    def open_log(self, name: str) -> int:
        """A pipe for what a part writes, of which the guard keeps the last words.

        A file would grow as long as the part likes: what root inside writes on a console ends here.
        """
        source, sink = os.pipe()
        os.set_blocking(source, False)
        self.logs[source] = name
        return sink

    def hear(self) -> None:
        """Read what has come into the pipes of `open_log`; as much as a pipe holds, so that nobody can keep us here."""
        for source, name in list(self.logs.items()):
            with suppress(BlockingIOError):
                words = os.read(source, PIPE_BYTES)
                self.last_words[name] = (self.last_words.get(name, b"") + words)[-last_words.KEPT_BYTES :]
                if not words:  # nobody writes any more
                    del self.logs[source]

    def read(self) -> list[dict[str, Any]]:
        try:
            lines = self.path.read_bytes().split(b"\n")
        except FileNotFoundError:
            return []
        found = []
        for line in lines:
            with suppress(ValueError):  # a line that was not written to its end
                found.append(json.loads(line))
        return found

    def _add(self, **entry: Any) -> None:
        self.entries.append(entry)
        with self.path.open("ab", buffering=0) as file:
            file.write(json.dumps(entry).encode() + b"\n")


def run_guard(run_dir: Path, turn: int, owner: socket.socket, start: Callable[[Ledger], Iterable[Part]]) -> NoReturn:
    """Make the run directory, start a machine's parts and wait; undo everything when the owner or a part is gone.

    Ends this process, which was forked with ENDING_SIGNALS blocked. `turn` is over when the parts have started. The
    owner hears why the machine ended: see `hear_end`.
    """
    os.setsid()
    syscalls.become_subreaper()  # what the parts leave behind comes here, and is reaped
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _raise_exit)
    ledger = Ledger(run_dir)
    reason, failed = "the guard was told to end", False
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING_SIGNALS)
        _lock = claim(run_dir)  # held until this process has ended
        parts = list(start(ledger))
        fcntl.flock(turn, fcntl.LOCK_UN)  # for all who were forked with it, too
        reason, failed = _wait_for_end(owner, parts, ledger)
    except MachineError as error:
        reason, failed = str(error), True
    except Exception as error:
        reason, failed = f"the machine cannot be started: {error}", True
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        with suppress(OSError):
            ledger.hear()
        if failed:
            reason += _last_words(ledger, _log_of(reason))
        settle(run_dir, ledger.entries)  # also where somebody has removed the directory
        tell_end(owner, reason)
        os._exit(0)


def _log_of(reason: str) -> str:
    """Where the part wrote its last words of which a reason for the end speaks."""
    if "slirp4netns" not in reason:
        return "console.log"
    return "channels.log" if "the notebook's" in reason else "slirp.log"


def tell_end(owner: socket.socket, words: str) -> None:
    """Say how the machine ended, in one message: of a character JSON makes twelve bytes at most."""
    with suppress(OSError):  # the owner is gone
        owner.send(json.dumps({"ended": words[: MAX_MESSAGE_BYTES // 12 - len('{"ended": ""}')]}).encode())


def hear_end(owner: socket.socket) -> str:
    """At the owner's end of the socket: wait for the guard's end, and give its reason for ending the machine."""
    try:
        message = owner.recv(MAX_MESSAGE_BYTES)
    except OSError:
        message = b""
    return str(json.loads(message)["ended"]) if message else "its guard was killed"


def _raise_exit(*_: object) -> NoReturn:
    raise SystemExit


def _wait_for_end(owner: socket.socket, parts: list[Part], ledger: Ledger) -> tuple[str, bool]:
    """Wait for the first end; give it in words, and whether a part has failed."""
    handles: dict[int, str] = {}
    gone = ""
    for name, pid in parts:
        try:
            handles[os.pidfd_open(pid)] = name
        except ProcessLookupError:  # ended and reaped already, perhaps because another one had ended before
            gone = f"{name} ended"
    while True:
        ready, _, _ = select.select([owner.fileno(), *handles, *ledger.logs], [], [], 0 if gone else None)
        for handle in ready:
            if handle in handles:
                how, failed = _how_ended(handle)
                return f"{handles[handle]} {how}", failed
        ledger.hear()
        if owner.fileno() in ready and not owner.recv(4096):
            return "its owner is gone", False
        if gone:
            return gone, False


def _how_ended(handle: int) -> tuple[str, bool]:
    """How a part ended, a child to be reaped by its pidfd, and whether by its own fault: waitid(2)."""
    try:
        end = os.waitid(os.P_PIDFD, handle, os.WEXITED | os.WNOWAIT | os.WNOHANG)
    except ChildProcessError:
        end = None
    if end is None or end.si_code == os.CLD_EXITED:
        return "ended", end is not None and end.si_status != 0
    if end.si_status == signal.SIGKILL:
        return "was killed (SIGKILL), perhaps because memory ran out", False
    return f"was killed ({signal.Signals(end.si_status).name})", True


def _last_words(ledger: Ledger, log: str) -> str:
    """What a part wrote to its log before it ended: the line that tells why, and where the rest is."""
    return last_words.quote(ledger.last_words.get(log, b"").decode(errors="replace"), ledger.run_dir)


def settle(run_dir: Path, entries: list[dict[str, Any]] | None = None) -> None:
    """Undo what the ledger of a run directory lists, and remove the directory. Safe to call again, by anybody."""
    if entries is None:
        entries = Ledger(run_dir).read()
    processes = [entry for entry in entries if "pid" in entry and entry["numbers"] == pid_space()]
    groups = [Path(entry["cgroup"]) for entry in entries if "cgroup" in entry]
    for entry in processes:
        _kill(entry)
    for group in groups:
        _thaw(group)
    deadline = time.monotonic() + PATIENCE_S
    for entry in processes:
        while _is_left(entry) and time.monotonic() < deadline:
            _reap()
            _kill(entry)
            time.sleep(0.01)
    _reap()
    for group in groups:
        cgroups.remove(group, deadline)
    if any(map(_is_left, processes)) or any(group.exists() for group in groups):
        return  # the next machine to start tries again
    shutil.rmtree(run_dir, ignore_errors=True)


def _thaw(group: Path) -> None:
    """Let a paused container go on, to its death: in a frozen group of version 1 not even SIGKILL arrives."""
    for knob in group.rglob("freezer.state"):
        with suppress(OSError):
            knob.write_text("THAWED")


def _reap() -> None:
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG) != (0, 0):
            pass


def take_turn(base: Path) -> int:
    """Wait until no other machine is being started under `base`; give a descriptor: closing it ends the turn.

    One at a time: what a machine will take of memory is seen once its processes are there; and a run directory just
    made, and not locked yet, looks like that of a machine whose owners are gone. Raises OSError.
    """
    turn = os.open(base, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    fcntl.flock(turn, fcntl.LOCK_EX)
    return turn


def claim(run_dir: Path) -> IO[str]:
    """In one's turn, make a run directory and lock it, for as long as the file that is given is open.

    Those beside it that nobody holds are settled. Raises MachineError when the directory cannot be made.
    """
    sweep(run_dir.parent)
    try:
        run_dir.mkdir(mode=0o700)
        lock = (run_dir / "lock").open("w")
        fcntl.flock(lock, fcntl.LOCK_EX)
    except OSError as error:
        words = f"no directory can be made in {run_dir.parent} ({error.strerror}): free some space"
        raise MachineError(words) from error
    return lock


def sweep(base: Path) -> None:
    """In one's turn, settle the machines under `base` whose guard is gone: nobody has their lock."""
    for run_dir in base.iterdir():
        with suppress(OSError), (run_dir / "lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            settle(run_dir)


def pid_space() -> str:
    """Where a pid means a process: in this boot of the kernel, and in this PID namespace. Elsewhere it is another's."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip() + os.readlink("/proc/self/ns/pid")


def start_time(pid: int) -> str:
    """A process's start time in clock ticks since boot, as text; "" when it is gone."""
    stat = read_stat(pid)
    return str(stat.start_time) if stat else ""


def _kill(entry: dict[str, Any]) -> None:
    pid = entry["pid"]
    with suppress(OSError):
        if entry["group"] and (_members(pid) if start_time(pid) in ("", entry["born"]) else []):
            os.killpg(pid, signal.SIGKILL)
        elif start_time(pid) == entry["born"] != "":
            os.kill(pid, signal.SIGKILL)


def _is_left(entry: dict[str, Any]) -> bool:
    if entry["group"]:
        return start_time(entry["pid"]) in ("", entry["born"]) and bool(_members(entry["pid"]))
    return start_time(entry["pid"]) == entry["born"] != "" and _state(entry["pid"]) != "Z"


def _members(group: int) -> list[int]:
    """The living processes of a process group that belongs to a session of the same number, as linux.uml's does."""
    found = filter(None, map(read_stat, pids()))
    return [one.pid for one in found if one.pgrp == group == one.session and one.state != "Z"]


def _state(pid: int) -> str:
    stat = read_stat(pid)
    return stat.state if stat else "Z"
