"""What does each layer of an image do? A stack to walk through, and the tree as each layer leaves it.

layer_stack(analysis)                                    the top layer, with what it did opened
layer_stack(analysis, layer=2, path="etc/passwd")        the second layer from below, with a path shown in the tree

Every path is sent to the page once; the page does not ask the kernel while the reader moves.
"""

from pathlib import Path
from typing import Any

from anywidget import AnyWidget
from traitlets import Bool, Bytes, Dict, Int, List, Unicode

from labkit.images.layers import Analysis
from labkit.show.layer_rows import open_changes
from labkit.show.layer_stack import layer_facts, layer_stack_html, layer_stack_text
from labkit.show.layer_still import Moment, layer_stack_svg
from labkit.show.layer_tree import pack, read_tree

__all__ = ["LayerStack", "layer_stack"]

OPENED_ROWS = 16


class LayerStack(AnyWidget):
    """An image's layers and its tree; `depth` is the index of the layer that is looked at, 0 for the bottom one.

    The traits hear what the reader does a moment later. `still` is the picture of what is seen: it is drawn then.
    """

    _esm = Path(__file__).with_name("layer_stack.js")
    html = Unicode().tag(sync=True)
    packed = Bytes().tag(sync=True)
    layers = List(Dict()).tag(sync=True)
    depth = Int().tag(sync=True)
    opened = List(Int()).tag(sync=True)
    picked = Int(-1).tag(sync=True)
    search = Unicode().tag(sync=True)
    only = Bool(False).tag(sync=True)
    still = Unicode().tag(sync=True)  # SVG for a page whose kernel has gone; "": what is stored will do

    def __init__(self, analysis: Analysis, depth: int, path: str = "") -> None:
        self.analysis = analysis
        self.tree = tree = read_tree(analysis)
        if path.strip("/") not in tree.places and path:
            raise ValueError(f"no layer of {analysis.name} has the path {path!r}")
        picked = tree.places[path.strip("/")] if path else -1
        opened = open_changes(tree.entries, tree.at(depth), False, OPENED_ROWS)
        above = [number for number in range(max(picked, 0)) if tree.entries[number].end > picked]
        self._first = Moment(depth, opened.union(above))
        super().__init__(
            html=layer_stack_html(analysis, tree),
            packed=pack(tree.entries),
            layers=layer_facts(analysis, tree),
            depth=depth,
            opened=sorted(self._first.opened),
            picked=picked,
        )
        self.observe(lambda _: self._draw(), ["depth", "opened", "search", "only"])

    def _draw(self) -> None:
        moment = Moment(self.depth, frozenset(self.opened), self.search, self.only)
        self.still = layer_stack_svg(self.analysis, self.tree, moment)

    def __repr__(self) -> str:
        return layer_stack_text(self.analysis, self.tree)

    def _repr_mimebundle_(self, **options: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        bundle, metadata = super()._repr_mimebundle_(**options) or ({}, {})
        picture = layer_stack_svg(self.analysis, self.tree, self._first)
        return {**bundle, "image/svg+xml": picture, "text/plain": repr(self)}, metadata


def layer_stack(analysis: Analysis, *, layer: int | None = None, path: str = "") -> LayerStack:
    """Show what each layer of an image does, and the tree as each leaves it.

    `layer` is the one to begin with, 1 for the bottom one; without it the top one. `path` is shown in the tree.
    Raises ValueError for a layer that the image does not have, and for a path that none of its layers has.
    """
    count = len(analysis.layers)
    if layer is not None and not 1 <= layer <= count:
        raise ValueError(f"there is no layer {layer}: the image has {count}, and the bottom one is 1")
    return LayerStack(analysis, count - 1 if layer is None else layer - 1, path)
