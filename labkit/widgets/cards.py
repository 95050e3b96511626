"""How does a reader put things in an order, and see what the engine makes of it?

Cards        cards in an order, by mouse or by keyboard, and a button
OrderView    the cards above, and below them what the last try of their order gave; its kinds say how to try it
keep_view    the view that a cell had before, so that a cell that runs again keeps the order and what it gave
"""

from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import Any, TypeVar

from anywidget import AnyWidget
from ipywidgets import VBox
from traitlets import Bool, Dict, List, Unicode

from labkit.api.engine import Engine
from labkit.errors import EngineError
from labkit.show.look import STYLE
from labkit.show.wire import shorten
from labkit.widgets.live import Picture, running_cell

__all__ = ["Cards", "OrderView", "keep_view"]


class Cards(AnyWidget):
    """Cards in an order; sends a message {"try": true} when the reader wants to see.

    A card shows its name, or what `labels` has for it; the cards stand in a row, or in a `column`.
    """

    _esm = Path(__file__).with_name("cards.js")
    style_html = Unicode(STYLE).tag(sync=True)
    heading = Unicode("Put the steps in an order: drag a card, or press the arrow keys on it").tag(sync=True)
    action = Unicode("Try it").tag(sync=True)
    labels = Dict(Unicode()).tag(sync=True)
    column = Bool(False).tag(sync=True)
    order = List(Unicode()).tag(sync=True)
    busy = Bool(False).tag(sync=True)


class OrderView(VBox):  # type: ignore[misc]
    """Cards, and what the last try gave; `order` is that of the page, and `host` the address of the engine."""

    def __init__(self, engine: Engine, cards: Cards) -> None:
        self.host = engine.host
        self._cards = cards
        self._names = sorted(cards.order)
        self._picture = Picture()
        cards.on_msg(lambda *_: self.try_it())
        super().__init__([cards, self._picture])

    @property
    def order(self) -> tuple[str, ...]:
        """The cards as they stand now."""
        return tuple(self._cards.order)

    def try_it(self) -> None:
        """Try the order on the engine, and show what came of it; what goes wrong is shown too."""
        if sorted(self.order) != self._names:  # a page may send anything
            return
        self._cards.busy = True
        try:
            self._picture.html = self._try(self.order)
        except EngineError as error:
            self._picture.html = f'{STYLE}<div class="lk">{escape(shorten(str(error)))}</div>'
        finally:
            self._cards.busy = False

    def _try(self, order: tuple[str, ...]) -> str:
        """Try this order, and draw what came of it. Raises EngineError."""
        raise NotImplementedError

    def _repr_mimebundle_(self, **options: Any) -> dict[str, Any]:
        bundle: dict[str, Any] = super()._repr_mimebundle_(**options) or {}
        return {**bundle, "text/plain": repr(self)}


V = TypeVar("V", bound=OrderView)


def keep_view(kept: dict[object, V], engine: Engine, begin: Callable[[Engine], V]) -> V:
    """The view that `kept` has for the cell that runs, if it is of this engine; else a new one, which `begin` makes."""
    cell = running_cell()
    view = kept.get(cell)
    if view is None or cell is None or view.host != engine.host:
        view = kept[cell] = begin(engine)
    return view
