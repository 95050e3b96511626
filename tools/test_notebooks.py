"""Do the stored outputs of every notebook come out again, on every sort of lab machine and on a newer engine?

One strict nbval run each, two at once, each in one pytest process that also judges the seconds
(tests/notebooks/budget.py): on `native`; on `uml` with the lab's own kernel, and with Debian's; and once more on
`native` with the engine that tools/newer-engine fetches, which keeps its images with containerd. What this host cannot
boot, has not built or cannot fetch is announced, and is a failure where CI=true: there, all works.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
LABKIT = Path(sys.executable).with_name("labkit")
AT_ONCE = 2  # places; each boots a machine a lesson, and mostly waits for it
GUARD_S = 10.0  # within which the guard of a machine has removed its directory


class Run(NamedTuple):
    """Where the notebooks run, the environment that chooses it, whose seconds count, and what is in the way, if any."""

    place: str
    environment: dict[str, str]
    budget: str  # a column of tests/notebooks/seconds.json
    trouble: str = ""


def main() -> int:
    """Validate the notebooks in each place; return the exit status of the whole."""
    notebooks = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "notebooks").glob("*.ipynb"))
    if not notebooks:
        print("no notebook found under notebooks/", file=sys.stderr)
        return 1
    with temporary_files():
        runs = list(find_runs())
        possible = [run for run in runs if not run.trouble]
        possible.sort(key=lambda run: "Debian" not in run.place)  # the longest first
        with ThreadPoolExecutor(AT_ONCE) as pool:
            statuses = list(pool.map(lambda run: validate(run, notebooks), possible))
    results = {run.place: status for run, status in zip(possible, statuses, strict=True)}
    left_out = [run for run in runs if run.trouble]
    for run in left_out:
        announce(run)
    for place, status in results.items():
        print(f"notebooks on {place}: {'ok' if status == 0 else 'FAILED'}")
    in_ci = os.environ.get("CI") == "true"
    return int(not results or any(results.values()) or (in_ci and bool(left_out)))


@contextmanager
def temporary_files() -> Iterator[None]:
    """Have all that is written to /tmp meanwhile lie in one directory, which is removed with the last machine."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends the run as Ctrl-C does: tidily
    with TemporaryDirectory(prefix="lab", ignore_cleanup_errors=True) as place:
        os.environ["TMPDIR"] = place
        yield
        deadline = time.monotonic() + GUARD_S
        while any(Path(place).glob("labkit-*/*")) and time.monotonic() < deadline:
            time.sleep(0.1)


def find_runs() -> Iterator[Run]:
    """Each kind of machine and kernel, then the newer engine; with what keeps it from running here."""
    report = ask_doctor()
    for kind in report["kinds"]:
        trouble = "" if report["kinds"][kind]["ok"] else json.dumps(report["kinds"][kind], indent=2)
        if kind == "uml":
            yield from find_runs_of_kernels(report["kernel"], trouble)
        else:
            yield Run(f"{kind} machines", {"LABKIT_MACHINE": kind}, kind, trouble)
    yield find_run_of_newer_engine()


def find_runs_of_kernels(kernel: dict[str, Any] | None, trouble: str) -> Iterator[Run]:
    """`uml` with the kernel that a machine takes here; where it is the lab's own, with Debian's besides."""
    environment = {"LABKIT_MACHINE": "uml"}
    if kernel is None or not kernel["own"]:
        yield Run("uml machines with Debian's kernel", environment, "uml, Debian's kernel", trouble)
        yield Run("uml machines with the lab's own kernel", {}, "uml", "It is not built: make kernel")
        return
    yield Run("uml machines with the lab's own kernel", environment, "uml", trouble)
    installed = shutil.which("linux.uml")
    missing = "" if installed else "It is missing: apt-get install user-mode-linux"
    with_debians = {**environment, "LABKIT_KERNEL": str(installed)}
    yield Run("uml machines with Debian's kernel", with_debians, "uml, Debian's kernel", missing)


def find_run_of_newer_engine() -> Run:
    """`native` with Debian testing's engine."""
    fetched = subprocess.run([ROOT / "tools/newer-engine"], capture_output=True, text=True, check=False)
    if fetched.returncode:
        return Run("a newer engine", {}, "native", fetched.stderr.strip())
    engine = Path(fetched.stdout.strip())
    environment = {"LABKIT_MACHINE": "native", "LABKIT_ENGINE": str(engine), "LABKIT_IMAGE_STORE": "containerd"}
    booted = subprocess.run([LABKIT, "run", "--", "true"], env=os.environ | environment, capture_output=True, text=True)
    place = f"native machines with Docker {engine.name} and containerd's image store"
    return Run(place, environment, "native", booted.stderr.strip() if booted.returncode else "")


def ask_doctor() -> dict[str, Any]:
    """What `labkit doctor` says of this host: which kinds of machine it can boot, and with which kernel."""
    answer = subprocess.run([LABKIT, "doctor", "--json"], stdout=subprocess.PIPE, text=True, check=False)
    report: dict[str, Any] = json.loads(answer.stdout)
    return report


def validate(run: Run, notebooks: list[str]) -> int:
    """Run nbval over all notebooks in one place, print what it said when it has ended; return pytest's exit status."""
    words = {"LABKIT_BUDGET": run.budget}
    command = [sys.executable, "-m", "pytest", "--nbval", "-p", "tests.notebooks.budget", *notebooks]
    done = subprocess.run(command, cwd=ROOT, env=os.environ | run.environment | words, capture_output=True, text=True)
    print(f"\nnotebooks on {run.place}\n{done.stdout}{done.stderr}", flush=True)
    return done.returncode


def announce(run: Run) -> None:
    """Say what was left out, and what is in the way."""
    bar = "!" * 78
    print(f"\n{bar}\nNOT TESTED: the notebooks on {run.place}, which this host cannot run.")
    print(f"{run.trouble}\n{bar}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
