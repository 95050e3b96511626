"""How does a test open JupyterLab in a real browser, as a learner does?

with JupyterLab.start("uml", place) as lab:      a server of its own, on a free port, with a copy of the notebooks
    with lab.open(browser, "00-start-here") as notebook:
        notebook.run_all()                       as Run > Run All Cells does
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import nbformat
import pytest
from playwright.sync_api import Browser, ConsoleMessage, Error, Locator, Page, TimeoutError

from labkit.desk.folder import lay_course
from labkit.desk.server import server_options
from tests.machine.host import Process, descendants, is_alive, wait_until

__all__ = ["ROOT", "THEMES", "JupyterLab", "Notebook", "find_weak", "keep_picture"]

ROOT = Path(__file__).resolve().parents[2]
PAGE_JS = (Path(__file__).parent / "page.js").read_text()
SETTINGS = {  # a pop-up would lie over what is to be clicked
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
}
THEMES = ("JupyterLab Light", "JupyterLab Dark")
READABLE = 4.5  # WCAG 2.2, success criterion 1.4.3
KERNELSPEC = {"name": "docker-lab", "display_name": "Docker Lab", "language": "python"}
START_S, RUN_ALL_S, SOON_S = 60.0, 240.0, 90.0  # on a busy computer
HARMLESS = {  # what a page may complain of, and why
    "Canceled future for create_subshell_request": "JupyterLab asks for a subshell while its kernel is being shut down",
}


class JupyterLab:
    """A JupyterLab server whose kernels boot machines of one kind."""

    def __init__(self, process: subprocess.Popen[bytes], info: dict[str, Any], place: Path) -> None:
        self.process = process
        self.notebooks = place / "notebooks"
        self.log = place / "log"
        self.url: str = info["url"]
        self.token: str = info["token"]

    @classmethod
    @contextmanager
    def start(cls, kind: str, place: Path, *, desk: bool = False) -> Iterator["JupyterLab"]:
        """Start a server that keeps everything it writes under `place`; at the end nothing of it runs any more.

        With `desk` it shows a learner's folder instead of a copy of the notebooks.
        """
        env = {f"JUPYTER_{name.upper()}_DIR": str(place / name) for name in ("config", "data", "runtime")}
        for name, settings in SETTINGS.items():
            file = place / f"config/lab/user-settings/@jupyterlab/{name}.jupyterlab-settings"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(settings))
        if desk:
            lay_course(place / "notebooks")
        else:
            shutil.copytree(ROOT / "notebooks", place / "notebooks")
        log = place / "log"
        command = [
            str(Path(sys.executable).with_name("jupyter-lab")),
            "--no-browser",
            "--port=0",
            "--expose-app-in-browser",
        ]
        command += ["--allow-root"] if os.geteuid() == 0 else []
        process = subprocess.Popen(
            [*command, *server_options(place / "notebooks")],
            env={**os.environ, **env, "LABKIT_MACHINE": kind},
            stdin=subprocess.DEVNULL,
            stdout=log.open("wb"),
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            assert wait_until(lambda: bool(_read_info(place)), START_S), log.read_text()
            yield cls(process, _read_info(place), place)
        finally:
            family = descendants(process.pid)
            process.send_signal(signal.SIGTERM)
            process.wait(SOON_S)
            assert wait_until(lambda: not any(map(is_alive, family)), 10), "the server left processes behind"

    def write(self, name: str, sources: Iterable[str]) -> None:
        """Write a notebook of code cells beside the lessons, to be opened by its name."""
        cells = [nbformat.v4.new_code_cell(source.strip()) for source in sources]
        notebook = nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": KERNELSPEC})
        nbformat.write(notebook, self.notebooks / f"{name}.ipynb")

    @contextmanager
    def open(self, browser: Browser, name: str) -> Iterator["Notebook"]:
        """Open a notebook in a window of its own, as soon as its cells are there; close it with its kernel."""
        context = browser.new_context(viewport={"width": 1200, "height": 1000})
        page = context.new_page()
        page.set_default_timeout(SOON_S * 1000)
        notebook = Notebook(self, page, name)
        page.goto(f"{self.url}doc/tree/{name}.ipynb?token={self.token}&reset")
        page.wait_for_function("() => window.jupyterapp?.shell.currentWidget?.content?.widgets?.length")
        page.add_script_tag(content=PAGE_JS)
        # Before that, Run All asks which kernel to use, in a dialog that waits for ever.
        page.evaluate(
            "() => Promise.all([jupyterapp.restored, lab.panel().context.ready, lab.panel().sessionContext.ready])"
        )
        # Nor does a command know its notebook until JupyterLab has noticed which one is in front.
        page.wait_for_function("() => jupyterapp.commands.isEnabled('notebook:run-cell')")
        try:
            yield notebook
        finally:
            with suppress(Error):  # a test has shut it down
                page.evaluate("() => lab.panel().sessionContext.shutdown()")
            context.close()

    @contextmanager
    def open_cells(self, browser: Browser, name: str, sources: Sequence[str]) -> Iterator["Notebook"]:
        """Write and open a notebook, and run its first cell, which prints `ready`; in the end nothing is amiss."""
        self.write(name, sources)
        with self.open(browser, name) as opened:
            opened.run_cell(0)
            opened.page.wait_for_function("() => lab.textOf(0).includes('ready')")
            yield opened
            assert [] == opened.complaints

    def last_activity(self) -> str:
        """When the server last heard of the one kernel that it has; a later time is a greater text."""
        with urlopen(f"{self.url}api/kernels?token={self.token}") as answer:
            (kernel,) = json.load(answer)
        return str(kernel["last_activity"])

    def machines(self) -> list[Process]:
        """The processes of all machines that run."""
        return descendants(self.process.pid)


class Notebook:
    """A notebook in the browser; `complaints` holds what went wrong on its page."""

    def __init__(self, lab: JupyterLab, page: Page, name: str) -> None:
        self.lab = lab
        self.name = name
        self.page = page
        self.complaints: list[str] = []
        page.on("console", self._hear)
        page.on("pageerror", lambda error: self._complain(str(error)))

    def run_all(self, seconds: float = RUN_ALL_S) -> None:
        """Run all cells as the menu does, until JupyterLab says that it is done; an error of a cell fails."""
        self.page.evaluate("() => lab.startRunAll()")
        deadline = time.monotonic() + seconds
        while (done := self.page.evaluate("() => lab.done")) is None:
            assert time.monotonic() < deadline, f"not done after {seconds:.0f} s: {self.state()}"
            self.page.wait_for_timeout(200)
        assert done == "true", f"Run All ended with {done}: {self.state()}"

    def run_cell(self, number: int) -> None:
        """Begin to run one code cell, and do not wait for it."""
        self.page.evaluate("number => lab.startCell(number)", number)

    def wait_until_idle(self) -> None:
        """Wait until no cell runs, nor waits to be run."""
        self.page.wait_for_function("() => lab.code().every(cell => cell.model.executionState === 'idle')")

    def state(self) -> dict[str, Any]:
        """What a person would look at: the kernel's state, the cells' numbers, errors."""
        answer: dict[str, Any] = self.page.evaluate("() => lab.state()")
        return answer

    def sources(self) -> list[str]:
        """The text of each code cell."""
        texts: list[str] = self.page.evaluate("() => lab.code().map(cell => cell.model.sharedModel.source)")
        return texts

    def text_of(self, number: int) -> str:
        """What a code cell has put out, as text."""
        text: str = self.page.evaluate("number => lab.textOf(number)", number)
        return text

    def wait_for_text(self, number: int, text: str) -> None:
        """Wait until a code cell has put out a text; one that does not fails with all that is known."""
        try:
            self.page.wait_for_function("([number, text]) => lab.textOf(number).startsWith(text)", arg=[number, text])
        except TimeoutError:
            dialogs = self.page.locator(".jp-Dialog").all_inner_texts()
            raise AssertionError(
                f"no {text!r}: {self.state()}, {dialogs}, {self.lab.log.read_text()[-4000:]}"
            ) from None

    def evaluate(self, expression: str) -> str:
        """The repr of an expression in the kernel."""
        text: str = self.page.evaluate("code => lab.evaluate(code)", expression)
        return text

    def command(self, name: str, **arguments: Any) -> None:
        """Have JupyterLab execute a command, to its end."""
        self.page.evaluate("([name, args]) => jupyterapp.commands.execute(name, args)", [name, arguments])

    def set_theme(self, theme: str) -> None:
        """Give JupyterLab one of THEMES, and wait until the page has it."""
        self.command("apputils:change-theme", theme=theme)
        self.page.wait_for_function("theme => document.body.dataset.jpThemeName === theme", arg=theme)

    def make_narrow(self, height_px: int = 1000) -> None:
        """Make the page 900 px wide, without the table of contents, which takes a third of it."""
        self.page.set_viewport_size({"width": 900, "height": height_px})
        self.page.evaluate("() => jupyterapp.shell.collapseLeft()")

    def menu(self, *path: str) -> None:
        """Click through the menu bar."""
        self.page.locator(".lm-MenuBar-itemLabel", has_text=path[0]).first.click()
        for label in path[1:]:
            self.page.locator(".lm-Menu-itemLabel").filter(has_text=label).first.click()

    def accept(self) -> None:
        """Agree to what a dialog asks."""
        self.page.locator(".jp-Dialog .jp-mod-accept").click()

    def views(self, selector: str) -> list[Locator]:
        """The live views of a kind, in the notebook's order; each is scrolled to before it is used."""
        found = []
        for number in self.page.evaluate("selector => lab.cellsWith(selector)", selector):
            found.append(
                self.page.locator(f'.jp-Cell[data-windowed-list-index="{number}"] .jp-Cell-outputArea {selector}')
            )
        return found

    def show(self, view: Locator) -> None:
        """Scroll to a view, and wait until the page has laid it out: what is far away has no size and no text."""
        view.first.scroll_into_view_if_needed()
        self.page.wait_for_function("view => view.innerText || view.naturalWidth", arg=view.first.element_handle())

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self._complain(message.text)

    def _complain(self, text: str) -> None:
        if not any(words in text for words in HARMLESS):
            self.complaints.append(text)


def _read_info(place: Path) -> dict[str, Any]:
    """What the server notes of itself once it listens; nothing before that."""
    info: dict[str, Any] = {}
    for file in (place / "runtime").glob("jpserver-*.json"):
        with suppress(ValueError):  # it is being written
            info = json.loads(file.read_text())
    return info


def find_weak(*parts: Locator) -> list[str]:
    """The texts of these parts of a page that do not stand out from their ground as READABLE asks."""
    texts = [one for part in parts for one in part.evaluate("part => lab.contrasts(part)")]
    assert texts, "no text was found"
    return [f"{text!r} has a contrast of {ratio:.1f}" for ratio, text in texts if ratio < READABLE]


def keep_picture(view: Locator | Page, config: pytest.Config, name: str) -> None:
    """Keep a picture of a view, or of the whole page, in the directory of `--screenshots`."""
    if directory := config.getoption("screenshots"):
        view.screenshot(path=directory / f"{name.replace(' ', '-')}.png")
