"""Does an engine that is started for the image clear away what a killed one left?"""

import os
from pathlib import Path

from tools import container_engine


def test_a_killed_engine_leaves_nothing_for_long(tmp_path: Path) -> None:
    """The next one removes its directory, but not that of an engine that lives, nor what is no engine's."""
    for name in ("labkit-engine-dead", "labkit-engine-alive", "other"):
        (tmp_path / name / "data").mkdir(parents=True)
    held = container_engine._lock(tmp_path / "labkit-engine-alive")

    container_engine._sweep(tmp_path)

    assert ["labkit-engine-alive", "other"] == sorted(path.name for path in tmp_path.iterdir())
    os.close(held)
