"""How are a learner's own docker and the real one seen side by side: as a table, and as a picture of their starts?"""

import base64
import io
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from labkit.check.peers import Start
from labkit.show.look import ROLES
from labkit.show.peers import peers_html, peers_svg, peers_text
from labkit.widgets.view import View

__all__ = ["Starts", "show_peers"]

INK, DIM = "#1f2328", "#545c66"  # of a light page: the figure has a white ground, legible on both
COLOURS = {"runc run": "engine", "mydocker run": "container", "docker run": "request"}
NAMES = ("mydocker", "docker")


def show_peers(ours: Mapping[str, str], theirs: Mapping[str, str]) -> View:
    """A table of what containers of mydocker and of docker have answered."""
    return View(peers_html(NAMES, ours, theirs), peers_text(ours, theirs), picture=peers_svg(NAMES, ours, theirs))


class Starts:
    """A figure of starts, one row a program: a bar for the quickest, a dot for each; its text has only relations."""

    def __init__(self, starts: Sequence[Start]) -> None:
        self._starts = starts

    def __repr__(self) -> str:
        best = {one.program: min(one.seconds) for one in self._starts}
        slowest = max(best, key=lambda name: best[name])
        return "\n".join(f"{slowest} takes longer than {name}" for name in best if name != slowest)

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        packed = io.BytesIO()
        _draw(self._starts).savefig(packed, format="png", dpi=110, bbox_inches="tight", pad_inches=0.08)
        return {"image/png": base64.b64encode(packed.getvalue()).decode(), "text/plain": repr(self)}


def _draw(starts: Sequence[Start]) -> Figure:
    drawn = Figure(figsize=(8.5, 0.9 + 0.6 * len(starts)), facecolor="white", layout=ConstrainedLayoutEngine())
    axes = drawn.subplots()
    for place, one in enumerate(starts):
        best = min(one.seconds) * 1000
        axes.barh(place, best, height=0.55, color=ROLES[COLOURS[one.program]].light)
        axes.plot([seconds * 1000 for seconds in one.seconds], [place] * len(one.seconds), "o", color=INK, ms=3.5)
        axes.annotate(
            f"quickest: {best:.0f} ms",
            (max(one.seconds) * 1000, place),
            xytext=(8, 0),
            textcoords="offset points",
            va="center",
            color=INK,
            fontsize=10,
        )
    axes.set_yticks(range(len(starts)), [one.program for one in starts], family="monospace", color=INK)
    axes.invert_yaxis()
    axes.margins(x=0.12)
    axes.set_xlim(left=0)
    axes.set_xlabel(
        "milliseconds until the program true has ended: the bar is the quickest, each dot a start", color=INK
    )
    axes.tick_params(colors=DIM, labelcolor=INK)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    return drawn
