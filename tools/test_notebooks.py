"""Do the stored outputs of every notebook come out again, on every kind of lab machine and on a newer engine?

One strict nbval run each, in one pytest process: on `native`, on `uml`, and once more on `native` with the engine that
tools/newer-engine fetches, which keeps its images with containerd. What this host cannot boot, or cannot fetch, is
announced, and is a failure where CI=true: there, all of it has to work.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
LABKIT = Path(sys.executable).with_name("labkit")
GUARD_S = 10.0  # within which the guard of a machine has removed its directory


class Run(NamedTuple):
    """Where the notebooks run, the environment that chooses it, and what is in the way, if anything is."""

    place: str
    environment: dict[str, str]
    trouble: str = ""


def main() -> int:
    """Validate the notebooks in each place; return the exit status of the whole."""
    notebooks = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "notebooks").glob("*.ipynb"))
    if not notebooks:
        print("no notebook found under notebooks/", file=sys.stderr)
        return 1
    with temporary_files():
        runs = list(find_runs())
        results = {run.place: validate(run, notebooks) for run in runs if not run.trouble}
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
    with TemporaryDirectory(prefix="lab", ignore_cleanup_errors=True) as place:
        os.environ["TMPDIR"] = place
        yield
        deadline = time.monotonic() + GUARD_S
        while any(os.scandir(Path(place, f"labkit-{os.getuid()}"))) and time.monotonic() < deadline:
            time.sleep(0.1)


def find_runs() -> Iterator[Run]:
    """Each kind of machine, then the newer engine; with what keeps it from running here."""
    for kind, report in read_kinds().items():
        yield Run(f"{kind} machines", {"LABKIT_MACHINE": kind}, "" if report["ok"] else json.dumps(report, indent=2))
    fetched = subprocess.run([ROOT / "tools/newer-engine"], capture_output=True, text=True, check=False)
    if fetched.returncode:
        yield Run("a newer engine", {}, fetched.stderr.strip())
        return
    engine = Path(fetched.stdout.strip())
    environment = {"LABKIT_MACHINE": "native", "LABKIT_ENGINE": str(engine), "LABKIT_IMAGE_STORE": "containerd"}
    booted = subprocess.run([LABKIT, "run", "--", "true"], env=os.environ | environment, capture_output=True, text=True)
    place = f"native machines with Docker {engine.name} and containerd's image store"
    yield Run(place, environment, booted.stderr.strip() if booted.returncode else "")


def read_kinds() -> dict[str, dict[str, object]]:
    """Ask `labkit doctor` which kinds of machine this host can boot."""
    answer = subprocess.run([LABKIT, "doctor", "--json"], stdout=subprocess.PIPE, text=True, check=False)
    kinds: dict[str, dict[str, object]] = json.loads(answer.stdout)["kinds"]
    return kinds


def validate(run: Run, notebooks: list[str]) -> int:
    """Run nbval over all notebooks in one place; return pytest's exit status."""
    print(f"\nnotebooks on {run.place}", flush=True)
    command = [sys.executable, "-m", "pytest", "--nbval", *notebooks]
    return subprocess.run(command, cwd=ROOT, env=os.environ | run.environment, check=False).returncode


def announce(run: Run) -> None:
    """Say what was left out, and what is in the way."""
    bar = "!" * 78
    print(f"\n{bar}\nNOT TESTED: the notebooks on {run.place}, which this host cannot run.")
    print(f"{run.trouble}\n{bar}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
