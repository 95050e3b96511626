"""Does a cell that runs in a process of its own take along what it needs, and nothing else?"""

import os
import signal
from typing import Any

import pytest

from labkit.cells import names_made
from labkit.errors import ExperimentError
from labkit.isolation import helper
from labkit.isolation.cell import gather
from labkit.linux.syscalls import CLONE_NEWUTS, unshare
from labkit.widgets.alone import run_alone


@pytest.fixture(autouse=True, scope="module")
def _closed() -> Any:
    yield
    helper.close()


def test_what_is_named_goes_along() -> None:
    """Values, modules, what modules have made; what is not named stays."""
    notebook = {"os": os, "unshare": unshare, "CLONE_NEWUTS": CLONE_NEWUTS, "name": "box", "unused": 1}
    source = gather("unshare(CLONE_NEWUTS)\nprint(os.getpid(), name)", notebook)

    assert {"CLONE_NEWUTS": CLONE_NEWUTS, "name": "box"} == source.values
    assert {"os": ("os", ""), "unshare": ("labkit.linux.syscalls", "unshare")} == source.imports


def test_a_name_in_a_function_of_the_cell_counts() -> None:
    """Nested code looks names up in the notebook, too."""
    assert {"name": 1} == gather("def say():\n    return [name for _ in 'x']", {"name": 1}).values


@pytest.mark.parametrize("stays", [object(), open(os.devnull), {1: object()}, [print], "x" * (2 << 20), lambda: 0])
def test_what_is_not_simple_stays(stays: object) -> None:
    """It is of the kernel's process, or too large."""
    source = gather("thing", {"thing": stays})

    assert ({}, {}, []) == (source.values, source.imports, source.functions)


def test_what_is_no_python_is_said_before_anything_runs() -> None:
    """SyntaxError."""
    with pytest.raises(SyntaxError):
        gather("unshare uts", {})


def test_values_come_back_and_prints_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    """Only the names that are asked for."""
    notebook: dict[str, Any] = {"number": 20}
    run_alone("twice, text", "twice = 2 * number\nnumber = 0\ntext = 'é'\nprint(text)", notebook)

    assert {"number": 20, "twice": 40, "text": "é"} == notebook
    assert "é\n" == capsys.readouterr().out


def test_a_name_that_cannot_go_along_is_explained() -> None:
    """A sentence says why the cell does not see it."""
    with pytest.raises(ExperimentError, match="`engine` stays.*it is object"):
        run_alone("", "engine.get('/')", {"engine": object()})
    with pytest.raises(NameError):
        run_alone("", "engine.get('/')", {})


def test_an_early_end_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """A killed experiment is no silent one."""
    run_alone("", f"import os\nos.kill(os.getpid(), {int(signal.SIGTERM)})", {})
    run_alone("", "import sys\nsys.exit(3)", {})

    assert "(the process was ended by SIGTERM)\n(the process ended with status 3)\n" == capsys.readouterr().out


def test_a_cell_that_runs_alone_makes_the_names_that_come_back() -> None:
    """And no other, for who looks for the cell that makes a name."""
    assert {"a", "b"} == names_made("%%alone a, b\na = 1\nc = 2")
    assert set() == names_made("%%alone\na = 1")
