"""What if two people type into one container?

consoles = Consoles(engine, "shared")     two windows, each attached by a connection of its own
left, right = consoles                    yours, and your colleague's
left.type("hello")
right.wait_for("hello")
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from queue import SimpleQueue
from threading import Lock, Thread
from typing import Any, NamedTuple

from anywidget import AnyWidget
from traitlets import Bool, Int, List, Unicode

from labkit.api.engine import Engine
from labkit.api.frames import build_frame
from labkit.errors import EngineError, EngineProtocolError, EngineTimeout
from labkit.show.consoles import (
    COLLEAGUE,
    NOTE,
    TYPED,
    YOU,
    ConsolePiece,
    Shared,
    consoles_html,
    consoles_svg,
    consoles_text,
    is_answer,
    read_text,
    screen_html,
)
from labkit.show.frame import HEADER_BYTES, STREAM_NAMES
from labkit.show.look import STYLE
from labkit.widgets.live import LiveView
from labkit.widgets.script import read_script

__all__ = ["AttachedStreams", "Console", "Consoles"]

PATIENCE_S = 10.0
DETACH_KEYS = b"\x10\x11"  # Ctrl-P Ctrl-Q, which the engine takes out of what goes to a terminal
END_OF_INPUT = "\x04"  # Ctrl-D
LAST_WORDS = ("exit", "logout", "Ctrl-D")  # by which somebody ends a shell
STREAMS = {"stream": True, "stdin": True, "stdout": True, "stderr": True}
DRAWN_BYTES = 16 * 1024  # of a terminal, that a page is given again with each change
END = "end"  # the stream of a piece that says why a connection ended
# As with a slow terminal: a container that floods waits for its readers, and the kernel has time for the notebook.
BYTES_PER_S = 1_000_000
HERE = Path(__file__).parent
XTERM = HERE / "vendor/xterm"


class AttachedStreams:
    """The streams of a container's process, attached twice: "Attach to a container" in the Engine API's reference.

    Iterate to hear both windows, a piece as it comes; each ends with a piece of the stream "end", which holds the
    words of the error if there was one. Raises what every call of an Engine raises. `close` hangs up, from any thread.
    """

    def __init__(self, engine: Engine, container: str) -> None:
        self._engine = engine
        found = engine.get(f"/containers/{container}/json").json()
        config = found["Config"]
        self.shared = Shared(container, bool(config["Tty"]), found["HostConfig"]["LogConfig"]["Type"])
        self._heard: SimpleQueue[ConsolePiece] = SimpleQueue()
        with ExitStack() as stack:  # nobody else would hang up the first where the second finds no engine
            self._talks = {}
            for console in (YOU, COLLEAGUE):
                self._talks[console] = engine.hijack("POST", f"/containers/{container}/attach", query=STREAMS)
                stack.callback(self._talks[console].close)
            stack.pop_all()

    def __iter__(self) -> Iterator[ConsolePiece]:
        readers = [Thread(target=self._read, args=(one,), name=f"attached: {one}", daemon=True) for one in self._talks]
        for reader in readers:
            reader.start()
        live = len(readers)
        while live:
            piece = self._heard.get()
            live -= piece.stream == END
            yield piece
        for reader in readers:
            reader.join()

    def send(self, console: str, data: bytes) -> None:
        """Type these bytes in a window."""
        self._talks[console].send(data)

    def close_write(self, console: str) -> None:
        """Say that nothing more will be typed in a window."""
        self._talks[console].close_write()

    def close(self) -> None:
        """Hang up."""
        for talk in self._talks.values():
            talk.close()
        self._engine.close()

    def _read(self, console: str) -> None:
        problem = ""
        try:
            for piece in self._pieces(console):
                self._heard.put(piece)
                time.sleep(len(piece.data) / BYTES_PER_S)
        except Exception as error:  # whatever it is, the window says it
            problem = f"{type(error).__name__}: {error}"
        finally:
            self._heard.put(ConsolePiece(END, problem.encode(), console=console))

    def _pieces(self, console: str) -> Iterator[ConsolePiece]:
        talk = self._talks[console]
        if self.shared.has_terminal:
            yield from (ConsolePiece("bytes", piece, console=console) for piece in talk)
            return
        for stream, payload in talk.frames():
            header = build_frame(stream, payload)[:HEADER_BYTES]
            yield ConsolePiece(STREAM_NAMES[stream], payload, header, console)


class Windows(AnyWidget):
    """Both windows; sends {"window": 0, "line" | "keys" | "end": ...} and {"size": [rows, columns]}."""

    _esm = read_script("consoles.js")
    _css = f"{(XTERM / 'xterm.css').read_text()}\n{(HERE / 'consoles.css').read_text()}"
    look = Unicode(STYLE).tag(sync=True)
    library = Unicode().tag(sync=True)  # xterm.js, where there is a terminal
    terminal = Bool().tag(sync=True)
    screens = List(Unicode()).tag(sync=True)
    output: Any = List().tag(sync=True)  # of a terminal: [number, window, bytes as Latin-1]
    takes = List(Bool()).tag(sync=True)  # what is typed
    said = List(Unicode()).tag(sync=True)
    size = List(Int()).tag(sync=True)
    chosen = Bool().tag(sync=True)  # the size, by the program


class _Way(NamedTuple):
    """What has happened to a window's connection."""

    input_ended: bool = False
    over: bool = False


class Console:
    """One window on a container; what is typed here does not show twice unless the container repeats it."""

    def __init__(self, name: str, both: "Consoles") -> None:
        self.name = name
        self._both = both
        self._container = both.container

    @property
    def items(self) -> tuple[ConsolePiece, ...]:
        """What was typed here, and what came here."""
        return tuple(piece for piece in self._both.items if piece.console == self.name)

    @property
    def text(self) -> str:
        """What the container has said here, as text."""
        return read_text(self.items)

    @property
    def is_live(self) -> bool:
        """Is this window still attached?"""
        return self._both.is_attached(self.name)

    def type(self, line: str) -> None:
        """Type a line, with Enter at its end. Raises EngineProtocolError after the end."""
        self.send(f"{line}\n".encode())

    def send(self, data: bytes) -> None:
        """Type bytes: keys have no names here, Ctrl-D is 04. Raises EngineProtocolError after the end."""
        self._both.send(self.name, data)

    def wait_for(self, words: str, seconds: float = PATIENCE_S) -> None:
        """Wait until the container has said these words here; raises EngineTimeout when it has not in time."""
        deadline = time.monotonic() + seconds
        while True:
            may_come = (
                self.is_live and time.monotonic() < deadline
            )  # first: the last words may come just before the end
            if words in self.text:
                return
            if not may_come:
                raise EngineTimeout(f"{self._container} did not say {words!r} within {seconds} s: {self.text[-200:]!r}")
            time.sleep(0.01)

    def resize(self, height: int, width: int) -> None:
        """Tell the container's terminal its size, in characters: there is one, for both windows."""
        self._both.resize(height, width)

    def detach(self) -> None:
        """Type the keys by which the engine lets go of this window, and the container goes on."""
        self.send(DETACH_KEYS)

    def end_input(self) -> None:
        """Say that nothing more will be typed here."""
        self._both.end_input(self.name)


class Consoles(LiveView[ConsolePiece]):
    """Two windows on one container, the container between them, and the bytes on their way."""

    def __init__(self, engine: Engine, container: str) -> None:
        self.container = container
        self._engine = engine
        self._streams = AttachedStreams(engine, container)
        self.shared = shared = self._streams.shared
        self.consoles = [Console(name, self) for name in (YOU, COLLEAGUE)]
        self._ways: dict[str, _Way] = {console.name: _Way() for console in self.consoles}
        self._redrawing = Lock()
        library = _read_library() if shared.has_terminal else ""
        self._windows = Windows(terminal=shared.has_terminal, library=library)
        self._windows.on_msg(lambda _, content, __: self._hear(content))
        super().__init__(
            f"two windows on {container}",
            self._streams,
            html=lambda pieces, left_out: consoles_html(pieces, left_out, shared, self._hung_up()),
            text=lambda pieces, _: consoles_text(pieces, shared),
            picture=lambda pieces, _: consoles_svg(pieces, shared),
        )
        self.children = [self._windows, self._canvas]
        self.add_class("labkit-consoles")

    def __iter__(self) -> Iterator[Console]:
        return iter(self.consoles)

    def is_attached(self, console: str) -> bool:
        """Is a window still attached?"""
        return not self._ways[console].over

    def send(self, console: str, data: bytes) -> None:
        """Type bytes in a window. Raises EngineProtocolError after the end."""
        if self._ways[console].over or self._ways[console].input_ended:
            raise EngineProtocolError(f"{console} can type no more here: {self._last_note(console)}")
        self.take(ConsolePiece(TYPED, data, console=console))  # first, or its echo would come before it
        self._streams.send(console, data)

    def end_input(self, console: str) -> None:
        """End the input of a window, and say so there; once."""
        if self._ways[console].over or self._ways[console].input_ended:
            return
        self._ways[console] = self._ways[console]._replace(input_ended=True)
        self._tell(console, f"{console.capitalize()} ended the input.")
        self._streams.close_write(console)

    def resize(self, height: int, width: int) -> None:
        """Tell the container's terminal its size, in characters."""
        self._resize(height, width)
        self._windows.chosen = True

    def take(self, item: ConsolePiece) -> None:
        """Add a piece; the end of a connection becomes a note in its window."""
        if item.stream != END:
            super().take(item)
            return
        self._tell(item.console, self._why(item.console, item.data.decode()))
        self._ways[item.console] = self._ways[item.console]._replace(over=True)
        self.redraw()

    def stop(self) -> None:
        """Hang up both."""
        super().stop()
        self._draw()  # with what the windows said at their end

    def __repr__(self) -> str:
        return consoles_text(self.items, self.shared)

    def _repr_mimebundle_(self, **options: Any) -> dict[str, Any]:
        picture = {"image/svg+xml": consoles_svg(self.items, self.shared)}
        return {**super()._repr_mimebundle_(**options), **picture, "text/plain": repr(self)}

    def _draw(self) -> None:
        super()._draw()
        pieces, left_out = self._kept()
        windows, names = self._windows, list(self._ways)
        with self._redrawing, windows.hold_sync():
            if self.shared.has_terminal:
                windows.output = _newest(pieces, left_out, names)
            else:
                windows.screens = [screen_html(pieces, name, left_out) for name in names]
            ways = [self._ways[name] for name in names]
            windows.said = [self._last_note(name) for name in names]
            windows.takes = [not (one.over or one.input_ended) for one in ways]

    def _hung_up(self) -> list[str]:
        return [console for console, way in self._ways.items() if way.over]

    def _tell(self, console: str, words: str) -> None:
        super().take(ConsolePiece(NOTE, words.encode(), console=console))

    def _last_note(self, console: str) -> str:
        notes = [piece.data.decode() for piece in self.items if piece.stream == NOTE and piece.console == console]
        return " ".join(notes[-2:])

    def _why(self, console: str, problem: str) -> str:
        """Why a window's connection ended, in one sentence."""
        way = self._ways[console]
        if problem:
            return f"The connection broke: {problem}"
        if self._over.is_set():
            return "Both windows were hung up."
        try:
            state = self._engine.get(f"/containers/{self.container}/json").json()["State"]
        except EngineError as error:
            return f"The engine hung up ({error})."
        if not state["Running"]:
            return f"{self._who_ended()}The container has ended, with status {state['ExitCode']}, for both of you."
        if self.shared.has_terminal and self._keys(console).endswith(DETACH_KEYS.decode()):
            who = console.capitalize()
            return f"{who} typed Ctrl-P Ctrl-Q: the engine let go of this window, and the container goes on."
        if way.input_ended:
            return "The engine hung up this window. The container's stdin stays open for others."
        return "The engine hung up this window; the container goes on."

    def _who_ended(self) -> str:
        """Who typed the word that ends a shell, if that was the last line."""
        typed = [piece.console for piece in self.items if piece.stream == TYPED and not is_answer(piece)]
        if not typed:
            return ""
        last = self._keys(typed[-1]).replace("\r", "\n").rstrip("\n").rpartition("\n")[2].strip(" ")
        words = "Ctrl-D" if last.endswith(END_OF_INPUT) else last
        return f"{typed[-1].capitalize()} typed {words}. " if words.split(" ")[0] in LAST_WORDS else ""

    def _keys(self, console: str) -> str:
        """All that was typed in a window."""
        typed = [piece for piece in self.items if piece.stream == TYPED and piece.console == console]
        return b"".join(piece.data for piece in typed if not is_answer(piece)).decode("utf-8", "replace")

    def _hear(self, content: Mapping[str, Any]) -> None:
        """Do what somebody did on the page; a window that has just ended says so by itself."""
        try:
            if "size" in content:
                self._resize(*content["size"])
                return
            console = self.consoles[content["window"]]
            if "line" in content:
                console.type(content["line"])
            elif "keys" in content:
                console.send(content["keys"].encode())
            else:
                console.end_input()
        except EngineError as error:
            if self.is_live:
                self._windows.said = [str(error)] * len(self.consoles)

    def _resize(self, height: int, width: int) -> None:
        self._engine.post(f"/containers/{self.container}/resize", query={"h": height, "w": width})
        self._windows.size = [height, width]


def _newest(pieces: tuple[ConsolePiece, ...], left_out: int, names: list[str]) -> list[list[object]]:
    """What a terminal said last in each window, numbered from 1 on, so that a page knows what it has drawn."""
    newest: list[list[object]] = []
    room = dict.fromkeys(names, DRAWN_BYTES)
    for number in range(len(pieces) - 1, -1, -1):
        piece = pieces[number]
        if piece.stream == "bytes" and room[piece.console] > 0:
            data = piece.data[-room[piece.console] :]
            room[piece.console] -= len(data)
            newest.append([left_out + number + 1, names.index(piece.console), data.decode("latin-1")])
        if not any(left > 0 for left in room.values()):
            break
    return newest[::-1]


@cache
def _read_library() -> str:
    return (XTERM / "xterm.mjs").read_text()
