"""Does `make demo` show a lesson's live views without its code?"""

import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.lab import ROOT
from tests.browser.test_lessons import CALLS, VIEWS
from tests.machine.conftest import leave_out
from tests.machine.host import descendants, is_alive, wait_until

START_S, LESSON_S = 120, 240
ADDRESS = re.compile(r"http://localhost:\d+/\?token=\w+")


# Voila's page asks the internet for MathJax and Mermaid, which no lesson needs.
NOT_LOADED = "Failed to load resource: net::"


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page whose console has to stay free of errors."""
    complaints: list[str] = []
    with browser.new_context(viewport={"width": 1200, "height": 1000}) as context:
        opened = context.new_page()
        opened.on("pageerror", lambda error: complaints.append(str(error)))
        opened.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
        yield opened
    assert [] == [words for words in complaints if not words.startswith(NOT_LOADED)]


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


def test_a_lesson_is_shown_without_code(demo: tuple[str, str], page: Page, tmp_path: Path) -> None:
    """Every view appears and no code does; an exchange opens on a click, and the kernel answers to a prediction."""
    name, kind = demo
    leave_out(kind)
    cells = json.loads((ROOT / f"notebooks/{name}.ipynb").read_text())["cells"]
    sources = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    with make_demo(name, kind, tmp_path) as address:
        page.goto(address)
        expect(page.locator("body")).to_contain_text("is closed; left behind", timeout=LESSON_S * 1000)
        for view, selector in VIEWS.items():
            wanted = sum(bool(re.search(CALLS[view], source)) for source in sources)
            expect(page.locator(selector)).to_have_count(wanted)
        assert "open_lesson(" not in page.locator("body").inner_text()

        for summary in page.locator(f"{VIEWS['wire']} summary").all():
            summary.click()
        for message in page.locator(f"{VIEWS['wire']} pre").all():
            expect(message).to_contain_text(re.compile(r"HTTP/1\.1|, \d+ bytes"))
            assert message.is_visible()

        for question in page.locator(VIEWS["prediction"]).all():
            question.get_by_role("button").first.click()
            expect(question).to_contain_text("You say ")
        page.goto("about:blank")  # or the page would miss its server
