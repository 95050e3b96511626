"""How much memory and time does a program take, that may have no more than it is given?

    python -m tests.hostile.limited BYTES SECONDS PROGRAM ...   ->   a JSON object

The most memory of a child counts what its parent had when it began (getrusage(2)): so a small process is the parent
here, never the one that runs the tests.
"""

import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

__all__ = ["Ran", "labkit_layers", "run_limited"]

ROOT = Path(__file__).resolve().parents[2]
LIMIT_BYTES = 2**30
PATIENCE_S = 60.0


class Ran(NamedTuple):
    """How a program ended, what it wrote, and what it took."""

    status: int
    out: str
    error: str
    seconds: float
    peak_bytes: int


def labkit_layers(
    *arguments: str | os.PathLike[str], limit_bytes: int = LIMIT_BYTES, patience_s: float = PATIENCE_S, **more: Any
) -> Ran:
    """Run `labkit layers`; `more` goes into its environment."""
    program = [sys.executable, "-m", "labkit", "layers", *(os.fspath(each) for each in arguments)]
    return run_limited(program, limit_bytes=limit_bytes, patience_s=patience_s, **more)


def run_limited(program: list[str], *, limit_bytes: int, patience_s: float, **more: str) -> Ran:
    """Run a program with so many bytes of address space at most; TimeoutExpired after the seconds."""
    launcher = [sys.executable, "-m", "tests.hostile.limited", str(limit_bytes), str(patience_s), *program]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "LABKIT_MACHINE": "", **more}
    launched = subprocess.run(launcher, env=environment, capture_output=True, text=True, check=False)
    assert 0 == launched.returncode, launched.stderr
    return Ran(**json.loads(launched.stdout))


def launch(limit_bytes: int, patience_s: float, program: list[str]) -> Ran:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (limit_bytes, limit_bytes))

    start = time.monotonic()
    done = subprocess.run(
        program, preexec_fn=limit, stdin=subprocess.DEVNULL, capture_output=True, timeout=patience_s, check=False
    )
    seconds = time.monotonic() - start
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    return Ran(done.returncode, done.stdout.decode(), done.stderr.decode(), seconds, peak)


if __name__ == "__main__":
    json.dump(launch(int(sys.argv[1]), float(sys.argv[2]), sys.argv[3:])._asdict(), sys.stdout)
