"""Does `make demo` show a lesson one step a key press, without its code, and no answer before the vote?"""

import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.lab import ROOT
from tests.browser.test_lessons import CALLS, VIEWS
from tests.machine.conftest import leave_out
from tests.machine.host import descendants, is_alive, wait_until

START_S, LESSON_S, CULLED_S = 120, 240, 120
ADDRESS = re.compile(r"http://localhost:\d+/lab\?token=\w+")


# JupyterLab's Markdown looks for a picture beside the page before it looks beside the lesson.
NOT_THERE = "/pictures/"


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page whose console has to stay free of errors."""
    complaints: list[str] = []
    with browser.new_context(viewport={"width": 1280, "height": 720}) as context:
        opened = context.new_page()
        opened.on("pageerror", lambda error: complaints.append(str(error)))
        opened.on(
            "console",
            lambda said: (
                complaints.append(said.text) if said.type == "error" and NOT_THERE not in said.location["url"] else None
            ),
        )
        yield opened
    assert [] == complaints


@contextmanager
def make_demo(name: str, kind: str, place: Path) -> Iterator[str]:
    """Run `make demo`, give the address that it prints, and end it as Ctrl-C does; nothing of it is left."""
    own = {f"JUPYTER_{kept}_DIR": str(place / kept) for kept in ("CONFIG", "DATA", "RUNTIME")}
    log = place / "log"
    process = subprocess.Popen(
        # A shell starts a background job with Ctrl-C ignored; what runs in front of somebody hears it.
        ["env", "--default-signal=INT", "make", "demo", f"LESSON={name}"],
        cwd=ROOT,
        env={
            **os.environ,
            **own,
            "DISPLAY": "",
            "WAYLAND_DISPLAY": "",
            "LABKIT_MACHINE": kind,
            "PYTHONFAULTHANDLER": "1",
        },
        stdin=subprocess.DEVNULL,
        stdout=log.open("wb"),
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        assert wait_until(lambda: bool(ADDRESS.search(log.read_text())), START_S), log.read_text()
        yield ADDRESS.findall(log.read_text())[0]
    finally:
        family = descendants(process.pid)
        os.killpg(process.pid, signal.SIGINT)
        if not wait_until(lambda: process.poll() is not None, 30):
            os.killpg(process.pid, signal.SIGABRT)  # whoever is left writes where it stands into the log
            process.wait(10)
            pytest.fail(f"make demo had not ended 30 s after Ctrl-C: {log.read_text()}")
        assert wait_until(lambda: not any(map(is_alive, family)), 10), "the demonstration left processes behind"


def answers(address: str) -> bool:
    try:
        with urlopen(address):
            return True
    except URLError:
        return False


def wait_for_step(page: Page) -> str:
    """Wait until the machine has done its part; give what the line at the bottom says."""
    line = page.locator(".labkit-foot > :first-child")
    expect(line).not_to_have_text("The machine works ...", timeout=LESSON_S * 1000)
    return line.inner_text()


def open_demo(page: Page, address: str) -> None:
    assert wait_until(lambda: answers(address), START_S), "the server prints its address before it listens"
    page.goto(address)
    page.locator(".labkit-foot").wait_for(timeout=START_S * 1000)


def test_a_lesson_is_shown_step_by_step(demo: tuple[str, str], page: Page, tmp_path: Path) -> None:
    """No step forward passes a question; after the vote Enter shows votes and verdict; every view appears, no code."""
    name, kind = demo
    leave_out(kind)
    cells = json.loads((ROOT / f"notebooks/{name}.ipynb").read_text())["cells"]
    sources = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    with make_demo(name, kind, tmp_path) as address:
        open_demo(page, address)
        seen, votes = page.locator(".labkit-stage"), 0
        while not (says := wait_for_step(page)).startswith("The end"):
            if not says.startswith("Vote"):
                page.keyboard.press("ArrowRight")
                continue
            verdicts = page.locator('[aria-label^="verdict: "]').count()
            page.keyboard.press("1")
            page.keyboard.press("2")
            page.locator(".lk-answers").last.get_by_role("button").first.click()
            page.keyboard.press("2")
            page.keyboard.press("Backspace")
            if votes == 0:
                for key in ("ArrowRight", "PageDown", "Space"):
                    page.keyboard.press(key)
                assert says == wait_for_step(page), "a key that is not Enter passed the question"
            assert verdicts == page.locator('[aria-label^="verdict: "]').count(), "the answer came before Enter"
            page.keyboard.press("Enter")
            votes += 1
            expect(page.locator(".labkit-tally")).to_have_count(votes, timeout=LESSON_S * 1000)
            tally = page.locator(".labkit-tally").last
            assert ["2", "1"] == tally.locator("b:nth-of-type(2)").all_inner_texts()[:2]
            expect(tally.locator(".labkit-machine")).to_have_count(1)
        assert sum("predict(" in source for source in sources) == votes
        for view, selector in VIEWS.items():
            wanted = sum(bool(re.search(CALLS[view], source)) for source in sources)
            expect(page.locator(selector)).to_have_count(wanted)
        assert "open_lesson(" not in seen.inner_text()
        page.keyboard.press("c")
        assert "open_lesson(" in seen.inner_text()
        page.goto("about:blank")  # or the page would miss its server


def test_each_visit_has_a_machine_of_its_own(page: Page, tmp_path: Path) -> None:
    """After a reload the lesson begins anew, on another machine; that of the page that was left ends."""
    leave_out("native")
    with make_demo("00-start-here", "native", tmp_path) as address:
        open_demo(page, address)
        base, _, token = address.partition("lab?")

        def kernels() -> set[str]:
            answer = page.request.get(f"{base}api/kernels?{token}")
            return {kernel["id"] for kernel in answer.json()}

        first = kernels()
        page.reload()
        page.locator(".labkit-foot").wait_for(timeout=START_S * 1000)
        assert 1 == len(first) and 1 == len(kernels() - first)
        expect(page.locator(".labkit-foot > :last-child")).to_have_text(re.compile("^1 / "))
        assert wait_until(lambda: not first & kernels(), CULLED_S), "the machine of a page that was left goes on"
        page.goto("about:blank")
