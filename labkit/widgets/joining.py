"""Which namespaces let a process in? The reader chooses how many threads it has, and the kernel answers.

draw_joins([try_joins(pid), try_joins(pid, 2)])      a picture of tries
watch_joins(pid)                                     the same, with controls: each press is a try
draw_entering(processes)                             how the processes of an exec get in, as strace saw it
"""

from collections.abc import Mapping, Sequence
from typing import Any

from anywidget import AnyWidget
from traitlets import Bool, Unicode

from labkit.errors import LabError
from labkit.isolation.joining import try_joins
from labkit.isolation.refusals import Joins
from labkit.isolation.tracing import Process
from labkit.show.entering import entering_html, entering_svg, entering_text
from labkit.show.joining import joins_html, joins_svg, joins_text, name_row
from labkit.widgets.live import Drawing
from labkit.widgets.script import read_script

__all__ = ["JoinsView", "draw_entering", "draw_joins", "watch_joins"]

MOST_THREADS = 8
CAPTION = (
    "Choose a number of threads (mouse, or arrow keys), and whether the thread first stops sharing its root directory. "
    "Then press the button. Each press is a real try: a new process for each cell."
)
GONE = "The process whose namespaces were to be joined has ended. Run the cell again to go on."


class JoinsView(AnyWidget):
    """Tries to join the namespaces of one process; a row for each sort of process that has tried."""

    _esm = read_script("joining.js")
    name = "namespaces to join"
    picture = Unicode().tag(sync=True)
    said = Unicode().tag(sync=True)
    busy = Bool(False).tag(sync=True)
    is_live = Bool(True).tag(sync=True)

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self.rows: list[Joins] = []
        super().__init__()
        self.on_msg(self._hear)
        for threads, own_fs in ((1, False), (2, False), (2, True)):
            self.try_it(threads, own_fs=own_fs)
        self.said = "Three processes have tried."

    def try_it(self, threads: int, *, own_fs: bool = False) -> Joins:
        """Let a process of so many threads try, and show the row; raises LabError when the other process has ended."""
        try:
            tried = try_joins(self._pid, threads, own_fs=own_fs)
        except LabError:
            self.stop()
            raise
        same = [number for number, row in enumerate(self.rows) if (row.threads, row.own_fs) == (threads, own_fs)]
        if same:
            self.rows[same[0]] = tried
        else:
            self.rows.append(tried)
        self.picture = joins_html(self.rows, new=tried, caption=CAPTION)
        self.said = f"{name_row(tried)}: refused {', '.join(tried.refused) or 'nowhere'}."
        return tried

    def stop(self) -> None:
        """The picture stays, and can no longer be asked."""
        self.is_live = False
        self.said = GONE

    def _hear(self, _: object, content: Mapping[str, Any], __: object) -> None:
        threads, own_fs = content.get("threads"), content.get("own_fs")
        try:
            if self.is_live and isinstance(threads, int) and 1 <= threads <= MOST_THREADS:
                self.try_it(threads, own_fs=own_fs is True)
        except LabError:
            pass  # `stop` has said it
        finally:
            self.busy = False

    def __repr__(self) -> str:
        return joins_text(self.rows)

    def _repr_mimebundle_(self, **options: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        bundle, metadata = super()._repr_mimebundle_(**options) or ({}, {})
        return {**bundle, "image/svg+xml": joins_svg(self.rows), "text/plain": repr(self)}, metadata


def watch_joins(pid: int) -> JoinsView:
    """Let three sorts of processes try to join the namespaces of process `pid`, and show controls for more.

    Raises LabError when there is no such process.
    """
    return JoinsView(pid)


def draw_joins(rows: Sequence[Joins]) -> Drawing:
    """Show who was let in where."""
    return Drawing(joins_html(rows), joins_text(rows), joins_svg(rows))


def draw_entering(processes: Sequence[Process]) -> Drawing:
    """Show how the processes of an exec made one another, and which of them joined the container's namespaces."""
    return Drawing(entering_html(processes), entering_text(processes), entering_svg(processes))
