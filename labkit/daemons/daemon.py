"""How does one start an engine beside the one that runs, so that neither meets the other?

In namespaces of its own: mounts, network, names, processes. Its first process is a shell that waits for dockerd; when
it ends, the kernel ends all that runs in there. Outside are only a socket, two logs and, if it is asked for, a
directory that keeps the images. It ends with the process that started it, however that ends. It needs root: unshare(1).

    with run_daemon(Path("/tmp/second")) as second, Engine(second.host) as engine:
        engine.get("/info").json()["Driver"]
"""

import json
import os
import shlex
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import NamedTuple

from labkit.errors import MachineError
from labkit.linux import cgroups
from labkit.machine.last_words import find_reason

__all__ = ["Daemon", "engine_answers", "remove_groups", "run_daemon"]

START_S = 30.0  # it needs about a second
END_S = 10.0  # for its containers and its control groups
NAP_S = 0.02
SLIRP_NAMES, NO_NAMES = "10.0.2.3", "127.0.0.1"  # slirp4netns has a name server; on a node nobody listens there
GROUP = "group"  # the file at its place that names its control group

NAMESPACES = ["--mount", "--net", "--uts", "--ipc", "--pid", "--fork", "--kill-child", "--mount-proc"]
WITH_US = ["setpriv", "--pdeathsig=KILL"]  # whoever starts it may be killed, and it is not to stay
# /run and /etc/docker are its own, and empty: what another engine keeps there, its identity too, is out of sight.
# A lab machine's own programs, above all the iptables that its kernel can serve, are put back into the empty /run.
# dockerd is no first process of a PID namespace itself: that would have to reap what its containers leave.
INSIDE = r"""
place=$1 settings=$2; shift 2
ip link set lo up
programs=/run/labkit/bin
test ! -d $programs || exec 9<$programs
mount -t tmpfs tmpfs /run
if test -e /proc/self/fd/9; then
    mkdir -p $programs
    mount --no-canonicalize --bind /proc/self/fd/9 $programs
    exec 9<&-
fi
mkdir -p /etc/docker
mount -t tmpfs tmpfs /etc/docker
echo "$settings" > /run/daemon.json
trap 'kill $engine' TERM
test -z "${LISTEN_FDS-}" || exec 3<&0 </dev/null
sh -c 'test -z "${LISTEN_FDS-}" || export LISTEN_PID=$$; exec dockerd "$@"' sh \
    --config-file=/run/daemon.json --host="unix://$place/s" --exec-root=/run/docker \
    --pidfile=/run/dockerd.pid "$@" &
engine=$!
wait $engine || wait $engine
"""
# The name server that is asked from there, whatever the host's file says.
ASK = """
mount -t tmpfs none /mnt
echo nameserver {} >/mnt/resolv.conf
mount --bind /mnt/resolv.conf "$(readlink -f /etc/resolv.conf)"
"""
# A manager of a swarm allocates 64 MB in advance for each file of its Raft log, which on a tmpfs is memory. A ramfs
# cannot allocate in advance, and there the files take what is written. It is led there by a link: dockerd mounts its
# data root on itself, which hides what is mounted below.
SMALL_RAFT_LOG = "mkdir -p /run/data /run/raft; mount -t ramfs ramfs /run/raft; ln -s /run/raft /run/data/swarm"
WAIT_FOR_NETWORK = """
until ip link show tap0 >/dev/null 2>&1; do sleep 0.05; done
"""


class Daemon(NamedTuple):
    """An engine that answers: its address, and the pid of its first process, whose namespaces are the engine's."""

    host: str
    pid: int

    @property
    def network(self) -> Path:
        """Its network namespace, in which its tcp addresses are, as a file for setns(2)."""
        return Path(f"/proc/{self.pid}/ns/net")


@contextmanager
def run_daemon(
    place: Path,
    *,
    options: Sequence[str] = (),
    settings: Mapping[str, object] | None = None,
    data: Path | None = None,
    programs: str = "",
    cgroup_driver: str = "cgroupfs",
    has_network: bool = False,
    node: str = "",
    listener: socket.socket | None = None,
    end_s: float = END_S,
) -> Iterator[Daemon]:
    """Start dockerd and wait until it answers; after the block it is ended, with its containers and control groups.

    `place` is an empty directory for its socket and its logs. `options` are dockerd's own, `settings` what its
    daemon.json holds. Images are kept in `data`, or else in memory. `programs` is a directory whose dockerd, containerd
    and runc go before the installed ones. `cgroup_driver` says who makes the control groups: "cgroupfs", the engine
    itself, or "systemd". With `has_network` slirp4netns leads it to the internet, else it has none. `node` makes it a
    node of a cluster: that is its host name, and it has docker's bridge and rules. Nobody answers its questions for
    names, so that these fail at once. `listener` is a socket that listens already, on which it is to answer too:
    dockerd gets it as its file 3, and two variables that say so (sd_listen_fds(3)).
    `end_s` are the seconds in which dockerd may stop its containers and unmount what it mounted, before it is killed.
    Its namespaces undo the same at once, except for what belongs to the whole kernel (the volumes of devicemapper).

    Raises MachineError with dockerd's last words when it ends or does not answer within 30 s; OSError where a program
    that this takes is missing.
    """
    path = f"{programs}:{os.environ['PATH']}" if programs else os.environ["PATH"]
    # systemd has its own names for groups, and dockerd wants one of them then.
    group = f"labkit-daemon-{os.urandom(6).hex()}" + (".slice" if cgroup_driver == "systemd" else "")
    (place / GROUP).write_text(group)
    parent = group if cgroup_driver == "systemd" else f"/{group}"
    given = [f"--data-root={data or '/run/data'}", f"--cgroup-parent={parent}", *options]
    given += [f"--exec-opt=native.cgroupdriver={cgroup_driver}"]
    given += [] if has_network or node else ["--bridge=none", "--iptables=false"]
    given += ["--host=fd://"] if listener else []
    environment = os.environ | {"PATH": path} | ({"LISTEN_FDS": "1"} if listener else {})
    script = INSIDE
    if has_network:
        script = ASK.format(SLIRP_NAMES) + WAIT_FOR_NETWORK + INSIDE
    elif node:
        own = f"hostname {shlex.quote(node)}" + ("" if data else f"; {SMALL_RAFT_LOG}")
        script = ASK.format(NO_NAMES) + INSIDE.replace("trap ", f"{own}\ntrap ", 1)
    with (place / "log").open("wb") as log:
        root = subprocess.Popen(
            [*WITH_US, "unshare", *NAMESPACES, "sh", "-euc", script, "sh", place, json.dumps(settings or {}), *given],
            env=environment,
            stdin=listener.fileno() if listener else subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        daemon = Daemon(f"unix://{place}/s", _first_child(root, place / "log"))
        with _slirp(daemon, place) if has_network else nullcontext():
            _wait_until_it_answers(place, root)
            yield daemon
            if end_s > 0:
                with suppress(ProcessLookupError):
                    os.kill(daemon.pid, signal.SIGTERM)
                with suppress(subprocess.TimeoutExpired):
                    root.wait(end_s)
    finally:
        root.kill()  # and with it, by --kill-child, everything in its PID namespace
        root.wait()
        remove_groups(place)


def remove_groups(place: Path) -> None:
    """Remove the control groups of an engine that has ended, also where whoever started it was killed."""
    with suppress(FileNotFoundError):  # it never had one
        group = (place / GROUP).read_text()
        for top in cgroups.hierarchies():
            cgroups.remove(top / group, time.monotonic() + END_S)


@contextmanager
def _slirp(daemon: Daemon, place: Path) -> Iterator[None]:
    command = ["slirp4netns", "--configure", "--mtu=1500", "--disable-host-loopback", str(daemon.pid), "tap0"]
    with (place / "slirp.log").open("wb") as log:
        slirp = subprocess.Popen([*WITH_US, *command], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        yield
    finally:
        slirp.kill()
        slirp.wait()


def _first_child(root: "subprocess.Popen[bytes]", log: Path) -> int:
    """The pid of the first process in the namespaces, which unshare(1) forks."""
    deadline = time.monotonic() + START_S
    while True:
        with suppress(OSError):  # it ended
            for child in Path(f"/proc/{root.pid}/task/{root.pid}/children").read_text().split():
                return int(child)
        _look(root, deadline, log)


def _wait_until_it_answers(place: Path, root: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + START_S
    while not engine_answers(place / "s"):
        _look(root, deadline, place / "log")


def engine_answers(api_socket: Path) -> bool:
    """Does a daemon answer on its socket?"""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(END_S)
        try:
            connection.connect(str(api_socket))
            connection.sendall(b"GET /_ping HTTP/1.0\r\n\r\n")
            return b" 200 " in connection.makefile("rb").readline(100)
        except OSError:
            return False


def _look(root: "subprocess.Popen[bytes]", deadline: float, log: Path) -> None:
    """Wait for a moment, unless there is nothing to wait for."""
    if root.poll() is not None or time.monotonic() > deadline:
        how = "ended while it started" if root.poll() is not None else f"did not answer within {START_S:.0f} s"
        words = find_reason(log.read_text(errors="replace")) or "(none)"
        raise MachineError(f"dockerd {how}. Its last words: {words}")
    time.sleep(NAP_S)
