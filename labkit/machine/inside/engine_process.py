"""How does the engine of a lab machine start, and start again after it died?

dockerd is PID 1's child, whoever starts it, so that it outlives a lesson's cell. It keeps its state in
/var/lib/docker (in memory), and logs to /run/labkit/dockerd.log. Its two listening sockets are made here and
handed over, as systemd does it: who connects before it is ready waits instead of being refused, and dockerd does
not hold up its start by a second, as it does to warn of a tcp address of its own without TLS.
Source: dockerd(8), sd_listen_fds(3).
"""

import json
import os
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

from labkit.errors import MachineError
from labkit.linux.proc import read_comm, read_stat
from labkit.machine.boot_log import STATE
from labkit.machine.last_words import find_reason
from labkit.machine.request import Request

__all__ = ["API_SOCKET", "start_engine", "write_settings"]

API_SOCKET = Path("/run/docker.sock")
API_TCP = ("127.0.0.1", 5678)
SETTINGS = Path("/etc/docker/daemon.json")
LOG = STATE / "dockerd.log"
PIDFILE = Path("/run/docker.pid")
CONTAINERD_PIDFILE = Path("/run/docker/containerd/containerd.pid")
# The sockets come as files 0 and 2; dockerd wants them as 3 and 4.
BECOME_DOCKERD = """echo $$; LISTEN_PID=$$ exec "$@" 3<&0 4<&2 </dev/null >>"$0" 2>&1"""
PATIENCE_S = 180.0  # where a whole class boots at once; a dockerd that ends is noticed at once


def write_settings(request: Request) -> None:
    """Write the file in which dockerd looks for its settings: where it keeps its images, if the request says so.

    Source: "Daemon configuration file" and "containerd image store" of Docker's manual.
    """
    settings: dict[str, Any] = {}
    if request.image_store:
        settings["features"] = {"containerd-snapshotter": request.image_store == "containerd"}
    SETTINGS.write_text(json.dumps(settings, indent=2) + "\n")


def start_engine() -> None:
    """Start dockerd and wait until it answers; if one answers already, nothing is done.

    Raises MachineError, with dockerd's last words, when it ends or does not answer within 180 s.
    """
    if engine_answers():
        return
    deadline = time.monotonic() + PATIENCE_S
    # A killed dockerd takes its containerd along, but not at once; a new one refuses to start beside the old.
    while _is_alive("containerd", CONTAINERD_PIDFILE) or _is_alive("dockerd", PIDFILE):
        _wait(deadline, "dockerd runs and does not answer on its socket, or is slow to end: restart the kernel")
    PIDFILE.unlink(missing_ok=True)
    with _listen_locally() as local, socket.create_server(API_TCP) as tcp:
        pid = _spawn(local, tcp)
    # dockerd alone holds the sockets now, so its end is seen by who waits for an answer.
    while not engine_answers():
        if not _runs(pid):
            raise MachineError(f"dockerd ended while it started. Its last words: {_last_words()}")
        _wait(deadline, f"dockerd does not answer. Its last words: {_last_words()}")


def engine_answers() -> bool:
    """Does the engine answer on its socket?"""
    # By hand: to load the client would take a user-mode kernel's one processor from dockerd as it starts.
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(10)
        try:
            connection.connect(str(API_SOCKET))
            connection.sendall(b"GET /_ping HTTP/1.0\r\n\r\n")
            return b" 200 " in connection.makefile("rb").readline(100)
        except OSError:  # nobody listens, or dockerd ended before it answered
            return False


def _command() -> list[str]:
    where = ["--data-root=/var/lib/docker", "--exec-root=/run/docker", f"--pidfile={PIDFILE}"]
    return ["dockerd", "--host=fd://", *where]


def _listen_locally() -> socket.socket:
    API_SOCKET.unlink(missing_ok=True)
    local = socket.socket(socket.AF_UNIX)
    local.bind(str(API_SOCKET))
    API_SOCKET.chmod(0o660)
    local.listen()
    return local


def _spawn(local: socket.socket, tcp: socket.socket) -> int:
    """Start dockerd in a session of its own, as a child of PID 1; give its pid.

    setsid(1) forks and ends, which makes its child PID 1's; and a shell says whom the sockets are for, since it knows
    its pid, which is to be dockerd's. A fork of this Python could do both, and is dear where each page that it
    touches is traced.
    """
    # Go's preemption signals are cheap on a processor and dear where each one is traced.
    settings = {"LISTEN_FDS": "2", "GODEBUG": "asyncpreemptoff=1"}
    command = ["setsid", "--fork", "sh", "-c", BECOME_DOCKERD, str(LOG), *_command()]
    try:
        started = subprocess.run(
            command,
            env={**os.environ, **settings},
            stdin=local.fileno(),
            stdout=subprocess.PIPE,
            stderr=tcp.fileno(),
            check=True,
        )
        return int(started.stdout)
    except (OSError, subprocess.SubprocessError, ValueError) as error:  # a learner may have removed what it takes
        raise MachineError(f"dockerd cannot be started: {error}. Restart the kernel to try again.") from error


def _wait(deadline: float, otherwise: str) -> None:
    if time.monotonic() > deadline:
        raise MachineError(f"{otherwise} (waited {PATIENCE_S:.0f} s)")
    time.sleep(0.02)


def _runs(pid: int) -> bool:
    stat = read_stat(pid)
    return stat is not None and stat.state != "Z"


def _is_alive(program: str, pidfile: Path) -> bool:
    """Is the process of that pid still this program? After its end another process may have got the number."""
    try:
        return read_comm(int(pidfile.read_text())) == program
    except (OSError, ValueError):
        return False


def _last_words() -> str:
    try:
        return find_reason(LOG.read_text(errors="replace")) or "(none)"
    except OSError:
        return "(none)"
