"""Which process started which, and which namespaces hold them, now and while they come and go?

watch_processes()                           all processes of this machine, live
with watch_processes() as seen: ...         live while the block runs
draw_processes(engine)                      the engine's own, and those of its containers, as they are now
"""

from collections.abc import Mapping, Sequence

from labkit.api.engine import Engine
from labkit.isolation.namespaces import Process, read_processes
from labkit.show.namespace_look import arrange
from labkit.show.process_tree import process_tree_html, process_tree_svg, process_tree_text
from labkit.widgets.live import Drawing, LiveView
from labkit.widgets.processes import Look, ProcessPicture, ProcessSource, label_containers

__all__ = ["ProcessTree", "draw_processes", "watch_processes"]

ENGINE = ("dockerd", "containerd")
WORDS = "(who started whom, on a live page)"


class ProcessTree(LiveView[Look]):
    """The tree of all processes. Its text is the same whoever is there: no two machines have the same processes."""

    canvas = ProcessPicture

    def __init__(self, source: ProcessSource) -> None:
        super().__init__("processes", source, html=self._page, text=lambda *_: WORDS, picture=self._still)

    def _page(self, looks: Sequence[Look], _: int) -> str:
        return process_tree_html(looks[-1].processes, looks[-1].labels, new=looks[-1].came) if looks else ""

    def _still(self, looks: Sequence[Look], _: int) -> str:
        return process_tree_svg(looks[-1].processes, looks[-1].labels, differs=True) if looks else ""


def watch_processes() -> ProcessTree:
    """Draw the tree of all processes of this machine, and follow them until the view is stopped."""
    return ProcessTree(ProcessSource(Engine()))


def draw_processes(engine: Engine, *containers: str, kinds: str = "") -> Drawing:
    """Draw the parts of the engine and what runs in containers, as they are now; `containers` leaves others out.

    `kinds` are the namespaces that make frames, as in "uts pid"; none are all that this kernel has.
    """
    frames = kinds.split()
    processes = read_processes()
    labels = label_containers(processes, engine)
    if containers:
        labels = {pid: name for pid, name in labels.items() if name in containers}
    shown = _choose(processes, labels)
    return Drawing(
        process_tree_html(shown, labels, frames),
        process_tree_text(shown, labels, frames),
        process_tree_svg(shown, labels, frames),
        ProcessPicture,
    )


def _choose(processes: Sequence[Process], labels: Mapping[int, str]) -> list[Process]:
    """The engine, the containers that have a label, with all that they have started, and their shims."""
    shims = {one.ppid for one in processes if one.pid in labels}
    inside = set(labels)
    for row in arrange(processes):  # parents come before their children
        if row.process.ppid in inside:
            inside.add(row.process.pid)
    return [one for one in processes if one.pid in inside | shims or one.comm in ENGINE]
