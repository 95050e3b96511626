"""Can a lesson be read from its top to its end, in a wide and in a narrow window, with Shift+Enter alone?"""

from collections.abc import Callable, Iterator
from typing import Any

import nbformat
import pytest
from playwright.sync_api import Browser, expect

from tests.browser.lab import JupyterLab, Notebook

SOON_S = 20
TABLE = """<details open><summary>From the command down</summary>

| `docker` | request | the engine | system calls, and files under `/var/lib/docker` |
|---|---|---|---|
| `images` | `GET /images/json` → 200 | has the names in memory, reads each image's record | `openat`, `read`: \
`image/overlay2/imagedb/content/sha256/IMAGE` |
| `build` | `POST /build?t=`, a tar → 200, a stream | unpacks the tar in a process with another root; a step that \
changes files makes a layer, any other step a record | `unshare`, `mount`, `pivot_root`: `overlay2/LAYER/diff` |

</details>"""
SENTENCE = "Choose Run > Run All Above Selected Cell, which makes the image that is wanted here. " * 4
PRINTED = f"{SENTENCE}\nhttp://localhost:5678/images/json http://127.0.0.1:1/ http://localhost.example.com/"
EXPLANATION = '.jp-MarkdownOutput p:has-text("It was she.")'
TABLES, PRINTS, ASKS, ANSWERS, EXPLAINS, IS_LONG, FOLLOWS = range(7)
CELLS: list[Any] = [
    nbformat.v4.new_markdown_cell(TABLE),
    nbformat.v4.new_code_cell("", outputs=[nbformat.v4.new_output("stream", name="stdout", text=PRINTED)]),
    nbformat.v4.new_code_cell("from labkit.lesson import predict\nwho = predict('Who?', 'he', 'she')\nwho"),
    nbformat.v4.new_code_cell("who.verdict('she', 'She was there.')"),
    nbformat.v4.new_markdown_cell("It was she.\n\n## Next\n\nOther words."),
    nbformat.v4.new_code_cell("import time\ntime.sleep(0.5)\nfor number in range(200):\n    print(number)"),
    nbformat.v4.new_markdown_cell("Two hundred lines.\n\n" * 40),
]
# The words of an element that are on two lines, though they would fit into one.
BROKEN_WORDS = """element => {
  const texts = document.createTreeWalker(element, NodeFilter.SHOW_TEXT), broken = [];
  while (texts.nextNode()) {
    for (const word of texts.currentNode.data.matchAll(/[A-Za-z]+/g)) {
      const range = document.createRange();
      range.setStart(texts.currentNode, word.index);
      range.setEnd(texts.currentNode, word.index + word[0].length);
      if (new Set([...range.getClientRects()].map(one => Math.round(one.top))).size > 1) broken.push(word[0]);
    }
  }
  return broken;
}"""


@pytest.fixture
def notebook(lab_of: Callable[[str], JupyterLab], browser: Browser) -> Iterator[Notebook]:
    lab = lab_of("native")
    kernelspec = {"name": "docker-lab", "display_name": "Docker Lab", "language": "python"}
    content = nbformat.v4.new_notebook(cells=CELLS, metadata={"kernelspec": kernelspec})
    nbformat.write(content, lab.notebooks / "reading.ipynb")
    with lab.open(browser, "reading") as opened:
        opened.page.set_default_timeout(SOON_S * 1000)
        yield opened
        assert [] == opened.complaints


@pytest.mark.parametrize("width", [1280, 900])
def test_a_table_fits_the_page(notebook: Notebook, width: int) -> None:
    """Its columns share the page: none is cut off, no word in it is broken, no cell is a tower."""
    page = notebook.page
    page.set_viewport_size({"width": width, "height": 900})
    table = page.locator("details table")
    table.scroll_into_view_if_needed()
    assert table.evaluate("table => table.parentElement.scrollWidth <= table.parentElement.clientWidth")
    assert [] == table.evaluate(BROKEN_WORDS)
    lines = table.evaluate("table => Math.max(...[...table.rows].map(row => row.offsetHeight)) / 16")
    assert lines <= 8, lines


def test_outputs_end_their_lines_between_words(notebook: Notebook) -> None:
    """An address on the lesson's machine is no link: on the reader's computer nobody listens; any other is one."""
    output = notebook.page.locator(".jp-OutputArea-output pre").first
    output.scroll_into_view_if_needed()
    expect(output.locator("a[href]")).to_have_count(1)
    assert "http://localhost.example.com/" == output.locator("a[href]").inner_text()
    assert output.inner_text().strip().endswith(PRINTED.splitlines()[1])
    assert [] == output.evaluate(BROKEN_WORDS)


def active_cell(notebook: Notebook) -> int:
    number: int = notebook.page.evaluate("() => lab.panel().content.activeCellIndex")
    return number


def test_a_click_then_shift_enter(notebook: Notebook) -> None:
    """After a choice Shift+Enter runs the next cell, once; what that cell found is read after it, or on a click."""
    page = notebook.page
    explains = page.locator(EXPLANATION)
    expect(explains).not_to_be_visible()
    notebook.run_cell(1)
    notebook.wait_until_idle()
    page.get_by_role("button", name="he", exact=False).first.click()
    expect(page.get_by_text("You say A.")).to_be_visible()
    assert ANSWERS == active_cell(notebook)
    page.get_by_role("button", name="she").click()
    expect(page.get_by_text("You say B.")).to_be_visible()
    page.keyboard.press("Shift+Enter")
    expect(page.get_by_text("You said B. The machine says B, too.")).to_be_visible()
    assert EXPLAINS == active_cell(notebook)
    expect(explains).to_be_visible()


def test_what_is_held_back_comes_on_a_click(notebook: Notebook) -> None:
    """Who only reads may read on; what is below the next heading is seen at once."""
    explains = notebook.page.locator(EXPLANATION)
    expect(explains).not_to_be_visible()
    expect(notebook.page.locator('.jp-MarkdownOutput p:has-text("Other words.")')).to_be_visible()
    notebook.page.locator(".labkit-not-yet").click()
    expect(explains).to_be_visible()


def test_a_long_result_stays_in_sight(notebook: Notebook) -> None:
    """After Shift+Enter its first line is seen, not its last."""
    page = notebook.page
    page.set_viewport_size({"width": 1200, "height": 700})
    page.locator(f'.jp-Cell[data-windowed-list-index="{IS_LONG}"] .jp-InputPrompt').click()
    assert IS_LONG == active_cell(notebook)
    page.keyboard.press("Shift+Enter")
    notebook.wait_for_text(3, "0\n1\n")
    notebook.wait_until_idle()
    page.wait_for_timeout(1000)  # nothing moves the page any more
    assert FOLLOWS == active_cell(notebook)
    result = page.locator(f'.jp-Cell[data-windowed-list-index="{IS_LONG}"] .jp-OutputArea').bounding_box()
    seen = page.locator(".jp-WindowedPanel-outer").bounding_box()
    assert result is not None and seen is not None
    assert seen["y"] <= result["y"] < seen["y"] + seen["height"], (result, seen)
