"""Does the namespace map give the same letter, colour and pattern to those that share, and to them alone?"""

from xml.etree import ElementTree

from labkit.show.namespace_look import INKS, KINDS, arrange, ink_of, kinds_of, name_namespaces
from labkit.show.namespace_map import CELL_PX, namespace_map_html, namespace_map_svg, namespace_map_text
from tests.processes import BOX, LABELS, MACHINE, container, process
from tests.timing import best_s

SIX = ("uts", "ipc", "pid", "net", "mnt", "user")


def cells(page: str, pid: int) -> list[str]:
    """What the row of a process holds."""
    row = page.split(f'<tr data-pid="{pid}"')[1].split("</tr>")[0]
    return [cell.split("<td ")[-1] for cell in row.split("</td>")[:-1]]


def test_the_text_has_a_letter_for_each_namespace() -> None:
    """B is what came with box; pod has C, and shares the network of box. No number is in the text."""
    assert """\
                   uts  ipc  pid  net  mnt  user
python3            A    A    A    A    A    A
  dockerd          A    A    A    A    A    A
    containerd     A    A    A    A    A    A
  containerd-shim  A    A    A    A    A    A
    box            B    B    B    B    B    A
    box            B    B    B    B    B    A
  containerd-shim  A    A    A    A    A    A
    pod            C    C    C    B    C    A""" == namespace_map_text(MACHINE, SIX, LABELS)


def test_a_letter_is_a_colour_and_a_pattern() -> None:
    """Cells of one letter have one class, cells of neighbouring letters have others, and A has that of no colour."""
    page = namespace_map_html(MACHINE, SIX, LABELS)

    assert 'class="ns-of ns-1" data-n="4026530023">B' == cells(page, 24)[3] == cells(page, 44)[3]
    assert 'class="ns-of ns-2" data-n="4026530030">C' == cells(page, 44)[0]
    assert 'class="ns-of ns-0" data-n="4026530004">A' == cells(page, 7)[3]
    assert len(INKS) - 1 == len({ink_of(letter) for letter in "BCDEFG"})


def test_two_kinds_with_one_number_are_two_namespaces() -> None:
    """A number is compared within a column."""
    first, second = process(1, "a", uts=50, net=50), process(2, "b", uts=50, net=60)

    names = name_namespaces([first, second], ["uts", "net"])

    assert ("A", "A", "B") == (names["uts", 4026530050], names["net", 4026530050], names["net", 4026530060])


def test_who_brings_nothing_new_takes_no_letter() -> None:
    """After Z the letters begin again, with a number."""
    many = [process(1, "a"), process(2, "b"), *(process(9 + number, "c", uts=90 + number) for number in range(26))]

    names = name_namespaces(many, ["uts"])

    assert ["A", "B", "C"] == [*names.values()][:3] and "A2" == [*names.values()][26]


def test_what_cannot_be_read_is_no_letter() -> None:
    """A question mark, which no one can choose; the column is there if any process has it."""
    closed = process(1, "init", 0, uts=-1, net=-1)
    page = namespace_map_html([closed, process(2, "sh")], ("uts", "net"))

    assert ["title", "title"] == [cell.split("=")[0] for cell in cells(page, 1)]
    assert "data-n" not in cells(page, 1)[0] and ">?" in cells(page, 1)[0]
    assert "init  ?    ?" in namespace_map_text([closed, process(2, "sh")], ("uts", "net"))


def test_a_kernel_without_a_kind_has_no_column_for_it() -> None:
    """The columns are in the order of the notes."""
    assert tuple(KINDS) == kinds_of(MACHINE)
    assert tuple(KINDS)[:-1] == kinds_of([process(1, "a", time=-1)])
    assert 'data-kind="time"' not in namespace_map_html([process(1, "a", time=-1)])


def test_a_process_stands_below_its_parent() -> None:
    """Whose parent is not in the list stands at the left; the order is that of the list."""
    placed = [
        (row.process.pid, row.depth) for row in arrange([process(9, "a", 7), process(7, "b", 99), process(8, "c", 9)])
    ]

    assert [(7, 0), (9, 1), (8, 2)] == placed
    assert [(7, 0), (1, 0)] == [
        (row.process.pid, row.depth) for row in arrange([process(7, "a", 5), process(1, "b", 0)])
    ]


def test_names_may_hold_anything() -> None:
    """Neither markup nor control characters reach the page or the picture as they are."""
    evil = process(5, '<b>"\x1b\udcff')
    labels = {5: "<i>"}

    drawn = namespace_map_html([evil], (), labels), namespace_map_svg([evil], (), labels)

    assert not any(word in one for word in ("<b>&quot;", "<i>", "\x1b") for one in drawn)
    ElementTree.fromstring(drawn[1])
    drawn[0].encode()


def test_what_is_new_is_marked() -> None:
    """By a class, for a word and a movement; nothing else is."""
    page = namespace_map_html(MACHINE, SIX, LABELS, new={44})

    assert 1 == page.count("class=nm-new") and '<tr data-pid="44" class=nm-new' in page


def test_many_that_are_alike_are_folded() -> None:
    """Sisters with one name and the same namespaces: four are shown, and the rest is hidden behind a button."""
    page = namespace_map_html([process(1, "sh", 0), *(process(9 + number, "sleep") for number in range(8))])

    assert 4 == page.count('data-fold="9" hidden')
    other = [process(9 + number, "sleep", uts=50 + number) for number in range(8)]
    assert "data-fold" not in namespace_map_html([process(1, "sh", 0), *other])


def test_three_hundred_processes_are_drawn_at_once() -> None:
    """In less than a quarter of a second, as no more than 300 kB, though all differ."""
    many = [process(1, "init", 0)]
    many += [process(10 + n, f"p{n}", 1, 1, **container(100 + 10 * n)) for n in range(300)]
    seconds, page = best_s(lambda: namespace_map_html(many, new={20}))

    assert seconds < 0.25
    assert len(page) < 300_000 and 301 == page.count("data-pid=")


def test_the_still_picture_is_the_same_from_run_to_run() -> None:
    """It is well-formed, has no number, names at most forty rows, and says when it differs."""
    drawn = namespace_map_svg(MACHINE, SIX, LABELS)

    ElementTree.fromstring(drawn)
    assert all(len(word) * 7 < CELL_PX for kind in KINDS.values() for word in kind.words.split())  # 7 px a letter
    assert "40265" not in drawn and "differs" not in drawn
    later = [one._replace(pid=one.pid + 1000, ppid=one.ppid + 1000) for one in MACHINE]
    assert drawn == namespace_map_svg(later, SIX, {pid + 1000: name for pid, name in LABELS.items()})
    many = namespace_map_svg([process(1 + n, "sh", 0, **BOX) for n in range(50)], differs=True)
    assert "and 10 more" in many and 'data-differs="1"' in many
