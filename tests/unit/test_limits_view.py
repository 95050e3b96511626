"""Does the table of limits name the files of both versions, and mark those that this machine has?"""

from pathlib import Path
from xml.etree import ElementTree

import pytest

from labkit.errors import LabError
from labkit.linux.cgroups import Group
from labkit.show.limits import Row, limits_html, limits_svg, limits_text
from labkit.widgets.limits import show_limits
from tests.unit.test_cgroup_limits import lay

ROWS = [
    Row("memory, at most", "--memory", "memory.limit_in_bytes", "memory.max", "32 MiB"),
    Row("memory, now", "", "memory.usage_in_bytes", "memory.current", "0.3 MiB"),
]


def test_the_text_is_the_same_on_every_machine() -> None:
    """Files of both versions, the limits, and no counter."""
    assert """\
what             version 1              version 2       limit
memory, at most  memory.limit_in_bytes  memory.max      32 MiB
memory, now      memory.usage_in_bytes  memory.current""" == limits_text(ROWS)


@pytest.mark.parametrize(("version", "file"), [(1, "memory.limit_in_bytes"), (2, "memory.max")])
def test_the_column_of_this_machine_is_marked(version: int, file: str) -> None:
    """By a ground, a mark in its head, and words; the other one is pale."""
    drawn = limits_html(ROWS, version)

    assert f'<td class="lkg-here"><code>{file}</code>' in drawn and 2 == drawn.count('class="lkg-here"')
    assert f"<b>version {version}</b>" in drawn
    assert f"[version {version}]" in limits_svg(ROWS, version)
    ElementTree.fromstring(limits_svg(ROWS, version))


@pytest.mark.parametrize("version", [1, 2])
def test_it_reads_a_real_group(tmp_path: Path, version: int) -> None:
    """The values of either version in the same words."""
    view = show_limits(lay(tmp_path, version))

    assert "processor, at most  cpu.cfs_quota_us       cpu.max         25 %" in repr(view)
    for words in ("32 MiB", "2.50 s", "12 times"):
        assert f"<td>{words}</td>" in view.html


def test_a_group_that_is_gone_is_told(tmp_path: Path) -> None:
    """In a sentence that says what to do."""
    with pytest.raises(LabError, match="First run the cell that starts it"):
        show_limits(Group("gone", {"": str(tmp_path / "gone")}))
