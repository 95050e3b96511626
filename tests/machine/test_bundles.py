"""Does the same OCI bundle give the same under runc and under ours, and is what is not understood refused?"""

from pathlib import Path

import pytest

from tests.machine import bundle_facts
from tests.machine.facts import find_troubles
from tests.machine.host import KINDS


@pytest.mark.parametrize("kind", KINDS)
def test_a_bundle_gives_the_same_under_runc(kind: str, state: Path) -> None:
    """Users, mounts, limits, privileges, hidden paths; what is not understood is refused with a sentence."""
    assert {} == find_troubles(kind, bundle_facts)
