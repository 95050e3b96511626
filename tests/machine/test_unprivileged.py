"""Does a machine boot where nothing is permitted, as on Binder?

An ordinary user with no capability, no new privileges, the seccomp profile of Docker, 1 GB of memory, no internet.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.machine import probe
from tests.machine.ground import ORDINARY_USER, Ground, MemoryGroup, memory_group
from tests.machine.host import LABKIT, find_kernels
from tests.machine.seccomp import Profile

pytestmark = pytest.mark.needs_root

ROOT = Path(__file__).resolve().parents[2]
BINDER_MIB = 1024
ROOTLESS = """
from labkit.api.engine import Engine
from labkit.daemons.rootless import start_rootless

with start_rootless("rosa") as rosa, Engine(rosa.host) as engine:
    print("name=rootless" in engine.get("/info").json()["SecurityOptions"])
"""


@pytest.fixture(scope="module")
def docker_profile(tmp_path_factory: pytest.TempPathFactory) -> Profile:
    """What Docker's default profile comes to, read from a container without capabilities on a lab machine."""
    script = (
        "docker run -d --cap-drop ALL busybox sleep 60 >/dev/null; find /run -path '*moby*config.json' -exec cat {} +"
    )
    done = subprocess.run([LABKIT, "run", "--machine", "native", "--", "sh", "-c", script], capture_output=True)
    profile: Profile = json.loads(done.stdout)["linux"]["seccomp"]
    return profile


@pytest.fixture
def group() -> Iterator[MemoryGroup]:
    with memory_group(BINDER_MIB) as group:
        yield group


@pytest.fixture
def binder(docker_profile: Profile, group: MemoryGroup) -> Ground:
    return Ground(user=ORDINARY_USER, group=group, has_network=False, profile=docker_profile)


@pytest.fixture(params=find_kernels())
def kernel(request: pytest.FixtureRequest, home: Path, state: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each kernel in turn, where the ordinary user can read it: root's cache is closed to others."""
    program = state / "linux.uml"
    shutil.copy(find_kernels()[request.param], program)
    monkeypatch.setenv("LABKIT_KERNEL", str(program))
    return str(request.param)


@pytest.fixture
def home(tmp_path: Path, state: Path) -> Path:
    """A home and a state directory of the ordinary user."""
    for directory in (tmp_path, state):
        shutil.chown(directory, ORDINARY_USER, ORDINARY_USER)
        directory.chmod(0o755)
    return tmp_path


def run(ground: Ground, *command: str, home: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ground.command(*command),
        cwd=ROOT,
        env={**os.environ, "HOME": str(home), "PYTHONDONTWRITEBYTECODE": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def test_the_limits_are_in_force(binder: Ground, home: Path) -> None:
    """User, capabilities, privileges, filter, memory and network are as the tests below need them to be."""
    script = (
        "id -u; grep -E '^(CapEff|CapBnd|NoNewPrivs|Seccomp):' /proc/self/status; ip -o link | wc -l;"
        "ip route | wc -l; grep -c $0 /proc/self/cgroup"
    )
    assert binder.group is not None

    done = run(binder, "sh", "-c", script, binder.group.path.name, home=home)

    limits = ["CapEff:\t0000000000000000", "CapBnd:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2"]
    assert [str(ORDINARY_USER), *limits, "1", "0", "1"] == done.stdout.splitlines(), done.stderr
    assert BINDER_MIB == binder.group.limit_mib


def test_the_memory_limit_kills(binder: Ground, home: Path) -> None:
    """A process that takes more than the limit is killed."""
    assert binder.group is not None

    done = run(binder, sys.executable, "-c", f"bytearray({BINDER_MIB + 64} << 20)", home=home)

    assert (-9, 1) == (done.returncode, binder.group.kills())


def test_the_filter_refuses(docker_profile: Profile) -> None:
    """Even root is refused what the profile refuses, and by nothing but the filter; ptrace is permitted."""
    expected = dict.fromkeys(probe.CALLS, "EPERM") | {"clone3": "ENOSYS"}
    del expected["ptrace"]
    filtered, free = (
        json.loads(subprocess.check_output(ground.command(sys.executable, probe.__file__)))
        for ground in (Ground(profile=docker_profile), Ground())
    )

    assert expected == filtered
    assert "EPERM" not in free.values()  # ENOSYS: a host's kernel may be without modules, or kexec


def test_a_container_runs(kernel: str, binder: Ground, home: Path, state: Path) -> None:
    """`labkit run -- docker run --rm busybox echo hi` prints hi."""
    done = run(binder, LABKIT, "run", "--", "docker", "run", "--rm", "busybox", "echo", "hi", home=home)

    assert (0, "hi\n") == (done.returncode, done.stdout), done.stderr
    assert [] == list((state / f"labkit-{ORDINARY_USER}").iterdir())
    assert binder.group is not None
    assert 0 == binder.group.kills()
    print(f"peak memory with {kernel}: {binder.group.peak_mib} MiB")


def test_a_rootless_engine_starts(kernel: str, binder: Ground, home: Path) -> None:
    """In the machine newuidmap is a setuid program, whatever its host allows; the host's /etc/shadow is not needed."""
    done = run(binder, LABKIT, "run", "--", sys.executable, "-c", ROOTLESS, home=home)

    assert (0, "True\n") == (done.returncode, done.stdout), done.stderr


def test_a_lesson_runs(kernel: str, binder: Ground, home: Path) -> None:
    """A lesson gives its stored outputs, with everything, Jupyter's client too, under the limits."""
    lesson = "00-start-here" if kernel == "Debian's kernel" else "01-engine-api"  # the slow one takes the short one
    nbval = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--nbval"]

    done = run(binder, *nbval, f"notebooks/{lesson}.ipynb", home=home)

    assert 0 == done.returncode, done.stdout[-4000:]
    assert binder.group is not None
    assert 0 == binder.group.kills()
    print(f"peak memory with {kernel}: {binder.group.peak_mib} MiB")
