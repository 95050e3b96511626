"""What if two people type into one container?

consoles = Consoles(engine, "shared")     two consoles, each attached by a connection of its own
left, right = consoles
left.type("hello")
right.wait_for("hello")
"""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from anywidget import AnyWidget
from ipywidgets import Button, HBox, ToggleButtons
from traitlets import Bool, Unicode

from labkit.api.engine import Engine
from labkit.api.frames import STDERR, STDOUT, build_frame
from labkit.errors import EngineTimeout
from labkit.show.beside import beside_svg
from labkit.show.consoles import ConsolePiece, console_html, console_svg, console_text, read_text
from labkit.widgets.live import LiveView

__all__ = ["AttachedStreams", "Console", "Consoles"]

PATIENCE_S = 10.0
DETACH_KEYS = b"\x10\x11"  # Ctrl-P Ctrl-Q, which the engine takes out of what goes to a terminal
HEADER_BYTES = 8
LABEL = {"description_width": "auto"}
NAMES = {STDOUT: "stdout", STDERR: "stderr"}
SIZES = {"80 x 24": (24, 80), "50 x 20": (20, 50), "132 x 43": (43, 132)}  # as h, w
STREAMS = {"stream": True, "stdin": True, "stdout": True, "stderr": True}


class AttachedStreams:
    """The streams of a container's process, attached: "Attach to a container" in the Engine API's reference.

    Iterate to hear; raises what every call of an Engine raises. `close` hangs up, from any thread.
    """

    def __init__(self, engine: Engine, container: str) -> None:
        self.has_terminal = bool(engine.get(f"/containers/{container}/json").json()["Config"]["Tty"])
        self._talk = engine.hijack("POST", f"/containers/{container}/attach", query=STREAMS)

    def __iter__(self) -> Iterator[ConsolePiece]:
        if self.has_terminal:
            yield from (ConsolePiece("bytes", piece) for piece in self._talk)
            return
        for stream, payload in self._talk.frames():
            header = build_frame(stream, payload)[:HEADER_BYTES]
            yield ConsolePiece(NAMES.get(stream, "bytes"), payload, header)

    def send(self, data: bytes) -> None:
        """Type these bytes."""
        self._talk.send(data)

    def close_write(self) -> None:
        """Say that nothing more will be typed here."""
        self._talk.close_write()

    def close(self) -> None:
        """Hang up."""
        self._talk.close()


class Line(AnyWidget):
    """A line to be typed; sends a message {"line": ...} with each Enter."""

    _esm = Path(__file__).with_name("line.js")
    name = Unicode().tag(sync=True)
    disabled = Bool(False).tag(sync=True)


class Console(LiveView[ConsolePiece]):
    """One console on a container; what is typed here does not show twice unless the container repeats it."""

    def __init__(self, name: str, engine: Engine, container: str) -> None:
        self._engine, self._container = engine, container
        self._streams = AttachedStreams(engine, container)
        self._line = Line(name=f"type on {name}", layout={"flex": "1 1 10em", "width": "auto"})
        self._line.on_msg(self._hear_line)
        end = Button(description="End of input", layout={"width": "auto"})
        end.on_click(lambda _: self._streams.close_write())
        self._controls = [self._line, end, *(self._terminal_controls() if self._streams.has_terminal else [])]
        super().__init__(
            name,
            self._streams,
            html=console_html,
            text=console_text,
            picture=console_svg,
            controls=self._controls,
        )
        self.layout.flex, self.layout.min_width = "1 1 0", "26em"  # beside the other one, where there is room
        self.layout.margin = "0 8px 8px 0"

    @property
    def text(self) -> str:
        """What the container has said here, as text."""
        return read_text(self.items)

    def type(self, line: str) -> None:
        """Type a line, with Enter at its end. Raises EngineProtocolError after the end."""
        self.send(f"{line}\n".encode())

    def send(self, data: bytes) -> None:
        """Type bytes: keys have no names here, Ctrl-D is 04."""
        self.take(ConsolePiece("typed", data))  # first, or its echo would come before it
        self._streams.send(data)

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
        """Tell a container's terminal its size, in characters."""
        self._engine.post(f"/containers/{self._container}/resize", query={"h": height, "w": width})

    def detach(self) -> None:
        """Type the keys by which the engine lets go of this console, and the container goes on."""
        self.send(DETACH_KEYS)

    def _draw(self) -> None:
        super()._draw()
        for control in self._controls:
            control.disabled = not self.is_live

    def _hear_line(self, _: object, content: dict[str, str], __: object) -> None:
        self.type(content["line"])

    def _terminal_controls(self) -> list[Button | ToggleButtons]:
        detach = Button(description="Ctrl-P Ctrl-Q", tooltip="Detach", layout={"width": "auto"})
        detach.on_click(lambda _: self.detach())
        # None is chosen at first: nobody knows the terminal's size, which the engine does not tell.
        size = ToggleButtons(options=SIZES, value=None, description="size", style=LABEL | {"button_width": "auto"})
        size.observe(lambda change: self.resize(*change["new"]), "value")
        return [detach, size]


class Consoles(HBox):  # type: ignore[misc]
    """Two consoles on one container, side by side."""

    def __init__(self, engine: Engine, container: str) -> None:
        self.container = container
        with ExitStack() as stack:  # nobody else would hang up the first where the second finds no engine
            self.consoles = []
            for name in ("left", "right"):
                self.consoles.append(Console(name, engine, container))
                stack.callback(self.consoles[-1].stop)
            super().__init__(self.consoles, layout={"flex_flow": "row wrap"})
            self.add_class("labkit-consoles")
            stack.pop_all()

    def __iter__(self) -> Iterator[Console]:
        return iter(self.consoles)

    def stop(self) -> None:
        """Hang up both."""
        for console in self.consoles:
            console.stop()

    def __repr__(self) -> str:
        return f"two consoles on {self.container}"

    def _repr_mimebundle_(self, **options: object) -> dict[str, object]:
        bundle: dict[str, object] = super()._repr_mimebundle_(**options) or {}
        heard = {f"console {console.name}": console_text(console.items) for console in self.consoles}
        return {**bundle, "image/svg+xml": beside_svg(heard), "text/plain": repr(self)}
