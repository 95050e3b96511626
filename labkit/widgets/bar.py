"""How does a lesson's bar follow what is done?

It is HTML that JupyterLab itself shows, no widget, so that its links open lessons in tabs, and a notebook that is
opened again still has it.
"""

from contextlib import suppress
from pathlib import Path

from IPython.display import display

from labkit.show.bar import Bar, count_steps

__all__ = ["LiveBar"]


class LiveBar:
    """The bar of a lesson whose notebook lies in a directory, among the other lessons."""

    def __init__(self, lesson: str, directory: Path) -> None:
        there = [path.stem for path in directory.glob("*.ipynb")]
        total = None
        with suppress(OSError, ValueError):  # it has another name, or is being saved: then nothing is counted
            total = count_steps((directory / f"{lesson}.ipynb").read_text(encoding="utf-8"))
        self._bar = Bar(lesson, there, 0, total)
        # None outside a notebook, where it is printed.
        self._handle = display(self._bar, display_id=True)  # type: ignore[no-untyped-call]

    def refresh(self, done: int) -> None:
        """Show how many steps are done now; where that is as before, nothing is sent to the page."""
        if done != self._bar.done:
            self._bar.done = done
            if self._handle is not None:
                self._handle.update(self._bar)
