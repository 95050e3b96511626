"""Where is the engine of Debian testing that tests take besides the installed one?

tools/newer-engine knows; `make test` has fetched it before.
"""

import os
import subprocess
from functools import cache
from pathlib import Path

import pytest

__all__ = ["fetch_newer_engine"]

TOOL = Path(__file__).resolve().parents[1] / "tools/newer-engine"


def fetch_newer_engine() -> Path:
    """The directory of its programs; where it cannot be had, the test is left out, and in CI it fails."""
    found, words = _fetch()
    if not found:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(f"there is no newer engine: {words}")
    return Path(found)


@cache
def _fetch() -> tuple[str, str]:
    done = subprocess.run([TOOL], capture_output=True, text=True, check=False)
    return done.stdout.strip(), done.stderr.strip()
