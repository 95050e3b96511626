import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def state(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A directory of this test's own for its machines' state; a short name, as sockets lie in it."""
    path = Path(tempfile.mkdtemp(prefix="lab", dir="/tmp"))
    monkeypatch.setenv("LABKIT_TMPDIR", str(path))
    yield path
    shutil.rmtree(path)
