"""Does a directory of the storage view open by mouse and by keyboard, and can all of it be read?"""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Locator

from labkit.show.places import PLACES
from tests.browser.lab import THEMES, JupyterLab, Notebook, find_weak, keep_picture

VIEW = ".jp-Cell-outputArea [aria-label='storage view']"
LESSON = "05-storage-layout"


@pytest.fixture(scope="module")
def notebook(lab_of: Callable[[str], JupyterLab], browser: Browser) -> Iterator[Notebook]:
    """Lesson 05, all of whose cells have run."""
    with lab_of("native").open(browser, LESSON) as opened:
        opened.run_all()
        yield opened
        assert [] == opened.complaints


@pytest.fixture
def views(notebook: Notebook) -> list[Locator]:
    found = notebook.page.locator(VIEW)
    notebook.show(found.last)
    assert 2 == found.count()
    return [found.first, found.last]


def open_panels(view: Locator) -> list[str]:
    return [str(panel.get_attribute("data-place")) for panel in view.locator(".lks-panel:visible").all()]


def test_a_click_opens_a_directory(notebook: Notebook, views: list[Locator]) -> None:
    """One directory is open at a time, in each view by itself."""
    first, second = views
    for view in views:
        notebook.show(view)
        view.locator("label", has_text="repositories.json").first.click()
        assert ["repositories"] == open_panels(view)
    second.locator("label", has_text="volumes").first.click()

    assert [["repositories"], ["volumes"]] == [open_panels(first), open_panels(second)]


def test_arrows_walk_through_the_directories(notebook: Notebook, views: list[Locator]) -> None:
    """From the first to the last, and the notebook does not go to another cell."""
    view = views[0]
    notebook.show(view)
    view.locator("input[name=place]").first.focus()
    view.locator("input[name=place]").first.press("Space")
    seen = open_panels(view)
    for _ in PLACES[1:]:
        notebook.page.keyboard.press("ArrowDown")
        seen += open_panels(view)

    assert [place.key for place in PLACES] == seen


def test_what_is_followed_is_marked(notebook: Notebook, views: list[Locator]) -> None:
    """The trail leads to the directories that are marked; the chain ids are the same in containerd's store."""
    view = views[1]
    notebook.show(view)
    view.locator(".lks-follow label", has_text="both").click()
    view.locator("label", has_text="layerdb").first.click()
    chain = view.locator(".lks-trail:visible td:nth-child(3)").all_inner_texts()
    marked = view.locator(".lks-panel:visible li:has(.lks-mine:visible) code").all_inner_texts()

    assert 3 == len(chain) and sorted(2 * chain) == sorted(marked)


@pytest.mark.parametrize("theme", THEMES)
def test_every_directory_can_be_read(
    notebook: Notebook, views: list[Locator], theme: str, pytestconfig: pytest.Config
) -> None:
    """In both themes, each directory of both views; and no line is wider than a page of 900 px."""
    notebook.set_theme(theme)
    weak = []
    for number, view in enumerate(views):
        notebook.show(view)
        for place in PLACES:
            view.locator(f"input[value={place.key}]").check(force=True)
            weak += [f"{place.key}: {words}" for words in find_weak(view)]
            keep_picture(view, pytestconfig, f"storage-{number}-{place.key}-{theme.split()[-1]}")
        assert view.evaluate("view => view.scrollWidth <= view.clientWidth")
    assert [] == weak


def test_a_narrow_page_shows_all_of_it(notebook: Notebook, views: list[Locator]) -> None:
    """At 900 px no column is cut."""
    notebook.page.set_viewport_size({"width": 900, "height": 1000})
    try:
        for view in views:
            notebook.show(view)
            assert view.evaluate(
                "view => [view, ...view.querySelectorAll('.lk-card, .lks-row')]"
                ".every(one => one.scrollWidth <= one.clientWidth + 1)"
            )
    finally:
        notebook.page.set_viewport_size({"width": 1200, "height": 1000})
