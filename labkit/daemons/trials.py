"""What does each storage driver cost, when a real engine does the same work with it?

An engine is started for each driver: a dockerd of its own, in namespaces of its own, whose data root is a file system
of its own. So the bytes of that file system are the driver's, and a block that two layers share counts once. The
machine's own engine lends an image, and notices nothing.

    with start_driver("vfs") as second:
        second.engine.get("/info").json()["Driver"], second.used_bytes()
    try_driver("vfs", busybox)          the whole workload: a Trial, or a Refusal
    choose_driver(Path("/srv"))         which driver an engine takes that is told none: a Choice
"""

import io
import os
import random
import subprocess
import tarfile
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from labkit.api.engine import Engine
from labkit.daemons.daemon import run_daemon
from labkit.errors import DriverRefused, MachineError
from labkit.images.drivers import DRIVERS, Driver, Refusal, Step, Trial
from labkit.linux.loop import mount_file
from labkit.linux.syscalls import MNT_DETACH, mount, syncfs, umount2

__all__ = ["CONTAINERS", "Choice", "SecondEngine", "choose_driver", "start_driver", "try_driver"]

CONTAINERS = 10
BIG_BYTES = 4 << 20
SMALL_BYTES = 1024
DISK_BYTES = 1 << 30  # of a file that is full of holes: only what is written takes memory
IMAGE = "labkit/big"
DOCKERFILE = b"FROM busybox\nCOPY big /big\nCOPY note /note\n"
CHANGE = ["sh", "-c", "printf x | dd of=/big bs=1 count=1 conv=notrunc 2>/dev/null"]
# The pool of devicemapper lies in two files, on loop devices. There is no udev in a machine: it waits for none.
POOL = (
    "dm.override_udev_sync_check=true",
    "dm.fs=ext4",
    "dm.basesize=64M",
    "dm.loopdatasize=512M",
    "dm.loopmetadatasize=8M",
)
FAILED = "failed to start daemon: "
FIRST_WITH_CONTAINERD = 24  # major versions of Docker
FIRST_WITHOUT_POOL = 25


class SecondEngine(NamedTuple):
    """An engine that runs with a driver: its client, its data root, and how many bytes that keeps."""

    engine: Engine
    data: Path
    used_bytes: Callable[[], int]


class Choice(NamedTuple):
    """The driver that an engine has taken; "" where it did not start, and then `words` are dockerd's last ones."""

    driver: str
    words: str = ""


@contextmanager
def start_driver(title: str) -> Iterator[SecondEngine]:
    """Start an engine with a storage driver of `labkit.images.drivers.DRIVERS`; after the block nothing of it is left.

    Raises DriverRefused where the driver does not run, with the words of who refuses, and KeyError for another title.
    """
    driver = DRIVERS[title]
    _require_one_that_may(driver)
    with tempfile.TemporaryDirectory(prefix="labkit-driver-") as place, ExitStack() as held:
        data, used_bytes = _make_data_root(Path(place), driver, held)
        log = Path(place, "daemon")
        log.mkdir()
        try:
            daemon = held.enter_context(
                run_daemon(log, options=_options(driver), settings=_settings(driver), data=data, end_s=_end_s(driver))
            )
        except MachineError as error:
            raise DriverRefused(title, _refusal(log / "log") or str(error), "dockerd") from error
        engine = held.enter_context(Engine(daemon.host))
        running = engine.get("/info").json()["Driver"]
        if running != driver.name:
            raise DriverRefused(title, f"the engine took {running} instead of {driver.name}", "dockerd")
        empty = used_bytes()
        yield SecondEngine(engine, data, lambda: used_bytes() - empty)


def choose_driver(directory: Path, asked: str = "") -> Choice:
    """Start an engine that keeps its data below `directory`, and is told to use the driver `asked`, or left to choose.

    Raises OSError where nothing can be made there.
    """
    options = [f"--storage-driver={asked}"] if asked else []
    settings = {"features": {"containerd-snapshotter": False}}
    with ExitStack() as held:
        data, log = (
            Path(held.enter_context(tempfile.TemporaryDirectory(prefix="labkit-driver-", dir=place)))
            for place in (directory, None)
        )
        try:
            daemon = held.enter_context(run_daemon(log, options=options, settings=settings, data=data, end_s=0.0))
        except MachineError as error:
            return Choice("", _refusal(log / "log") or str(error))
        with Engine(daemon.host) as engine:
            return Choice(engine.get("/info").json()["Driver"])


def try_driver(title: str, busybox: bytes) -> Trial | Refusal:
    """Do the workload with a driver: take `busybox` (a tar of `docker save`), build, create, write, change one byte.

    Raises what every call of an Engine raises, and MachineError where a container does not do its work.
    """
    began = time.monotonic()
    try:
        with start_driver(title) as second:
            return _work(title, second, time.monotonic() - began, busybox)
    except DriverRefused as refused:
        return Refusal(title, refused.words, refused.who)


# --- the workload -------------------------------------------------------------------------------------------------


def _work(title: str, second: SecondEngine, start_s: float, busybox: bytes) -> Trial:
    engine = second.engine
    steps = [Step("start", start_s, 0)]

    def take(name: str, act: Callable[[], object]) -> None:
        began = time.monotonic()
        act()
        seconds = time.monotonic() - began
        steps.append(Step(name, seconds, second.used_bytes()))

    take("import", lambda: engine.post("/images/load", query={"quiet": True}, body=busybox))
    take("build", lambda: _build(engine))
    for number in range(1, CONTAINERS + 1):
        take(f"create {number}", lambda: _create(engine, f"c{number}"))  # noqa: B023  it is called at once
    take("change", lambda: _run(engine, "c1"))
    return Trial(title, tuple(steps), BIG_BYTES)


def _build(engine: Engine) -> None:
    files = {"Dockerfile": DOCKERFILE, "big": _noise(), "note": b"1" * SMALL_BYTES}
    with engine.json_lines("POST", "/build", query={"t": IMAGE}, body=_tar(files)) as lines:
        for line in lines:
            if "error" in line:
                raise MachineError(f"the engine does not build the image: {line['error']}")


def _create(engine: Engine, name: str) -> None:
    settings = {"Image": IMAGE, "Cmd": CHANGE, "HostConfig": {"NetworkMode": "none"}}
    engine.post("/containers/create", query={"name": name}, json=settings)


def _run(engine: Engine, name: str) -> None:
    engine.post(f"/containers/{name}/start")
    status = engine.post(f"/containers/{name}/wait").json()["StatusCode"]
    if status != 0:
        raise MachineError(f"the container that changes one byte ended with status {status}")


def _noise() -> bytes:
    """The same bytes in every run, which nothing can pack."""
    return random.Random(1).randbytes(BIG_BYTES)


def _tar(files: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return packed.getvalue()


# --- the data root ------------------------------------------------------------------------------------------------


def _make_data_root(place: Path, driver: Driver, held: ExitStack) -> tuple[Path, Callable[[], int]]:
    """Mount a file system for the driver; give its directory, and what tells how many bytes are in use there."""
    data = place / "data"
    data.mkdir()
    if driver.file_system != "btrfs":
        mount("lab", data, "tmpfs", data="mode=711,size=75%")
        held.callback(umount2, data, MNT_DETACH)
        return data, lambda: _used_by_files(data)
    memory = place / "disk"
    memory.mkdir()
    mount("lab", memory, "tmpfs", data="mode=700,size=75%")
    held.callback(umount2, memory, MNT_DETACH)
    identity = str(uuid.uuid4())
    _make_btrfs(memory / "file", identity, driver)
    try:
        mount_file(memory / "file", data, "btrfs")
    except OSError as error:
        what = "a mount of type btrfs" if error.filename == str(data) else "a loop device"
        raise DriverRefused(driver.title, f"{what}: {error.strerror}", "kernel") from error
    held.callback(umount2, data, MNT_DETACH)
    return data, lambda: _used_by_btrfs(data, identity)


def _make_btrfs(file: Path, identity: str, driver: Driver) -> None:
    """Make a file with an empty btrfs in it, which keeps each block once: mkfs.btrfs(8)."""
    file.touch(mode=0o600)
    os.truncate(file, DISK_BYTES)
    command = [
        "mkfs.btrfs",
        "--quiet",
        "--nodiscard",
        "--metadata=single",
        "--data=single",
        f"--uuid={identity}",
        str(file),
    ]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except FileNotFoundError as error:
        words = "the program mkfs.btrfs is missing: `apt install btrfs-progs`, and restart the kernel"
        raise DriverRefused(driver.title, words, "lab") from error
    except subprocess.CalledProcessError as error:
        raise DriverRefused(driver.title, f"mkfs.btrfs: {error.stderr.decode(errors='replace')}", "lab") from error


def _used_by_files(data: Path) -> int:
    """As df(1) has it: the blocks of the file system that hold something, each once."""
    room = os.statvfs(data)
    return (room.f_blocks - room.f_bfree) * room.f_frsize


def _used_by_btrfs(data: Path, identity: str) -> int:
    """What btrfs itself says: statvfs(3) would count what it holds in reserve, too. Source: btrfs(5), sysfs."""
    syncfs(data)  # it gives blocks to what was written when it writes
    kinds = Path("/sys/fs/btrfs", identity, "allocation")
    return sum(int((kinds / kind / "bytes_used").read_text()) for kind in ("data", "metadata", "system"))


# --- the daemon ---------------------------------------------------------------------------------------------------


def _options(driver: Driver) -> Sequence[str]:
    """dockerd's own."""
    pool = POOL if driver.name == "devicemapper" else ()
    return [f"--storage-driver={driver.name}", *(f"--storage-opt={option}" for option in pool)]


def _settings(driver: Driver) -> dict[str, object]:
    """Where the engine keeps its images; one that is too old to know the word does not mind it."""
    return {"features": {"containerd-snapshotter": driver.in_containerd}}


def _end_s(driver: Driver) -> float:
    """Seconds in which an engine may tidy up by itself: only a pool has something that outlives its namespaces."""
    return 10.0 if driver.name == "devicemapper" else 0.0


def _require_one_that_may(driver: Driver) -> None:
    """Refuse what would leave something on the host, and what an old engine takes for another driver."""
    major = int(Engine().get("/version").json()["Version"].split(".")[0])
    if driver.in_containerd and major < FIRST_WITH_CONTAINERD:
        words = f"Docker {major} cannot keep its images with containerd: {FIRST_WITH_CONTAINERD} can"
        raise DriverRefused(driver.title, words, "lab")
    if driver.name == "devicemapper" and os.environ.get("LABKIT_MACHINE_KIND") != "uml" and major < FIRST_WITHOUT_POOL:
        words = "its devices would stay in your computer's kernel when this machine ends; only `uml` tries it"
        raise DriverRefused(driver.title, words, "lab")


def _refusal(log: Path) -> str:
    """Why dockerd did not start, in its own words; "" where it does not say."""
    said = [line.partition(FAILED)[2] for line in log.read_text(errors="replace").splitlines() if FAILED in line]
    return said[-1].strip() if said else ""
