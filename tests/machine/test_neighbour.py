"""Does the host's own Docker notice that lab machines run beside it?"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.machine import neighbour
from tests.machine.host import KINDS, snapshot

pytestmark = [pytest.mark.needs_root, pytest.mark.alone]

ROOT = Path(__file__).resolve().parents[2]
NAMESPACES = ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"]


def test_the_hosts_docker_is_untouched(state: Path) -> None:
    """Containers, images, bridge, firewall rules, mounts, groups and processes are the same before and after.

    Meanwhile a machine of each kind has run a container, seen none of the host's, and removed its own bridge.
    """
    before = snapshot(state)

    done = subprocess.run(
        [*NAMESPACES, sys.executable, "-m", neighbour.__name__], cwd=ROOT, capture_output=True, timeout=120, check=False
    )

    assert 0 == done.returncode, done.stderr.decode()
    report = json.loads(done.stdout)
    assert ["hi\n0\n"] * len(KINDS) == report["said"]
    assert report["before"] == report["after"]
    for what in ("containers", "images", "rules", "groups", "processes"):
        assert report["before"][what], f"no {what} to be compared"
    assert any("docker0" in line for line in report["before"]["interfaces"])
    assert before == snapshot(state)
