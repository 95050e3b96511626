"""Is a dockerd that ended told from another process that got its number?"""

import os
from pathlib import Path

import pytest

from labkit.machine.inside import engine_process


@pytest.mark.parametrize(
    ("program", "alive"), [(Path("/proc/self/comm").read_text().strip(), True), ("dockerd", False)]
)
def test_a_pidfile_is_no_proof(program: str, alive: bool, tmp_path: Path) -> None:
    """The process has to be the program, not only to have the number; or a new dockerd would wait for a stranger."""
    pidfile = tmp_path / "docker.pid"
    pidfile.write_text(f"{os.getpid()}\n")

    assert alive == engine_process._is_alive(program, pidfile)


@pytest.mark.parametrize("content", [None, "", "no number"])
def test_no_pidfile(content: str | None, tmp_path: Path) -> None:
    """Without a number there is no process."""
    pidfile = tmp_path / "docker.pid"
    if content is not None:
        pidfile.write_text(content)

    assert not engine_process._is_alive("dockerd", pidfile)
