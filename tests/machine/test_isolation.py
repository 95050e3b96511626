"""Does the kernel of each kind of machine do with namespaces what the isolation wing and lesson 09 say of it?"""

import sys
from pathlib import Path

import pytest

from tests.machine.host import KINDS, find_kernels, run
from tests.machine.isolation_facts import FACTS

PROGRAM = Path(__file__).with_name("isolation_facts.py")


def troubles(kind: str) -> dict[str, str]:
    """What each fact's function said on a machine of this environment; one machine is asked all."""
    done = run(kind, sys.executable, str(PROGRAM), timeout=240)
    told = dict(line.split("\t", 1) for line in done.stdout.decode().splitlines())
    assert list(FACTS) == list(told), done.stderr.decode()
    return {name: trouble for name, trouble in told.items() if trouble}


@pytest.mark.parametrize("kind", KINDS)
def test_the_kernel_does_what_is_said_of_it(kind: str, state: Path) -> None:
    """Joining, refusals, PID 1, time, and what is left of an experiment."""
    assert {} == troubles(kind)


@pytest.mark.parametrize("kind", ["uml"])
@pytest.mark.parametrize("name", sorted(find_kernels()))
def test_each_kernel_does_so(kind: str, name: str, state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Old and new ones."""
    monkeypatch.setenv("LABKIT_KERNEL", find_kernels()[name])

    assert {} == troubles(kind)
