"""Does a card keep what a learner chose, whatever happens to the page and the kernel, and by keyboard alone?"""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import nbformat
import pytest
from playwright.sync_api import Browser, Locator, expect

from labkit.progress import MARKER, read_learner
from tests.browser.lab import THEMES, JupyterLab, Notebook, find_weak, keep_picture
from tests.browser.test_desk import BROKEN
from tests.machine.host import wait_until

OPEN, ASK, ANSWER, CLOSE = range(4)
QUESTION = "Who are you on this machine?"
ANSWERS = ("the user who started JupyterLab", "root", "nobody: `id` fails")
CELLS = [
    "from labkit.lesson import open_lesson, predict, sh\nlesson = open_lesson('00-start-here')",
    f"who = predict({QUESTION!r}, *{ANSWERS!r})\nwho",
    "name = sh('id -un').out.strip()\nwho.verdict(name, '`id -un` printed it.')",
    "lesson.close()",
]
CARD = f'[aria-label="prediction: {QUESTION}"]'
PLACE = "desk"  # below the server's root: a learner's copy
SOON_S = 20
SEEN = "application/vnd.labkit.seen+json"
SEEN_CARD = "root the machine C nobody: id fails You said A. The machine says B."
SEEN_VERDICT = f"You said: {ANSWERS[0]}. The machine says: root. id -un printed it."
RUN_AND_GO_ON = "Shift+Enter"


@pytest.fixture
def lab(lab_of: Callable[[str], JupyterLab]) -> JupyterLab:
    return lab_of("native")


@pytest.fixture
def copy(lab: JupyterLab) -> Path:
    """A learner's copy with one notebook, of which nothing is known yet."""
    place = lab.notebooks / PLACE
    place.mkdir(exist_ok=True)
    for file in place.glob("*.json*"):
        file.unlink()
    (place / MARKER).write_text('{"version": 1}')
    cells = [nbformat.v4.new_code_cell(source) for source in CELLS]
    kernelspec = {"name": "docker-lab", "display_name": "Docker Lab", "language": "python"}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernelspec}), place / "own.ipynb")
    return place


@pytest.fixture
def notebook(lab: JupyterLab, browser: Browser, copy: Path) -> Iterator[Notebook]:
    with lab.open(browser, f"{PLACE}/own") as opened:
        opened.page.set_default_timeout(SOON_S * 1000)
        yield opened
        assert [] == opened.complaints


def press(notebook: Notebook, *keys: str) -> None:
    for key in keys:
        notebook.page.keyboard.press(key)


def active_cell(notebook: Notebook) -> int:
    number: int = notebook.page.evaluate("() => lab.panel().content.activeCellIndex")
    return number


def run_and_go_on(notebook: Notebook, cell: int) -> None:
    """Press Shift+Enter in a cell; the next one is active then, and soon nothing runs any more."""
    assert cell == active_cell(notebook)
    press(notebook, RUN_AND_GO_ON)
    notebook.page.wait_for_function("cell => lab.panel().content.activeCellIndex === cell + 1", arg=cell)
    notebook.wait_until_idle()


def go_to(notebook: Notebook, cell: int) -> None:
    """Move to a cell by the arrow keys; on a card they go through its answers first."""
    press(notebook, "Escape")
    for _ in range(len(CELLS) + len(ANSWERS)):
        here = active_cell(notebook)
        if here != cell:
            press(notebook, "ArrowDown" if here < cell else "ArrowUp")
    assert cell == active_cell(notebook)


def pressed(notebook: Notebook) -> list[str]:
    """The letters of the answers that are marked as chosen."""
    return notebook.page.locator(f'{CARD} [aria-pressed="true"] .lk-letter').all_inner_texts()


def kept(copy: Path) -> dict[str, Any]:
    """What is kept of the one prediction."""
    found: dict[str, Any] = read_learner(copy)["00-start-here"]["predictions"].get(QUESTION, {})
    return found


def test_a_choice_lasts_by_keyboard_alone(notebook: Notebook, copy: Path, lab: JupyterLab, browser: Browser) -> None:
    """Chosen, changed, run again, restarted, saved, opened again: it is there; the first with an answer counts."""
    page = notebook.page
    go_to(notebook, OPEN)
    run_and_go_on(notebook, OPEN)
    run_and_go_on(notebook, ASK)
    card = page.locator(CARD)
    expect(card).to_contain_text("What do you think?")
    assert [] == pressed(notebook)

    # Tab leads from the cell to the first answer; letters and arrows are the card's, and no commands of JupyterLab's.
    go_to(notebook, ASK)
    press(notebook, "Tab")
    expect(card.get_by_role("button").first).to_be_focused()
    press(notebook, "c")
    expect(card).to_contain_text("You say C. Run the next cell, and see.")
    press(notebook, "a", "ArrowDown", "ArrowRight", "Space")
    assert ["C"] == pressed(notebook)
    press(notebook, "b")
    press(notebook, "ArrowLeft", "Enter")
    assert ["A"] == pressed(notebook)
    assert len(CELLS) == page.evaluate("() => lab.cells().length")

    # After a choice the next cell is selected, and an arrow that leads out of the card goes no further.
    assert ANSWER == active_cell(notebook)
    press(notebook, "c", "ArrowDown")
    assert ANSWER == active_cell(notebook)
    go_to(notebook, ASK)
    press(notebook, "Tab", "a")
    assert ANSWER == active_cell(notebook)

    go_to(notebook, ASK)
    run_and_go_on(notebook, ASK)
    expect(card).to_contain_text("You say A.")
    assert ["A"] == pressed(notebook)
    assert wait_until(lambda: kept(copy).get("choice") == ANSWERS[0], SOON_S)

    press(notebook, "0", "0")  # JupyterLab's keys for a restart
    page.locator(".jp-Dialog").wait_for()
    press(notebook, "Enter")  # what it asks
    expect(page.locator(".jp-Dialog")).to_have_count(0)
    go_to(notebook, OPEN)
    run_and_go_on(notebook, OPEN)
    run_and_go_on(notebook, ASK)
    expect(card).to_contain_text("You say A.")

    run_and_go_on(notebook, ANSWER)
    expect(card).to_contain_text("You said A. The machine says B.")
    assert ["you"] == card.locator('[data-answer="0"] .lk-says').all_inner_texts()
    assert ["the machine"] == card.locator('[data-answer="1"] .lk-says').all_inner_texts()
    assert [] == [one for one in card.get_by_role("button").all() if one.get_attribute("aria-disabled") != "true"]
    # The card keeps the focus, and its letters: none of them is a command of JupyterLab's.
    card.get_by_role("button").first.focus()
    press(notebook, "b", "a", "d", "d", "z", "c")
    expect(card.get_by_role("button").nth(2)).to_be_focused()
    assert len(CELLS) == page.evaluate("() => lab.cells().length") and ["A"] == pressed(notebook)
    words = f"You said: {ANSWERS[0]}. The machine says: root."
    expect(page.locator('[aria-label="verdict: root"]')).to_contain_text(words)

    press(notebook, "Control+s")
    page.wait_for_function("() => !lab.panel().model.dirty")
    stored = json.loads((copy / "own.ipynb").read_text())["cells"]
    texts = ["".join(output["data"]["text/plain"]) for cell in (ASK, ANSWER) for output in stored[cell]["outputs"]]
    assert texts[0].startswith(f"Predict: {QUESTION}\n  ( ) {ANSWERS[0]}\n")
    assert "The machine says: root. `id -un` printed it." == texts[1]
    page.evaluate("() => lab.panel().sessionContext.shutdown()")
    with lab.open(browser, f"{PLACE}/own") as again:
        go_to(again, OPEN)
        run_and_go_on(again, OPEN)
        run_and_go_on(again, ASK)
        expect(again.page.locator(CARD)).to_contain_text("You said A. The machine says B.")
        assert [] == again.complaints
    assert (ANSWERS[0], "root", False) == tuple(kept(copy)[name] for name in ("choice", "answer", "right"))


def test_nothing_gives_the_answer_away(notebook: Notebook, copy: Path) -> None:
    """After Run All a card without a choice marks nothing; a choice is still possible then, and counts."""
    notebook.run_all()
    card = notebook.page.locator(CARD)
    notebook.show(card)
    assert "the machine" not in card.inner_text()
    notebook.show(notebook.page.locator('[aria-label="verdict: root"]'))
    expect(notebook.page.locator('[aria-label="verdict: root"]')).to_contain_text("You made no prediction.")
    card.get_by_role("button").nth(1).click()
    expect(card).to_contain_text("You say B.")
    notebook.run_cell(ANSWER)
    expect(card).to_contain_text("You said B. The machine says B, too.")
    assert wait_until(lambda: kept(copy).get("right") is True, SOON_S)


def test_a_second_visit_shows_the_choice(
    notebook: Notebook, copy: Path, lab: JupyterLab, browser: Browser, pytestconfig: pytest.Config
) -> None:
    """After a restart, and opened again without its kernel: the choice, the verdict, and when it was."""
    page = notebook.page
    for cell in (OPEN, ASK):
        notebook.run_cell(cell)
        notebook.wait_until_idle()
    page.locator(CARD).get_by_role("button").first.click()
    notebook.run_cell(ANSWER)
    notebook.wait_until_idle()
    expect(page.locator(CARD)).to_contain_text("You said A. The machine says B.")
    ended = datetime.now(UTC)

    def judge(opened: Notebook, when: str) -> None:
        for theme in THEMES:
            opened.set_theme(theme)
            stills = opened.page.locator(".labkit-still")
            expect(stills).to_have_count(3)  # the boot of the set-up cell, the card, the verdict
            for number, words in ((0, "The machine was ready after"), (1, SEEN_CARD), (2, SEEN_VERDICT)):
                still = stills.nth(number)
                opened.show(still.locator("img"))
                assert words in str(still.locator("img").get_attribute("alt"))
                assert still.locator("img").evaluate("image => image.naturalWidth") == 760
                assert [] == find_weak(still)
                keep_picture(opened.page, pytestconfig, f"second-visit-{when}-{theme}")
            assert 0 == opened.page.locator(f"{BROKEN}, .labkit-still button").locator("visible=true").count()

    notebook.menu("Kernel", "Restart Kernel")
    notebook.accept()
    page.locator(".labkit-still").first.wait_for()
    page.wait_for_function("() => lab.state().kernel === 'idle'")
    judge(notebook, "restarted")
    notebook.command("docmanager:save")
    stored = json.loads((copy / "own.ipynb").read_text())["cells"]
    (seen,) = [output["data"][SEEN] for output in stored[ANSWER]["outputs"]]
    assert datetime.fromisoformat(seen["when"]) <= ended
    page.evaluate("() => lab.panel().sessionContext.shutdown()")
    with lab.open(browser, f"{PLACE}/own") as again:
        again.page.locator(".labkit-still").first.wait_for()
        judge(again, "again")
        options = "{hour: '2-digit', minute: '2-digit', hour12: false}"
        time = again.page.evaluate(f"when => new Date(when).toLocaleTimeString([], {options})", seen["when"])
        expect(again.page.locator(".labkit-note").last).to_contain_text(f"at {time}. Run this cell")
        assert not again.page.evaluate("() => lab.panel().model.dirty")
        again.run_cell(OPEN)
        again.wait_until_idle()
        again.run_cell(ASK)
        expect(again.page.locator(CARD)).to_contain_text("You said A. The machine says B.")
        assert [] == again.complaints


@pytest.mark.parametrize("theme", THEMES)
def test_card_verdict_and_end_can_be_read(notebook: Notebook, theme: str, pytestconfig: pytest.Config) -> None:
    """In both themes each text stands out from its background, also of a wrong prediction; at 900 px nothing is cut."""
    notebook.set_theme(theme)
    for cell in (OPEN, ASK):
        notebook.run_cell(cell)
        notebook.wait_until_idle()
    page = notebook.page
    page.locator(CARD).get_by_role("button").first.click()
    for cell in (ANSWER, CLOSE):
        notebook.run_cell(cell)
        notebook.wait_until_idle()
    page.set_viewport_size({"width": 900, "height": 1000})
    # Who said it stands below the answer, which keeps its words whole.
    for says in page.locator(f"{CARD} .lk-says:not(:empty)").all():
        assert says.evaluate(
            "one => one.offsetTop >= one.previousElementSibling.offsetTop + one.previousElementSibling.offsetHeight"
        )
    for name in (CARD, '[aria-label="verdict: root"]', '[aria-label="the end of 00-start-here"]'):
        view: Locator = page.locator(name)
        notebook.show(view)
        assert [] == find_weak(view)
        assert view.evaluate("view => view.scrollWidth <= view.clientWidth")
        keep_picture(view, pytestconfig, f"{name[13:24].strip()}-{theme}")
