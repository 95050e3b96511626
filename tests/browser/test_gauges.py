"""Do the gauges answer in a browser: a limit that a slider sets, the kernel's mark, a moment read by keyboard?"""

import time
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Locator, expect

from tests.browser.lab import THEMES, JupyterLab, Notebook, find_weak, keep_picture
from tests.browser.test_live_view import LONG_TASKS

OPEN, VIEW, START, EAT, STOP, BUSY = range(6)
RATE_PER_S, BUSY_S = 200, 6
CELLS = [
    """
import threading, time
from labkit.lesson import open_lesson, sh
from labkit.show.gauge_samples import Sample
from labkit.widgets.gauges import ContainerSamples, GaugesView
lesson = open_lesson("x")
print("ready")
""",
    "view = lesson.gauges('hungry')\nview",
    """
lesson.remove("hungry")
sh("docker run -d --name hungry -m 32m --memory-swap 32m --cpus 0.1 --pids-limit 30 busybox sh -c "
   "'sleep 1000 & sleep 1000 & while :; do :; done'")
print("started")
""",
    'print(sh("docker exec hungry tail /dev/zero").status)',
    "view.stop()",
    """
class Busy(ContainerSamples):
    "200 samples a second."
    def __init__(self):
        super().__init__(None, "busy")
    def __iter__(self):
        begin = time.monotonic()
        while not self._over.wait(0.005):
            at_s = time.monotonic() - begin
            yield Sample(at_s, {
                "memory_bytes": 2**20 * (at_s * 7 % 30), "memory_limit_bytes": 2**25, "oom_kills": at_s // 3,
                "cpu_s": at_s / 4, "cpu_quota_us": 25000, "cpu_period_us": 100000, "cpu_periods_throttled": at_s // 0.5,
                "pids": at_s * 3 % 7, "pids_limit": 8, "pids_refused": at_s // 2, "frozen": at_s % 5 > 4})
busy = GaugesView(Busy())
busy
""",
]


@pytest.fixture
def notebook(lab_of: Callable[[str], JupyterLab], browser: Browser) -> Iterator[Notebook]:
    """A notebook of its own, whose lesson is open."""
    with lab_of("native").open_cells(browser, "gauges", CELLS) as opened:
        yield opened


def show(notebook: Notebook) -> Locator:
    """Open the view, then start the container; give the view's output."""
    notebook.run_cell(VIEW)
    view = notebook.page.locator(".jp-Cell-outputArea").filter(has=notebook.page.locator(".g-wait, .g-chart")).first
    expect(view).to_contain_text("Nothing runs yet.")
    notebook.run_cell(START)
    view.locator(".g-chart").wait_for()
    notebook.wait_until_idle()
    view.scroll_into_view_if_needed()
    return view


def set_slider(view: Locator, words: str, value: int) -> None:
    """Type a number beside a slider: by keyboard alone."""
    row = view.locator(".widget-slider").filter(has_text=words)
    number = row.locator(".widget-readout")
    number.click()
    number.press("Control+A")
    number.press_sequentially(str(value))
    number.press("Enter")


def test_a_slider_writes_into_the_file_of_the_kernel(notebook: Notebook) -> None:
    """As docker did, and the line is shown; the chart has the new limit."""
    view = show(notebook)
    expect(view.locator(".g-chart")).to_contain_text("of 32 MiB")
    numbers = view.locator(".widget-slider .widget-readout")
    expect(numbers).to_have_text(["32", "10", "30"])  # the sliders begin where the limits are
    set_slider(view, "memory", 48)
    expect(view).to_contain_text(f"echo {48 * 2**20} > /sys/fs/cgroup/")
    expect(view.locator(".g-chart")).to_contain_text("of 48 MiB")
    set_slider(view, "processor", 50)
    expect(view.locator(".g-chart")).to_contain_text("of 50 %")
    set_slider(view, "processes", 25)
    expect(view.locator(".g-chart")).to_contain_text("of 25")


def test_the_kernel_is_seen_to_step_in(notebook: Notebook) -> None:
    """A process that takes too much is killed, and one that wants too much time waits: seen when it happens."""
    view = show(notebook)
    expect(view.locator('.g-chart rect[fill="var(--lk-throttled)"]').first).to_be_visible()
    expect(view.locator(".g-chart")).not_to_contain_text("killed")
    notebook.run_cell(EAT)
    expect(view.locator(".g-chart")).to_contain_text("killed")
    assert "137" == notebook.text_of(EAT).strip()


def test_a_moment_is_read_by_keyboard(notebook: Notebook) -> None:
    """Arrow keys move the slider; its words tell the values, and what comes later is covered."""
    view = show(notebook)
    expect(view.locator(".g-chart rect[data-step]").nth(12)).to_be_attached()
    notebook.run_cell(STOP)
    expect(view.locator("[data-state=stopped]")).to_be_visible()
    slider = view.get_by_role("slider", name="moment")
    slider.focus()
    for _ in range(4):
        slider.press("ArrowLeft")
    expect(view.locator("output")).to_contain_text("memory")
    expect(view.locator("output")).to_contain_text("(of 10 %)")
    assert 4 == view.locator(".g-chart rect.w-later").count()
    assert view.locator(".widget-slider").count() == 0  # nothing to set where nothing can be set


def test_200_changes_a_second_leave_the_page_quick(notebook: Notebook) -> None:
    """No task of the page takes long, and it does not fall behind."""
    notebook.page.evaluate(LONG_TASKS)
    notebook.run_cell(BUSY)
    chart = notebook.page.locator(".g-chart")
    chart.wait_for()
    chart.scroll_into_view_if_needed()
    notebook.page.evaluate("() => { window.longTasks = []; }")
    seen = int(notebook.evaluate("busy._count"))
    began = time.monotonic()
    notebook.page.wait_for_timeout(BUSY_S * 1000)
    rate = (int(notebook.evaluate("busy._count")) - seen) / (time.monotonic() - began)
    began = time.monotonic()
    slider = notebook.page.get_by_role("slider", name="moment")
    slider.focus()
    slider.press("ArrowLeft")
    expect(notebook.page.locator(".g-replay output")).to_contain_text("memory")
    answered_s = time.monotonic() - began
    tasks = notebook.page.evaluate("window.longTasks")
    assert 1 > answered_s
    assert 500 > max(tasks, default=0)
    assert 0.5 * RATE_PER_S < rate
    assert "None" == notebook.evaluate("busy.stop()")


@pytest.mark.parametrize("theme", THEMES)
def test_they_can_be_read_in_a_narrow_page(notebook: Notebook, theme: str, pytestconfig: pytest.Config) -> None:
    """At 900 px nothing is cut off, and every text stands out from its ground."""
    notebook.set_theme(theme)
    notebook.make_narrow()
    view = show(notebook)
    notebook.run_cell(EAT)
    expect(view.locator(".g-chart")).to_contain_text("killed")
    set_slider(view, "memory", 48)
    expect(view.locator(".g-chart")).to_contain_text("of 48 MiB")
    weak = find_weak(*view.locator(".lk").all())
    keep_picture(view, pytestconfig, f"gauges-{theme.split()[-1]}")
    assert [] == weak
    assert view.locator(".lk-card").evaluate("one => one.scrollWidth <= one.clientWidth")
