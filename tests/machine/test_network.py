"""Does each kind of machine, with each kernel, have the network that lesson 12 builds by hand?"""

import sys
from pathlib import Path

import pytest

from tests.machine.host import KINDS, find_kernels, run
from tests.machine.network_facts import FACTS

PROGRAM = Path(__file__).with_name("network_facts.py")


def troubles(kind: str) -> dict[str, str]:
    """What each fact's function said on a machine of this environment; one machine is asked all."""
    done = run(kind, sys.executable, str(PROGRAM), timeout=240)
    told = dict(line.split("\t", 1) for line in done.stdout.decode().splitlines())
    assert list(FACTS) == list(told), done.stderr.decode()
    return {name: trouble for name, trouble in told.items() if trouble}


@pytest.mark.parametrize("kind", KINDS)
def test_a_network_is_built_by_hand(kind: str, state: Path) -> None:
    """Packets go out and come in, refusals leave nothing, and what has gone needs no undoing."""
    assert {} == troubles(kind)


@pytest.mark.parametrize("kind", ["uml"])
@pytest.mark.parametrize("name", sorted(find_kernels()))
def test_each_kernel_does_so(kind: str, name: str, state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also Debian's, which loads modules for it."""
    monkeypatch.setenv("LABKIT_KERNEL", find_kernels()[name])

    assert {} == troubles(kind)
