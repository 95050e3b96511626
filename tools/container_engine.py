"""Where does a container engine for the image come from?

From the user, when `docker` answers. Otherwise root gets an engine of its own here: a dockerd in namespaces of its own,
with slirp4netns for its way out, its files in one directory. It meets no other engine, and nothing of it stays.
"""

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["ContainerEngine", "container_engine", "own_engine"]

PATIENCE_S = 30
PLACES = Path("/var/tmp")
PREFIX = "labkit-engine-"
# The first process of the engine's namespaces: it waits for its network, then for dockerd. Its resolv.conf is the
# one name server that is reachable from there whatever the host's says: slirp4netns's.
INSIDE = """
mount -t tmpfs none /mnt
echo nameserver 10.0.2.3 >/mnt/resolv.conf
mount --bind /mnt/resolv.conf "$(readlink -f /etc/resolv.conf)"
until ip link show tap0 >/dev/null 2>&1; do sleep 0.05; done
trap 'kill $engine' TERM
dockerd --host "unix://$1/s" --data-root "$2" --exec-root "$1/exec" --pidfile "$1/pid" --cgroup-parent "$3" \
    --exec-opt native.cgroupdriver=cgroupfs >"$1/log" 2>&1 &
engine=$!
wait $engine
wait $engine
"""


@dataclass(frozen=True, slots=True)
class ContainerEngine:
    """An engine that answers: `environment` leads docker to it; a client of its ports is started with `enter`."""

    environment: dict[str, str] = field(default_factory=dict)
    enter: tuple[str, ...] = ()

    def docker(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a docker command; its output is captured. Raises CalledProcessError, having shown the words of docker."""
        done = subprocess.run(["docker", *words], env=self.environment, text=True, capture_output=True, check=False)
        if check and done.returncode:
            print(done.stdout[-3000:], done.stderr[-3000:], sep="\n", file=sys.stderr)
            done.check_returncode()
        return done


@contextmanager
def container_engine(data: Path | None = None) -> Iterator[ContainerEngine]:
    """Give the user's engine, or else one that is started here and ended at the end.

    Images and layers of the latter are kept in `data`, if that is given. Exits where there is neither.
    """
    theirs = ContainerEngine(dict(os.environ))
    if shutil.which("docker") and theirs.docker("version", check=False).returncode == 0:
        yield theirs
        return
    missing = [name for name in ("docker", "dockerd", "slirp4netns") if shutil.which(name) is None]
    if os.geteuid() != 0 or missing:
        lack = f"install what starts one here ({', '.join(missing)}, by `make setup`)" if missing else "start one"
        sys.exit(f"No container engine answers (`docker version`): {lack}, or run this as root.")
    with own_engine(data) as ours:
        yield ours


@contextmanager
def own_engine(data: Path | None) -> Iterator[ContainerEngine]:
    """Give an engine that is started here, as root, and ended at the end; `data` as in `container_engine`."""
    _sweep(PLACES)
    home = Path(tempfile.mkdtemp(prefix=PREFIX, dir=PLACES))
    held = _lock(home)
    group = f"/{home.name}"
    with_us = ["setpriv", "--pdeathsig=KILL"]  # if this process is killed, its engine goes too
    words = [
        *with_us,
        "unshare",
        "--mount",
        "--net",
        "--uts",
        "--ipc",
        "--pid",
        "--fork",
        "--kill-child",
        "--mount-proc",
    ]
    root = subprocess.Popen([*words, "sh", "-euc", INSIDE, "sh", home, data or home / "data", group])
    try:
        init = _first_child(root.pid)
        slirp = subprocess.Popen(
            [*with_us, "slirp4netns", "--configure", "--mtu=1500", "--disable-host-loopback", str(init), "tap0"],
            stdout=subprocess.DEVNULL,
            stderr=(home / "slirp.log").open("w"),
        )
        try:
            engine = ContainerEngine(
                {**os.environ, "DOCKER_HOST": f"unix://{home}/s"}, ("nsenter", "--net", "--target", str(init))
            )
            _wait_for(engine, root, home / "log")
            yield engine
            os.kill(init, signal.SIGTERM)  # dockerd stops its containers and unmounts what it mounted
            root.wait(PATIENCE_S)
        finally:
            slirp.kill()
            slirp.wait()
    finally:
        root.kill()  # and with it, by --kill-child, everything in its PID namespace
        root.wait()
        _remove(home)
        os.close(held)


def _first_child(pid: int) -> int:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        if children:
            return int(children[0])
        time.sleep(0.02)
    raise TimeoutError("unshare(1) started nothing")


def _wait_for(engine: ContainerEngine, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while engine.docker("version", check=False).returncode:
        if process.poll() is not None or time.monotonic() > deadline:
            words = log.read_text()[-2000:] if log.exists() else "(none)"
            sys.exit(f"dockerd does not start. Its last words:\n{words}")
        time.sleep(0.1)


def _sweep(places: Path) -> None:
    """Remove what an engine left whose process was killed: its lock is nobody's."""
    for home in places.glob(f"{PREFIX}*"):
        with suppress(OSError):  # of an engine that lives, or just being made or removed
            held = _lock(home)
            try:
                if os.fstat(held).st_uid == os.getuid():
                    _remove(home)
            finally:
                os.close(held)


def _lock(home: Path) -> int:
    """Hold an engine's directory as long as this process lives; raises OSError when another does."""
    lock = os.open(home, os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        raise
    return lock


def _remove(home: Path) -> None:
    _remove_groups(home.name)
    shutil.rmtree(home)


def _remove_groups(name: str) -> None:
    for line in Path("/proc/self/mountinfo").open():
        left, right = line.split(" - ")
        if right.split()[0] in ("cgroup", "cgroup2"):
            for group in sorted(Path(left.split()[4]).glob(f"{name}/**/"), reverse=True):
                group.rmdir()
