"""Does the cut through two frames show what each reader gets, at every place?"""

import re

import pytest

from labkit.api.frames import Frame, build_frame, parse_frames
from labkit.errors import EngineProtocolError
from labkit.show.frame import cut_html, cut_svg, cut_text, frames_html, join_frames, printable, take_for_messages
from labkit.widgets.frame import MAX_BYTES, cut_frame

FRAMES = [Frame(1, b"out\n"), Frame(2, b"err\n")]
WHOLE = join_frames(FRAMES)


def words_of(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


def test_a_reader_of_chunks_is_right_in_one_place_only() -> None:
    """Of all cuts the one between the frames alone gives that reader what was said; the other is always right."""
    right = [cut for cut in range(len(WHOLE) + 1) if "right, by luck" in cut_html(FRAMES, cut)]

    assert [12] == right
    assert all("right, wherever the cut is" in cut_html(FRAMES, cut) for cut in range(len(WHOLE) + 1))
    assert all((take_for_messages([WHOLE[:cut], WHOLE[cut:]]) == FRAMES) == (cut == 12) for cut in range(1, len(WHOLE)))


@pytest.mark.parametrize(
    ("cut", "words"),
    [
        (0, "two frames, one message"),
        (5, "chunk 1 is a header without its words"),
        (10, "chunk 1 lacks words"),
        (14, "chunk 1 has a piece of the second header"),
        (22, "chunk 1 has a piece of the second header"),
        (24, "two frames, one message"),
    ],
)
def test_what_goes_wrong_is_named(cut: int, words: str) -> None:
    """At each place the sentence fits what the chunks hold."""
    assert f"wrong: {words}" in words_of(cut_html(FRAMES, cut))


@pytest.mark.parametrize(
    ("cut", "words"),
    [
        (3, "chunk 1: keeps 3 of the 8 bytes of a header, and waits"),
        (8, "chunk 1: the header says 4 bytes; 0 of them are here: it waits"),
        (10, "chunk 1: the header says 4 bytes; 2 of them are here: it waits"),
        (12, r"chunk 1: stdout: out\n chunk 2: stderr: err\n"),
        (14, r"chunk 1: stdout: out\n ; keeps 2 of the 8 bytes of a header, and waits chunk 2: stderr: err\n"),
        (24, r"chunk 1: stdout: out\n ; stderr: err\n"),
    ],
)
def test_what_a_patient_reader_waits_for_is_named(cut: int, words: str) -> None:
    """It keeps a part of a header, or counts what the header announced."""
    assert words in words_of(cut_html(FRAMES, cut))


def test_every_byte_has_a_cell() -> None:
    """All bytes stand in one row, in order, the fields of each header above."""
    cells = re.findall(r'<span class="lkf-cell[^"]*">(..)<', frames_html(FRAMES))

    assert WHOLE == bytes.fromhex("".join(cells))
    assert 2 == words_of(frames_html(FRAMES)).count("stream length bytes")


def test_the_text_and_the_still_picture_hold_the_bytes() -> None:
    """Who reads the stored notebook sees the header's fields and what they say."""
    assert r"frame 2: 02 00 00 00 | 00 00 00 04 | 65 72 72 0a   (stderr | 4 bytes | err\n)" in cut_text(FRAMES)
    assert all(f">{byte:02x}<" in cut_svg(FRAMES) for byte in WHOLE)


def test_words_and_streams_are_changed() -> None:
    """The bytes follow, and so does the length; what is too long is cut, in bytes; the cut stays within."""
    view = cut_frame(WHOLE)
    view.cut = 24
    view.texts = ["", "é" * 20]
    view.streams = [2, 1]

    assert [Frame(2, b"\n"), Frame(1, ("é" * 20).encode()[: MAX_BYTES - 1] + b"\n")] == view.frames
    assert (8 + 1 + 8 + MAX_BYTES, view.size + 1) == (view.size, len(view.readers))
    assert view.frames == list(parse_frames([join_frames(view.frames)]))
    view.texts = ["", ""]
    assert view.cut <= view.size == 18


def test_what_is_no_pair_of_frames_is_refused() -> None:
    """One frame, or bytes that are none."""
    with pytest.raises(ValueError, match="two frames are needed, and these bytes hold 1"):
        cut_frame(build_frame(1, b"x"))
    with pytest.raises(EngineProtocolError):
        cut_frame(b"hello, world")
    assert FRAMES == cut_frame().frames


def test_markup_in_words_is_text() -> None:
    """A learner's own words are shown, not obeyed."""
    hostile = [Frame(1, b"<b>'\"\n"), Frame(2, b"&\n")]

    assert "<b>'" not in frames_html(hostile) + "".join(cut_html(hostile, cut) for cut in range(24))
    assert "&lt;" in frames_html(hostile)
    assert "it's" == printable(b"it's") and '"' == printable(b'"')
