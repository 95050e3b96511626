"""What is the tree when layers are laid on each other, and what does each of them change?"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from operator import itemgetter
from typing import NamedTuple

from labkit.errors import ImageError
from labkit.images.content import Content, Names, Node, Tree
from labkit.images.paths import printable

__all__ = ["Change", "Merged", "total_below"]


_PATH = itemgetter(0)


class Change(NamedTuple):
    """What one layer does to one path."""

    path: str
    kind: str  # as of a Node; of a deleted path what was deleted
    size_bytes: int  # content bytes of a regular file, else 0; of a deleted path what is hidden at and below it
    change: str  # "added"; "modified": it was there below; "deleted": the topmost path that is no more


class Merged(Tree):
    """The tree while layers are laid on it."""

    __slots__ = ("links",)

    def __init__(self) -> None:
        super().__init__()
        self.links: dict[int, dict[str, list[str]]] = {}

    def links_of(self, layer: int) -> dict[str, list[str]]:
        return self.links.get(layer, {})

    def nodes(self) -> Iterator[Node]:
        """Give all nodes; a hard link names the path that the file has now."""
        for node in chain.from_iterable(names.values() for names in self.below.values()):
            if node.kind == "hardlink":
                group = self.links[node.layer].get(node.target)
                yield node._replace(target=group[0]) if group else node
            else:
                yield node

    def lay(self, content: Content) -> tuple[Change, ...]:
        """Put the next layer on top; give what it changes, sorted by path."""
        groups = {id(group): list(group) for group in content.links.values()}
        for path, (lost, times) in content.lost.items():
            before = self.lost.get(path, (0, 0))
            self.lost[path] = before[0] + lost, before[1] + times
        gone: dict[str, Node] = {}  # the topmost paths that this layer hides
        taken: dict[str, Names] = {}  # and all that was below them
        self._hide(content, gone, taken)
        changes: list[Change] = []
        below, new = self.below, tuple.__new__
        for directory, names in content.below.items():
            mine = below.get(directory)
            if mine is None:
                mine = below[directory] = {}
            for name, node in names.items():
                old = mine.get(name)
                path, kind, size_bytes, _, _, _, _, _ = node
                if old is None:
                    word = "added"
                    mine[name] = node
                    if gone and path in gone:
                        word = "modified"
                        self._uncover(gone.pop(path), gone, taken)
                else:
                    if old.kind == "directory" and path in content.implied:
                        continue
                    word = "modified"
                    mine[name] = node
                    if old.kind != "directory":
                        self.leave(old)
                    elif kind != "directory":
                        taken |= self.take_out(path)
                        self._uncover(old, gone, taken)
                changes.append(new(Change, (path, kind, size_bytes, word)))
        if groups:
            self.links[content.layer] = {path: groups[id(group)] for path, group in content.links.items()}
            self._check_links(content)
        if gone:
            totals: dict[str, int] = {}
            for path, node in gone.items():
                if any(folder in gone for folder in _folders_above(path)):
                    continue  # an opaque directory, itself below one that is gone
                size = total_below(path, taken, totals) if node.kind == "directory" else node.size_bytes
                changes.append(Change(path, node.kind, size, "deleted"))
        changes.sort(key=_PATH)
        return tuple(changes)

    def _hide(self, content: Content, gone: dict[str, Node], taken: dict[str, Names]) -> None:
        for directory in content.opaque:
            for node in self.below.get(directory, {}).values():
                gone[node.path] = node
            taken |= self.take_out(directory)
            if directory == "":
                self.below[""] = {}
        for path in sorted(content.whiteouts):  # a directory before what is below it
            parent, _, name = path.rpartition("/")
            names = self.below.get(parent)
            if not names or name not in names:
                continue  # of what never was, or is hidden by a directory above
            node = names.pop(name)
            gone[path] = node
            if node.kind == "directory":
                taken |= self.take_out(path)
            else:
                self.leave(node)

    def _uncover(self, hidden: Node, gone: dict[str, Node], taken: dict[str, Names]) -> None:
        """The path of a hidden node is given again: now the topmost that are gone are those just below it."""
        if hidden.kind == "directory":
            gone.update((node.path, node) for node in taken.get(hidden.path, {}).values())

    def _check_links(self, content: Content) -> None:
        for target, group in content.links.items():
            if len(group) > 1 and target == group[0] and self.get(target) is None:
                raise ImageError(
                    f"layer {content.layer + 1}",
                    f"{printable(group[-1])} is a hard link to {printable(target)}, which is not there",
                )


def _folders_above(path: str) -> Iterator[str]:
    while path := path.rpartition("/")[0]:
        yield path


def total_below(directory: str, below: Mapping[str, Names], known: dict[str, int]) -> int:
    """Give the bytes of all files below a directory; `known` keeps those of each directory that was counted."""
    waiting: list[tuple[str, bool]] = [(directory, False)]
    while waiting:
        path, is_counted = waiting.pop()
        if path in known:
            continue
        nodes: Iterable[Node] = below.get(path, {}).values()
        inner = [node.path for node in nodes if node.kind == "directory"]
        if is_counted or not inner:
            known[path] = sum(node.size_bytes for node in nodes) + sum(known[each] for each in inner)
        else:
            waiting.append((path, True))
            waiting += [(each, False) for each in inner]
    return known[directory]
