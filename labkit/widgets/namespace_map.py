"""Which processes share which namespaces, now and while they come and go?

watch_namespaces()                          all processes of this machine, live
with watch_namespaces() as seen: ...        live while the block runs
draw_namespaces({"box": pid}, "uts net")    some processes, as they are now, under names that are given
"""

from collections.abc import Mapping, Sequence

from labkit.api.engine import Engine
from labkit.errors import LabError
from labkit.isolation.namespaces import Process, read_process
from labkit.show.namespace_look import KINDS
from labkit.show.namespace_map import namespace_map_html, namespace_map_svg, namespace_map_text
from labkit.widgets.live import Drawing, LiveView
from labkit.widgets.processes import Look, ProcessPicture, ProcessSource

__all__ = ["NamespaceMap", "draw_namespaces", "watch_namespaces"]

WORDS = "(who shares which namespaces, on a live page)"


class NamespaceMap(LiveView[Look]):
    """The map of all processes. Its text is the same whoever is there: no two machines have the same processes."""

    canvas = ProcessPicture

    def __init__(self, source: ProcessSource, kinds: Sequence[str] = ()) -> None:
        self._kinds = kinds
        super().__init__("namespaces", source, html=self._page, text=lambda *_: WORDS, picture=self._still)

    def _page(self, looks: Sequence[Look], _: int) -> str:
        if not looks:
            return ""
        return namespace_map_html(looks[-1].processes, self._kinds, looks[-1].labels, new=looks[-1].came)

    def _still(self, looks: Sequence[Look], _: int) -> str:
        if not looks:
            return ""
        return namespace_map_svg(looks[-1].processes, self._kinds, looks[-1].labels, differs=True)


def watch_namespaces(kinds: str = "") -> NamespaceMap:
    """Draw all processes of this machine and their namespaces, and follow them until the view is stopped.

    `kinds` are the columns, as in "uts ipc pid"; none are all that this kernel has. Raises ValueError for another name.
    """
    return NamespaceMap(ProcessSource(Engine()), _split(kinds))


def draw_namespaces(pids: Mapping[str, int | str | Process], kinds: str = "") -> Drawing:
    """Draw some processes as they are now: a pid for each name ("self" is this process), in the order that is given.

    Instead of a pid, a `Process` is drawn as it was when it was read: it may have ended.

    Raises LabError when one has ended, ValueError for another kind.
    """
    columns = _split(kinds)
    processes, labels = [], {}
    for name, pid in pids.items():
        found = pid if isinstance(pid, Process) else read_process(pid)
        if found is None:
            raise LabError(f"{name} has ended: there is no process {pid} any more. First run the cell that starts it.")
        processes.append(found)
        labels[found.pid] = name
    return Drawing(
        namespace_map_html(processes, columns, labels),
        namespace_map_text(processes, columns, labels),
        namespace_map_svg(processes, columns, labels),
        ProcessPicture,
    )


def _split(kinds: str) -> list[str]:
    found = kinds.split()
    for kind in found:
        if kind not in KINDS:
            raise ValueError(f"there is no kind of namespace named {kind!r}, but {', '.join(KINDS)}")
    return found
