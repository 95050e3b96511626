"""Does a run of the tests leave nothing in the directory for temporary files?"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
A_TEST = "tests/unit/test_last_words.py"


@pytest.mark.parametrize(
    ("options", "is_left"), [((), False), (("--numprocesses=2",), False), (("--noconftest",), True)]
)
def test_nothing_is_left(options: tuple[str, ...], is_left: bool, tmp_path: Path) -> None:
    """Neither by one process nor by several; without our conftest.py pytest leaves its own directory."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options, A_TEST]

    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "TMPDIR": str(tmp_path)}, capture_output=True, text=True, check=False
    )

    assert 0 == done.returncode, done.stdout
    assert is_left == bool(os.listdir(tmp_path))
