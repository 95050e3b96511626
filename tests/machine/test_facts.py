"""Does the kernel of each kind of machine do what the lessons and the views say of it?

Control groups (lesson 11), namespaces (09), who joins them (10), a network by hand (12), overlays (06).
"""

from pathlib import Path
from types import ModuleType

import pytest

from tests.machine import cgroup_facts, isolation_facts, joining_facts, network_facts, union_facts
from tests.machine.facts import find_troubles
from tests.machine.host import KINDS, find_kernels
from tests.newer_engine import fetch_newer_engine

MODULES = [
    pytest.param(module, id=module.__name__.rpartition(".")[2])
    for module in (cgroup_facts, isolation_facts, joining_facts, network_facts, union_facts)
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("module", MODULES)
def test_the_kernel_does_what_is_said_of_it(module: ModuleType, kind: str, state: Path) -> None:
    """Each module asserts its facts."""
    assert {} == find_troubles(kind, module)


@pytest.mark.parametrize("kind", ["uml"])
@pytest.mark.parametrize("module", MODULES)
@pytest.mark.parametrize("name", sorted(find_kernels()))
def test_each_kernel_does_so(
    name: str, module: ModuleType, kind: str, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Old and new ones: with and without time namespaces; Debian's loads modules for the network."""
    monkeypatch.setenv("LABKIT_KERNEL", find_kernels()[name])

    assert {} == find_troubles(kind, module)


@pytest.mark.parametrize("kind", ["native"])
def test_both_image_stores_do_so(kind: str, state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With containerd's image store the directories lie elsewhere, and the mount table leads to them."""
    monkeypatch.setenv("LABKIT_ENGINE", str(fetch_newer_engine()))
    monkeypatch.setenv("LABKIT_IMAGE_STORE", "containerd")

    assert {} == find_troubles(kind, union_facts)
