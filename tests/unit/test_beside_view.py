"""Does the side-by-side view show each way, and keep what differs from run to run out of what is stored?"""

from xml.etree import ElementTree

import pytest

from labkit.show.beside import MAX_CHARACTERS, beside_html, beside_svg, beside_text
from labkit.show.still import mask

PANES = {"curl": "$ curl <b>\n" + "ab" * 32, "raw": "\n".join(map(str, range(99)))}


def test_every_pane_is_there_as_text() -> None:
    """Each way has its name and its text, and markup in it is not obeyed."""
    drawn = beside_html(PANES)

    assert ">curl<" in drawn and ">raw<" in drawn and "&lt;b&gt;" in drawn and "<b>" not in drawn


def test_the_stored_forms_hold_no_identity() -> None:
    """Text and picture of two runs are the same."""
    other = {**PANES, "curl": "$ curl <b>\n" + "cd" * 32}

    assert beside_text(PANES) == beside_text(other) == "side by side: curl, raw"
    assert beside_svg(PANES) == beside_svg(other)


def test_the_picture_is_cut() -> None:
    """A long answer shows its beginning, and that there is more."""
    drawn = beside_svg(PANES)

    assert ">0<" in drawn and ">…<" in drawn and ">98<" not in drawn


@pytest.mark.parametrize(("length", "is_cut"), [(MAX_CHARACTERS, False), (MAX_CHARACTERS + 1, True)])
def test_a_long_pane_is_cut_with_a_mark(length: int, is_cut: bool) -> None:
    """Who reads it to the end sees that there is more, and only where there is."""
    assert is_cut == ("…</pre>" in beside_html({"log": "a" * length}))


def test_what_xml_forbids_is_replaced() -> None:
    """Colours of a terminal and the bytes of a program come in outputs; the picture stays one that can be drawn."""
    forbidden = "\x1b[1mred\0\x08\x0b\ufffe\ud800"

    drawn = beside_svg({"curl": f"{forbidden} é 😀"})

    texts = [element.text for element in ElementTree.fromstring(drawn).iter("{http://www.w3.org/2000/svg}text")]
    assert ["curl", "\ufffd[1mred\ufffd\ufffd", "\ufffd\ufffd é 😀"] == texts


def test_masks() -> None:
    """Ids, digests and points in time are masked; short hex words and ports are not."""
    assert mask(f"sha256:{'0' * 64} Thu, 26 Nov 2026 10:00:00 GMT 2026-11-26T10:00:00.5Z") == "<id> <time> <time>"
    assert mask("cafe 5678 1.41") == "cafe 5678 1.41"
