"""Do known ways out of a container lead out of ours? Each attack works without a defence, and fails with it."""

from dataclasses import fields
from pathlib import Path

import pytest

from labkit.isolation.defences import Defences
from tests.machine import escape_facts
from tests.machine.facts import find_troubles
from tests.machine.host import KINDS


@pytest.mark.parametrize("kind", KINDS)
def test_no_known_way_leads_out(kind: str, state: Path) -> None:
    """Descriptors, links of /proc, targets of mounts, copies, chroot, mknod, mount, unshare, masked files, knobs."""
    assert {} == find_troubles(kind, escape_facts)


def test_each_defence_is_taken_out_by_an_attack() -> None:
    """A defence that no test takes out may as well not be there."""
    text = Path(__file__).with_name("escape_facts.py").read_text()

    assert [] == [each.name for each in fields(Defences) if f"{each.name}=False" not in text]
