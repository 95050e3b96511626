"""Do two consoles show what was typed and said, the bytes of it, and obey nothing of it?"""

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from labkit.api.frames import Frame
from labkit.errors import EngineError, EngineTimeout
from labkit.show.consoles import SHOWN, ConsolePiece, console_html, console_svg, console_text, read_text
from labkit.widgets.consoles import Consoles

HEADER = bytes([2, 0, 0, 0, 0, 0, 0, 3])


def test_the_bytes_stand_beside_the_words() -> None:
    """A frame shows its header and its words in hexadecimal, and whose they are."""
    drawn = console_html([ConsolePiece("stderr", b"no\n", HEADER)])

    assert "<b>02 00 00 00 00 00 00 03</b> 6e 6f 0a" in drawn
    assert 'data-stream="stderr"' in drawn and ">no\n<" in drawn


def test_a_hostile_container_is_shown_and_not_obeyed() -> None:
    """Markup, control sequences and endless output arrive as text, and as little of it as can be read."""
    said = [ConsolePiece("stdout", b"<script>\x1b[31m\x00" + b"x" * 1_000_000)] * 3 * SHOWN

    drawn = console_html(said)

    assert "<script>" not in drawn and "\x1b" not in drawn and "\x00" not in drawn
    assert f"… {2 * SHOWN} pieces before" in drawn
    assert len(drawn) < 300_000


def test_a_terminal_is_read_without_its_control_sequences() -> None:
    """What moves the cursor is left out, and what was typed is not taken for what was said."""
    assert "/ # hi\n" == read_text(
        [ConsolePiece("typed", b"echo hi\n"), ConsolePiece("bytes", b"\x1b[6n/ # \x1b[Jhi\r\n")]
    )


def test_text_and_picture_do_not_depend_on_which_pipe_was_first() -> None:
    """stdout and stderr in either order give the same to compare."""
    said = [ConsolePiece("typed", b"x\n"), ConsolePiece("stdout", b"out\n"), ConsolePiece("stderr", b"err\n")]

    assert "stderr: err\nstdout: out\ntyped: x" == console_text(said) == console_text(said[::-1])
    assert console_svg(said) == console_svg(said[::-1])
    assert "(nothing was said)" == console_text([])


class FakeTalk:
    """A container that repeats on stdout what it reads, to everyone who is attached."""

    attached: "list[FakeTalk]" = []

    def __init__(self) -> None:
        self.came: list[Frame] = []
        self.changed = threading.Condition()
        self.over = False
        self.attached.append(self)

    def send(self, data: bytes) -> None:
        for each in self.attached:
            with each.changed:
                each.came.append(Frame(1, b"heard " + data))
                each.changed.notify_all()

    def frames(self) -> Iterator[Frame]:
        while True:
            with self.changed:
                self.changed.wait_for(lambda: self.came or self.over)
                if self.over:
                    return
                frame = self.came.pop(0)
            yield frame

    def close(self) -> None:
        with self.changed:
            self.over = True
            self.changed.notify_all()


class FakeEngine:
    """Gives so many attachments, then no more."""

    def __init__(self, attachments: int) -> None:
        self.left = attachments

    def get(self, path: str) -> Any:
        return type("Exchange", (), {"json": lambda _: {"Config": {"Tty": False}}})()

    def hijack(self, *_: object, **__: object) -> FakeTalk:
        if not self.left:
            raise EngineError("enough")
        self.left -= 1
        return FakeTalk()


@pytest.fixture(autouse=True)
def nobody_attached() -> Iterator[None]:
    FakeTalk.attached = []
    threads = threading.active_count()
    yield
    assert threads == threading.active_count()


def test_what_one_types_both_hear() -> None:
    """A line typed on the left is answered on both, and stands as typed on the left alone."""
    both = Consoles(FakeEngine(2), "shared")  # type: ignore[arg-type]
    left, right = both
    left.type("hello")
    for console in both:
        console.wait_for("heard hello")
    both.stop()

    assert [["typed", "stdout"], ["stdout"]] == [[piece.stream for piece in console.items] for console in both]
    assert "two consoles on shared" == repr(both)
    assert all(control.disabled for console in both for control in console._controls)


def test_words_that_do_not_come_are_named() -> None:
    """Waiting for them ends in time, with what came instead."""
    both = Consoles(FakeEngine(2), "shared")  # type: ignore[arg-type]
    left, _ = both
    left.type("hello")
    left.wait_for("heard hello")
    with pytest.raises(EngineTimeout, match="shared did not say 'goodbye' within 0.05 s: 'heard hello"):
        left.wait_for("goodbye", seconds=0.05)
    both.stop()


def test_the_first_hangs_up_where_the_second_finds_no_engine() -> None:
    """No thread is left, and the engine's error arrives."""
    with pytest.raises(EngineError, match="enough"):
        Consoles(FakeEngine(1), "shared")  # type: ignore[arg-type]

    assert [True] == [talk.over for talk in FakeTalk.attached]


def test_a_container_that_never_stops_talking() -> None:
    """What is stored of it is the newest, and small."""
    said = console_text([ConsolePiece("stdout", b"y\n" * 16384)] * 2000)

    assert said.startswith(f"… {2000 - SHOWN} pieces before\n") and len(said) < 200_000


def test_keys_are_shown_as_terminals_show_them() -> None:
    """Ctrl-P and Ctrl-Q, typed, can be read; what a container says is not taken for keys."""
    drawn = console_html([ConsolePiece("typed", b"\x10\x11"), ConsolePiece("bytes", b"\x10")])

    assert ">^P^Q<" in drawn and "^P<" not in drawn


def test_a_line_is_typed_whole() -> None:
    """What was typed comes with its Enter, in one message."""
    both = Consoles(FakeEngine(2), "shared")  # type: ignore[arg-type]
    left, right = both
    left._line._handle_custom_msg({"line": "hello"}, [])
    right.wait_for("heard hello\n")
    both.stop()

    assert b"hello\n" == left.items[0].data
