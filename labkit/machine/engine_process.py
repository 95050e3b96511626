"""How does the engine of a lab machine start, and start again after it died?

dockerd is PID 1's child, whoever starts it, so that it outlives a lesson's cell. It keeps its state in
/var/lib/docker (in memory), and logs to /run/labkit/dockerd.log. Its two listening sockets are made here and
handed over, as systemd does it: who connects before it is ready waits instead of being refused, and dockerd does
not hold up its start by a second, as it does to warn of a tcp address of its own without TLS.
Source: dockerd(8), sd_listen_fds(3).
"""

import fcntl
import os
import shutil
import socket
import time
from pathlib import Path

from labkit.errors import EngineError, MachineError
from labkit.machine.boot_log import STATE

__all__ = ["API_SOCKET", "start_engine"]

API_SOCKET = Path("/run/docker.sock")
API_TCP = ("127.0.0.1", 5678)
LOG = STATE / "dockerd.log"
PIDFILE = Path("/run/docker.pid")
CONTAINERD_PIDFILE = Path("/run/docker/containerd/containerd.pid")
PATIENCE_S = 180.0  # where a whole class boots at once; a dockerd that ends is noticed at once


def start_engine() -> None:
    """Start dockerd and wait until it answers; if one answers already, nothing is done.

    Raises MachineError, with dockerd's last words, when it ends or does not answer within 180 s.
    """
    if answers():
        return
    deadline = time.monotonic() + PATIENCE_S
    # A killed dockerd takes its containerd along, but not at once; a new one refuses to start beside the old.
    while _is_alive(CONTAINERD_PIDFILE) or _is_alive(PIDFILE):
        _wait(deadline, "dockerd runs and does not answer on its socket, or is slow to end: restart the kernel")
    PIDFILE.unlink(missing_ok=True)
    sockets = _listen()
    pid = _spawn(sockets)
    for listener in sockets:
        listener.close()  # dockerd alone holds them now, so its end is seen by who waits for an answer
    while not answers():
        if not _runs(pid):
            raise MachineError(f"dockerd ended while it started. Its last words: {_last_words()}")
        _wait(deadline, f"dockerd does not answer. Its last words: {_last_words()}")


def answers() -> bool:
    """Does the engine answer on its socket?"""
    from labkit.engine import Engine  # where nobody asks (PID 1), nothing is imported

    try:
        with Engine(f"unix://{API_SOCKET}", timeout_s=10) as engine:
            return engine.get("/_ping", versioned=False).answer.status == 200
    except EngineError:
        return False


def _command() -> list[str]:
    command = ["dockerd", "--host=fd://"]
    command += ["--data-root=/var/lib/docker", "--exec-root=/run/docker", f"--pidfile={PIDFILE}"]
    crun = shutil.which("crun")
    if crun and Path("/sys/fs/cgroup/cgroup.controllers").exists():  # crun refuses a mix of cgroup v1 and v2
        command += [f"--add-runtime=crun={crun}", "--default-runtime=crun"]
    return command


def _listen() -> list[socket.socket]:
    API_SOCKET.unlink(missing_ok=True)
    local = socket.socket(socket.AF_UNIX)
    local.bind(str(API_SOCKET))
    API_SOCKET.chmod(0o660)
    tcp = socket.create_server(API_TCP)
    local.listen()
    return [local, tcp]


def _spawn(sockets: list[socket.socket]) -> int:
    """Start dockerd as a child of PID 1; give its pid."""
    read, write = os.pipe()
    middle = os.fork()
    if middle == 0:
        os.setsid()
        pid = os.fork()
        if pid == 0:
            _exec(sockets)
        os.write(write, str(pid).encode())
        os._exit(0)
    os.close(write)
    os.waitpid(middle, 0)
    with os.fdopen(read, "rb") as pipe:
        return int(pipe.read())


def _exec(sockets: list[socket.socket]) -> None:
    try:
        high = [fcntl.fcntl(listener, fcntl.F_DUPFD_CLOEXEC, 10) for listener in sockets]
        for number, listener in enumerate(high, start=3):
            os.dup2(listener, number)
        handed = {"LISTEN_FDS": str(len(sockets)), "LISTEN_PID": str(os.getpid())}
        os.dup2(os.open("/dev/null", os.O_RDONLY), 0)
        log = os.open(LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        os.dup2(log, 1)
        os.dup2(log, 2)
        # Go's preemption signals are cheap on a processor and dear where each one is traced.
        os.execvpe("dockerd", _command(), {**os.environ, **handed, "GODEBUG": "asyncpreemptoff=1"})
    except OSError as error:
        os.write(2, f"dockerd cannot be started: {error}\n".encode())
    finally:
        os._exit(127)


def _wait(deadline: float, otherwise: str) -> None:
    if time.monotonic() > deadline:
        raise MachineError(f"{otherwise} (waited {PATIENCE_S:.0f} s)")
    time.sleep(0.02)


def _runs(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def _is_alive(pidfile: Path) -> bool:
    try:
        return Path(f"/proc/{int(pidfile.read_text())}").exists()
    except (OSError, ValueError):
        return False


def _last_words() -> str:
    try:
        return LOG.read_text(errors="replace")[-600:].strip() or "(none)"
    except OSError:
        return "(none)"
