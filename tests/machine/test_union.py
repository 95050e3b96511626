"""Does the kernel of each kind of machine do with overlays what the union view and lesson 06 say of it?"""

import sys
from pathlib import Path

import pytest

from tests.machine.host import KINDS, find_kernels, run
from tests.machine.union_facts import FACTS
from tests.newer_engine import fetch_newer_engine

PROGRAM = Path(__file__).with_name("union_facts.py")


def troubles(kind: str) -> dict[str, str]:
    """What each fact's function said on a machine of this environment; one machine is asked all."""
    done = run(kind, sys.executable, str(PROGRAM), timeout=240)
    told = dict(line.split("\t", 1) for line in done.stdout.decode().splitlines())
    assert list(FACTS) == list(told), done.stderr.decode()
    return {name: trouble for name, trouble in told.items() if trouble}


@pytest.mark.parametrize("kind", KINDS)
def test_the_kernel_does_what_is_said_of_it(kind: str, state: Path) -> None:
    """Copy-up, marks, refusals, links, open files, and what is left when an overlay is closed."""
    assert {} == troubles(kind)


@pytest.mark.parametrize("kind", ["uml"])
@pytest.mark.parametrize("name", sorted(find_kernels()))
def test_each_kernel_does_so(kind: str, name: str, state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Old and new ones: the marks have been the same for years."""
    monkeypatch.setenv("LABKIT_KERNEL", find_kernels()[name])

    assert {} == troubles(kind)


@pytest.mark.parametrize("kind", ["native"])
def test_both_image_stores_do_so(kind: str, state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With containerd's image store the directories lie elsewhere, and the mount table leads to them."""
    monkeypatch.setenv("LABKIT_ENGINE", str(fetch_newer_engine()))
    monkeypatch.setenv("LABKIT_IMAGE_STORE", "containerd")

    assert {} == troubles(kind)
