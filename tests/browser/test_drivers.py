"""Do the bars of storage drivers grow as it was measured, by keyboard alone, and can they be read in both themes?"""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Locator, expect

from tests.browser.lab import THEMES, JupyterLab, Notebook, find_weak, keep_picture

CELL = """
from labkit.images.drivers import Refusal, Step, Trial
from labkit.widgets.drivers import grow, show_drivers

def trial(driver, image, container, change):
    steps = [Step("build", 1.0, image)]
    steps += [Step(f"create {number}", 0.01, image + number * container) for number in range(1, 11)]
    return Trial(driver, (*steps, Step("change", 0.3, image + 10 * container + change)), 4_000_000)

results = [trial("overlay2", 6_000_000, 40_000, 4_100_000), trial("vfs", 14_000_000, 12_000_000, 0)]
results += [Refusal("zfs", "no ZFS", "dockerd")]
display(show_drivers(results))
grow(results)
"""
TABLE, BARS = '[aria-label="the storage drivers"]', '[aria-label="bytes of the storage drivers"]'


@pytest.fixture
def notebook(lab_of: Callable[[str], JupyterLab], browser: Browser) -> Iterator[Notebook]:
    lab = lab_of("native")
    lab.write("d", [CELL])
    with lab.open(browser, "d") as opened:
        opened.run_all()
        yield opened
        assert [] == opened.complaints


def length(bars: Locator, row: int) -> float:
    box = bars.locator(".lkg-track .lkg-made").nth(row).bounding_box()
    assert box is not None
    return box["width"]


def test_bars_grow_by_keyboard(notebook: Notebook) -> None:
    """A step of the slider is a container; the changed byte needs one; a driver is chosen by the arrow keys."""
    (bars,) = notebook.views(BARS)
    keys, sizes = notebook.page.keyboard, bars.locator(".lkg-size")
    change = bars.get_by_role("button", name="change one byte")
    expect(change).to_be_disabled()
    expect(sizes).to_have_text(["6.0 MB", "14.0 MB"])
    before = [length(bars, row) for row in (0, 1)]

    bars.get_by_role("slider").focus()
    for _ in range(4):
        keys.press("ArrowRight")
    expect(sizes).to_have_text(["6.2 MB", "62.0 MB"])
    notebook.page.wait_for_timeout(300)  # the bars take a moment
    grown = [length(bars, row) - before[row] for row in (0, 1)]
    assert grown[1] > 100 * max(grown[0], 0.1)

    keys.press("Tab")
    keys.press("Enter")
    expect(sizes).to_have_text(["10.3 MB", "62.0 MB"])
    keys.press("Tab")
    expect(bars.locator(".lkg-words")).to_contain_text(
        "overlay2: one byte of a file of 4.0 MB is changed: 4.1 MB more."
    )
    keys.press("ArrowDown")
    expect(bars.locator(".lkg-words")).to_contain_text("vfs: one byte of a file of 4.0 MB is changed")
    notebook.page.wait_for_timeout(500)  # the choice is on its way to the kernel
    assert "(4, True, 'vfs')" == notebook.evaluate("(_.containers, _.changed, _.chosen)")


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("selector", [TABLE, BARS])
def test_they_can_be_read(notebook: Notebook, theme: str, selector: str, pytestconfig: pytest.Config) -> None:
    """Every text has a contrast of 4.5 or more, in both themes."""
    notebook.set_theme(theme)
    (view,) = notebook.views(selector)
    keep_picture(view, pytestconfig, f"drivers-{'table' if selector == TABLE else 'bars'}-{theme.split()[-1]}")

    assert [] == find_weak(view)
