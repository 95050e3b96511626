"""Is the newer engine there whole or not at all, and quickly where it is there already?

apt and dpkg are played: they note that they were called, and unpack scripts that tell a version.
"""

import os
import subprocess
from pathlib import Path

import pytest

TOOL = Path(__file__).resolve().parents[2] / "tools/newer-engine"
PROGRAMS = (
    *("usr/bin/docker", "usr/bin/containerd", "usr/bin/containerd-shim-runc-v2", "usr/bin/ctr"),
    *("usr/bin/tini-static", "usr/sbin/dockerd", "usr/sbin/docker-proxy", "usr/sbin/runc"),
)
PLAYED = {
    "apt-get": """
echo "$@" >>"$NOTES"
case $1 in
indextargets) echo "http://mirror.invalid/debian trixie" ;;
update) test -z "$NO_LISTS" || { echo "E: no way there" >&2; exit 100; } ;;
download) touch docker.io_28_amd64.deb runc_1.3_amd64.deb; test -z "$KILLED" || kill -9 $(cat "$NOTES.pid") $PPID ;;
esac
""",
    "apt-cache": 'echo "Package: docker.io"; echo "Version: 28.5.2-1"',
    "dpkg-deb": 'echo "${2##*/}"',
    "dpkg": f"""
for program in {" ".join(PROGRAMS)}; do
    mkdir -p "$3/${{program%/*}}"
    echo '#!/bin/sh' >"$3/$program"
    test "${{program##*/}}" != "$BROKEN" || echo 'echo GLIBC_9 not found; exit 1' >>"$3/$program"
    chmod +x "$3/$program"
done
""",
}


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Where apt and dpkg are played, and the cache is the test's own."""
    played = tmp_path / "played"
    played.mkdir()
    for name, script in PLAYED.items():
        (played / name).write_text(f"#!/bin/sh\n{script}")
        (played / name).chmod(0o755)
    variables = {"NOTES": str(tmp_path / "notes"), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    return os.environ | variables | {"PATH": f"{played}:{os.environ['PATH']}"}


def fetch(environment: dict[str, str], *arguments: object, **more: str) -> subprocess.CompletedProcess[str]:
    pid = Path(environment["NOTES"]).with_suffix(".pid")
    command = ["sh", "-c", 'echo $$ >"$0"; exec "$@"', str(pid), str(TOOL), *map(str, arguments)]
    return subprocess.run(command, env=environment | more, capture_output=True, text=True, check=False, timeout=30)


def names(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()}


def test_the_engine_is_fetched_into_a_directory(environment: dict[str, str], tmp_path: Path) -> None:
    """It holds the programs by the names that dockerd asks for, and nothing lies beside it."""
    before = names(tmp_path)

    done = fetch(environment, tmp_path / "engine")

    assert (0, "") == (done.returncode, done.stdout), done.stderr
    wanted = {Path(program).name for program in PROGRAMS} - {"tini-static"} | {"docker-init", "VERSIONS"}
    assert wanted == names(tmp_path / "engine")
    assert {"engine", "notes", "notes.pid"} == names(tmp_path) - before


def test_the_second_time_asks_nobody(environment: dict[str, str], tmp_path: Path) -> None:
    """What is there is taken as it is: the directory, and without one the newest in the cache, which is printed."""
    cached = tmp_path / "cache/labkit/engine/28.5.2-1"
    for arguments, words in (([tmp_path / "engine"], ""), ([], f"{cached}\n")):
        assert words == fetch(environment, *arguments).stdout
        asked = (tmp_path / "notes").read_text()
        assert words == fetch(environment, *arguments).stdout
        assert asked == (tmp_path / "notes").read_text()

    (cached.with_name("29.0.0-1")).mkdir()
    assert f"{cached}\n" == fetch(environment).stdout  # the newer one is not whole
    (cached.with_name("29.0.0-1") / "VERSIONS").touch()
    assert f"{cached.with_name('29.0.0-1')}\n" == fetch(environment).stdout


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"NO_LISTS": "1"}, "E: no way there"),
        ({"BROKEN": "dockerd"}, "dockerd of Debian testing does not run on this system: GLIBC_9 not found"),
    ],
)
def test_what_fails_leaves_nothing(
    variables: dict[str, str], words: str, environment: dict[str, str], tmp_path: Path
) -> None:
    """apt's own words, or the program's, and no directory."""
    done = fetch(environment, tmp_path / "engine", **variables)

    assert 1 == done.returncode and words in done.stderr
    assert not {"engine", "engine.fetching"} & names(tmp_path)


def test_a_runc_that_does_not_run_is_left_out(environment: dict[str, str], tmp_path: Path) -> None:
    """A machine then takes the installed one, which is said; it is not listed as fetched."""
    done = fetch(environment, tmp_path / "engine", BROKEN="runc")

    assert 0 == done.returncode and "GLIBC_9 not found; machines take the installed one" in done.stderr
    assert "runc" not in names(tmp_path / "engine")
    assert "docker.io_28_amd64.deb\n" == (tmp_path / "engine/VERSIONS").read_text()


def test_killed_it_leaves_no_engine(environment: dict[str, str], tmp_path: Path) -> None:
    """What is half made has another name, and the next one removes it."""
    fetch(environment, tmp_path / "engine", KILLED="1")
    assert "engine" not in names(tmp_path) and "engine.fetching" in names(tmp_path)

    assert 0 == fetch(environment, tmp_path / "engine").returncode
    assert "engine" in names(tmp_path) and "engine.fetching" not in names(tmp_path)


def test_a_directory_of_something_else_is_left_alone(environment: dict[str, str], tmp_path: Path) -> None:
    """Nothing is fetched into what is not empty."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/letter").touch()

    done = fetch(environment, tmp_path / "mine")

    assert 1 == done.returncode and "is not empty" in done.stderr
    assert {"letter"} == names(tmp_path / "mine")
