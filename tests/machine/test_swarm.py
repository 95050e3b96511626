"""Does a swarm of three engines keep a secret, answer on each node, and go on without one, on each kind of machine?"""

from pathlib import Path

import pytest

from tests.machine import swarm_facts
from tests.machine.facts import find_troubles
from tests.machine.host import KINDS, find_kernels
from tests.newer_engine import fetch_newer_engine

TIMEOUT_S = 600.0  # for three engines and a dozen containers, on a busy computer


@pytest.mark.parametrize("kind", KINDS)
def test_a_swarm_does_what_the_lesson_says(kind: str, state: Path) -> None:
    """Secrets, a published port, overlay networks plain and encrypted, and a killed worker."""
    assert {} == find_troubles(kind, swarm_facts, TIMEOUT_S)


@pytest.mark.parametrize("kind", KINDS)
def test_one_of_newer_engines_does_so(kind: str, state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With containerd's store of images."""
    monkeypatch.setenv("LABKIT_ENGINE", str(fetch_newer_engine()))
    monkeypatch.setenv("LABKIT_IMAGE_STORE", "containerd")

    assert {} == find_troubles(kind, swarm_facts, TIMEOUT_S)


@pytest.mark.parametrize("kind", ["uml"])
@pytest.mark.parametrize("name", sorted(find_kernels()))
def test_each_kernel_does_so(kind: str, name: str, state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also Debian's, which loads IPVS and ESP as modules."""
    monkeypatch.setenv("LABKIT_KERNEL", find_kernels()[name])

    assert {} == find_troubles(kind, swarm_facts, TIMEOUT_S)
