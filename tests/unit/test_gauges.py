"""Do the samples of a container say that it was killed, at each moment of its end?"""

from pathlib import Path

import pytest

from labkit.api.engine import Engine
from labkit.widgets.gauges import ContainerSamples
from tests.unit.test_cgroup_limits import lay


@pytest.mark.parametrize(("version", "file"), [(1, "memory/memory.oom_control"), (2, "memory.events")])
@pytest.mark.parametrize("kills", [0, 1])
def test_a_kill_of_which_the_engine_has_not_heard_yet(tmp_path: Path, version: int, file: str, kills: int) -> None:
    """The group still stands, without a process: its own counter tells."""
    samples = ContainerSamples(Engine(f"unix://{tmp_path}/no-engine"), "box")
    samples.group = lay(tmp_path, version)
    (tmp_path / ("pids/pids.current" if version == 1 else "pids.current")).write_text("0\n")
    (tmp_path / file).write_text(f"oom_kill {kills}\n")

    sample = next(iter(samples))

    assert (not sample.values, sample.killed) == (True, kills == 1)
