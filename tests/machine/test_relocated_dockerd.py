"""Is a relocated dockerd the same engine to its users, and is the installed one executed where none is made?"""

from collections.abc import Callable
from pathlib import Path

import pytest

from labkit.machine.engine_programs import find_dockerd
from labkit.machine.outside.dockerd import keep_relocated
from labkit.machine.outside.relocation import BASE
from tests.machine.host import KINDS, find_kernels, run
from tests.newer_engine import fetch_newer_engine

PATIENCE_S = 200  # for an engine that starts twice, on a busy computer
KERNELS = find_kernels()  # before a test changes where they are looked for
RELOCATED = f"{BASE:08x}"
SAID = ["within", "built", "again"]
# The engine's version, by its program and by itself; a container with a published port, a limit that is changed, a
# command within; a build; the engine again after its death. Then where dockerd lies in memory, and by which name.
ENGINE = """
set -e
dockerd --version | cut -d, -f1
docker version --format 'Docker version {{.Server.Version}}'
docker run -d --name one -p 8080:80 busybox sleep 600 >/dev/null
docker update --memory 32m --memory-swap 64m one >/dev/null
docker exec one echo within
printf 'FROM busybox\\nRUN echo built >/said\\n' | DOCKER_BUILDKIT=0 docker build -q -t built - >/dev/null
docker run --rm built cat /said
kill -9 $(cat /run/docker.pid)
python3 -c 'from labkit.machine.inside.engine_process import start_engine; start_engine()'
docker run --rm busybox echo again
head -n 1 /proc/$(cat /run/docker.pid)/maps | cut -d- -f1
readlink /proc/$(cat /run/docker.pid)/exe
"""


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Path]:
    """Makes it of the dockerd that machines find, in a cache of this test's own."""

    def make() -> Path:
        dockerd = find_dockerd()
        assert dockerd is not None
        return keep_relocated(dockerd)

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return make


@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize("kind", ["uml"])
def test_it_is_the_same_engine(
    name: str, kind: str, made: Callable[[], Path], state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says the same version, runs containers, builds, starts again, and is found where the installed one was."""
    monkeypatch.setenv("LABKIT_KERNEL", KERNELS[name])
    made()

    assert [*SAID, RELOCATED, str(find_dockerd())] == use_engine(kind)


@pytest.mark.parametrize("kind", ["uml"])
def test_it_is_the_same_newer_engine(
    kind: str, made: Callable[[], Path], state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that LABKIT_ENGINE names is covered in its directory; the directory stays as it is."""
    monkeypatch.setenv("LABKIT_KERNEL", [*KERNELS.values()][-1])
    engine = fetch_newer_engine()
    monkeypatch.setenv("LABKIT_ENGINE", str(engine))
    before = (engine / "dockerd").stat()
    made()

    assert [*SAID, RELOCATED, str(engine / "dockerd")] == use_engine(kind)
    assert before.st_mtime_ns == (engine / "dockerd").stat().st_mtime_ns


@pytest.mark.parametrize("kind", KINDS)
def test_where_none_is_made_the_installed_one_is_executed(
    kind: str, made: Callable[[], Path], state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So it is, too, after an update of Docker; and a `native` machine executes the installed one in any case."""
    monkeypatch.setenv("LABKIT_KERNEL", [*KERNELS.values()][-1])
    stale = made()
    if kind == "uml":
        stale.rename(stale.with_name("1-1"))

    *_, place, program = use_engine(kind)

    assert RELOCATED != place
    assert str(find_dockerd()) == program


def use_engine(kind: str) -> list[str]:
    """What ENGINE says; the two versions, which have to be the same, as one word."""
    done = run(kind, "sh", "-c", ENGINE, timeout=PATIENCE_S)
    assert done.returncode == 0, done.stderr.decode()
    by_program, by_engine, *rest = done.stdout.decode().splitlines()
    assert by_program == by_engine
    return rest
