import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def state(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A directory of this test's own for its machines' state; a short name, as sockets lie in it."""
    where = "/dev/shm" if shutil.disk_usage("/dev/shm").free > 2 << 30 else "/tmp"
    path = Path(tempfile.mkdtemp(prefix="lab", dir=where))
    monkeypatch.setenv("LABKIT_TMPDIR", str(path))
    yield path
    shutil.rmtree(path)
