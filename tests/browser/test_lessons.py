"""Does a lesson work in a browser: do its cells run, do its views appear, and do their controls do what they say?"""

import re
from ast import literal_eval
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator

from tests.browser.lab import Notebook

READABLE = 4.5  # WCAG 2.2, success criterion 1.4.3
VIEWS = {
    "boot": ".jupyter-widgets:has(> * progress)",
    "side by side": '[aria-label^="side by side"]',
    "wire": '[aria-label="wire view"]',
    "prediction": ".widget-vbox:has(> .widget-toggle-buttons)",
    "events": '[aria-label="events view"]',
    "consoles": ".labkit-consoles",
}
CALLS = {
    "boot": r"open_lesson\(",
    "side by side": r"\bbeside\(",
    "wire": r"\.(wire|tap)\(\)",
    "prediction": r"\bpredict\(",
    "events": r"\.events\(",
    "consoles": r"\.consoles\(",
}
THEMES = ("JupyterLab Light", "JupyterLab Dark")
PREDICTIONS = "[one.choice for one in map(Out.get, sorted(Out)) if type(one).__name__ == 'Prediction']"  # in the kernel


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


def test_the_boot_view_tells_the_stages(lesson: Notebook) -> None:
    """The boot view ends with a full progress bar and the time of each stage."""
    (boot,) = lesson.views(VIEWS["boot"])
    lesson.show(boot)
    assert boot.inner_text().startswith("The machine is ready after")
    assert 1.0 == boot.locator("progress").evaluate("bar => bar.position")
    assert 5 == boot.inner_text().count(" s\n") + boot.inner_text().endswith(" s")


@pytest.mark.parametrize("key", ["click", "Enter", "Space"])
def test_an_exchange_opens_and_shows_its_bytes(lesson: Notebook, key: str) -> None:
    """A row of the wire view opens by mouse and by keyboard, shows what was said pretty, raw and in hex, and closes."""
    for view in lesson.views(VIEWS["wire"]):
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
        elif pane != "Pretty":
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
    for view in lesson.views(VIEWS["wire"]):
        lesson.show(view)
        slider, told, later = view.get_by_label("replay"), view.locator("output"), view.locator(".w-later")
        rows = view.locator("[data-step]").count()
        assert ("", 0) == (told.inner_text(), later.count())
        slider.press("Home")
        assert rows - 1 == later.count()
        slider.press("ArrowRight")
        assert max(rows - 2, 0) == later.count()
        assert view.locator("[data-step='1']").get_attribute("data-says") == told.inner_text() or rows < 3
        slider.press("End")
        assert ("", 0) == (told.inner_text(), later.count())


def test_the_panes_of_a_view_scroll_by_keyboard(lesson: Notebook) -> None:
    """Each pane of the side-by-side view is reached with Tab, in order, and moves with the arrow keys."""
    moved = 0
    for view in lesson.views(VIEWS["side by side"]):
        lesson.show(view)
        panes = view.locator("pre").all()
        panes[0].focus()
        for number, pane in enumerate(panes):
            assert pane.evaluate("pane => pane === document.activeElement"), f"pane {number}"
            if pane.evaluate("pane => pane.scrollHeight > pane.clientHeight + 20"):
                lesson.page.keyboard.press("End")
                lesson.page.wait_for_function("pane => pane.scrollTop > 0", arg=pane.element_handle())
                moved += 1
            lesson.page.keyboard.press("Tab")
    assert moved or "01" not in lesson.name  # a lesson of long answers


def test_a_prediction_reaches_the_kernel(lesson: Notebook) -> None:
    """What is chosen, by mouse or by keyboard, is what the kernel's Python knows, and the page confirms it."""
    views = lesson.views(VIEWS["prediction"])
    chosen = []
    for number, view in enumerate(views):
        lesson.show(view)
        button = view.get_by_role("button").nth(number % 2)
        _use(button, ("click", "Enter", "Space")[number % 3])
        chosen.append(button.inner_text())
        view.get_by_text(f"You say: {chosen[-1]}.").wait_for()
    assert chosen
    assert chosen == literal_eval(lesson.evaluate(PREDICTIONS))


def test_what_is_typed_on_one_console_is_heard_on_both(lesson: Notebook) -> None:
    """A line and Enter on either console reach the container; its answer shows on both, with its frame below."""
    sources = lesson.sources()
    if not any(".consoles(" in source for source in sources):
        return
    (cell,) = (number for number, source in enumerate(sources) if ".consoles(" in source)
    lesson.run_cell(cell)  # again, since the lesson has been closed
    lesson.wait_until_idle()
    for view in lesson.views(VIEWS["consoles"]):
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
    lesson.command("apputils:change-theme", theme=theme)
    lesson.page.wait_for_function("theme => document.body.dataset.jpThemeName === theme", arg=theme)
    weak = []
    for name, selector in VIEWS.items():
        for number, view in enumerate(lesson.views(selector)):
            lesson.show(view)
            view.evaluate("view => view.querySelectorAll('details').forEach(one => { one.open = true; })")
            weak += [
                f"{name}: {text!r} has a contrast of {ratio:.1f}"
                for ratio, text in view.evaluate("view => lab.contrasts(view)")
                if ratio < READABLE
            ]
            _keep(view, pytestconfig.getoption("screenshots"), f"{lesson.name}-{name}-{number}-{theme}")
            view.evaluate("view => view.querySelectorAll('details').forEach(one => { one.open = false; })")
    assert [] == weak


def _use(control: Locator, key: str) -> None:
    if key == "click":
        control.click()
    else:
        control.focus()
        control.press(key)


def _keep(view: Locator, directory: Path | None, name: str) -> None:
    if directory is not None:
        view.screenshot(path=directory / f"{name.replace(' ', '-')}.png")
