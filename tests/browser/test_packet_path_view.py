"""Does the packet path view answer in a browser: a packet sent by a button, hops chosen by mouse and by keyboard?"""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Locator, expect

from tests.browser.lab import THEMES, JupyterLab, Notebook, find_weak, keep_picture

OPEN, VIEW, PING, STOP = range(4)
CELLS = [
    """
from labkit.isolation.network import HAND, Wiring, attach, make_bridge
from labkit.lesson import open_lesson, sh
from labkit.widgets.packet_path import watch_packets
lesson = open_lesson("x")
net = lesson.keep(Wiring())
net.do("ip netns add hand")
make_bridge(net)
attach(net, "/run/netns/hand", HAND, "10.200.0.2")
out = "nsenter --net=/run/netns/hand busybox ping -c 1 -W 1 10.0.2.2"
print("ready")
""",
    """
view = lesson.keep(watch_packets({"hand": "/run/netns/hand"}, {"ping": out}))
view
""",
    "print(sh(out).status)",
    "view.stop()",
]


@pytest.fixture
def notebook(lab_of: Callable[[str], JupyterLab], browser: Browser) -> Iterator[Notebook]:
    """A notebook of its own, with a network that was built by hand."""
    with lab_of("native").open_cells(browser, "packets", CELLS) as opened:
        yield opened


def show(notebook: Notebook) -> Locator:
    """Run the cell of the view; give its output."""
    notebook.run_cell(VIEW)
    view = notebook.page.locator(".jp-Cell-outputArea").filter(has=notebook.page.locator(".p-bar"))
    view.locator(".p-picture svg").wait_for()
    notebook.wait_until_idle()
    view.scroll_into_view_if_needed()
    return view


def hop(view: Locator, number: int) -> Locator:
    return view.locator(f'[role=option][data-hop="{number}"]')


def press(view: Locator, name: str) -> None:
    view.get_by_role("button", name=name, exact=True).click()


def send(view: Locator) -> None:
    press(view, "ping")
    expect(view.locator("[role=option]")).to_have_count(11)


def test_a_packet_is_sent_and_followed_by_mouse(notebook: Notebook) -> None:
    """The button sends; a hop that is chosen is explained, and its place stands out; the numbers can be clicked."""
    view = show(notebook)
    expect(view.locator("[role=option]")).to_have_count(0)
    send(view)
    expect(view.locator("output")).to_contain_text("busybox ping -c 1 -W 1 10.0.2.2")
    expect(hop(view, 1)).to_have_attribute("aria-selected", "true")
    hop(view, 5).click()
    expect(view.locator(".p-says")).to_contain_text("Hop 5: POSTROUTING.")
    expect(view.locator(".p-now")).to_have_attribute("data-station", "this machine/POSTROUTING")
    press(view, "hop ›")
    expect(view.locator(".p-says")).to_contain_text("Hop 6: the card.")
    view.locator('.p-disc[data-hop="11"]').click()
    expect(view.locator(".p-now.p-back")).to_have_attribute("data-station", "hand/eth0")
    expect(view.get_by_role("button", name="hop ›")).to_be_disabled()


def test_it_works_by_keyboard(notebook: Notebook) -> None:
    """Tab and Enter send a packet; the arrows go from hop to hop, into the answer, and not beyond its end."""
    view = show(notebook)
    keyboard = notebook.page.keyboard
    view.get_by_role("button", name="ping", exact=True).focus()
    keyboard.press("Enter")
    expect(view.locator("[role=option]")).to_have_count(11)
    hop(view, 1).focus()
    for number in range(2, 12):
        keyboard.press("ArrowDown" if number % 2 else "ArrowRight")
        expect(hop(view, number)).to_be_focused()
    keyboard.press("ArrowDown")
    expect(hop(view, 11)).to_be_focused()
    keyboard.press("ArrowUp")
    expect(hop(view, 10)).to_have_attribute("aria-selected", "true")


def test_counters_move(notebook: Notebook) -> None:
    """Whoever sends: here a cell. The drawing and the choice stay as they are."""
    view = show(notebook)
    send(view)
    hop(view, 3).click()
    counter = view.locator('[data-count="hand/eth0"] text')
    before = int((counter.text_content() or "").split()[0])
    notebook.run_cell(PING)
    expect(counter).not_to_have_text(f"{before} packets")
    assert int((counter.text_content() or "").split()[0]) > before
    expect(hop(view, 3)).to_have_attribute("aria-selected", "true")


def test_it_ends(notebook: Notebook) -> None:
    """A view that is stopped sends nothing more and says how to go on; its hops can still be chosen."""
    view = show(notebook)
    send(view)
    notebook.run_cell(STOP)
    expect(view.locator("output")).to_contain_text("Run the cell again")
    expect(view.get_by_role("button", name="ping", exact=True)).to_be_hidden()
    press(view, "hop ›")
    expect(hop(view, 2)).to_have_attribute("aria-selected", "true")


@pytest.mark.parametrize("theme", THEMES)
def test_it_can_be_read_in_a_narrow_page(notebook: Notebook, theme: str, pytestconfig: pytest.Config) -> None:
    """At 900 px nothing is cut off, and every text of the lists stands out from its ground."""
    notebook.set_theme(theme)
    notebook.make_narrow(1100)
    view = show(notebook)
    send(view)
    hop(view, 5).click()
    notebook.page.wait_for_timeout(2000)  # until no counter is marked any more
    weak = find_weak(*view.locator(".lk").all())
    keep_picture(view, pytestconfig, f"packet-path-{theme.split()[-1]}")
    assert [] == weak
    assert view.locator(".p-picture").evaluate("one => one.scrollWidth <= one.clientWidth")
