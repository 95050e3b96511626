"""Do two windows on a container work in a browser as terminals do, and does a cut through frames answer?"""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, expect

from tests.browser.lab import THEMES, JupyterLab, Notebook, find_weak, keep_picture

OPEN, LINES, TERMINAL, CUT = range(4)
CELLS = [
    """
from labkit.lesson import open_lesson, sh
from labkit.widgets.frame import cut_frame
lesson = open_lesson("x")
echo = "while read line; do echo heard $line; echo oops $line >&2; done"
made = sh(f"docker run --name=shared -di busybox sh -c '{echo}'; docker run --name=screen -dit busybox")
print("ready")
""",
    """
lines = lesson.consoles("shared")
left, right = lines
left.type("good morning")
for console in lines:
    console.wait_for("heard good morning")
    console.wait_for("oops good morning")
lines
""",
    'lesson.consoles("screen")',
    "cut = cut_frame(); cut",
]


@pytest.fixture
def notebook(lab_of: Callable[[str], JupyterLab], browser: Browser) -> Iterator[Notebook]:
    """A notebook of its own, with a container for each view."""
    with lab_of("native").open_cells(browser, "two", CELLS) as opened:
        yield opened


def show(notebook: Notebook, cell: int, selector: str) -> Locator:
    """Run a cell; give its view."""
    notebook.run_cell(cell)
    view = notebook.page.locator(".jp-Cell-outputArea").locator(selector)
    view.wait_for()
    notebook.wait_until_idle()
    view.scroll_into_view_if_needed()
    return view


def windows(view: Locator) -> list[Locator]:
    return view.locator(".lkc-window").all()


def test_vi_works(notebook: Notebook) -> None:
    """A file is written in vi by keyboard, Escape and all; both windows draw it; the file is there."""
    view = show(notebook, TERMINAL, ".labkit-consoles")
    screens = view.locator(".xterm-rows")
    view.locator(".xterm").first.click()
    keyboard = notebook.page.keyboard
    keyboard.type("vi /tmp/note\n")
    expect(screens.first).to_contain_text("1/1 100%")
    keyboard.type("iwritten in vi")
    keyboard.press("Escape")
    for screen in screens.all():
        expect(screen).to_contain_text("written in vi")
    keyboard.type(":wq\n")
    expect(screens.last).to_contain_text("# vi /tmp/note")

    assert "'written in vi\\n'" == notebook.evaluate("sh('docker exec screen cat /tmp/note').out")
    assert 1 == len([cell for cell in notebook.state()["cells"] if cell == 2])  # no key was taken for a command
    keyboard.press("Shift+Tab")
    assert not screens.first.evaluate("one => one.closest('.xterm').contains(document.activeElement)")


def test_a_terminal_has_the_size_that_fits_until_one_is_chosen(notebook: Notebook) -> None:
    """At first it fills the window; a button, by mouse or by keyboard, gives the container's terminal another size."""
    view = show(notebook, TERMINAL, ".labkit-consoles")
    chosen = view.locator("button[aria-pressed=true]")
    expect(chosen).to_have_text("fits")
    notebook.page.wait_for_function("view => view.querySelector('.xterm-rows > div')", arg=view.element_handle())
    for name, key, answer in (
        ("50 x 20", "click", "20 50"),
        ("132 x 43", "Enter", "43 132"),
        ("80 x 24", " ", "24 80"),
    ):
        button = view.get_by_role("button", name=name)
        if key == "click":
            button.click()
        else:
            button.press(key)
        expect(chosen).to_have_text(name)
        view.locator(
            ".xterm-helper-textarea"
        ).last.focus()  # not by a click: the windows move as they change their size
        notebook.page.keyboard.type("clear; stty size\n")
        for screen in view.locator(".xterm-rows").all():
            expect(screen).to_contain_text(answer)
        narrow = "one => one.scrollWidth <= one.clientWidth + 1"
        assert all(one.evaluate(narrow) for one in view.locator(".lkc-terminal").all()), f"{name} does not fit"


def test_the_keys_that_detach_and_the_word_that_ends(notebook: Notebook) -> None:
    """Each is said in the window, which takes no more; the buttons that could do nothing are not there."""
    view = show(notebook, TERMINAL, ".labkit-consoles")
    mine, other = windows(view)
    mine.locator(".xterm").click()
    notebook.page.keyboard.press("Control+p")
    notebook.page.keyboard.press("Control+q")
    expect(mine.get_by_role("status")).to_contain_text("You typed Ctrl-P Ctrl-Q")
    expect(mine.get_by_role("button")).to_have_count(0)
    other.locator(".xterm").click()
    notebook.page.keyboard.type("exit\n")
    expect(other.get_by_role("status")).to_contain_text("Your colleague typed exit. The container has ended")
    expect(view.get_by_role("button")).to_have_count(0)


def test_lines_are_typed_and_ended_by_keyboard(notebook: Notebook) -> None:
    """A line is shown at once where it was typed, and answered in both; Ctrl-D ends the input of that window alone."""
    view = show(notebook, LINES, ".labkit-consoles")
    mine, other = windows(view)
    line = other.get_by_placeholder("type, then Enter")
    line.press_sequentially("it is noon x")  # x: the notebook's own key for "cut the cell"
    line.press("Enter")
    assert "" == line.input_value()
    expect(other.locator("[data-stream=typed]")).to_have_text("0it is noon x")
    for one in (mine, other):
        expect(one.get_by_label("text")).to_contain_text("heard it is noon x")
    expect(view.locator(".lkc-row")).to_have_count(6)
    expect(view.locator(".lkc-row").last).to_contain_text("to both windows and the log")

    mine.get_by_placeholder("type, then Enter").press("Control+d")
    expect(mine.get_by_role("status")).to_contain_text("You ended the input.")
    assert not mine.get_by_placeholder("type, then Enter").is_visible()
    line.press_sequentially("still here")
    line.press("Enter")
    expect(other.get_by_label("text")).to_contain_text("heard still here")


def test_a_page_that_is_loaded_again_shows_what_was_said(notebook: Notebook) -> None:
    """The kernel goes on, and so do the windows."""
    view = show(notebook, LINES, ".labkit-consoles")
    notebook.command("docmanager:save")
    notebook.page.reload()
    view.locator(".lkc-line").first.wait_for()
    assert 2 == view.get_by_text("heard good morning").count()
    view.get_by_placeholder("type, then Enter").first.fill("again")
    view.get_by_placeholder("type, then Enter").first.press("Enter")
    expect(view.get_by_label("text").last).to_contain_text("heard again")
    notebook.page.add_script_tag(path=Path(__file__).with_name("page.js"))


def test_a_restart_is_said(notebook: Notebook) -> None:
    """With the kernel the container has gone: both windows say so, and nothing is left to be pressed."""
    view = show(notebook, LINES, ".labkit-consoles")
    notebook.menu("Kernel", "Restart Kernel")
    notebook.accept()
    for one in windows(view):
        expect(one).to_have_attribute("data-open", "gone")
        assert not one.get_by_placeholder("type, then Enter").is_visible()
        assert not one.get_by_role("button").is_visible()
    assert "none" == view.evaluate("view => getComputedStyle(view, '::before').display"), "a broken link"
    notebook.page.wait_for_function("() => lab.state().kernel === 'idle'")


def test_a_cut_is_moved_by_keyboard_and_words_are_changed(notebook: Notebook) -> None:
    """Arrow keys move the cut: between the frames the reader of chunks is right. Other words are other bytes."""
    view = show(notebook, CUT, ".lkf[role=group]")
    slider = view.get_by_label("where the stream is cut")
    readers = view.locator(".lkf-readers")
    expect(readers).to_contain_text("wrong: chunk 1 has a piece of the second header")
    slider.focus()
    for _ in range(2):
        notebook.page.keyboard.press("ArrowLeft")
    expect(readers).to_contain_text("right, by luck")
    notebook.page.keyboard.press("Home")
    expect(readers).to_contain_text("two frames, one message")
    notebook.page.wait_for_function("() => lab.evaluate('cut.cut').then(one => one === '0')")

    view.get_by_label("words of frame 1").fill("hello")
    expect(view.locator(".lkf-cell")).to_have_count(8 + 6 + 8 + 4)
    expect(view.locator(".lkf-cell").nth(7)).to_have_text("066")
    view.get_by_role("button", name="stdout").last.press("Enter")
    expect(view.locator(".lkf-cell").nth(14)).to_have_text("011")
    assert "[Frame(stream=1, payload=b'hello\\n'), Frame(stream=1, payload=b'err\\n')]" == notebook.evaluate(
        "cut.frames"
    )


@pytest.mark.parametrize("theme", THEMES)
def test_both_can_be_read_in_a_narrow_page(notebook: Notebook, theme: str, pytestconfig: pytest.Config) -> None:
    """At 900 px nothing is cut off and no hex wraps; every text stands out from its ground."""
    notebook.set_theme(theme)
    notebook.make_narrow()
    weak = []
    for cell, selector in ((LINES, ".labkit-consoles"), (CUT, ".lkf[role=group]")):
        view = show(notebook, cell, selector)
        weak += find_weak(view)
        assert view.evaluate("view => view.scrollWidth <= view.clientWidth")
        keep_picture(view, pytestconfig, f"{selector.strip('.').split('[')[0]}-{theme.split()[-1]}")
    assert [] == weak
    heights = notebook.page.locator(".lkf-block").evaluate_all("all => all.map(one => one.offsetHeight)")
    assert 3 == len(heights) and max(heights) < 48  # two lines
    assert notebook.page.locator(".lkc-rows").evaluate("one => one.scrollWidth <= one.clientWidth")
