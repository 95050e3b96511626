"""Can the start of a dockerd and the nodes of a swarm be read, in both themes, on a narrow page and by keyboard?"""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Locator, expect

from tests.browser.lab import THEMES, JupyterLab, Notebook, find_weak, keep_picture

START = ".jp-Cell-outputArea [aria-label='the start of dockerd']"
CLUSTER = ".jp-Cell-outputArea [aria-label='the nodes and their tasks']"
HOSTILE = "<img src=x onerror=alert(1)>"
CELLS = [
    """
from labkit.daemons.start_log import find_steps, parse_log
from labkit.widgets.start_log import draw_start

LOG = '''
time="2024-05-01T10:00:00.000Z" level=info msg="Starting up"
time="2024-05-01T10:00:00.001Z" level=debug msg="Listener created for HTTP on unix (/run/door)"
time="2024-05-01T10:00:00.700Z" level=debug msg="Registering routers"
time="2024-05-01T10:00:01.100Z" level=info msg="API listen on /run/door"
'''
draw_start(find_steps(parse_log(LOG)))
""",
    f"""
from labkit.daemons.swarm_state import NodeState, SwarmState, TaskState
from labkit.show.cluster import cluster_html, cluster_svg, cluster_text
from labkit.widgets.view import View

nodes = [
    NodeState("1", "one", "manager", "down", "active", "unreachable"),
    NodeState("2", "two", "manager", "ready", "active", "leader"),
    NodeState("3", "a-host-with-a-long-name-none-of-whose-characters-is-a-space", "worker", "ready", "drain", ""),
]
tasks = [
    TaskState("a", "site", 1, "one", "running", "shutdown", "", "busybox"),
    TaskState("b", "site", 1, "two", "running", "running", "", "busybox"),
    TaskState("c", "site", 2, "two", "failed", "shutdown", "task: non-zero exit (137)", "busybox"),
    TaskState("d", "site", 2, "two", "ready", "ready", "", "busybox"),
    TaskState("e", {HOSTILE!r}, 1, "one", "running", "running", "", "busybox"),
]
state = SwarmState(nodes, tasks)
View(cluster_html(state), cluster_text(state), cluster_svg(state))
""",
]


@pytest.fixture(scope="module")
def notebook(lab_of: Callable[[str], JupyterLab], browser: Browser) -> Iterator[Notebook]:
    """Both views, of a log and of a swarm that are made up."""
    lab = lab_of("native")
    lab.write("start-and-cluster", CELLS)
    with lab.open(browser, "start-and-cluster") as opened:
        opened.run_all()
        yield opened
        assert [] == opened.complaints


@pytest.fixture
def start(notebook: Notebook) -> Locator:
    found = notebook.page.locator(START)
    notebook.show(found)
    return found


@pytest.fixture
def cluster(notebook: Notebook) -> Locator:
    found = notebook.page.locator(CLUSTER)
    notebook.show(found)
    return found


def test_a_step_opens_and_closes_by_keyboard(notebook: Notebook, start: Locator) -> None:
    """Enter shows its line of the log, Tab goes to the next step after it, and no other step opens."""
    line = start.get_by_text("Listener created for HTTP on unix (/run/door)")
    expect(line).to_be_hidden()
    start.locator("summary", has_text="listener").focus()
    notebook.page.keyboard.press("Enter")
    expect(line).to_be_visible()
    assert 1 == start.locator("details[open]").count()
    notebook.page.keyboard.press("Tab")
    expect(line).to_be_focused()
    notebook.page.keyboard.press("Tab")
    expect(start.locator("summary", has_text="routes")).to_be_focused()
    notebook.page.keyboard.press("Shift+Tab")
    notebook.page.keyboard.press("Shift+Tab")
    notebook.page.keyboard.press("Enter")

    expect(line).to_be_hidden()


def test_the_ring_of_a_step_is_not_cut(notebook: Notebook, start: Locator) -> None:
    """It lies within the step, since the page cuts what stands out of an output."""
    start.locator("summary", has_text="routes").focus()
    notebook.page.keyboard.press("Shift")  # a ring is for those who use the keyboard
    offset, width = start.locator("summary:focus").evaluate(
        "step => { const style = getComputedStyle(step); return [style.outlineOffset, style.outlineWidth]; }"
    )

    assert ("-2px", "2px") == (offset, width)


def test_a_task_says_where_it_was_and_why_it_ended(cluster: Locator) -> None:
    """To everybody who reads, without a mouse; and markup in a name is text."""
    text = cluster.inner_text()

    assert "running, was on one" in text and "task: non-zero exit (137)" in text and "last heard: running" in text
    assert f"{HOSTILE}.1" in text and cluster.locator("img").count() == 0


@pytest.mark.parametrize("theme", THEMES)
def test_both_views_can_be_read(
    notebook: Notebook, start: Locator, cluster: Locator, theme: str, pytestconfig: pytest.Config
) -> None:
    """In both themes, with every step open."""
    notebook.set_theme(theme)
    start.evaluate("view => view.querySelectorAll('details').forEach(step => { step.open = true; })")
    weak = []
    for name, view in (("start", start), ("cluster", cluster)):
        notebook.show(view)
        weak += [f"{name}: {words}" for words in find_weak(view)]
        keep_picture(view, pytestconfig, f"{name}-{theme.split()[-1]}")

    assert [] == weak


@pytest.mark.parametrize("width_px", [1200, 700])
def test_no_name_stands_out_of_its_box(notebook: Notebook, start: Locator, cluster: Locator, width_px: int) -> None:
    """However long it is, and however narrow the page."""
    notebook.page.set_viewport_size({"width": width_px, "height": 1000})
    try:
        for view in (start, cluster):
            notebook.show(view)
            assert view.evaluate(
                "view => [view, ...view.querySelectorAll('.lkc-node, .lkc-task, .lks-row, .lks-head')]"
                ".every(one => one.scrollWidth <= one.clientWidth + 1)"
            )
    finally:
        notebook.page.set_viewport_size({"width": 1200, "height": 1000})
