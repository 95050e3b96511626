"""Does Go still read the lines of lesson 02b as its table says?"""

import shutil
import subprocess
from pathlib import Path

import pytest

FLAGS = Path(__file__).resolve().parents[2] / "notebooks/flags"


@pytest.mark.skipif(shutil.which("go") is None, reason="there is no Go here")
def test_the_table_is_what_go_says() -> None:
    """The lesson reads the table alone, so that it shows the same on a computer without Go."""
    lines = (FLAGS / "lines.txt").read_text()
    run = subprocess.run(["go", "run", FLAGS / "flags.go"], input=lines, capture_output=True, text=True, check=True)

    assert (FLAGS / "table.jsonl").read_text() == run.stdout
