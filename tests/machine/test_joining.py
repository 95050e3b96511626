"""Does the kernel of each kind of machine say to those who join namespaces what lesson 10 says?"""

import sys
from pathlib import Path

import pytest

from tests.machine.host import KINDS, find_kernels, run
from tests.machine.joining_facts import FACTS

PROGRAM = Path(__file__).with_name("joining_facts.py")


def troubles(kind: str) -> dict[str, str]:
    """What each fact's function said on a machine of this environment; one machine is asked all."""
    done = run(kind, sys.executable, str(PROGRAM), timeout=240)
    told = dict(line.split("\t", 1) for line in done.stdout.decode().splitlines())
    assert list(FACTS) == list(told), done.stderr.decode()
    return {name: trouble for name, trouble in told.items() if trouble}


@pytest.mark.parametrize("kind", KINDS)
def test_the_kernel_answers_so(kind: str, state: Path) -> None:
    """Who is let in by the number of its threads; what is found of the engine's containers; runc by hand."""
    assert {} == troubles(kind)


@pytest.mark.parametrize("kind", ["uml"])
@pytest.mark.parametrize("name", sorted(find_kernels()))
def test_each_kernel_answers_so(kind: str, name: str, state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Old and new ones, with and without time namespaces."""
    monkeypatch.setenv("LABKIT_KERNEL", find_kernels()[name])

    assert {} == troubles(kind)
