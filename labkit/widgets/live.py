"""How does a view follow what goes on, without getting in anybody's way?

A live view has a source that is read in one thread, and a picture that is drawn in another, at most ten times a
second and only when something came. It ends by itself: when its cell runs again, when the kernel is interrupted (in a
cell or idle), when its source ends or fails, when the lesson closes, and with the kernel.

    with LiveView("numbers", source, html=..., text=..., picture=...) as seen:
        ...                               seen live while the block runs, and stored as it is at its end

Without `with` it goes on after its cell, while other cells run. Widgets are ipywidgets'; how a kernel takes
interrupts is in ipykernel's `kernelbase`.
"""

import atexit
import threading
import time
import warnings
from asyncio import CancelledError
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from html import escape
from pathlib import Path
from typing import Any, Generic, Protocol, Self, TypeVar

from anywidget import AnyWidget
from IPython.core.getipython import get_ipython
from IPython.display import display
from ipywidgets import Button, HBox, VBox
from traitlets import Unicode

from labkit.show.still import cut, xml_safe

__all__ = ["Drawing", "LiveView", "Picture", "Source", "running_cell", "stop_all"]

KEPT = 2000  # items
PERIOD_S = 0.1
REST = 4  # parts of the time that are left to others, for each part that drawing takes
JOIN_S = 2.0
MAX_PROBLEM = 500  # characters
STATE = "color:var(--jp-ui-font-color1);font-family:var(--jp-ui-font-family,sans-serif);margin:0 0 4px"

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
Draw = Callable[[Sequence[T], int], str]  # of the items that are kept, and the number of those before them

_live: "set[LiveView[Any]]" = set()


class Source(Protocol[T_co]):
    """What a live view reads; `close` works from any thread, and ends the iteration quietly."""

    def __iter__(self) -> Iterator[T_co]: ...
    def close(self) -> None: ...


class Picture(AnyWidget):
    """HTML whose open details, scroll and focus survive a redraw."""

    _esm = Path(__file__).with_name("live.js")
    html = Unicode().tag(sync=True)


class Drawing(VBox):  # type: ignore[misc]
    """A picture of what is over, with all that the page can do; its text and its still picture are stored."""

    def __init__(self, html: str, text: str, picture: str, canvas: type[Picture] = Picture) -> None:
        super().__init__([canvas(html=html)])
        self._text, self._svg = text, picture

    def __repr__(self) -> str:
        return self._text

    def _repr_mimebundle_(self, **options: Any) -> dict[str, Any]:
        bundle: dict[str, Any] = super()._repr_mimebundle_(**options) or {}
        return {**bundle, "image/svg+xml": self._svg, "text/plain": self._text}


class LiveView(VBox, Generic[T]):  # type: ignore[misc]
    """A picture of a source's newest 2000 items, and what else is to be put beside it.

    While it can be stopped there is a button for it: not in a `with` block, whose cell keeps the kernel from hearing
    of a click, and not afterwards. Who does not stop it in the end gets a ResourceWarning.

    `html`, `text` and `picture` (SVG) draw items; each gets them, and how many came before those that are kept.
    The text and the picture are stored with the notebook once the view has stopped; before, the text only says
    that it is live. `controls` are widgets: whoever changes them calls `redraw`. A view that has more on its page than
    `Picture` has names another `canvas`.
    """

    canvas: type[Picture] = Picture

    def __init__(
        self,
        name: str,
        source: Source[T],
        *,
        html: Draw[T],
        text: Draw[T],
        picture: Draw[T],
        controls: Sequence[Any] = (),
    ) -> None:
        self.name = name
        self._source = source
        self._html, self._text, self._svg = html, text, picture
        self._items: deque[T] = deque(maxlen=KEPT)
        self._count = 0
        self._problem = ""
        self._changed, self._over = threading.Event(), threading.Event()
        self._taking, self._drawing = threading.Lock(), threading.Lock()
        self._canvas = self.canvas()
        self._button = Button(description="Stop", icon="stop", layout={"width": "auto"}, tooltip=f"Stop {name}")
        self._button.on_click(lambda _: self.stop())
        self._controls = list(controls)
        self._bar = HBox(layout={"flex_flow": "row wrap"})
        self._has_button = True
        super().__init__([self._bar, self._canvas])
        self._draw()
        self._cell = _follow_notebook()
        self._threads = [
            threading.Thread(target=task, name=f"{name}: {task.__name__}", daemon=True)
            for task in (self._read, self._keep_drawing)
        ]
        _live.add(self)
        for thread in self._threads:
            thread.start()

    @property
    def items(self) -> tuple[T, ...]:
        """What came, the newest 2000."""
        return self._kept()[0]

    @property
    def is_live(self) -> bool:
        return not self._over.is_set()

    def take(self, item: T) -> None:
        """Add an item, as the source does; from any thread."""
        with self._taking:
            self._items.append(item)
            self._count += 1
        self._changed.set()

    def redraw(self) -> None:
        """Draw again soon, as something besides the items has changed; from any thread."""
        if self.is_live:
            self._changed.set()
        else:
            self._draw()

    def stop(self) -> None:
        """End the source and both threads, and draw what came; from any thread, and more than once."""
        self._over.set()
        self._changed.set()
        self._source.close()
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(JOIN_S)

    def catch_up(self) -> None:
        """Wait for what has happened already and is still on its way; a source that can tell overrides this."""

    def __enter__(self) -> Self:
        self._has_button = False
        self._show_controls()
        self._stage = Stage(self)
        display(self._stage)  # type: ignore[no-untyped-call]
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Stop, and show the view anew where it stopped: it moves there, and is not seen twice."""
        try:
            if kind is None:
                self.catch_up()
        finally:
            self.stop()
            self._stage.children = ()
            display(self)  # type: ignore[no-untyped-call]

    def __repr__(self) -> str:
        if self.is_live:
            return f"({self.name}, live)"
        text = self._safely(self._text)
        return f"{text}\nstopped: {self._problem}" if self._problem else text

    def _repr_mimebundle_(self, **options: Any) -> dict[str, Any]:
        bundle: dict[str, Any] = super()._repr_mimebundle_(**options) or {}
        if not self.is_live:
            picture = self._safely(self._svg)
            bundle |= {"image/svg+xml": picture} if picture else {}
        return {**bundle, "text/plain": repr(self)}

    def _kept(self) -> tuple[tuple[T, ...], int]:
        with self._taking:
            return tuple(self._items), self._count - len(self._items)

    def _read(self) -> None:
        try:
            for item in self._source:
                self.take(item)
        except Exception as error:  # whatever it is, it is shown
            self._note(error)
        finally:
            self._source.close()
            self._over.set()
            self._changed.set()
            _live.discard(self)

    def _keep_drawing(self) -> None:
        while self.is_live:
            self._changed.wait()
            self._changed.clear()
            began = time.monotonic()
            self._draw()
            self._over.wait(max(PERIOD_S, REST * (time.monotonic() - began)))
        self._draw()

    def _draw(self) -> None:
        with self._drawing:
            drawn = self._safely(self._html)
            live = self.is_live
            state = "live" if live else "stopped"
            words = escape(f"{state}: {self._problem}" if self._problem else state)
            title = f'<div style="{STATE}">{escape(self.name)}: <b data-state="{state}">{words}</b></div>'
            self._canvas.html = title + drawn
            self._show_controls()

    def _safely(self, draw: Draw[T]) -> str:
        """Draw; if that fails, note why, and let the view end."""
        try:
            return draw(*self._kept())
        except Exception as error:  # whatever it is, it is shown
            self._note(error, "it cannot be drawn: ")
            self._over.set()
            self._changed.set()
            self._source.close()
            return ""

    def _note(self, error: Exception, what: str = "") -> None:
        self._problem = self._problem or cut(xml_safe(f"{what}{type(error).__name__}: {error}"), MAX_PROBLEM)

    def _wanted_controls(self) -> Sequence[Any]:
        """What is beside the button now."""
        return self._controls

    def _show_controls(self) -> None:
        """Show the button that stops it as long as that can work."""
        shown = [self._button] if self._has_button and self.is_live else []
        children = (*shown, *self._wanted_controls())
        if self._bar.children != children:
            self._bar.children = children


class Stage(VBox):  # type: ignore[misc]
    """Where a view is seen until its cell ends."""

    def __init__(self, view: LiveView[Any]) -> None:
        self.name = view.name
        super().__init__([view])

    def __repr__(self) -> str:
        return f"({self.name}, live until this cell ends)"

    def _repr_mimebundle_(self, **options: Any) -> dict[str, Any]:
        bundle: dict[str, Any] = super()._repr_mimebundle_(**options) or {}
        return {**bundle, "text/plain": repr(self)}


def stop_all() -> None:
    """Stop every live view."""
    for view in list(_live):
        view.stop()


@atexit.register
def _warn_of_live_views() -> None:
    for view in list(_live):
        warnings.warn(f"nobody stopped the view {view.name!r}: call stop(), or open it by with", ResourceWarning, 2)
        view.stop()


def _follow_notebook() -> object:
    """Have the notebook's cells and interrupts stop views; give the cell that runs (None outside a notebook)."""
    notebook = get_ipython()
    kernel = getattr(notebook, "kernel", None)
    if notebook is None or kernel is None:
        return None
    notebook.events.register("pre_run_cell", _begin_cell)
    notebook.events.register("post_run_cell", _end_cell)
    # An idle kernel ignores SIGINT; ipykernel puts this handler in its place when the running cell has ended.
    loop = kernel.io_loop.asyncio_loop
    kernel.saved_sigint_handler = lambda *_: loop.call_soon_threadsafe(stop_all)
    return running_cell()


def running_cell() -> object:
    """The identity of the cell that runs: the front end's, or its text where it names none; None in no notebook."""
    kernel = getattr(get_ipython(), "kernel", None)
    if kernel is None:
        return None
    request = kernel.get_parent("shell")
    return request["metadata"].get("cellId") or request["content"].get("code")


def _begin_cell(_: object) -> None:
    cell = running_cell()
    for view in list(_live):
        if view._cell == cell:
            view.stop()


def _end_cell(result: Any) -> None:
    """Stop all if the cell was interrupted; one that awaits is cancelled."""
    if isinstance(result.error_in_exec, KeyboardInterrupt | CancelledError):
        stop_all()
