"""Does the view of joins answer in a browser more than once?"""

from collections.abc import Callable

from playwright.sync_api import Browser, expect

from tests.browser.lab import JupyterLab

CELLS = [
    """
from labkit.isolation.containers import container_pid
from labkit.lesson import open_lesson, sh
from labkit.widgets.joining import watch_joins
lesson = open_lesson("x")
lesson.remove("own")
sh("docker run -d --name own busybox sleep 600")
view = lesson.keep(watch_joins(container_pid(lesson.engine, "own")))
view
""",
]


def test_the_second_press_is_a_try_too(lab_of: Callable[[str], JupyterLab], browser: Browser) -> None:
    """The button comes back when the kernel has answered."""
    lab = lab_of("native")
    lab.write("joins", CELLS)
    with lab.open(browser, "joins") as notebook:
        notebook.run_cell(0)
        button = notebook.page.get_by_role("button", name="try to join")
        for threads in (5, 6):
            notebook.page.get_by_label("threads").fill(str(threads))
            button.click(timeout=60_000)
            expect(notebook.page.get_by_role("status").filter(has_text=f"{threads} threads: refused")).to_be_visible()
        expect(button).to_be_enabled()
        assert [] == notebook.complaints
