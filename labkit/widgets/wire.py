"""The wire view in a notebook: a widget where one runs, a still picture where a notebook is only read."""

from collections.abc import Sequence
from typing import Any

from ipywidgets import HTML

from labkit.show.wire import WireExchange, wire_html, wire_svg, wire_text

__all__ = ["WireView"]


class WireView(HTML):  # type: ignore[misc]
    """The exchanges given to it, as a sequence diagram."""

    def __init__(self, exchanges: Sequence[WireExchange]) -> None:
        super().__init__(value=wire_html(exchanges))
        self._text = wire_text(exchanges)
        self._picture = wire_svg(exchanges)

    def __repr__(self) -> str:
        return self._text

    def _repr_mimebundle_(self, **options: Any) -> dict[str, Any]:
        bundle: dict[str, Any] = super()._repr_mimebundle_(**options) or {}
        return {**bundle, "text/plain": self._text, "image/svg+xml": self._picture}
