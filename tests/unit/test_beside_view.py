"""Does the side-by-side view show each way, and keep what differs from run to run out of what is stored?"""

from labkit.show.beside import beside_html, beside_svg, beside_text
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


def test_masks() -> None:
    """Ids, digests and points in time are masked; short hex words and ports are not."""
    assert mask(f"sha256:{'0' * 64} Thu, 26 Nov 2026 10:00:00 GMT 2026-11-26T10:00:00.5Z") == "<id> <time> <time>"
    assert mask("cafe 5678 1.41") == "cafe 5678 1.41"
