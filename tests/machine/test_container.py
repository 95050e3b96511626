"""Is a container that is run by hand as Docker's, does it end as it should, and is nothing of it left?"""

import re
from pathlib import Path

import pytest

from tests.machine import container_facts
from tests.machine.container_probes import DIFFERENCES, PROBES
from tests.machine.facts import find_troubles
from tests.machine.host import KINDS

PROJECT = Path(__file__).parents[2]


@pytest.mark.parametrize("kind", KINDS)
def test_a_container_by_hand_does_what_is_said_of_it(kind: str, state: Path) -> None:
    """As Docker's, but for what is named; streams, limits, bad input; and nothing is left, whoever is killed."""
    assert {} == find_troubles(kind, container_facts)


def test_each_difference_is_named_and_explained() -> None:
    """The table of docs/isolation.md has a reason for each difference that the test above leaves out, and no other."""
    text = (PROJECT / "docs/isolation.md").read_text().partition("### What differs")[2].partition("\n### ")[0]
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]

    assert list(DIFFERENCES) == [row[0] for row in rows if row[0] not in ("difference", "---")]
    assert all(len(row) == 4 and len(row[3].split()) > 4 for row in rows[1:] if row[0] != "---")


def test_each_difference_leaves_something_to_compare() -> None:
    """A difference that hides all lines of a probe would hide everything else in them."""
    for probes, pattern in DIFFERENCES.values():
        assert set(probes) <= set(PROBES)
        assert not re.search(pattern, "")
