"""Which lines of a Dockerfile are built again, when their order is another one?

cache_of_build(engine)    lines to be put in an order, by mouse or by keyboard; a button changes a file and builds

The engine decides: each try builds the lines in that order, changes app.txt, builds again, and shows what the second
build took from the cache. A cell that runs again keeps the order and what it gave.
"""

import os
from collections.abc import Sequence
from html import escape
from typing import Any

from ipywidgets import VBox

from labkit.api.engine import Engine
from labkit.errors import EngineError
from labkit.images.build_log import Step
from labkit.images.builds import build_files
from labkit.show.build import build_html, build_svg, build_text, explain_build
from labkit.show.look import STYLE
from labkit.widgets.live import Picture, running_cell
from labkit.widgets.order import Cards

__all__ = ["LINES", "BuildOrder", "cache_of_build", "try_lines"]

CHANGES = "app.txt"
LINES = {
    "app": "COPY app.txt /app.txt",
    "packages": "RUN sleep 1; seq 1 100000 > /packages",
    "settings": "ENV GREETING=hello",
}
FIRST, AGAIN = "labkit-view:first", "labkit-view:again"
OTHER_ORDER = "This is the last build, of another order. Press the button to build the order above."
HEADING = "FROM busybox is the first line. Put the others in an order: drag a line, or press the arrow keys on it"


def try_lines(engine: Engine, order: Sequence[str]) -> list[Step]:
    """Build the lines in this order, change app.txt, and build again; what the second build did with each line.

    Raises what every call of an Engine raises; the images are removed.
    """
    dockerfile = "\n".join(["FROM busybox", *(LINES[name] for name in order)]).encode()
    content = os.urandom(8).hex().encode()  # that no build before had
    try:
        build_files(engine, {"Dockerfile": dockerfile, CHANGES: content}, FIRST)
        return build_files(engine, {"Dockerfile": dockerfile, CHANGES: content + b" changed"}, AGAIN).steps
    finally:
        for name in (FIRST, AGAIN):
            engine.delete(f"/images/{name}", check=False)


class BuildOrder(VBox):  # type: ignore[misc]
    """Three lines, and what the last try gave; `order` is that of the page."""

    def __init__(self, engine: Engine) -> None:
        self.host = engine.host
        self.steps: list[Step] = []
        self._cards = Cards(
            order=list(LINES), labels=LINES, column=True, heading=HEADING, action=f"Change {CHANGES} and build again"
        )
        self._cards.on_msg(lambda *_: self.try_it())
        self._cards.observe(lambda _: self._tell_of_another_order(), "order")
        self._tried: tuple[str, ...] = ()
        self._picture = Picture()
        super().__init__([self._cards, self._picture])

    @property
    def order(self) -> tuple[str, ...]:
        """The lines as they stand now."""
        return tuple(self._cards.order)

    def try_it(self) -> None:
        """Build in this order, and show what the cache had; what goes wrong is shown too."""
        if sorted(self.order) != sorted(LINES):
            return
        self._cards.busy = True
        try:
            with Engine(self.host) as engine:  # its own, so that `lesson.wire` shows nothing of this
                self.steps, self._tried = try_lines(engine, self.order), self.order
            self._picture.html = build_html(self.steps, self._words)
        except EngineError as error:
            self._picture.html = f'{STYLE}<div class="lk">{escape(str(error))}</div>'
        finally:
            self._cards.busy = False

    def _tell_of_another_order(self) -> None:
        """A result is of the order that was built, which is no longer the one that stands above it."""
        if self.steps:
            self._picture.html = build_html(self.steps, self._words if self.order == self._tried else OTHER_ORDER)

    @property
    def _words(self) -> str:
        return explain_build(self.steps, CHANGES)

    def __repr__(self) -> str:
        return build_text(self.steps, self._words)

    def _repr_mimebundle_(self, **options: Any) -> dict[str, Any]:
        bundle: dict[str, Any] = super()._repr_mimebundle_(**options) or {}
        return {**bundle, "image/svg+xml": build_svg(self.steps, self._words), "text/plain": repr(self)}


_orders: dict[object, BuildOrder] = {}  # by cell


def cache_of_build(engine: Engine) -> BuildOrder:
    """Let the reader put lines in an order, and try it; the order that they have is tried at once.

    A cell that runs again has the last order, and what it gave.
    """
    cell = running_cell()
    lines = _orders.get(cell)
    if lines is None or cell is None or lines.host != engine.host:
        lines = _orders[cell] = BuildOrder(engine)
        lines.try_it()
    return lines
