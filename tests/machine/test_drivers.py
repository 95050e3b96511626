"""Does a second engine with a storage driver count right in a machine, meet nobody, and leave nothing on the host?"""

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from tests.machine.host import KINDS, LABKIT, descendants, run, wait_until

SCRIPT = """
import os, subprocess
from pathlib import Path
from labkit.api.engine import Engine
from labkit.daemons import trials
from labkit.errors import DriverRefused
from labkit.images.drivers import Refusal

def own():
    link = subprocess.run(["ip", "link", "show", "docker0"], capture_output=True).returncode
    return Engine().get("/info").json()["ID"], link, Path("/proc/mounts").read_text()

before, busybox = own(), Engine().get("/images/busybox/get").answer.body
%s
assert own() == before, "the machine's own engine, its bridge or its mounts have changed"
"""
COUNTS = """
for title in ("overlay2", "vfs", "btrfs"):
    trial = trials.try_driver(title, busybox)
    assert trial.runs, trial
    grown = trial.bytes_after("create 10") - trial.bytes_after("build")
    print(title, grown > 10 * trial.big_bytes, trial.growth("change") >= trial.big_bytes)
print([path for path in Path("/sys/block").glob("loop*/loop/backing_file") if "labkit" in path.read_text()])
"""
REFUSALS = """
def refused(title="btrfs"):
    result = trials.try_driver(title, busybox)
    return (result.who, result.words) if isinstance(result, Refusal) else result

print(refused("zfs"))
real = trials.mount_file
def no_loop(file, point, fstype):
    raise OSError(19, os.strerror(19), str(file.with_name("loop-control")))
def no_btrfs(file, point, fstype):
    real(file, point, "nosuchfs")
for trials.mount_file in (no_loop, no_btrfs):
    print(refused())
path, os.environ["PATH"] = os.environ["PATH"], "/nowhere"
print(refused())
os.environ["PATH"] = path
"""


def run_script(kind: str, body: str) -> str:
    """What it prints in a machine of that kind."""
    done = run(kind, sys.executable, "-c", SCRIPT % body, timeout=240)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_work_costs_what_the_drivers_are_made_of(kind: str) -> None:
    """vfs copies for each container, overlay2 for a changed byte, btrfs for neither; no loop device stays attached."""
    assert ["overlay2 False True", "vfs True False", "btrfs False False", "[]"] == run_script(kind, COUNTS).splitlines()


@pytest.mark.parametrize("kind", KINDS)
def test_who_refuses_is_quoted(kind: str) -> None:
    """dockerd, the kernel without loop devices, the kernel without the file system, and a program that is missing."""
    zfs, no_loop, no_btrfs, no_program = run_script(kind, REFUSALS).splitlines()

    assert zfs.startswith("('dockerd', 'error initializing graphdriver") or "driver not supported: zfs" in zfs
    assert "('kernel', 'a loop device: No such device')" == no_loop
    assert "('kernel', 'a mount of type btrfs: No such device')" == no_btrfs
    assert no_program.startswith("('lab', 'the program mkfs.btrfs is missing: `apt install btrfs-progs`")


@pytest.mark.parametrize("kind", ["native"])
def test_after_kill_9_no_loop_device_is_attached(kind: str) -> None:
    """A loop device of the host's kernel is detached with the machine, whoever is killed."""
    hold = "from labkit.daemons.trials import start_driver\nimport time\n"
    hold += "with start_driver('btrfs'):\n    print('ready', flush=True)\n    time.sleep(1000)\n"
    before = attached()
    machine = subprocess.Popen(
        [LABKIT, "run", "--", sys.executable, "-c", hold],
        env={**os.environ, "LABKIT_MACHINE": kind},
        stdout=subprocess.PIPE,
    )
    assert machine.stdout is not None
    assert machine.stdout.readline() == b"ready\n"
    assert attached() - before

    for pid, _ in [*descendants(machine.pid), (machine.pid, "")]:  # who is left after one of them has died may be gone
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    machine.wait()
    assert wait_until(lambda: not attached() - before, 15)


def attached() -> set[str]:
    return {path.parts[3] for path in Path("/sys/block").glob("loop*/loop/backing_file")}
