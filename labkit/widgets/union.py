"""What does the kernel do with a file of an overlay? The learner chooses one and an act, and the directories answer.

view = watch_union({"notes.txt": "hello\\n"})     mounts an overlay, and shows lower, upper and merged, with buttons
view.act("append", "notes.txt")                  what a button does
draw_union(read_root(pid), "etc")                the same three columns of any overlay, as they are now
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from anywidget import AnyWidget
from IPython.core.getipython import get_ipython
from traitlets import Bool, List, Unicode

from labkit.errors import LabError
from labkit.images.overlay import Directories, Overlay, changed_paths
from labkit.images.union import ACTS, Did, Files, Union, open_union, read_directories
from labkit.show.union import union_html, union_svg, union_text
from labkit.widgets.live import Drawing
from labkit.widgets.script import read_script

__all__ = ["EXAMPLE", "UnionView", "draw_union", "watch_union"]

# Small files, whose text is shown; a directory to be replaced; one file that is large, and one with two names.
EXAMPLE: Files = {
    "app/main.py": "import old\n",
    "app/old.py": "x = 1\n",
    "big.bin": bytes(20_000_000),
    "notes.txt": "written below\n",
    "same.txt": Path("notes.txt"),  # a second name of the same file
}
CAPTION = (
    "Choose a row (mouse, or arrow keys on a row), and press a button. The act is done in <b>merged</b>, as a program "
    "would do it. A dashed cell with a cross is a mark: there is no content in it, and it hides what is in lower."
)
CLOSED = "The overlay is unmounted. Run the cell again to go on."


class UnionView(AnyWidget):
    """Lower, upper and merged of an overlay of its own, and buttons for what a program may do to the chosen path."""

    _esm = read_script("union.js")
    name = "union view"
    picture = Unicode().tag(sync=True)
    still = Unicode().tag(sync=True)  # SVG for a page whose kernel has gone
    acts = List(List(Unicode())).tag(sync=True)  # of each button: its name, and the line of a shell
    chosen = Unicode().tag(sync=True)
    said = Unicode().tag(sync=True)
    is_live = Bool(True).tag(sync=True)

    def __init__(self, lower: Files) -> None:
        self._lower = dict(lower)
        self.union: Union = open_union(self._lower)
        self._now = self.union.read()
        first = next(entry.path for entry in self._now.merged if entry.kind == "file")
        acts = [[name, act.line.format("…")] for name, act in ACTS.items()]
        super().__init__(acts=acts, chosen=first, said=f"{first} is chosen.")
        self._draw(set())
        self.on_msg(self._hear)
        # A cell, or a line in a shell, may have changed something: the picture follows.
        self._notebook = get_ipython()
        if self._notebook is not None:
            self._notebook.events.register("post_run_cell", self._look)

    def act(self, name: str, path: str) -> Did:
        """Do one of labkit.images.union.ACTS to a path in merged, and draw what the directories hold then.

        Raises KeyError for another act, ValueError for a path outside, LabError when the overlay is unmounted.
        """
        if not self.is_live:
            raise LabError(CLOSED)
        did = self.union.act(name, path)
        if path == self.chosen:  # the choice goes with what was renamed
            self.chosen = did.path
        self.look()
        self.said = f"{did.line}: {_tell(did)}"
        return did

    def look(self) -> None:
        """Read the directories again, and draw what is different."""
        if self.is_live:
            before, self._now = self._now, self.union.read()
            changed = changed_paths(before, self._now)
            if changed:
                self._draw(changed)

    def begin_anew(self) -> None:
        """Mount a new overlay with the files of the beginning. Raises LabError when the view has been stopped."""
        if not self.is_live:
            raise LabError(CLOSED)
        self.union = open_union(self._lower)
        self._now = self.union.read()
        self._draw(set())
        self.said = "As at the beginning."

    def stop(self) -> None:
        """Unmount the overlay: the picture stays, and its buttons go."""
        if self.is_live:
            self.union.close()
            self.is_live = False
            self.said = CLOSED
        if self._notebook is not None:
            self._notebook.events.unregister("post_run_cell", self._look)
            self._notebook = None

    def _look(self, _: object) -> None:
        if not self.union.is_mounted:  # another view, or this cell run again, has taken its place
            self.stop()
        self.look()

    def _hear(self, _: object, content: Mapping[str, str], __: object) -> None:
        what, path = content.get("do"), content.get("path")
        if not self.is_live:
            return
        if what == "begin anew":
            self.begin_anew()
        elif what == "look":
            self.look()
        elif what and what in ACTS and path:
            self.act(what, path)

    def _draw(self, changed: set[str]) -> None:
        with self.hold_sync():
            self.picture = union_html(self._now, changed=changed, chosen=self.chosen, caption=CAPTION)
            if changed:
                self.still = union_svg(self._now)

    def __repr__(self) -> str:
        return union_text(self._now)

    def _repr_mimebundle_(self, **options: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        self.look()
        bundle, metadata = super()._repr_mimebundle_(**options) or ({}, {})
        return {**bundle, "image/svg+xml": union_svg(self._now), "text/plain": repr(self)}, metadata


def _tell(did: Did) -> str:
    if did.refusal:
        return f"the kernel refuses. {did.refusal}"
    return f"done. It made {did.path} new: none was in merged." if did.is_new else "done."


def watch_union(lower: Files = EXAMPLE) -> UnionView:
    """Mount an overlay whose lower directory holds these files, and show it with buttons; `stop` unmounts it.

    Raises LabError when the kernel refuses. Another overlay that this process has mounted there is unmounted first.
    """
    return UnionView(lower)


def draw_union(overlay: Overlay | Directories, below: str = "") -> Drawing:
    """Show what lies in the directories of an overlay now, at `below` and in it.

    Raises LabError where there are too many files for a picture.
    """
    directories = overlay if isinstance(overlay, Directories) else read_directories(overlay, below)
    return Drawing(union_html(directories), union_text(directories), union_svg(directories))
