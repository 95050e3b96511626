"""What does someone see of a lesson that has not been run yet?

JupyterLab shows text alone of a notebook that was run elsewhere, until its cells have run: of what it does not
trust it draws neither SVG nor widgets. The stored pictures are for readers on the web.
"""

from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from playwright.sync_api import Browser

from tests.browser.conftest import LESSONS
from tests.browser.lab import ROOT, JupyterLab

PICTURE = "image/svg+xml"


def read_outputs(path: Path) -> list[dict[str, str]]:
    """What is stored of each output that is more than text in a stream."""
    cells = nbformat.read(path, as_version=4).cells
    return [output.data for cell in cells for output in cell.get("outputs", []) if "data" in output]


@pytest.mark.parametrize("name", LESSONS)
def test_an_opened_lesson_shows_the_text_of_each_view(
    name: str, lab_of: Callable[[str], JupyterLab], browser: Browser
) -> None:
    """In place of each view JupyterLab shows its text form, no widget that cannot be loaded, and the bar."""
    outputs = read_outputs(ROOT / f"notebooks/{name}.ipynb")
    # JupyterLab shows a figure of matplotlib as the picture that it is.
    stored = [data["text/plain"] for data in outputs if not {"text/html", "image/png"} & data.keys()]
    bars = [data["text/plain"] for data in outputs if 'aria-label="bar"' in data.get("text/html", "")]
    assert stored and len(bars) == 1
    with lab_of("native").open(browser, name) as notebook:
        selector = "[data-mime-type='text/plain'] pre"
        shown = notebook.page.evaluate("selector => lab.textsOf(selector)", selector)
        assert stored == shown
        (bar, *_) = notebook.page.evaluate("selector => lab.textsOf(selector)", "[data-mime-type='text/html']")
        assert "all lessons" in bar and bars[0] in bar
        assert [] == notebook.views(".jupyter-widgets")
        assert [] == notebook.complaints


@pytest.mark.parametrize("name", LESSONS)
def test_a_stored_picture_can_be_drawn(name: str, browser: Browser) -> None:
    """A browser draws each stored picture, in the size that it says it has."""
    pictures = [data[PICTURE] for data in read_outputs(ROOT / f"notebooks/{name}.ipynb") if PICTURE in data]
    assert pictures
    page = browser.new_page()
    for picture in pictures:
        size = page.evaluate(
            """async picture => {
                const image = new Image();
                image.src = URL.createObjectURL(new Blob([picture], { type: "image/svg+xml" }));
                await image.decode();
                return [image.naturalWidth, image.naturalHeight];
            }""",
            picture,
        )
        assert f'viewBox="0 0 {size[0]} {size[1]}"' in picture
    page.close()
