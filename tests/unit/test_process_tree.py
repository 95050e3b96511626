"""Does the process tree put each process below its parent, and in a frame of namespaces that the parent is not in?"""

from functools import partial
from html.parser import HTMLParser
from xml.etree import ElementTree

from labkit.show.process_outline import Fold, Frame, outline
from labkit.show.process_tree import process_tree_html, process_tree_svg, process_tree_text
from tests.processes import BOX, LABELS, MACHINE, container, process
from tests.timing import best_s


class Nesting(HTMLParser):
    """In how many elements each process lies, and whether all that begins ends."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.frames: dict[str, list[str]] = {}  # of each process: the frames around it
        self.open: list[tuple[str, str]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if tag in ("path", "rect", "circle", "input"):
            return
        self.open.append((tag, found.get("aria-label") or ""))
        if tag == "details" and (found.get("data-id") or "").isdigit():
            self.frames[str(found["data-id"])] = [label for name, label in self.open if name == "section"]

    def handle_endtag(self, tag: str) -> None:
        if tag not in ("path", "rect", "circle", "input"):
            assert tag == self.open.pop()[0]


def test_the_text_is_an_outline() -> None:
    """Frames hold what runs in them; a network that was there before is told as another one's."""
    assert """\
python3
  dockerd
    containerd
  containerd-shim
    [B: uts ipc pid net mnt]
      box: sleep, number 1 inside
      box: sh, number 8 inside
  containerd-shim
    [C: uts ipc pid mnt, net of B]
      pod: sleep, number 1 inside""" == process_tree_text(MACHINE, LABELS)


def test_the_page_is_nested_as_the_outline_is() -> None:
    """Each process lies in the frames of its namespaces, and in no other."""
    nesting = Nesting(process_tree_html(MACHINE, LABELS))

    assert [] == nesting.open
    assert [] == nesting.frames["7"] == nesting.frames["40"]
    assert ["namespaces B: uts ipc pid net mnt"] == nesting.frames["24"] == nesting.frames["29"]
    assert ["namespaces C: uts ipc pid mnt, net of B"] == nesting.frames["44"]


def test_a_frame_stands_in_a_frame() -> None:
    """A process in a container that has left one more namespace; its child is with it."""
    deeper = [process(50, "unshare", 24, 20, **BOX | {"uts": 90}), process(51, "sh", 50, 21, **BOX | {"uts": 90})]

    nesting = Nesting(process_tree_html([*MACHINE, *deeper], LABELS))

    assert ["namespaces B: uts ipc pid net mnt", "namespaces C: uts"] == nesting.frames["50"] == nesting.frames["51"]


def test_who_comes_back_to_the_machine_is_framed_as_well() -> None:
    """A child in the machine's own network, as after setns: A is another one's letter."""
    back = process(50, "nsenter", 24, 20, **BOX | {"net": 4})

    (frame,) = (
        node.what for node in outline([*MACHINE, back]) if isinstance(node.what, Frame) and back in node.what.members
    )

    assert ({"A": ["net"]}, {"A"}) == (frame.kinds, set(frame.joined))


def test_a_namespace_that_cannot_be_read_makes_no_frame() -> None:
    """Nobody knows whether it is another one."""
    closed = process(5, "sh", 1, net=-1, uts=-1)

    assert "python3\n  sh" == process_tree_text([MACHINE[0], closed])


def test_many_that_are_alike_are_one_line() -> None:
    """Four, and how many more; who has children is never folded away."""
    many = [process(1, "init", 0), *(process(10 + n, "sleep") for n in range(9)), process(40, "cat", 18)]

    assert """\
init
  sleep
  sleep
  sleep
  sleep
  4 more sleep
  sleep
    cat""" == process_tree_text(many)
    assert 1 == sum(isinstance(node.what, Fold) for node in outline(many))
    assert {*map(str, (1, *range(10, 19), 40))} == {*Nesting(process_tree_html(many)).frames}


def test_a_process_has_its_proof() -> None:
    """Its parent, its numbers from outside inwards, its namespaces; the engine's parts have the course's words."""
    page = process_tree_html(MACHINE, LABELS, new={44})
    box = page.split('data-id="24"')[1].split("</details>")[0]

    assert "PPid:  20\nNSpid: 24  1\n" in box and "uts:[4026530020]" in box and "24, 1 inside" in box
    assert "It answers requests" in page.split('data-id="7"')[1].split("</details>")[0]
    assert "The parent of one container" in page.split('data-id="20"')[1].split("</details>")[0]
    assert 1 == page.count("pt-node pt-new")


def test_names_may_hold_anything() -> None:
    """Neither markup nor control characters reach the page or the picture as they are."""
    evil, labels = process(5, '<b>"\x1b\udcff', 0, 1, **BOX), {5: "<i>"}

    drawn = process_tree_html([evil], labels), process_tree_svg([evil], labels)

    assert not any(word in one for word in ("<b>&quot;", "<i>", "\x1b") for one in drawn)
    ElementTree.fromstring(drawn[1])
    drawn[0].encode()


def test_three_hundred_processes_are_drawn_at_once() -> None:
    """In less than a quarter of a second: all apart, or each the child of the one before."""
    apart = [process(1, "init", 0), *(process(10 + n, f"p{n}", 1, 1, **container(100 + 10 * n)) for n in range(300))]
    chain = [process(1 + n, f"p{n}", n) for n in range(300)]
    for many in (apart, chain):
        seconds, page = best_s(partial(process_tree_html, many))
        assert seconds < 0.25
        assert len(page) < 500_000 and len(many) == page.count('<details data-id="')


def test_the_still_picture_is_the_same_from_run_to_run() -> None:
    """It is well-formed, has no number, names at most sixty lines, and says when it differs."""
    drawn = process_tree_svg(MACHINE, LABELS)

    ElementTree.fromstring(drawn)
    assert "40265" not in drawn and "differs" not in drawn and 'height="' in drawn
    later = [one._replace(pid=one.pid + 1000, ppid=one.ppid + 1000) for one in MACHINE]
    assert drawn == process_tree_svg(later, {pid + 1000: name for pid, name in LABELS.items()})
    many = process_tree_svg([process(1 + n, f"p{n}", 0) for n in range(70)], differs=True)
    assert "and 10 more" in many and 'data-differs="1"' in many


def test_nobody_is_an_empty_tree() -> None:
    """No process, no line."""
    assert "" == process_tree_text([])
    assert [] == Nesting(process_tree_html([])).open
