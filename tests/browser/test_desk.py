"""Does a learner's JupyterLab look whole at every visit, and lead from lesson to lesson?"""

import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from playwright.sync_api import Browser, Page

from labkit import progress
from labkit.show.course import COURSE
from tests.browser.conftest import LESSONS
from tests.browser.lab import THEMES, JupyterLab, Notebook, find_weak, keep_picture
from tests.machine.conftest import leave_out
from tests.machine.host import wait_until

QUICK = ["00-start-here"]
BROKEN = ".jupyter-widgets-disconnected, .fa-chain-broken, .jp-RenderedText[data-mime-type*=stderr]"
NO_WIDGET = re.compile("Error (displaying|creating) widget|Loading widget")
CELLS = [
    '# A lesson\n\nThe <abbr title="It stays with a container.">shim</abbr> stays. ' + "More words. " * 60,
    "> **Keep:** the shim stays.\n\nProse.\n\n> **From the notes** of an engineer: it stays.\n\n> Another quotation.",
]
END_OTHER_KERNELS = """async () => {
    const sessions = jupyterapp.serviceManager.sessions;
    await sessions.refreshRunning();
    const own = lab.panel().sessionContext.session.id;
    for (const one of [...sessions.running()].filter(one => one.id !== own)) {
        await sessions.shutdown(one.id);
    }
}"""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "visited" in metafunc.fixturenames:
        metafunc.parametrize("visited", LESSONS if metafunc.config.getoption("everything") else QUICK)


@pytest.fixture(scope="module")
def desk() -> Iterator[JupyterLab]:
    """A JupyterLab on a learner's folder."""
    leave_out("native")
    place = Path(tempfile.mkdtemp(prefix="jl"))
    with JupyterLab.start("native", place, desk=True) as lab:
        yield lab
    shutil.rmtree(place)


@pytest.fixture
def page(desk: JupyterLab, browser: Browser) -> Iterator[Page]:
    """JupyterLab as its address opens it; no error on its console."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.set_default_timeout(60_000)
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.goto(f"{desk.url}lab/tree/home.md?token={desk.token}&reset")
    yield page
    page.evaluate("() => jupyterapp.serviceManager.sessions.shutdownAll()")
    context.close()
    assert [] == complaints


def judge(notebook: Notebook, theme: str, keep: Callable[[str], Any]) -> None:
    """Look at every cell: no mark of what is broken, no line that cannot be read."""
    notebook.set_theme(theme)
    weak = []
    for number in range(int(notebook.page.evaluate("() => lab.cells().length"))):
        cell = notebook.page.locator(f'.jp-Cell[data-windowed-list-index="{number}"]')
        cell.scroll_into_view_if_needed()
        assert 0 == cell.locator(BROKEN).locator("visible=true").count(), f"cell {number}"
        assert not NO_WIDGET.search(cell.inner_text()), f"cell {number}"
        for still in cell.locator(".labkit-still").all():
            assert "Run this cell to bring it to life." in still.inner_text()
            assert 0 == still.locator("button, input, select, textarea").count(), f"cell {number}"
            weak += find_weak(still)
        if cell.locator(".labkit-still").count():
            keep(f"{theme.split()[-1]}-{number}")
    assert [] == weak


def count_views(notebook: Notebook) -> tuple[int, int]:
    """How many views are still pictures, and how many live in the kernel."""
    return notebook.page.locator(".labkit-still").count(), notebook.page.locator(".labkit-live").count()


def test_every_visit_looks_whole(visited: str, desk: JupyterLab, browser: Browser, pytestconfig: pytest.Config) -> None:
    """Run twice, restarted, saved, closed and opened again: no mark of what is broken, in both themes, nor an error."""

    def keeper(notebook: Notebook, when: str) -> Callable[[str], Any]:
        return lambda name: keep_picture(notebook.page, pytestconfig, f"{visited}-{when}-{name}")

    with desk.open(browser, visited) as notebook:
        for _ in range(2):
            notebook.run_all()
        assert 0 == count_views(notebook)[0] < count_views(notebook)[1]
        notebook.command("docmanager:save")
        judge(notebook, THEMES[0], keeper(notebook, "run"))
        notebook.menu("Kernel", "Restart Kernel")
        notebook.accept()
        notebook.page.wait_for_function("() => document.querySelector('.labkit-still')")
        notebook.page.wait_for_function("() => lab.state().kernel === 'idle'")
        assert 0 == count_views(notebook)[1]
        for theme in THEMES:
            judge(notebook, theme, keeper(notebook, "restarted"))
        assert [] == notebook.complaints
    with desk.open(browser, visited) as notebook:
        notebook.page.locator(".labkit-still").first.wait_for()
        for theme in THEMES:
            judge(notebook, theme, keeper(notebook, "again"))
        assert 0 == count_views(notebook)[1]
        assert not notebook.page.evaluate("() => lab.panel().model.dirty")
        assert [] == notebook.complaints


def test_prose(desk: JupyterLab, browser: Browser) -> None:
    """Lines have some 80 characters; a dotted word says one line on hover, focus and tap; kept sentences have a box."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(text) for text in CELLS])
    notebook.metadata["kernelspec"] = {"name": "docker-lab", "display_name": "Docker Lab", "language": "python"}
    nbformat.write(notebook, desk.notebooks / "prose.ipynb")
    with desk.open(browser, "prose") as opened:
        page = opened.page
        word, line = page.locator("abbr"), page.locator(".labkit-word")
        assert "underline dotted" in word.evaluate("word => getComputedStyle(word).textDecoration")
        for show, hide in (
            (word.hover, lambda: page.mouse.move(5, 5)),
            (word.focus, lambda: page.keyboard.press("Escape")),
            (word.click, lambda: word.blur()),
        ):
            show()
            line.wait_for()
            assert "It stays with a container." == line.inner_text()
            hide()
            line.wait_for(state="hidden")
        paragraph = page.locator(".jp-RenderedMarkdown p").first
        wide, high = paragraph.evaluate(
            "p => [p.offsetWidth, p.offsetHeight / parseFloat(getComputedStyle(p).lineHeight)]"
        )
        characters = len(paragraph.inner_text()) / round(high)
        assert 70 <= characters <= 88, (wide, high)
        kinds = page.locator(".jp-RenderedMarkdown blockquote").evaluate_all(
            "all => all.map(one => one.dataset.labkit)"
        )
        assert ["keep", "notes", ""] == kinds
        assert [] == opened.complaints


def test_the_bar_leads_on(desk: JupyterLab, browser: Browser) -> None:
    """Previous, all lessons and next open what they say; the first lesson has no previous."""
    with desk.open(browser, LESSONS[0]) as notebook:
        bar = notebook.page.get_by_role("navigation", name="lessons")
        bar.get_by_role("button", name="next").wait_for()
        bar.get_by_text(re.compile(r"about \d+ minutes")).wait_for()
        assert 0 == notebook.page.locator(".jp-MarkdownCell").first.get_by_role("link", name="all lessons").count()
        assert 0 == bar.get_by_role("button", name="previous").count()
        bar.get_by_role("button", name="next").click()
        notebook.page.wait_for_function(
            "name => jupyterapp.shell.currentWidget?.context?.path === name", arg=f"{LESSONS[1]}.ipynb"
        )


def test_a_lesson_begins_anew(desk: JupyterLab, browser: Browser) -> None:
    """The button asks first; then the lesson is as it was, and the learner's copy lies beside it."""
    name = LESSONS[-1]
    fresh = (desk.notebooks / f"{name}.ipynb").read_bytes()
    with desk.open(browser, name) as notebook:
        page = notebook.page
        page.evaluate("() => { lab.cells()[0].model.sharedModel.setSource('my own words'); }")
        button = page.get_by_role("button", name="Begin this lesson anew")
        page.set_viewport_size({"width": 900, "height": 1000})
        bar = page.locator(".labkit-bar")
        assert bar.evaluate("bar => bar.scrollHeight <= bar.clientHeight && bar.scrollWidth <= bar.clientWidth")
        button.click()
        page.get_by_role("button", name="No", exact=True).click()
        assert fresh == (desk.notebooks / f"{name}.ipynb").read_bytes()
        button.click()
        page.get_by_role("button", name="Begin anew", exact=True).click()
        page.get_by_text(f"Your copy is now {name}-kept-1.ipynb").first.wait_for()
        assert fresh == (desk.notebooks / f"{name}.ipynb").read_bytes()
        assert "my own words" in (desk.notebooks / f"{name}-kept-1.ipynb").read_text()
        assert "my own words" not in page.evaluate("() => lab.cells()[0].model.sharedModel.source")
        assert [] == notebook.complaints


def test_home(desk: JupyterLab, page: Page) -> None:
    """The address opens the home page, drawn; links and cards open lessons; who comes back sees what was done."""
    viewer = page.locator(".jp-MarkdownViewer")
    viewer.locator("img").wait_for()
    page.wait_for_function("image => image.naturalWidth > 500", arg=viewer.locator("img").element_handle())
    progress.forget(desk.notebooks, LESSONS[1])
    assert "not begun" in viewer.locator("table tr").nth(2).inner_text()
    viewer.get_by_role("link", name="Speak the Engine API").first.click()
    page.locator(".jp-NotebookPanel").wait_for()
    bar = page.get_by_role("navigation", name="lessons")
    page.locator(".jp-TableOfContents").first.wait_for()
    progress.keep(desk.notebooks, progress.Note(LESSONS[1], "opened"))
    bar.get_by_role("button", name="all lessons").click()
    viewer.locator("table tr").nth(2).get_by_text("begun", exact=True).wait_for()
    viewer.locator(f".labkit-cards > [title^='{COURSE['02'].title}']").click()
    page.wait_for_function("name => jupyterapp.shell.currentWidget?.context?.path === name", arg=f"{LESSONS[2]}.ipynb")
    assert 0 == page.locator(".Toastify__toast").count()  # no news


def test_a_terminal_is_the_lessons(desk: JupyterLab, browser: Browser) -> None:
    """JupyterLab's own terminal is a shell on the machine of the lesson that is open."""
    with desk.open(browser, LESSONS[0]) as notebook:
        notebook.page.evaluate(END_OTHER_KERNELS)  # of other tests: the terminal would ask which machine is meant
        notebook.run_cell(0)
        notebook.wait_until_idle()
        shells = "__import__('subprocess').run(['pgrep', '-fc', '^bash -l'], capture_output=True, text=True).stdout"
        assert "'0\\n'" == notebook.evaluate(shells)
        notebook.page.evaluate("() => { const panel = lab.panel(); lab.panel = () => panel; }")
        notebook.page.evaluate("() => { void jupyterapp.commands.execute('terminal:create-new'); }")
        assert wait_until(lambda: "'1\\n'" == notebook.evaluate(shells), 60)
