"""How much of an image is wasted, as dive counts it?

dive (https://github.com/wagoodman/dive) counts every path that ends a branch of the tree of a layer: a file, a link, an
empty directory, a whiteout. Of those that two layers or more have it adds up all copies, with the one that is shown; a
whiteout of a directory counts as what the directory held, another whiteout as nothing. These are the **wasted bytes**.
The **efficiency** is, over all such paths, the bytes of the smallest copy divided by the bytes of all copies; 1.0 where
there are no bytes.

It is dive's number for what engines write. In two cases it is not: dive does not know opaque directories, so that a
later whiteout of such a directory counts what was hidden in it already; and where a whiteout names what never was, dive
leaves out the rest of that layer.
"""

from labkit.images.content import Content
from labkit.images.merged import Merged, total_below

__all__ = ["Dive"]


class Dive:
    """The waste as dive counts it."""

    __slots__ = ("repeated", "sizes")

    def __init__(self) -> None:
        self.sizes: dict[str, int] = {}  # of each path that ends a branch in a layer, its size there
        self.repeated: dict[str, tuple[int, int]] = {}  # of those in several layers: all sizes, the smallest

    def see(self, content: Content, below: Merged) -> None:
        """Count one layer, before it is laid on those below."""
        totals: dict[str, int] = {}
        tree = below.below
        for path in content.whiteouts:
            node = below.get(path)
            self._count(path, total_below(path, tree, totals) if node and node.kind == "directory" else 0)
        # A directory in which a whiteout stands ends no branch either.
        parents = {path.rpartition("/")[0] for path in content.whiteouts}
        sizes = self.sizes
        own = content.below
        for names in own.values():
            for path, kind, size_bytes, _, _, _, _, _ in names.values():
                if kind == "directory" and (own.get(path) or path in parents):
                    continue
                if path in sizes:
                    self._count(path, size_bytes)
                else:
                    sizes[path] = size_bytes

    def result(self) -> tuple[int, float]:
        """Give the wasted bytes and the efficiency."""
        wasted = sum(size for size, _ in self.repeated.values())
        once = sum(self.sizes.values()) - sum(self.sizes[path] for path in self.repeated)
        found = once + wasted
        least = once + sum(smallest for _, smallest in self.repeated.values())
        return wasted, least / found if found else 1.0

    def _count(self, path: str, size_bytes: int) -> None:
        if path not in self.sizes:
            self.sizes[path] = size_bytes
            return
        size, smallest = self.repeated.get(path) or (self.sizes[path],) * 2
        self.repeated[path] = size + size_bytes, min(smallest, size_bytes)
