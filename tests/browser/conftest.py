import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.browser.lab import ROOT, JupyterLab, Notebook
from tests.machine.conftest import IN_CI, NO_CHROMIUM, leave_out, pytest_terminal_summary
from tests.machine.host import KINDS

__all__ = ["pytest_terminal_summary"]  # says loudly which kind was left out

LESSONS = sorted(path.stem for path in (ROOT / "notebooks").glob("*.ipynb"))
QUICK = [(lesson, "native") for lesson in ("00-start-here", "02-commands-to-requests", "13-attach-logs-events")]
QUICK += [("01-engine-api", "uml")]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--everything", action="store_true", help="every lesson on every kind of machine")
    parser.addoption("--screenshots", type=Path, metavar="DIR", help="keep a picture of each view in each theme there")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    everything = [(lesson, kind) for lesson in LESSONS for kind in KINDS]
    chosen = everything if metafunc.config.getoption("everything") else QUICK
    if "demo" in metafunc.fixturenames:
        demos = everything if metafunc.config.getoption("everything") else [("01-engine-api", "native")]
        metafunc.parametrize("demo", demos, ids="-".join)
    if "lesson" in metafunc.fixturenames:
        metafunc.parametrize("lesson", chosen, ids="-".join, indirect=True, scope="module")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, without a window."""
    path = shutil.which("chromium")
    if path is None:
        (pytest.fail if IN_CI else pytest.skip)(NO_CHROMIUM)
    with sync_playwright() as playwright:
        # As root Chromium refuses its own sandbox; the only pages that it sees here are ours.
        chromium = playwright.chromium.launch(executable_path=path, chromium_sandbox=os.geteuid() != 0)
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def lab_of() -> Iterator[Callable[[str], JupyterLab]]:
    """A JupyterLab server per kind of machine, started when a test first asks for it."""
    with ExitStack() as stack:
        servers: dict[str, JupyterLab] = {}

        def start(kind: str) -> JupyterLab:
            leave_out(kind)
            if kind not in servers:
                place = Path(tempfile.mkdtemp(prefix="jl"))
                stack.callback(shutil.rmtree, place)
                servers[kind] = stack.enter_context(JupyterLab.start(kind, place))
            return servers[kind]

        yield start


@pytest.fixture(scope="module")
def lesson(request: pytest.FixtureRequest, browser: Browser, lab_of: Callable[[str], JupyterLab]) -> Iterator[Notebook]:
    """A lesson on a kind of machine, run from its first cell to its last."""
    name, kind = request.param
    with lab_of(kind).open(browser, name) as notebook:
        notebook.run_all()
        yield notebook
