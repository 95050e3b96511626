"""What do a live page, a test and a reader of a stored notebook each see of a view?

The page shows HTML, the test compares text, the reader gets a still picture where there is one.
"""

from typing import Any

from ipywidgets import HTML

__all__ = ["View"]


class View(HTML):  # type: ignore[misc]
    """A widget of `html` whose text and picture are stored with the notebook."""

    def __init__(self, html: str, text: str, picture: str | None = None) -> None:
        super().__init__(value=html)
        self._text = text
        self._picture = picture

    def __repr__(self) -> str:
        return self._text

    def _repr_mimebundle_(self, **options: Any) -> dict[str, Any]:
        bundle: dict[str, Any] = super()._repr_mimebundle_(**options) or {}
        picture = {"image/svg+xml": self._picture} if self._picture else {}
        return {**bundle, **picture, "text/plain": self._text}
