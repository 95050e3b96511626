"""Does the namespace map answer in a browser: rows that come and go, a choice and its proof, by mouse and keyboard?"""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Locator, expect

from tests.browser.lab import THEMES, JupyterLab, Notebook, find_weak, keep_picture

OPEN, LIVE, BOX, GONE, STILL, MANY = range(6)
PID = "{{.State.Pid}}"
CELLS = [
    """
import os
from labkit.lesson import open_lesson, sh
from labkit.widgets.namespace_map import draw_namespaces, watch_namespaces
lesson = open_lesson("x")
print("ready")
""",
    'view = lesson.keep(watch_namespaces("uts pid net user"))\nview',
    f"""
lesson.remove("box", "pod")
sh("docker run -d --name box busybox sleep 600")
sh("docker run -d --name pod --network container:box busybox sleep 600")
box = int(sh("docker inspect -f '{PID}' box").out)
pod = int(sh("docker inspect -f '{PID}' pod").out)
""",
    'sh("docker rm -f pod")\nview',
    'draw_namespaces({"this notebook": "self", "box": box, "pod": pod}, "uts net")',
    """
sh("unshare --uts sh -c 'for i in $(seq 300); do sleep 60 & done; wait' &")
""",
]


@pytest.fixture
def notebook(lab_of: Callable[[str], JupyterLab], browser: Browser) -> Iterator[Notebook]:
    """A notebook of its own, whose lesson is open, and in which the map is live."""
    with lab_of("native").open_cells(browser, "namespaces", CELLS) as opened:
        yield opened


def show(notebook: Notebook, number: int = LIVE) -> Locator:
    """Run a cell that shows a map; give that map."""
    notebook.run_cell(number)
    notebook.wait_until_idle()
    view = notebook.page.locator(f'.jp-Cell[data-windowed-list-index="{number}"] .jp-Cell-outputArea')
    view.locator("tr[data-pid]").first.wait_for()
    view.scroll_into_view_if_needed()
    return view


def run(notebook: Notebook, number: int) -> None:
    notebook.run_cell(number)
    notebook.wait_until_idle()


def cell(view: Locator, pid: str, column: int) -> Locator:
    return view.locator(f'tr[data-pid="{pid}"] td').nth(column)


def test_it_follows_what_comes_and_goes(notebook: Notebook) -> None:
    """A container that starts is a row with a name and a letter of its own; one that joins has also the first one's."""
    view = show(notebook)
    run(notebook, BOX)
    box, pod = notebook.evaluate("box"), notebook.evaluate("pod")
    expect(view.locator(f'tr[data-pid="{box}"]')).to_contain_text("box")
    expect(cell(view, pod, 2)).to_be_visible()
    first, second = cell(view, box, 0).inner_text(), cell(view, pod, 0).inner_text()
    assert len({"A", first, second}) == 3
    assert [first, first, "A"] == [cell(view, box, n).inner_text() for n in (1, 2, 3)]
    assert [second, first, "A"] == [cell(view, pod, n).inner_text() for n in (1, 2, 3)]
    run(notebook, GONE)
    expect(view.locator(f'tr[data-pid="{pod}"]')).to_have_count(0)
    expect(view.locator(f'tr[data-pid="{box}"]')).to_have_count(1)


def test_a_choice_shows_the_proof(notebook: Notebook) -> None:
    """The numbers are those that readlink says; who shares is marked, and the choice stays when rows come and go."""
    run(notebook, BOX)
    view = show(notebook)
    box, pod = notebook.evaluate("box"), notebook.evaluate("pod")
    number = notebook.evaluate('os.readlink(f"/proc/{box}/ns/net")').strip("'")
    cell(view, box, 2).click()
    proof = view.locator(".nm-proof")
    expect(proof).to_contain_text(f"$ readlink /proc/{box}/ns/net")
    expect(proof).to_contain_text("net of sleep of box: one other process here has the same number")
    assert 2 == proof.inner_text().count(number)
    expect(cell(view, pod, 2)).to_have_class("ns-of ns-1 nm-same")
    run(notebook, GONE)
    expect(proof).to_contain_text("no other process here is in this namespace")
    expect(cell(view, box, 2)).to_have_class("ns-of ns-1 nm-chosen")
    cell(view, box, 2).click()
    expect(proof).to_be_hidden()


def test_it_works_by_keyboard(notebook: Notebook) -> None:
    """Tab comes to the table, arrows move, Enter shows the proof, Escape hides it; no key is the notebook's."""
    run(notebook, BOX)
    view = show(notebook)
    keyboard, box = notebook.page.keyboard, notebook.evaluate("box")
    view.locator("td[tabindex='0']").focus()
    keyboard.press("ArrowRight")
    for _ in range(30):
        if cell(view, box, 1).evaluate("one => one === document.activeElement"):
            break
        keyboard.press("ArrowDown")
    keyboard.press("Enter")
    expect(view.locator(".nm-proof")).to_contain_text(f"$ readlink /proc/{box}/ns/pid")
    run(notebook, GONE)  # drawn anew: the focus is lost with the cell that ran, and the choice is not
    expect(view.locator(".nm-proof")).to_contain_text(f"$ readlink /proc/{box}/ns/pid")
    cell(view, box, 1).focus()
    keyboard.press("x")  # in JupyterLab: cut the cell
    keyboard.press("Escape")
    expect(view.locator(".nm-proof")).to_be_hidden()
    assert len(CELLS) == len(notebook.sources())


def test_some_processes_are_drawn_as_they_are_now(notebook: Notebook) -> None:
    """Under the names that are given; the text that is stored holds no number."""
    run(notebook, BOX)
    view = show(notebook, STILL)
    expect(view.locator("tr[data-pid]")).to_have_count(3)
    assert ["               uts  net", "this notebook  A    A", "box            B    B", "pod            C    B"] == [
        line.rstrip() for line in notebook.text_of(STILL).splitlines()
    ]
    view.locator("td[data-n]").nth(3).click()
    expect(view.locator(".nm-proof")).to_contain_text("net of sleep of box")


def test_three_hundred_processes_do_not_stop_the_page(notebook: Notebook) -> None:
    """Those that are alike are folded; unfolded, a choice among them is answered within half a second."""
    show(notebook)
    run(notebook, MANY)
    view = notebook.page.locator(f'.jp-Cell[data-windowed-list-index="{LIVE}"] .jp-Cell-outputArea')
    more = view.locator("button[data-unfold]").last
    expect(more).to_have_text("296 more that are alike", timeout=20_000)
    more.click()
    expect(more).to_have_text("fold 296 that are alike")
    seconds = view.evaluate(
        """view => new Promise(done => {
             const rows = [...view.querySelectorAll("tr[data-fold]")], began = performance.now();
             rows.at(-1).cells[1].click();
             requestAnimationFrame(() => setTimeout(() => done((performance.now() - began) / 1000)));
           })"""
    )
    assert seconds < 0.5
    expect(view.locator(".nm-proof")).to_contain_text("other processes here have the same number")
    expect(more).to_have_attribute("aria-expanded", "true")


@pytest.mark.parametrize("theme", THEMES)
def test_it_can_be_read_in_a_narrow_page(notebook: Notebook, theme: str, pytestconfig: pytest.Config) -> None:
    """At 900 px nothing is cut off, and every text stands out from its ground."""
    notebook.set_theme(theme)
    notebook.make_narrow()
    run(notebook, BOX)
    view = show(notebook)
    box = notebook.evaluate("box")
    cell(view, box, 2).click()
    notebook.page.wait_for_timeout(1500)  # until what moved is still
    weak = find_weak(view.locator(".lk"))
    keep_picture(view, pytestconfig, f"namespaces-{theme.split()[-1]}")
    assert [] == weak
    assert view.locator(".nm-scroll").evaluate("one => one.scrollWidth <= one.clientWidth")
