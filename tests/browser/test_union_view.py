"""Does the union view answer in a browser: a row and an act, by mouse and by keyboard, from the real directories?"""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Locator, expect

from tests.browser.lab import THEMES, JupyterLab, Notebook, find_weak, keep_picture

OPEN, VIEW, STILL, SHELL, AGAIN = range(5)
CELLS = [
    """
import os
from labkit.lesson import open_lesson, sh
from labkit.widgets.union import draw_union, watch_union
lesson = open_lesson("x")
print("ready")
""",
    "view = lesson.keep(watch_union())\nview",
    "draw_union(view.union.overlay)",
    'print(sh("cd /run/union/merged && rm big.bin && mkdir fresh").status)',
    "view.stop()",
]


@pytest.fixture
def notebook(lab_of: Callable[[str], JupyterLab], browser: Browser) -> Iterator[Notebook]:
    """A notebook of its own, whose lesson is open."""
    with lab_of("native").open_cells(browser, "union", CELLS) as opened:
        yield opened


def show(notebook: Notebook) -> Locator:
    """Run the cell of the view; give its output."""
    notebook.run_cell(VIEW)
    view = notebook.page.locator(".jp-Cell-outputArea").filter(has=notebook.page.locator(".u-bar"))
    view.locator(".u-grid").wait_for()
    notebook.wait_until_idle()
    view.scroll_into_view_if_needed()
    return view


def row(view: Locator, path: str) -> Locator:
    return view.locator(f'tr[data-path="{path}"]')


def press(view: Locator, name: str) -> None:
    view.get_by_role("button", name=name, exact=True).click()


def test_a_file_is_chosen_and_touched_by_mouse(notebook: Notebook) -> None:
    """Append copies it up, delete leaves a whiteout, a directory made anew is opaque; what changed is marked."""
    view = show(notebook)
    row(view, "big.bin").get_by_role("rowheader").click()
    press(view, "append")
    expect(row(view, "big.bin")).to_contain_text("upper covers lower")
    expect(view.locator(".u-changed")).to_have_count(1)
    expect(view.locator("output")).to_have_text("echo more >> big.bin: done.")
    assert "20000005" == notebook.evaluate("os.path.getsize('/run/union/upper/big.bin')")
    press(view, "delete")
    expect(row(view, "big.bin")).to_contain_text("whiteout (c 0,0)")
    row(view, "app").get_by_role("rowheader").click()
    press(view, "mkdir over")
    expect(row(view, "app")).to_contain_text("opaque directory")
    expect(row(view, "app/old.py")).to_contain_text("hidden by what is above")
    assert "[]" == notebook.evaluate("os.listdir('/run/union/merged/app')")
    press(view, "begin anew")
    expect(view.locator(".u-mark")).to_have_count(0)
    assert "[]" == notebook.evaluate("os.listdir('/run/union/upper')")


def test_the_choice_goes_with_what_is_renamed(notebook: Notebook) -> None:
    """So the next button acts on it; a file that is made anew where a mark was is told; the columns stay in place."""
    view = show(notebook)
    places = "one => [...one.querySelectorAll('thead th')].map(head => head.getBoundingClientRect().x)"
    before = view.locator(".u-grid").evaluate(places)
    row(view, "same.txt").get_by_role("rowheader").click()
    press(view, "rename")
    expect(row(view, "same.txt.new")).to_have_attribute("aria-selected", "true")
    press(view, "append")
    expect(view.locator("output")).to_have_text("echo more >> same.txt.new: done.")
    row(view, "same.txt").get_by_role("rowheader").click()
    press(view, "append")
    expect(view.locator("output")).to_contain_text("It made same.txt new: none was in merged.")
    row(view, "app").get_by_role("rowheader").click()
    press(view, "mkdir over")
    expect(row(view, "app")).to_contain_text("opaque directory")
    assert before == view.locator(".u-grid").evaluate(places)
    edges = view.locator("td.lk-fill-engine, td.lk-fill-container").evaluate_all(
        "all => all.map(one => getComputedStyle(one).borderTopColor)"
    )
    assert edges and "rgba(0, 0, 0, 0)" not in edges


def test_it_works_by_keyboard(notebook: Notebook) -> None:
    """Tab comes to the chosen row, arrows choose another, Tab goes on to the buttons; the kernel's refusal is shown."""
    view = show(notebook)
    keyboard = notebook.page.keyboard
    row(view, "app/main.py").focus()
    keyboard.press("ArrowUp")
    expect(row(view, "app")).to_have_attribute("aria-selected", "true")
    assert row(view, "app").evaluate("one => one === document.activeElement")
    for _ in range(3):  # append, chmod, rename
        keyboard.press("Tab")
    keyboard.press("Enter")
    expect(view.locator("output")).to_contain_text("the kernel refuses. EXDEV: Invalid cross-device link")
    keyboard.press("Tab")
    keyboard.press("Enter")  # mv
    expect(row(view, "app.new")).to_contain_text("lies in upper alone")
    expect(row(view, "app")).to_contain_text("whiteout")
    assert "True" == notebook.evaluate("os.path.exists('/run/union/upper/app.new/main.py')")


def test_it_follows_the_cells_and_ends(notebook: Notebook) -> None:
    """What a cell does to the directories is drawn; a view that is stopped has no buttons, and says how to go on."""
    view = show(notebook)
    notebook.run_cell(SHELL)
    expect(row(view, "big.bin")).to_contain_text("whiteout")
    expect(row(view, "fresh")).to_contain_text("lies in upper alone")
    notebook.run_cell(AGAIN)
    expect(view.locator("output")).to_contain_text("Run the cell again")
    expect(view.locator(".u-bar button:visible")).to_have_count(0)
    assert "False" == notebook.evaluate("os.path.ismount('/run/union')")
    view = show(notebook)
    expect(view.locator(".u-mark")).to_have_count(0)
    expect(view.locator(".u-bar button:visible")).to_have_count(9)


@pytest.mark.parametrize("theme", THEMES)
def test_it_can_be_read_in_a_narrow_page(notebook: Notebook, theme: str, pytestconfig: pytest.Config) -> None:
    """At 900 px nothing is cut off, and every text stands out from its ground, with each sort of mark."""
    notebook.set_theme(theme)
    notebook.make_narrow()
    view = show(notebook)
    for path, act in (("app", "mkdir over"), ("big.bin", "append"), ("notes.txt", "rename"), ("same.txt", "link")):
        row(view, path).get_by_role("rowheader").click()
        press(view, act)
        expect(view.locator("output")).to_contain_text("done")
    row(view, "big.bin").get_by_role("rowheader").click()
    press(view, "chmod")
    expect(row(view, "big.bin")).to_contain_text("mode 700")
    notebook.page.wait_for_timeout(1500)  # until what moved is still
    weak = find_weak(*view.locator(".lk").all())
    keep_picture(view, pytestconfig, f"union-{theme.split()[-1]}")
    assert [] == weak
    assert view.locator(".u-table").evaluate("one => one.scrollWidth <= one.clientWidth")


def test_a_still_of_it_has_no_buttons(notebook: Notebook) -> None:
    """The picture of any overlay as it is now: rows without a choice."""
    show(notebook)
    notebook.run_cell(STILL)
    still = notebook.page.locator(".u-grid:not([role])")
    expect(still).to_have_count(1)
    expect(still.locator("[tabindex]")).to_have_count(0)
