"""How is the start of a dockerd seen in a notebook?"""

from collections.abc import Sequence

from labkit.daemons.start_log import Step
from labkit.show.start_log import start_html, start_svg, start_text
from labkit.widgets.view import View

__all__ = ["draw_start"]


def draw_start(steps: Sequence[Step]) -> View:
    """Draw the steps of a start (`labkit.daemons.start_log.find_steps`), each with its line of the log."""
    return View(start_html(steps), start_text(steps), start_svg(steps))
