"""Which wall stops which attack? The reader chooses which walls stand, and a real container is attacked.

draw_walls({"nothing": try_attacks(), "seccomp": try_attacks("seccomp")})      a picture of what was measured
watch_walls()                                                                  walls to choose: each press is a try
"""

from collections.abc import Mapping
from typing import Any

from anywidget import AnyWidget
from traitlets import Bool, List, Unicode

from labkit.errors import LabError
from labkit.isolation.walls import ATTACKS, WALLS, try_attacks
from labkit.show.walls import Measured, walls_html, walls_svg, walls_text
from labkit.widgets.live import Drawing
from labkit.widgets.script import read_script

__all__ = ["WallsView", "draw_walls", "watch_walls"]

CAPTION = (
    "Choose which walls stand (mouse, or Tab and Space), then press <b>attack</b>. "
    "Each press starts a real container, and tries eight attacks in it."
)
CHOSEN, NOTHING = "your choice", "no wall"
ENDED = "This view has ended. Run the cell again to go on."
GONE = "The container could not be started, so this view has ended. Run the cell again to go on."


class WallsView(AnyWidget):
    """Attacks a container without a wall, and then with the walls that the reader chooses."""

    _esm = read_script("walls.js")
    name = "walls to choose"
    walls = List(Unicode(), default_value=list(WALLS)).tag(sync=True)
    picture = Unicode().tag(sync=True)
    said = Unicode().tag(sync=True)
    busy = Bool(False).tag(sync=True)
    is_live = Bool(True).tag(sync=True)

    def __init__(self) -> None:
        self.measured: dict[str, dict[str, bool]] = {NOTHING: try_attacks()}
        super().__init__()
        self.on_msg(self._hear)
        self.picture = walls_html(self.measured, caption=CAPTION)
        self._say()

    def try_it(self, up: list[str]) -> dict[str, bool]:
        """Attack a container in which these walls stand, and show it; raises LabError when it does not start."""
        try:
            tried = try_attacks(*up)
        except LabError:
            self.stop(GONE)
            raise
        self.measured[CHOSEN] = tried
        self.picture = walls_html(self.measured, new=CHOSEN, caption=CAPTION)
        self._say(up)
        return tried

    def stop(self, why: str = ENDED) -> None:
        """The picture stays, and can no longer be asked."""
        self.is_live = False
        self.said = why

    def _say(self, up: list[str] | None = None) -> None:
        newest = list(self.measured.values())[-1]
        stopped = sum(not works for works in newest.values())
        self.said = f"With {' and '.join(up or []) or 'no wall'}: {stopped} of {len(ATTACKS)} attacks are stopped."

    def _hear(self, _: object, content: Mapping[str, Any], __: object) -> None:
        up = content.get("up")
        try:
            if self.is_live and isinstance(up, list) and all(name in self.walls for name in up):
                self.try_it(up)
        except LabError:
            pass  # `stop` has said it
        finally:
            self.busy = False

    def __repr__(self) -> str:
        return walls_text({NOTHING: self.measured[NOTHING]})

    def _repr_mimebundle_(self, **options: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        bundle, metadata = super()._repr_mimebundle_(**options) or ({}, {})
        return {**bundle, "image/svg+xml": walls_svg(self.measured), "text/plain": repr(self)}, metadata


def watch_walls() -> WallsView:
    """Attack a container without a wall, and show walls to choose. Raises LabError with docker's words."""
    return WallsView()


def draw_walls(measured: Measured) -> Drawing:
    """Show what was measured: a column for what stands, a row for each attack."""
    return Drawing(walls_html(measured), walls_text(measured), walls_svg(measured))
