"""Do the walls answer in a browser: a choice, a press, and a real container whose attacks are stopped?"""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Locator, expect

from tests.browser.lab import THEMES, JupyterLab, Notebook, find_weak, keep_picture

CELLS = [
    """
from labkit.isolation.walls import WALLS, make_target, try_attacks
from labkit.lesson import open_lesson
from labkit.widgets.walls import draw_walls, watch_walls
lesson = open_lesson("x")
make_target()
print("ready")
""",
    "view = lesson.keep(watch_walls())\nview",
    """
measured = {"no wall": try_attacks()}
for wall in WALLS:
    measured[wall] = try_attacks(wall)
# As wide as in the lesson, without its second engine.
draw_walls(measured | {"user namespace": measured["plain user"]})
""",
]


@pytest.fixture
def notebook(lab_of: Callable[[str], JupyterLab], browser: Browser) -> Iterator[Notebook]:
    """A notebook of its own, whose lesson is open."""
    with lab_of("native").open_cells(browser, "walls", CELLS) as opened:
        yield opened


def show(notebook: Notebook, number: int) -> Locator:
    """Run a cell that shows the walls; give its output."""
    notebook.run_cell(number)
    notebook.wait_until_idle()
    view = notebook.page.locator(f'.jp-Cell[data-windowed-list-index="{number}"] .jp-Cell-outputArea')
    view.locator("table").first.wait_for()
    view.scroll_into_view_if_needed()
    return view


def test_a_choice_is_attacked(notebook: Notebook, pytestconfig: pytest.Config) -> None:
    """By mouse and keyboard; the second column is the choice, and the next press replaces it."""
    view = show(notebook, 1)
    assert 8 == view.locator("td.lk-ink-trouble").count()
    view.get_by_label("seccomp").check()
    view.get_by_role("button", name="attack").click()
    expect(view.get_by_role("status")).to_have_text("With seccomp: 1 of 8 attacks are stopped.")
    view.get_by_label("plain user").focus()
    notebook.page.keyboard.press("Space")
    view.get_by_role("button", name="attack").focus()
    notebook.page.keyboard.press("Enter")
    expect(view.get_by_role("status")).to_have_text("With seccomp and plain user: 7 of 8 attacks are stopped.")
    keep_picture(view, pytestconfig, "walls-chosen")
    assert 16 == view.locator("td").count() and 7 == view.locator("td.lk-fill-container").count()


@pytest.mark.parametrize("theme", THEMES)
def test_every_cell_can_be_read(notebook: Notebook, pytestconfig: pytest.Config, theme: str) -> None:
    """In both themes; the nine columns of the lesson fit into the page."""
    notebook.set_theme(theme)
    view = show(notebook, 2)
    weak = find_weak(*view.locator(".lk").all())
    keep_picture(view, pytestconfig, f"walls-{theme.split()[-1]}")
    assert [] == weak
    assert view.locator(".lkwalls").evaluate("one => one.scrollWidth <= one.clientWidth")
