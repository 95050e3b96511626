"""Do two windows show what was typed and said, the bytes of it, why they ended, and obey nothing of it?"""

import re
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from labkit.api.frames import Frame
from labkit.errors import EngineError, EngineProtocolError, EngineTimeout
from labkit.show.consoles import (
    COLLEAGUE,
    FLOWS,
    NOTE,
    ROWS,
    YOU,
    ConsolePiece,
    Shared,
    consoles_html,
    consoles_svg,
    consoles_text,
    read_text,
    screen_html,
)
from labkit.widgets.consoles import BYTES_PER_S, DRAWN_BYTES, XTERM, Consoles

PIPES = Shared("shared", False, "json-file")
TERMINAL = Shared("typed", True, "json-file")
SOON_S = 5.0


def piece(stream: str, data: bytes, console: str = YOU) -> ConsolePiece:
    header = bytes([{"stdout": 1, "stderr": 2}[stream], 0, 0, 0]) + len(data).to_bytes(4) if "std" in stream else b""
    return ConsolePiece(stream, data, header, console)


def to_both(stream: str, data: bytes) -> list[ConsolePiece]:
    return [piece(stream, data, console) for console in (YOU, COLLEAGUE)]


def words_of(html: str) -> str:
    """What can be read, without what is only for the eye."""
    return re.sub(r"\s+", " ", re.sub(r"<style>.*?</style>|<[^>]+>", " ", html))


def test_a_frame_is_a_block() -> None:
    """The stream's four bytes, the length's four bytes, then the words: each in hexadecimal and as what it means."""
    drawn = words_of(consoles_html([piece("stderr", b"no\n")], 0, PIPES))

    assert "02 00 00 00 stderr 00 00 00 03 3 bytes 6e n 6f o 0a" in drawn


def test_a_frame_that_came_to_both_is_drawn_once() -> None:
    """It went to both windows and to the log; one that came to one window alone says so; twice the same is two."""
    said = [*to_both("stdout", b"x\n"), *to_both("stdout", b"x\n"), piece("stderr", b"y\n", COLLEAGUE)]

    drawn = words_of(consoles_html(said, 0, PIPES))

    assert 2 == drawn.count("to both windows and the log")
    assert 1 == drawn.count("to your colleague and the log")
    assert "and the log" not in words_of(consoles_html(said, 0, PIPES._replace(log="none")))


def test_keys_are_one_piece_and_answers_of_a_terminal_are_not_typed() -> None:
    """Keys in a row are drawn together, up to Enter; where the cursor is, the terminal tells by itself."""
    keys = [piece("typed", letter) for letter in (b"l", b"s", b"\r", b"x", b"\x1b[5;5R", b"y")]

    drawn = consoles_html(keys, 0, TERMINAL)

    assert 4 == drawn.count('class="lkc-row"')
    assert "6c l 73 s 0d" in words_of(drawn)
    assert "your terminal tells where its cursor is" in words_of(drawn)


def test_a_terminal_has_no_header_and_one_pipe_out() -> None:
    """The map of a container without a terminal names three pipes; with one it does not."""
    assert all(name in consoles_html([], 0, PIPES) for name in ("0 stdin", "1 stdout", "2 stderr"))
    drawn = consoles_html([ConsolePiece("bytes", b"hi")], 0, TERMINAL)
    assert "stderr" not in words_of(drawn).split("Look for")[0] and "lkf-length" not in drawn


def test_a_window_that_is_hung_up_is_cut_off() -> None:
    """Its arms to the three pipes are drawn cut, the other window's are not."""
    assert 3 == consoles_html([], 0, PIPES, [YOU]).count('data-side="left" data-way="out" data-cut') + 1
    assert 0 == consoles_html([], 0, PIPES, [YOU]).count('data-side="right" data-way="out" data-cut')


def test_a_hostile_container_is_shown_and_not_obeyed() -> None:
    """Markup, control sequences and endless output arrive as text, and as little of it as can be read."""
    markup = b"<script>\x1b[31m\x00"
    said = [piece("stdout", markup + b"x" * 1_000_000 + b"\n" + markup)] * 3 * ROWS
    hostile = Shared("<script>", False, "<script>")

    screen, drawn = screen_html(said, YOU), consoles_html(said, 0, hostile)
    still = consoles_svg(said, hostile)

    for one in (screen, drawn, still):
        assert "<script>" not in one and "\x1b" not in one and "\x00" not in one and len(one) < 300_000
    assert "&lt;script&gt;" in screen and "… 597 pieces before" in screen
    assert FLOWS == drawn.count('class="lkc-row"')


def test_a_terminal_is_read_without_its_control_sequences() -> None:
    """What moves the cursor is left out, and what was typed is not taken for what was said."""
    said = [ConsolePiece("typed", b"echo hi\n"), ConsolePiece("bytes", b"\x1b[6n/ # \x1b[Jhi\r\n")]

    assert "/ # hi\n" == read_text(said)


TALK = [
    piece("typed", b"a\n"),
    *to_both("stderr", b"oops a\n"),
    *to_both("stdout", b"heard a\n"),
    piece("typed", b"b\n", COLLEAGUE),
    *to_both("stdout", b"heard b\n"),
    piece(NOTE, b"You ended the input."),
]


def test_the_text_is_in_the_order_in_which_it_happened() -> None:
    """What was typed stands above its answer; each window has its own; of two pipes stdout comes first."""
    assert consoles_text(TALK, PIPES).splitlines() == [
        "two windows on shared",
        "",
        "you:",
        "  > a",
        "  heard a",
        "  stderr: oops a",
        "  heard b",
        "  -- You ended the input.",
        "",
        "your colleague:",
        "  heard a",
        "  stderr: oops a",
        "  > b",
        "  heard b",
    ]
    assert 2 == consoles_text([], PIPES).count("(nothing yet)")


def test_text_and_picture_do_not_depend_on_which_pipe_was_first() -> None:
    """stdout and stderr in either order, or in other pieces, give the same to compare."""
    other = [TALK[0], *TALK[3:5], *TALK[1:3], *TALK[5:]]
    cut = [*TALK[:1], *to_both("stderr", b"oops"), *to_both("stderr", b" a\n"), *TALK[3:]]

    assert consoles_text(TALK, PIPES) == consoles_text(other, PIPES) == consoles_text(cut, PIPES)
    assert consoles_svg(TALK, PIPES) == consoles_svg(other, PIPES)
    assert "your colleague" in consoles_svg(TALK, PIPES)


def test_twelve_lines_keep_their_order() -> None:
    """Line 10 stands after line 2."""
    lines = [piece("stdout", f"line {number}\n".encode()) for number in range(1, 13)]

    assert [f"  line {number}" for number in range(1, 13)] == consoles_text(lines, PIPES).splitlines()[3:15]


def test_a_terminal_is_not_compared() -> None:
    """What a terminal says may be cut anywhere: the text names the container alone, and the picture says so."""
    said = [ConsolePiece("bytes", b"/ # ")]

    assert "two windows on typed, which has a terminal" == consoles_text(said, TERMINAL)
    assert "data-differs" in consoles_svg(said, TERMINAL) and "data-differs" not in consoles_svg(said, PIPES)


def test_a_container_that_never_stops_talking() -> None:
    """What is stored of it is the newest, and small."""
    said = consoles_text([piece("stdout", b"y\n" * 16384)] * 2000, PIPES)

    assert "lines before" in said and len(said) < 200_000


def test_keys_are_shown_as_terminals_show_them() -> None:
    """Ctrl-P and Ctrl-Q, typed, can be read; what a container says is not taken for keys."""
    drawn = screen_html([piece("typed", b"\x10\x11"), piece("stdout", b"\x10")], YOU)

    assert ">^P^Q<" in drawn and ">^P<" not in drawn


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
        if data in (b"exit\n", b"\x11"):
            for each in self.attached if data == b"exit\n" else [self]:
                each.close()

    def frames(self) -> Iterator[Frame]:
        while True:
            with self.changed:
                self.changed.wait_for(lambda: self.came or self.over)
                if not self.came:
                    return
                frame = self.came.pop(0)
            yield frame

    def __iter__(self) -> Iterator[bytes]:
        return (frame.payload for frame in self.frames())

    def close_write(self) -> None:
        self.close()  # as the engine does where the container's stdin stays open

    def close(self) -> None:
        with self.changed:
            self.over = True
            self.changed.notify_all()


class FakeEngine:
    """Gives so many attachments, then no more; `asked` are the requests besides."""

    def __init__(self, attachments: int = 2, *, tty: bool = False, running: bool = True) -> None:
        self.left = attachments
        self.asked: list[tuple[str, Any]] = []
        self.found = {
            "Config": {"Tty": tty, "StdinOnce": False},
            "HostConfig": {"LogConfig": {"Type": "json-file"}},
            "State": {"Running": running, "ExitCode": 3},
        }

    def get(self, path: str) -> Any:
        return type("Exchange", (), {"json": lambda _: self.found})()

    def post(self, path: str, query: Any) -> None:
        self.asked.append((path, query))

    def hijack(self, *_: object, **__: object) -> FakeTalk:
        if not self.left:
            raise EngineError("enough")
        self.left -= 1
        return FakeTalk()

    def close(self) -> None: ...


Attach = Callable[..., Consoles]


@pytest.fixture
def attach() -> Iterator[Attach]:
    """Attach to a container of a FakeEngine; hang up after the test, and leave no thread."""
    FakeTalk.attached = []
    threads = threading.active_count()
    made: list[Consoles] = []

    def attach(**options: Any) -> Consoles:
        made.append(Consoles(FakeEngine(**options), "shared"))  # type: ignore[arg-type]
        return made[-1]

    yield attach
    for both in made:
        both.stop()
    assert threads == threading.active_count()


def do(both: Consoles, **content: object) -> None:
    """What somebody does on the page."""
    both._windows._handle_custom_msg(content, [])


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SOON_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_what_one_types_both_hear(attach: Attach) -> None:
    """A line typed on the left is answered on both, and stands as typed on the left alone; typed, then answered."""
    both = attach()
    left, right = both
    left.type("hello")
    for console in both:
        console.wait_for("heard hello")
    both.stop()

    assert [["typed", "stdout", NOTE], ["stdout", NOTE]] == [[one.stream for one in console.items] for console in both]
    assert "> hello\n  heard hello" in repr(both) and repr(both) == both._repr_mimebundle_()["text/plain"]
    assert "you" == left.name and "your colleague" == right.name


def test_a_live_view_is_stored_as_it_is(attach: Attach) -> None:
    """Its text and its picture have what was said until now: the windows live on when their cell is over."""
    both = attach()
    left, _ = both
    left.type("hello")
    for console in both:
        console.wait_for("heard hello")

    bundle = both._repr_mimebundle_()

    assert both.is_live and "heard hello" in bundle["text/plain"] and "heard hello" in bundle["image/svg+xml"]


def test_words_that_do_not_come_are_named(attach: Attach) -> None:
    """Waiting for them ends in time, with what came instead."""
    left, _ = attach()
    left.type("hello")
    left.wait_for("heard hello")
    with pytest.raises(EngineTimeout, match="shared did not say 'goodbye' within 0.05 s: 'heard hello"):
        left.wait_for("goodbye", seconds=0.05)


def test_the_first_hangs_up_where_the_second_finds_no_engine(attach: Attach) -> None:
    """No thread is left, and the engine's error arrives."""
    with pytest.raises(EngineError, match="enough"):
        attach(attachments=1)

    assert [True] == [talk.over for talk in FakeTalk.attached]


def test_a_line_is_typed_whole(attach: Attach) -> None:
    """What was typed on the page comes with its Enter, in one message."""
    both = attach()
    left, right = both
    do(both, window=0, line="hello")
    right.wait_for("heard hello\n")

    assert b"hello\n" == left.items[0].data


def test_a_window_whose_input_has_ended_says_so_and_takes_no_more(attach: Attach) -> None:
    """It names why; the program's `type` says the same; the other window still types."""
    both = attach()
    left, right = both
    do(both, window=0, end=True)
    wait_until(lambda: both._windows.takes == [False, True] and "hung up" in both._windows.said[0])

    assert both._windows.said[0].startswith("You ended the input. The engine hung up this window.")
    with pytest.raises(EngineProtocolError, match="you can type no more here: You ended the input"):
        left.type("more")
    left.end_input()
    right.type("still here")
    right.wait_for("heard still here")
    do(both, window=0, line="a click that was too late")
    assert b"a click" not in b"".join(one.data for one in left.items)


def test_who_ended_the_shell_is_said_to_both(attach: Attach) -> None:
    """`exit` of one ends the container for both, and both windows name who typed it."""
    both = attach(running=False)
    _, right = both
    right.type("exit")
    wait_until(lambda: not both.is_live and both._windows.takes == [False, False])

    words = "Your colleague typed exit. The container has ended, with status 3, for both of you."
    wait_until(lambda: [words, words] == both._windows.said)


def test_a_container_that_ended_otherwise_accuses_nobody(attach: Attach) -> None:
    """Whoever typed last typed no word that ends a shell: a kill came from elsewhere."""
    both = attach(running=False)
    left, _ = both
    left.type("hello")
    left.wait_for("hello")
    for talk in FakeTalk.attached:
        talk.close()
    wait_until(lambda: ["The container has ended, with status 3, for both of you."] * 2 == both._windows.said)


def test_keys_one_by_one_detach(attach: Attach) -> None:
    """Ctrl-P and Ctrl-Q, each a message of its own, as a keyboard sends them; the window says who left."""
    both = attach(tty=True)
    for key in ("l", "\x10", "\x11"):
        do(both, window=0, keys=key)
    wait_until(lambda: "You typed Ctrl-P Ctrl-Q" in both._windows.said[0])

    assert [False, True] == both._windows.takes and both.is_live


def test_a_hang_up_is_said(attach: Attach) -> None:
    """When the lesson closes, both windows say so, and take no more."""
    both = attach()
    both.stop()

    assert ["Both windows were hung up."] * 2 == both._windows.said
    assert [False, False] == both._windows.takes
    with pytest.raises(EngineProtocolError, match="hung up"):
        both.consoles[0].type("x")


def test_a_terminal_gets_its_size_from_the_page_or_the_program(attach: Attach) -> None:
    """Each asks the engine once; what the program chose, the page does not change by itself."""
    both = attach(tty=True)
    do(both, size=[20, 50])
    assert ([20, 50], False) == (both._windows.size, both._windows.chosen)
    both.consoles[0].resize(43, 132)

    assert ([43, 132], True) == (both._windows.size, both._windows.chosen)
    asked = [query for path, query in both._engine.asked if path == "/containers/shared/resize"]  # type: ignore[attr-defined]
    assert [{"h": 20, "w": 50}, {"h": 43, "w": 132}] == asked


def test_a_page_gets_what_a_terminal_said_last(attach: Attach) -> None:
    """Numbered pieces for each window, bounded, so that a key does not send again all that was ever said."""
    both = attach(tty=True)
    left, _ = both
    left.send(b"x" * DRAWN_BYTES)
    left.send(b"last")
    newest = lambda: {window: words[-4:] for _, window, words in both._windows.output}  # noqa: E731
    wait_until(lambda: {0: "last", 1: "last"} == newest())

    output = both._windows.output
    assert sorted(one[0] for one in output) == [one[0] for one in output]
    assert 2 * DRAWN_BYTES >= sum(len(one[2]) for one in output) > DRAWN_BYTES
    assert [] == [one for one in both._windows.screens if one]


def test_the_library_is_sent_where_there_is_a_terminal(attach: Attach) -> None:
    """xterm.js is the file of the package, unchanged; two windows of lines do without it."""
    assert (XTERM / "xterm.mjs").read_text() == attach(tty=True)._windows.library
    assert "" == attach()._windows.library
    assert (
        "6.0.0" in (XTERM / "README.md").read_text()
        and "Permission is hereby granted" in (XTERM / "LICENSE").read_text()
    )


def test_a_flood_leaves_the_kernel_time(attach: Attach) -> None:
    """A container that says more than a terminal draws has to wait: so many bytes a second are read, not all."""
    both = attach()
    for talk in FakeTalk.attached:
        with talk.changed:
            talk.came += [Frame(1, b"y\n" * 16384)] * 1000
            talk.changed.notify_all()
    time.sleep(0.5)
    heard = len(both.items)
    for talk in FakeTalk.attached:
        talk.came.clear()

    assert 4 < heard < 2 * 0.75 * BYTES_PER_S / 32768
