"""Does a swarm of three engines keep a secret, answer on each node, and go on without one, on each kind of machine?"""

import sys
from pathlib import Path

import pytest

from tests.machine.host import KINDS, find_kernels, run
from tests.machine.swarm_facts import FACTS
from tests.newer_engine import fetch_newer_engine

PROGRAM = Path(__file__).with_name("swarm_facts.py")
PATIENCE_S = 600  # for three engines and a dozen containers, on a busy computer


def troubles(kind: str) -> dict[str, str]:
    """What each fact's function said on a machine of this environment; one swarm is asked all."""
    done = run(kind, sys.executable, str(PROGRAM), timeout=PATIENCE_S)
    told = dict(line.split("\t", 1) for line in done.stdout.decode().splitlines())
    assert list(FACTS) == list(told), done.stderr.decode()
    return {name: trouble for name, trouble in told.items() if trouble}


@pytest.mark.parametrize("kind", KINDS)
def test_a_swarm_does_what_the_lesson_says(kind: str, state: Path) -> None:
    """Secrets, a published port, overlay networks plain and encrypted, and a killed worker."""
    assert {} == troubles(kind)


@pytest.mark.parametrize("kind", KINDS)
def test_one_of_newer_engines_does_so(kind: str, state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With containerd's store of images."""
    monkeypatch.setenv("LABKIT_ENGINE", str(fetch_newer_engine()))
    monkeypatch.setenv("LABKIT_IMAGE_STORE", "containerd")

    assert {} == troubles(kind)


@pytest.mark.parametrize("kind", ["uml"])
@pytest.mark.parametrize("name", sorted(find_kernels()))
def test_each_kernel_does_so(kind: str, name: str, state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also Debian's, which loads IPVS and ESP as modules."""
    monkeypatch.setenv("LABKIT_KERNEL", find_kernels()[name])

    assert {} == troubles(kind)
