"""Do the stored outputs of every notebook come out again, on every kind of lab machine?

One strict nbval run per kind, each in one pytest process. A kind that this host cannot boot is
announced, and is a failure where CI=true: there, every kind has to work.
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

ROOT = Path(__file__).resolve().parent.parent
KINDS = ("native", "uml")
GUARD_S = 10.0  # within which the guard of a machine has removed its directory


def main() -> int:
    """Validate the notebooks on each kind; return the exit status of the whole."""
    notebooks = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "notebooks").glob("*.ipynb"))
    if not notebooks:
        print("no notebook found under notebooks/", file=sys.stderr)
        return 1
    with temporary_files():
        possible = read_kinds()
        results = {kind: validate(kind, notebooks) for kind in KINDS if possible[kind]["ok"]}
    left_out = [kind for kind in KINDS if kind not in results]
    for kind in left_out:
        announce(kind, possible[kind])
    for kind, status in results.items():
        print(f"notebooks on {kind}: {'ok' if status == 0 else 'FAILED'}")
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


def read_kinds() -> dict[str, dict[str, object]]:
    """Ask `labkit doctor` which kinds of machine this host can boot."""
    doctor = Path(sys.executable).with_name("labkit")
    answer = subprocess.run([doctor, "doctor", "--json"], stdout=subprocess.PIPE, text=True, check=False)
    kinds: dict[str, dict[str, object]] = json.loads(answer.stdout)["kinds"]
    return kinds


def validate(kind: str, notebooks: list[str]) -> int:
    """Run nbval over all notebooks with machines of one kind; return pytest's exit status."""
    print(f"\nnotebooks on {kind} machines", flush=True)
    command = [sys.executable, "-m", "pytest", "--nbval", *notebooks]
    return subprocess.run(command, cwd=ROOT, env={**os.environ, "LABKIT_MACHINE": kind}, check=False).returncode


def announce(kind: str, report: dict[str, object]) -> None:
    """Say that a kind was left out, and what the doctor found."""
    bar = "!" * 78
    print(f"\n{bar}\nNOT TESTED: the notebooks on {kind} machines, which this host cannot boot.")
    print(json.dumps(report, indent=2))
    print(f"`labkit doctor` says what to do.\n{bar}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
