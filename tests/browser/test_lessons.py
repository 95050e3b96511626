"""Does a lesson work in a browser: do its cells run, do its views appear, and do their controls do what they say?"""

import re
from ast import literal_eval
from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator

from tests.browser.lab import THEMES, Notebook, find_weak, keep_picture

VIEWS = {
    "boot": '[aria-label="the boot of this machine"]',
    "map": '[aria-label="the map of the course"]',
    "bar": '[aria-label="bar"]',
    "side by side": '[aria-label^="side by side"]',
    "wire": '[aria-label="wire view"]',
    "prediction": '[aria-label^="prediction: "]',
    "events": '[aria-label="events view"]',
    "consoles": ".labkit-consoles",
    "build": '[aria-label="lines of a build"]',
}
CALLS = {
    "boot": r"open_lesson\(",
    "map": r"open_lesson\(",
    "bar": r"open_lesson\(",
    "side by side": r"\bbeside\(",
    "wire": r"\.(wire|tap)\(\)",
    "prediction": r"\bpredict\(",
    "events": r"\.events\(",
    "consoles": r"\.consoles\(",
    "build": r"\bcache_of_build\(",
}
PREDICTIONS = "[one.chosen for one in map(Out.get, sorted(Out)) if type(one).__name__ == 'Prediction']"  # in the kernel


def seen(lesson: Notebook, view: str) -> list[Locator]:
    """The views of a kind in this lesson; where it has none, the test is left out, and counted as such."""
    return lesson.views(VIEWS[view]) or pytest.skip(f"{lesson.name} has no such view: {view}")


@pytest.fixture(autouse=True)
def quiet_page(lesson: Notebook) -> Iterator[None]:
    """Whatever a test does, the page's console reports no error."""
    yield
    assert [] == lesson.complaints


def test_run_all_ends_without_an_error(lesson: Notebook) -> None:
    """Run All runs every code cell once, and none of them fails."""
    state = lesson.state()
    assert [] == state["errors"]
    assert list(range(1, len(state["cells"]) + 1)) == state["cells"]
    assert str(len(state["cells"]) + 1) == lesson.evaluate("len(In)")  # the numbers are also stored in the file


@pytest.mark.parametrize("view", VIEWS)
def test_every_view_appears(lesson: Notebook, view: str) -> None:
    """As many views are drawn as the lesson's cells ask for."""
    wanted = sum(bool(re.search(CALLS[view], source)) for source in lesson.sources())
    found = lesson.views(VIEWS[view])
    assert wanted == len(found)
    for one in found:
        lesson.show(one)
        assert one.is_visible()


@pytest.mark.parametrize("key", ["click", "Enter", "Space"])
def test_the_boot_view_opens_to_its_boxes_and_their_proofs(lesson: Notebook, key: str) -> None:
    """One line says when the machine was ready; it opens to the boxes with their seconds, and each to its proof."""
    (boot,) = lesson.views(VIEWS["boot"])
    lesson.show(boot)
    assert boot.inner_text().startswith("The machine was ready after")
    assert not boot.locator(".lk-box").first.is_visible()
    _use(boot.locator("summary").first, key)
    assert 6 == boot.locator(".lk-box.lk-passed").count()
    assert 5 == boot.locator(".lk-seconds").count()
    for box in boot.locator(".lk-box summary").all():
        proof = box.locator("xpath=following-sibling::pre")
        assert not proof.is_visible()
        _use(box, key)
        assert proof.is_visible() and proof.inner_text()
        _use(box, key)
    _use(boot.locator("summary").first, key)
    assert not boot.locator(".lk-box").first.is_visible()


@pytest.mark.parametrize("way", ["hover", "focus"])
def test_a_part_of_the_map_says_what_it_is(lesson: Notebook, way: str) -> None:
    """It unfolds; one line is seen below the map: of the part that is pointed at or has the focus, else of today."""
    (view,) = lesson.views(VIEWS["map"])
    lesson.show(view)
    view.locator("summary").click()
    seen = "lines => lines.filter(one => getComputedStyle(one).visibility === 'visible').map(one => one.innerText)"
    for part, name in (("shim", "shim"), ("cgroups", "control groups"), ("machine", "lab machine")):
        one = view.locator(f".on-{part}")
        if way == "hover":
            one.locator("text").first.hover()
        else:
            lesson.page.keyboard.press("Tab")  # from now on the page shows where the focus is
            one.focus()
        (line,) = view.locator(".lk-map-words p").evaluate_all(seen)
        assert line.startswith(f"{name}. ")
        one.blur()
        lesson.page.mouse.move(0, 0)
    (line,) = view.locator(".lk-map-words p").evaluate_all(seen)
    assert line.startswith("This lesson takes apart")
    view.locator("summary").click()


def test_the_bar_leads_to_the_next_lesson(lesson: Notebook) -> None:
    """The links of the bar are those of the notebooks beside this one, and JupyterLab opens them in its own tabs."""
    (bar,) = lesson.views(VIEWS["bar"])
    lesson.show(bar)
    names = sorted(path.stem for path in lesson.lab.notebooks.glob("[0-9]*.ipynb"))
    place = names.index(lesson.name)
    neighbours = [*names[max(place - 1, 0) : place], *names[place + 1 : place + 2]]
    links = bar.locator("a").evaluate_all("links => links.map(one => decodeURIComponent(new URL(one.href).pathname))")
    for name in neighbours:
        assert any(link.endswith(f"/{name}.ipynb") for link in links), links


@pytest.mark.parametrize("key", ["click", "Enter", "Space"])
def test_an_exchange_opens_and_shows_its_bytes(lesson: Notebook, key: str) -> None:
    """A row of the wire view opens by mouse and by keyboard, shows what was said pretty, raw and in hex, and closes."""
    for view in seen(lesson, "wire"):
        lesson.show(view)
        for row in view.locator("details").all()[:6]:
            assert not row.locator(".lk-message").first.is_visible()
            _use(row.locator("summary"), key)
            for message in row.locator(".lk-message").all():
                _see_panes(message, key)
            _use(row.locator("summary"), key)
            assert not row.locator(".lk-message").first.is_visible()


def _see_panes(message: Locator, key: str) -> None:
    """Go through the panes by mouse or with the arrow keys; a row of the hex dump is one line."""
    seen = []
    for pane in ("Pretty", "Raw", "Hex"):
        if key == "click":
            message.locator("label", has_text=pane).click()
        elif pane == "Pretty":
            message.locator("input").first.check()  # it may have been looked at before
        else:
            message.locator("input:checked").press("ArrowRight")
        shown = [one for one in message.locator(".lk-pane").all() if one.is_visible()]
        assert 1 == len(shown)
        seen.append(shown[0].inner_text())
    _, raw, hex_ = seen
    name = message.get_attribute("aria-label")
    if name in ("request", "answer"):
        assert (" HTTP/1.1" if name == "request" else "HTTP/1.1 ") in raw.splitlines()[0]
        assert bytes.fromhex(hex_.splitlines()[0][6:29]).decode() == raw[:8]
    lines = message.locator(".lk-hex pre").evaluate(
        "pre => pre.scrollHeight / parseFloat(getComputedStyle(pre).lineHeight)"
    )
    assert round(lines) == len(hex_.splitlines())


def test_a_slider_replays_the_wire(lesson: Notebook) -> None:
    """The arrow keys walk through what happened: what comes later is pale, and what comes now is told."""
    for view in seen(lesson, "wire"):
        lesson.show(view)
        slider, told, later = view.get_by_label("replay"), view.locator("output"), view.locator(".w-later[data-step]")
        rows = view.locator("[data-step]").count()
        answers = view.locator("[data-from]")  # in the boxes; each has the row in which it came
        assert ("", 0) == (told.inner_text(), later.count())
        slider.press("Home")
        assert rows - 1 == later.count()
        for answer in answers.all():
            assert (answer.get_attribute("class") == "w-later") == (answer.get_attribute("data-from") != "0")
        slider.press("ArrowRight")
        assert max(rows - 2, 0) == later.count()
        assert view.locator("[data-step='1']").get_attribute("data-says") == told.inner_text() or rows < 3
        slider.press("End")
        assert ("", 0) == (told.inner_text(), view.locator(".w-later").count())


def test_the_panes_of_a_view_scroll_by_keyboard(lesson: Notebook) -> None:
    """Each pane of the side-by-side view is reached with Tab, in order, and moves with the arrow keys."""
    moved = 0
    for view in seen(lesson, "side by side"):
        lesson.show(view)
        panes = [pane for pane in view.locator(".lk-said").all() if pane.is_visible()]  # one, where there are tabs
        panes[0].focus()
        for number, pane in enumerate(panes):
            while not pane.evaluate("pane => pane === document.activeElement"):  # what is folded is reached, too
                inside = panes[number - 1].evaluate("pane => pane.contains(document.activeElement)")
                assert inside, f"pane {number}"
                lesson.page.keyboard.press("Tab")
            if pane.evaluate("pane => pane.scrollHeight > pane.clientHeight + 20"):
                lesson.page.keyboard.press("End")
                lesson.page.wait_for_function("pane => pane.scrollTop > 0", arg=pane.element_handle())
                moved += 1
            lesson.page.keyboard.press("Tab")
    assert moved or "01" not in lesson.name  # a lesson of long answers


def test_a_row_of_a_dump_stays_a_row(lesson: Notebook) -> None:
    """However narrow the page, a row of hexadecimal bytes is one line of the page, and the pane scrolls sideways."""
    rows = 0
    lesson.page.evaluate("() => jupyterapp.shell.collapseLeft()")  # beside the contents the panes are tabs
    try:
        for width in (1280, 900, 500):
            lesson.page.set_viewport_size({"width": width, "height": 1000})
            for view in seen(lesson, "side by side"):
                lesson.show(view)
                for one in view.locator(".lk-rows").all():
                    lines = len(one.inner_text().splitlines()) if one.is_visible() else 0
                    height = "one => one.clientHeight / parseFloat(getComputedStyle(one).lineHeight)"
                    assert not lines or lines == round(one.evaluate(height))
                    rows += lines
    finally:
        lesson.page.set_viewport_size({"width": 1200, "height": 1000})
    assert rows or "01" not in lesson.name


def test_a_narrow_page_has_tabs(lesson: Notebook) -> None:
    """One pane is seen at a time; the arrow keys go from tab to tab, and do not leave the cell."""
    try:
        lesson.page.set_viewport_size({"width": 700, "height": 1000})
        for view in seen(lesson, "side by side"):
            lesson.show(view)
            panes = view.locator(".lk-pane")
            if panes.count() > 1:
                view.get_by_role("radio").first.focus()
            for number in range(1, panes.count()):
                lesson.page.keyboard.press(("ArrowRight", "ArrowDown")[number % 2])
                assert [number] == [place for place in range(panes.count()) if panes.nth(place).is_visible()]
    finally:
        lesson.page.set_viewport_size({"width": 1200, "height": 1000})


def test_a_prediction_reaches_the_kernel(lesson: Notebook) -> None:
    """What is chosen, by mouse or by keyboard, is what the kernel's Python knows, and the page confirms it."""
    views = lesson.views(VIEWS["prediction"])
    chosen = []
    for number, view in enumerate(views):
        lesson.show(view)
        chosen.append(number % 2)
        _use(view.get_by_role("button").nth(chosen[-1]), ("click", "Enter", "Space")[number % 3])
        view.get_by_text(f"You say {'AB'[chosen[-1]]}.").wait_for()
    assert chosen
    assert chosen == literal_eval(lesson.evaluate(PREDICTIONS))


def test_what_is_typed_on_one_console_is_heard_on_both(lesson: Notebook) -> None:
    """A line and Enter on either console reach the container; its answer shows on both, with its frame below."""
    views = seen(lesson, "consoles")
    (cell,) = (number for number, source in enumerate(lesson.sources()) if ".consoles(" in source)
    lesson.run_cell(cell)  # again, since the lesson has been closed
    lesson.wait_until_idle()
    for view in views:
        lesson.show(view)
        for number, words in enumerate(("from the left", "from the right")):
            line = view.get_by_placeholder("type, then Enter").nth(number)
            line.press_sequentially(words)  # as fast as it goes
            line.press("Enter")
            assert "" == line.input_value()
            for pane in (0, 1):
                view.get_by_label("text").nth(pane).get_by_text(f"heard {words}").wait_for()
            length = f"{len(f'heard {words}') + 1} bytes"
            view.locator(".lkc-row").filter(has_text=length).filter(has_text="both windows").first.wait_for()


@pytest.mark.parametrize("theme", THEMES)
def test_the_text_of_a_view_can_be_read(lesson: Notebook, theme: str, pytestconfig: pytest.Config) -> None:
    """In both themes every text of every view, an open exchange included, stands out from its background."""
    lesson.set_theme(theme)
    weak = []
    for name, selector in VIEWS.items():
        for number, view in enumerate(lesson.views(selector)):
            lesson.show(view)
            view.evaluate("view => view.querySelectorAll('details').forEach(one => { one.open = true; })")
            weak += [f"{name}: {words}" for words in find_weak(view)]
            keep_picture(view, pytestconfig, f"{lesson.name}-{name}-{number}-{theme}")
            view.evaluate("view => view.querySelectorAll('details').forEach(one => { one.open = false; })")
    assert [] == weak


def _use(control: Locator, key: str) -> None:
    if key == "click":
        control.click()
    else:
        control.focus()
        control.press(key)
