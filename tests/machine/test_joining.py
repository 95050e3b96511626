"""Does the kernel of each kind of machine say to those who join namespaces what lesson 10 says?"""

import re
import shutil
import sys
from pathlib import Path

import nbformat
import pytest

from tests.machine.host import KINDS, find_kernels, run
from tests.machine.joining_facts import FACTS

LESSON = Path(__file__).resolve().parents[2] / "notebooks/10-docker-exec.ipynb"
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


@pytest.mark.parametrize("kind", ["native"])
@pytest.mark.skipif(shutil.which("go") is None, reason="there is no Go compiler here")
def test_the_go_original_enters(kind: str, state: Path, tmp_path: Path) -> None:
    """What lesson 10 shows in a fold is compiled as it stands there, and prints what is said of it."""
    cells = nbformat.read(LESSON, 4).cells
    (text,) = (match[1] for cell in cells if (match := re.search(r"```go\n(.*?)```", cell.source, re.S)))
    (tmp_path / "enter.go").write_text(text)
    line = (
        "docker run -d --name box --hostname box busybox sleep 600 >/dev/null; "
        f"cd {tmp_path} && go mod init enter && go build && ./enter && "
        "ENTER_PID=$(docker inspect -f '{{.State.Pid}}' box) ENTER_NS=uts,mnt ./enter"
    )
    done = run(kind, "sh", "-c", line, timeout=240)

    assert ["lab", "box"] == [words.split()[0] for words in done.stdout.decode().splitlines()], done.stderr.decode()


@pytest.mark.parametrize("kind", ["uml"])
@pytest.mark.parametrize("name", sorted(find_kernels()))
def test_each_kernel_answers_so(kind: str, name: str, state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Old and new ones, with and without time namespaces."""
    monkeypatch.setenv("LABKIT_KERNEL", find_kernels()[name])

    assert {} == troubles(kind)
