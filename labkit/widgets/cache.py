"""Which lines of a Dockerfile are built again, when their order is another one?

cache_of_build(engine)    lines to be put in an order, by mouse or by keyboard; a button changes a file and builds

The engine decides: each try builds the lines in that order, changes app.txt, builds again, and shows what the second
build took from the cache. A cell that runs again keeps the order and what it gave.
"""

import os
from collections.abc import Sequence
from typing import Any

from labkit.api.engine import Engine
from labkit.images.build_log import Step
from labkit.images.builds import build_files
from labkit.show.build import build_html, build_svg, build_text, explain_build
from labkit.widgets.cards import Cards, OrderView, keep_view

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


class BuildOrder(OrderView):
    """Three lines, and what the last try gave."""

    def __init__(self, engine: Engine) -> None:
        self.steps: list[Step] = []
        self._tried: tuple[str, ...] = ()
        action = f"Change {CHANGES} and build again"
        cards = Cards(order=list(LINES), labels=LINES, column=True, heading=HEADING, action=action)
        cards.observe(lambda _: self._tell_of_another_order(), "order")
        super().__init__(engine, cards)

    def _try(self, order: tuple[str, ...]) -> str:
        with Engine(self.host) as engine:  # its own, so that `lesson.wire` shows nothing of this
            self.steps, self._tried = try_lines(engine, order), order
        return build_html(self.steps, self._words)

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
        return {**super()._repr_mimebundle_(**options), "image/svg+xml": build_svg(self.steps, self._words)}


_orders: dict[object, BuildOrder] = {}  # by cell


def cache_of_build(engine: Engine) -> BuildOrder:
    """Let the reader put lines in an order, and try it; the order that they have is tried at once.

    A cell that runs again has the last order, and what it gave.
    """
    return keep_view(_orders, engine, _begin)


def _begin(engine: Engine) -> BuildOrder:
    lines = BuildOrder(engine)
    lines.try_it()
    return lines
