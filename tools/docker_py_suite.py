"""Is a lab machine's engine what a plain dockerd is? docker-py's own integration suite says so.

The suite runs, without a network, on a plain dockerd in namespaces of its own and in a machine of each kind. What fails
in a machine and not on the plain dockerd, or the other way round, is printed; what a kernel forces is known, with its
reason, and is printed as such. A test that fails is run again, alone, twice: some of the suite's own race.
The exit status is 1 when there is a difference that is not known.

.venv/bin/python tools/docker_py_suite.py [--machine KIND ...] [PYTEST_ARGUMENT ...]     (as root)

The suite comes from PyPI for the time of the run; the library that it tests is the one that is installed here.
"""

import argparse
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from labkit.machine.doctor import KINDS  # after the path that leads there
from tools.container_engine import own_engine

SUITE = "docker==7.0.0"  # the last source archive on PyPI that has its tests in it
# All of it that speaks to an engine: credentials/ is about programs that keep passwords.
SUITE_PARTS = ["tests/integration", "--ignore=tests/integration/credentials"]
PLAIN = "a plain dockerd"
# What differs because the kernel does, by the kind of machine: the test, and the reason (as in docs/machine.md).
FORCED: dict[str, dict[str, str]] = {
    "native": {},
    "uml": {
        "test_container_cpuset": "no cpuset controller: the kernel has it only if it is built for several processors",
        "test_create_with_cpu_rt_options": "control groups of version 2 have no real-time scheduling",
    },
}
# What a shell does in each place, with the directory of the suite as its own: no way out, so that nothing is pulled
# anywhere; the image that the suite expects; the suite, and what failed, again.
RUN = r"""
ip route del default 2>/dev/null || true
python=$1; labkit=$2; shift 2
docker image inspect busybox:latest >/dev/null 2>&1 || PYTHONPATH=$labkit $python -c '
import os
from pathlib import Path
from labkit.machine.inside.busybox import import_busybox
import_busybox(Path(os.environ.get("DOCKER_HOST", "unix:///run/docker.sock").removeprefix("unix://")))'
image=$(sed -n "s/^TEST_IMG = '\(.*\)'/\1/p" tests/integration/base.py)
docker build --quiet --tag "$image" - <<'END'
FROM busybox
RUN mkdir /var/opt && echo postgres:x:70:70::/:/bin/sh >>/etc/passwd
END
docker tag "$image" alpine:latest
cache=$(mktemp -d)
what_failed="--last-failed --last-failed-no-failures=none"
for choice in "" "$what_failed" "$what_failed"; do
    $python -m pytest --verbose --tb=line --timeout=120 --override-ini=cache_dir=$cache $choice "$@" ||
        test $? = 1 -o $? = 5  # some failed; none was left
done
rm -r $cache
"""
OUTCOME = re.compile(r"(tests/\S+) (PASSED|FAILED|ERROR|SKIPPED|XFAIL|XPASS)")


def main() -> int:
    """Run the suite in each place, and compare; give the exit status."""
    parser = argparse.ArgumentParser(description="docker-py's own suite, on a plain dockerd and in lab machines.")
    parser.add_argument("--machine", action="append", choices=KINDS, help="default: each kind")
    options, chosen = parser.parse_known_args()
    with suite() as folder:
        plain = run_on_plain(folder, chosen)
        found = {kind: run_in_machine(kind, folder, chosen) for kind in options.machine or KINDS}
    unknown = 0
    for kind, outcomes in found.items():
        unknown += compare(kind, plain, outcomes)
    return 1 if unknown else 0


@contextmanager
def suite() -> Iterator[Path]:
    """Give a directory, for the time of the run, with the suite in it. Exits where PyPI cannot be reached."""
    with tempfile.TemporaryDirectory(prefix="docker-py-") as name:
        folder = Path(name)
        fetch = ["-m", "pip", "download", "--quiet", "--no-deps", "--no-binary=docker", f"--dest={folder}", SUITE]
        subprocess.run([sys.executable, *fetch], check=True)
        unpack = ["--no-same-owner", "--strip-components=1", f"--directory={folder}", "--wildcards", "*/tests"]
        subprocess.run(["tar", "--extract", f"--file={next(folder.glob('*.tar.gz'))}", *unpack], check=True)
        (folder / "paramiko.py").write_text("class Channel: ...\n")  # for its tests over ssh, which are not run
        (folder / "pytest.ini").write_text("[pytest]\n")
        yield folder


def run_on_plain(folder: Path, chosen: list[str]) -> dict[str, str]:
    """Run the suite beside a dockerd of its own; like an ordinary host's, its root is shared among namespaces."""
    with own_engine(None) as engine:
        enter = [*engine.enter, "--mount", "--uts", "--ipc", "--pid"]
        script = f"mount --make-rshared /\nexport DOCKER_HOST={engine.environment['DOCKER_HOST']}\n"
        return run_suite(PLAIN, [*enter, f"--wd={folder}"], script, folder, chosen)


def run_in_machine(kind: str, folder: Path, chosen: list[str]) -> dict[str, str]:
    """Run the suite in machines, as a learner would: each file in its own, which keeps all its images in memory."""
    labkit = str(Path(sys.executable).with_name("labkit"))
    files = sorted(str(path.relative_to(folder)) for path in (folder / "tests/integration").glob("*_test.py"))
    outcomes: dict[str, str] = {}
    for part in [chosen] if chosen else [[file] for file in files]:
        outcomes |= run_suite(kind, [labkit, "run", "--machine", kind, "--"], "", folder, part)
    return outcomes


def run_suite(place: str, enter: list[str], script: str, folder: Path, chosen: list[str]) -> dict[str, str]:
    """Give each test's outcome in that place: its last one, where it was run again."""
    arguments = [sys.executable, str(Path(__file__).parents[1]), *(chosen or SUITE_PARTS)]
    command = [*enter, "sh", "-euc", script + RUN, "sh", *arguments]
    outcomes: dict[str, str] = {}
    with subprocess.Popen(
        command, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(f"{place}: {line}", end="", flush=True)
            if said := OUTCOME.match(line):
                outcomes[said[1]] = said[2]
    if process.returncode or not outcomes:
        sys.exit(f"The suite did not come to its end on {place} (status {process.returncode}).")
    return outcomes


def compare(kind: str, plain: dict[str, str], outcomes: dict[str, str]) -> int:
    """Say what differs between the two; give the number of differences of which no reason is known."""
    for place, found in ((PLAIN, plain), (kind, outcomes)):
        counts = Counter(found.values())
        print(f"== {place}: {', '.join(f'{number} {word.lower()}' for word, number in sorted(counts.items()))}")
    unknown = 0
    for test in sorted(plain.keys() | outcomes.keys()):
        pair = [found.get(test, "not run") for found in (plain, outcomes)]
        if pair[0] != pair[1]:
            reason = FORCED[kind].get(test.rpartition("::")[2])
            print(
                f"   {test}: {pair[0].lower()} on {PLAIN}, {pair[1].lower()} on {kind}: {reason or 'NO REASON KNOWN'}"
            )
            unknown += reason is None
    return unknown


if __name__ == "__main__":
    sys.exit(main())
