"""What did several ways to say the same thing give?"""

from pprint import pformat
from typing import Any

from labkit.show.beside import beside_html, beside_svg, beside_text
from labkit.widgets.view import View

__all__ = ["beside"]


def beside(**ways: Any) -> View:
    """Show what several ways to say the same thing gave, side by side, each under its name.

    A `sh` result shows its line and its output, an exchange the bytes of request and answer.
    """
    panes = {name: _readable(value) for name, value in ways.items()}
    return View(beside_html(panes), beside_text(panes), beside_svg(panes))


def _readable(value: object) -> str:
    return pformat(value, width=60) if type(value).__str__ is object.__str__ else str(value)
