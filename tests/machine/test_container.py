"""Is a container that is run by hand as Docker's, does it end as it should, and is nothing of it left?"""

import re
import sys
from pathlib import Path

import pytest

from tests.machine.container_facts import FACTS
from tests.machine.container_probes import DIFFERENCES, PROBES
from tests.machine.host import KINDS, run

PROJECT = Path(__file__).parents[2]
PROGRAM = "import sys; sys.path.insert(0, {project!r}); from tests.machine import {module} as m; m.main(m.FACTS)"


def troubles(kind: str, module: str, facts: dict[str, object]) -> dict[str, str]:
    """What each fact's function said on a machine of its own; one machine is asked all."""
    done = run(kind, sys.executable, "-P", "-c", PROGRAM.format(project=str(PROJECT), module=module), timeout=280)
    told = dict(line.split("\t", 1) for line in done.stdout.decode().splitlines())
    assert list(facts) == list(told), done.stderr.decode()
    return {name: trouble for name, trouble in told.items() if trouble}


@pytest.mark.parametrize("kind", KINDS)
def test_a_container_by_hand_does_what_is_said_of_it(kind: str, state: Path) -> None:
    """As Docker's, but for what is named; streams, limits, bad input; and nothing is left, whoever is killed."""
    assert {} == troubles(kind, "container_facts", dict(FACTS))


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
