"""What is the tree when layers are laid on each other, and what does each of them change?"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from operator import itemgetter
from typing import NamedTuple

from labkit.errors import ImageError
from labkit.images.content import Content, Names, Node, Tree
from labkit.images.paths import printable

__all__ = ["Change", "Changes", "Merged", "total_below"]


_PATH = itemgetter(0)


class Change(NamedTuple):
    """What one layer does to one path."""

    path: str
    kind: str  # as of a Node; of a deleted path what was deleted
    size_bytes: int  # content bytes of a regular file, else 0; of a deleted path what is hidden at and below it
    change: str  # "added"; "modified": it was there below; "deleted": the topmost path that is no more


class Changes:
    """What one layer does: `added` and `modified` as its nodes, `deleted` with what is hidden.

    Most who ask want the numbers alone: the changes are made and sorted when somebody reads them.
    """

    __slots__ = ("_by_path", "added", "deleted", "modified")

    def __init__(self, added: Sequence[Node], modified: Sequence[Node], deleted: Sequence[Change]) -> None:
        self.added, self.modified, self.deleted = added, modified, deleted
        self._by_path: tuple[Change, ...] | None = None

    def by_path(self) -> tuple[Change, ...]:
        """Give all of them, sorted by path."""
        if self._by_path is None:
            given = [Change(node.path, node.kind, node.size_bytes, "added") for node in self.added]
            given += [Change(node.path, node.kind, node.size_bytes, "modified") for node in self.modified]
            self._by_path = tuple(sorted([*given, *self.deleted], key=_PATH))
        return self._by_path

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Changes) and self.by_path() == other.by_path()

    def __hash__(self) -> int:
        return hash(self.by_path())


class Merged(Tree):
    """The tree while layers are laid on it."""

    __slots__ = ("links",)

    def __init__(self) -> None:
        super().__init__()
        self.links: dict[int, dict[str, list[str]]] = {}

    def links_since(self, layer: int) -> Iterable[tuple[int, dict[str, list[str]]]]:
        return ((index, links) for index, links in self.links.items() if index >= layer)

    def nodes(self) -> Iterator[Node]:
        """Give all nodes; a hard link names the path that the file has now."""
        for node in chain.from_iterable(names.values() for names in self.below.values()):
            if node.kind == "hardlink":
                group = self.links[node.layer].get(node.target)
                yield node._replace(target=group[0]) if group else node
            else:
                yield node

    def lay(self, content: Content) -> Changes:
        """Put the next layer on top; give what it changes."""
        groups = {id(group): list(group) for group in content.links.values()}
        for path, (lost, times) in content.lost.items():
            before = self.lost.get(path, (0, 0))
            self.lost[path] = before[0] + lost, before[1] + times
        gone: dict[str, Names] = {}  # by directory, the topmost paths that this layer hides
        taken: dict[str, Names] = {}  # and all that was below them
        self._hide(content, gone, taken)
        added: list[Node] = []
        modified: list[Node] = []
        below = self.below
        for directory, names in content.below.items():
            mine, hidden = below.get(directory), gone.get(directory)
            if not mine and not hidden:  # most directories of a layer that installs something: all in them is new
                below[directory] = names.copy()
                added += names.values()
                continue
            if mine is None:
                mine = below[directory] = {}
            for name, node in names.items():
                old = mine.get(name)
                if old is None:
                    mine[name] = node
                    if hidden and name in hidden:
                        modified.append(node)
                        self._uncover(hidden.pop(name), gone, taken)
                    else:
                        added.append(node)
                    continue
                if old.kind == "directory" and node.path in content.implied:
                    continue
                modified.append(node)
                mine[name] = node
                if old.kind != "directory":
                    self.leave(old)
                elif node.kind != "directory":
                    taken |= self.take_out(node.path)
                    self._uncover(old, gone, taken)
        if groups:
            self.links[content.layer] = {path: groups[id(group)] for path, group in content.links.items()}
            self._check_links(content)
        return Changes(added, modified, _deleted(gone, taken))

    def _hide(self, content: Content, gone: dict[str, Names], taken: dict[str, Names]) -> None:
        for directory in content.opaque:
            if names := self.below.get(directory):
                gone.setdefault(directory, {}).update(names)
            taken |= self.take_out(directory)
            if directory == "":
                self.below[""] = {}
        for path in sorted(content.whiteouts):  # a directory before what is below it
            parent, _, name = path.rpartition("/")
            names = self.below.get(parent)
            if not names or name not in names:
                continue  # of what never was, or is hidden by a directory above
            node = names.pop(name)
            gone.setdefault(parent, {})[name] = node
            if node.kind == "directory":
                taken |= self.take_out(path)
            else:
                self.leave(node)

    def _uncover(self, hidden: Node, gone: dict[str, Names], taken: dict[str, Names]) -> None:
        """The path of a hidden node is given again: now the topmost that are gone are those just below it."""
        if hidden.kind == "directory" and (names := taken.get(hidden.path)):
            gone.setdefault(hidden.path, {}).update(names)

    def _check_links(self, content: Content) -> None:
        for target, group in content.links.items():
            if len(group) > 1 and target == group[0] and self.get(target) is None:
                raise ImageError(
                    f"layer {content.layer + 1}",
                    f"{printable(group[-1])} is a hard link to {printable(target)}, which is not there",
                )


def _deleted(gone: dict[str, Names], taken: dict[str, Names]) -> list[Change]:
    found: list[Change] = []
    totals: dict[str, int] = {}
    for directory, names in gone.items():
        if any(name in gone.get(parent, ()) for parent, name in _steps_to(directory)):
            continue  # an opaque directory, itself at or below a path that is gone
        for node in names.values():
            size = total_below(node.path, taken, totals) if node.kind == "directory" else node.size_bytes
            found.append(Change(node.path, node.kind, size, "deleted"))
    return found


def _steps_to(path: str) -> Iterator[tuple[str, str]]:
    """Give the directory and the name of a path, and of each directory above it."""
    while path:
        parent, _, name = path.rpartition("/")
        yield parent, name
        path = parent


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
