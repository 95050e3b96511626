"""Where does a container engine for the image come from?

From the user, when `docker` answers. Otherwise root gets an engine of its own here: a dockerd in namespaces of its own,
with slirp4netns for its way out, its files in one directory. It meets no other engine, and nothing of it stays.
"""

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from labkit.daemons.daemon import remove_groups, run_daemon
from labkit.errors import MachineError

__all__ = ["ContainerEngine", "container_engine", "own_engine"]

PLACES = Path("/var/tmp")
PREFIX = "labkit-engine-"


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
    try:
        driver = ["--exec-opt=native.cgroupdriver=cgroupfs"]
        with run_daemon(home, data=data or home / "data", options=driver, has_network=True) as daemon:
            enter = ("nsenter", "--net", "--target", str(daemon.pid))
            yield ContainerEngine({**os.environ, "DOCKER_HOST": daemon.host}, enter)
    except MachineError as error:
        sys.exit(str(error))
    finally:
        shutil.rmtree(home)
        os.close(held)


def _sweep(places: Path) -> None:
    """Remove what an engine left whose process was killed: its lock is nobody's."""
    for home in places.glob(f"{PREFIX}*"):
        with suppress(OSError):  # of an engine that lives, or just being made or removed
            held = _lock(home)
            try:
                if os.fstat(held).st_uid == os.getuid():
                    remove_groups(home)
                    shutil.rmtree(home)
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
