"""Does the process tree answer in a browser: who comes and goes, the proof of each, by mouse and by keyboard?"""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Locator, expect

from tests.browser.lab import THEMES, JupyterLab, Notebook, find_weak, keep_picture

OPEN, LIVE, BOX, EXEC, GONE, STILL, MANY = range(7)
CELLS = [
    """
import os
from labkit.lesson import open_lesson, sh
from labkit.widgets.process_tree import draw_processes, watch_processes
lesson = open_lesson("x")
print("ready")
""",
    "view = lesson.keep(watch_processes())\nview",
    """
lesson.remove("box")
sh("docker run -d --name box busybox sleep 600")
box = int(sh("docker inspect -f '{{.State.Pid}}' box").out)
""",
    "sh(\"docker exec -d box sh -c 'sleep 601; true'\")",
    'sh("docker rm -f box")',
    'draw_processes(lesson.engine, "box")',
    "sh(\"unshare --uts sh -c 'for i in $(seq 300); do sleep 60 & done; wait' &\")",
]


@pytest.fixture
def notebook(lab_of: Callable[[str], JupyterLab], browser: Browser) -> Iterator[Notebook]:
    """A notebook of its own, whose lesson is open, and in which the tree is live."""
    with lab_of("native").open_cells(browser, "processes", CELLS) as opened:
        run(opened, LIVE)
        yield opened


def run(notebook: Notebook, number: int) -> None:
    notebook.run_cell(number)
    notebook.wait_until_idle()


def tree(notebook: Notebook, number: int = LIVE) -> Locator:
    found = notebook.page.locator(f'.jp-Cell[data-windowed-list-index="{number}"] .jp-Cell-outputArea')
    found.locator(".pt-all").wait_for()
    found.scroll_into_view_if_needed()
    return found


def test_a_container_is_a_frame_below_its_shim(notebook: Notebook) -> None:
    """With what is started in it later; when it is removed, the frame and the shim are gone."""
    run(notebook, BOX)
    view = tree(notebook)
    box = notebook.evaluate("box")
    frame = view.locator(".pt-frame").filter(has=notebook.page.locator(f'details[data-id="{box}"]'))
    expect(frame.locator("header")).to_contain_text("uts ipc pid net mnt")
    expect(frame.locator("summary")).to_have_count(1)
    shim = view.locator(".pt-node").filter(has=notebook.page.locator(".pt-frame")).last
    expect(shim.locator("> details > summary")).to_contain_text("containerd-shim")
    run(notebook, EXEC)
    expect(frame.locator("summary")).to_have_count(3)
    expect(frame).to_contain_text("sh")
    run(notebook, GONE)
    expect(view.locator(".pt-frame")).to_have_count(0)


def test_the_proof_stays_open_while_others_come(notebook: Notebook) -> None:
    """By keyboard: Enter opens it, what is drawn anew keeps it open; the numbers are those of /proc."""
    run(notebook, BOX)
    view = tree(notebook)
    box = notebook.evaluate("box")
    details = view.locator(f'details[data-id="{box}"]')
    details.locator("summary").focus()
    notebook.page.keyboard.press("Enter")
    expect(details.locator(".pt-proof")).to_be_visible()
    assert notebook.evaluate('os.readlink(f"/proc/{box}/ns/uts")').strip("'") in details.inner_text()
    expect(details).to_contain_text(f"NSpid: {box}  1")
    run(notebook, EXEC)
    expect(view.locator(".pt-frame summary")).to_have_count(3)
    expect(details.locator(".pt-proof")).to_be_visible()
    details.locator("summary").focus()
    notebook.page.keyboard.press("x")  # in JupyterLab: cut the cell
    notebook.page.keyboard.press("Enter")
    expect(details.locator(".pt-proof")).to_be_hidden()
    assert len(CELLS) == len(notebook.sources())


def test_the_engine_and_a_container_as_they_are_now(notebook: Notebook) -> None:
    """The text that is stored holds no number but the one inside."""
    run(notebook, BOX)
    run(notebook, STILL)
    expect(tree(notebook, STILL).locator("summary")).to_have_count(4)
    text = notebook.text_of(STILL)
    assert "dockerd\n  containerd\ncontainerd-shim\n  [B: uts ipc pid net mnt" in text
    assert "    box: sleep, number 1 inside" in text


def test_three_hundred_processes_do_not_stop_the_page(notebook: Notebook) -> None:
    """They are one line, which opens within half a second."""
    run(notebook, MANY)
    fold = tree(notebook).locator(".pt-fold")
    expect(fold.locator("> summary")).to_have_text("296 more sleep", timeout=20_000)
    seconds = fold.evaluate(
        """fold => new Promise(done => {
             const began = performance.now();
             fold.querySelector("summary").click();
             requestAnimationFrame(() => setTimeout(() => done((performance.now() - began) / 1000)));
           })"""
    )
    assert seconds < 0.5, seconds
    expect(fold.locator(".pt-node").last).to_be_visible()


@pytest.mark.parametrize("theme", THEMES)
def test_it_can_be_read_in_a_narrow_page(notebook: Notebook, theme: str, pytestconfig: pytest.Config) -> None:
    """At 900 px nothing is cut off, and every text stands out from its ground."""
    notebook.set_theme(theme)
    notebook.make_narrow()
    run(notebook, BOX)
    run(notebook, EXEC)
    view = tree(notebook)
    view.locator(f'details[data-id="{notebook.evaluate("box")}"] summary').click()
    notebook.page.wait_for_timeout(1500)  # until what moved is still
    weak = find_weak(view.locator(".lk"))
    keep_picture(view, pytestconfig, f"processes-{theme.split()[-1]}")
    assert [] == weak
    assert view.locator(".pt-scroll").evaluate("one => one.scrollWidth <= one.clientWidth")
