"""What do a live page, a test and a reader of a stored notebook each see of a view?

The page shows HTML, the test compares text, the reader gets a still picture where there is one.
"""

from pathlib import Path
from typing import Any

from anywidget import AnyWidget
from traitlets import Unicode

__all__ = ["View"]


class View(AnyWidget):
    """A widget of `html`, which may change, whose text and picture are stored with the notebook.

    `still` is a picture with what is the learner's own, as a choice, which must not be stored in the repository: the
    front end keeps it in the learner's copy.
    It is no `ipywidgets.HTML`, beside which JupyterLab draws a broken link when its kernel has gone: it is whole.
    """

    _esm = Path(__file__).with_name("live.js")
    html = Unicode().tag(sync=True)
    still = Unicode().tag(sync=True)  # SVG for a page whose kernel has gone; "": what is stored will do

    def __init__(self, html: str, text: str, picture: str | None = None, still: str = "") -> None:
        super().__init__(html=html, still=still)
        self._text = text
        self._picture = picture

    def __repr__(self) -> str:
        return self._text

    def _repr_mimebundle_(self, **options: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        bundle, metadata = super()._repr_mimebundle_(**options) or ({}, {})
        picture = {"image/svg+xml": self._picture} if self._picture else {}
        return {**bundle, **picture, "text/plain": self._text}, metadata
