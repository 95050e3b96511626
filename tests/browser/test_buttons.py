"""Do a notebook's own menus (interrupt, restart, close) do on a machine what they do on any kernel?"""

import json
import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from tests.browser.lab import JupyterLab, Notebook
from tests.machine.host import KINDS, children, is_alive, wait_until

SLEEP, ANSWER, WRITE = range(3)
CELLS = [
    "import time; print('asleep', flush=True)\nwhile True: time.sleep(0.1)",
    "print(6 * 7)",
    "open('/usr/share/mine', 'w').close()",
]
QUICK_KIND = "native"
SOON_S = 20


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "kind" in metafunc.fixturenames:
        kinds = KINDS if metafunc.config.getoption("everything") else [QUICK_KIND]
        metafunc.parametrize("kind", kinds)


@pytest.fixture
def lab(kind: str, lab_of: Callable[[str], JupyterLab]) -> JupyterLab:
    return lab_of(kind)


@pytest.fixture
def notebook(lab: JupyterLab, browser: Browser) -> Iterator[Notebook]:
    """A notebook of three cells, not run yet."""
    lab.write("own", CELLS)
    with lab.open(browser, "own") as opened:
        yield opened
        assert [] == opened.complaints


def test_a_sleeping_cell_is_interrupted(notebook: Notebook) -> None:
    """Kernel > Interrupt Kernel ends a cell that sleeps, and the next cell runs."""
    notebook.run_cell(SLEEP)
    notebook.wait_for_text(SLEEP, "asleep")
    notebook.menu("Kernel", "Interrupt Kernel")
    notebook.page.wait_for_function("() => lab.state().errors.length")
    assert ["KeyboardInterrupt: "] == notebook.state()["errors"]
    notebook.wait_until_idle()  # until then a kernel sends away what comes after an error
    notebook.run_cell(ANSWER)
    notebook.wait_for_text(ANSWER, "42\n")


def test_restart_is_a_new_machine(notebook: Notebook, lab: JupyterLab) -> None:
    """After Kernel > Restart Kernel a file written before is gone, and so is every process of the first machine."""
    notebook.run_cell(WRITE)
    assert "True" == notebook.evaluate("__import__('os').path.exists('/usr/share/mine')")
    first = lab.machines()
    notebook.menu("Kernel", "Restart Kernel")
    notebook.accept()
    assert wait_until(lambda: not any(map(is_alive, first)), SOON_S)
    assert "False" == notebook.evaluate("__import__('os').path.exists('/usr/share/mine')")


def test_close_and_shut_down_leaves_no_process(notebook: Notebook, lab: JupyterLab) -> None:
    """File > Close and Shut Down Notebook ends the machine."""
    assert "2" == notebook.evaluate("1 + 1")
    assert lab.machines()
    notebook.menu("File", "Close and Shut Down Notebook")
    notebook.accept()
    assert wait_until(lambda: not lab.machines(), SOON_S), lab.machines()


@pytest.mark.parametrize("channel", ["shell", "iopub"])
def test_a_port_that_another_program_takes(channel: str, notebook: Notebook, lab: JupyterLab) -> None:
    """A kernel that died and whose port was taken meanwhile is restarted on another, and its notebook finds it.

    So does the server, which ends kernels that are idle, by when it last heard of them.
    """
    assert "2" == notebook.evaluate("1 + 1")
    (launcher,) = children(lab.process.pid)
    words = Path(f"/proc/{launcher}/cmdline").read_text().split("\0")
    connection = Path(words[words.index("-f") + 1])
    old = read_ports(connection)

    with socket.socket() as squatter:
        squatter.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        os.kill(lab.process.pid, signal.SIGSTOP)  # so that the squatter is there before the restart
        try:
            os.kill(launcher, signal.SIGKILL)
            assert wait_until(lambda: takes(squatter, old[channel]), SOON_S)
        finally:
            os.kill(lab.process.pid, signal.SIGCONT)
        notebook.accept()  # "The kernel appears to have died. It will restart automatically."
        assert "3" == notebook.evaluate("1 + 2")

    # All have moved: on one that stayed, an old connection of the server's may take the new one's answers.
    assert not {*old.values()} & {*read_ports(connection).values()}
    before = lab.last_activity()
    notebook.run_cell(ANSWER)
    assert wait_until(lambda: lab.last_activity() > before, SOON_S)


def read_ports(connection: Path) -> dict[str, int]:
    """The ports of a kernel, by channel, as its connection file has them."""
    named: dict[str, Any] = json.loads(connection.read_text())
    return {name.removesuffix("_port"): port for name, port in named.items() if name.endswith("_port")}


def takes(squatter: socket.socket, port: int) -> bool:
    """Whether a program that wants this port gets it now."""
    with suppress(OSError):
        squatter.bind(("127.0.0.1", port))
        squatter.listen()
        return True
    return False
