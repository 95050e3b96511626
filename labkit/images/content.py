"""What do the entries of one layer say?

Entries are taken in the order of the tar, and give a tree of nodes, directory by directory. What the tar says by the
names of its entries (whiteouts) is kept beside it. Source: OCI image specification, `layer.md`.

    >>> content = Content()
    >>> content.add("etc/motd", "file", 100)
    >>> content.add("etc/.wh.issue", "file")
    >>> content.get("etc/motd").size_bytes, list(content.whiteouts), content.implied
    (100, ['etc/issue'], {'etc'})
"""

from collections.abc import Iterable
from typing import NamedTuple

from labkit.images.paths import LONGEST_PATH, clean, printable

__all__ = ["MOST_ENTRIES", "OPAQUE", "WHITEOUT", "Content", "Names", "Node", "Tree"]

WHITEOUT = ".wh."  # how the name of an entry begins that hides another
OPAQUE = ".wh..wh..opq"  # the name of an entry that hides all that lower layers have in its directory
MOST_ENTRIES = 2_000_000  # of all layers of an image; a full desktop has 600,000
MOST_LONG_BYTES = 2**26  # of names that are longer than a file's name may be
_DOTS = ("", ".", "..")  # what is no name in a directory
_AUFS_OWN = ".wh..wh."  # how names begin that aufs kept for itself


class Node(NamedTuple):
    """What stands at a path: as one entry of a layer says it."""

    path: str  # "etc/passwd": no "/" at its ends; names that are not UTF-8 with surrogateescape
    kind: str  # "file" "directory" "symlink" "hardlink" "character device" "block device" "fifo"
    size_bytes: int = 0  # of a regular file, else 0
    mode: int = 0o755  # permission bits
    uid: int = 0
    gid: int = 0
    target: str = ""  # of a symlink its text; of a hard link the path of the file
    layer: int = 0  # index of the layer that provides it


Names = dict[str, Node]  # what is in one directory


class Tree:
    """A tree of nodes: `below` holds of each directory what is in it, a directory before its subdirectories."""

    __slots__ = ("below", "lost")

    def __init__(self) -> None:
        self.below: dict[str, Names] = {"": {}}
        self.lost: dict[str, tuple[int, int]] = {}  # of each path the bytes that were replaced or hidden, and how often

    def get(self, path: str) -> Node | None:
        parent, _, name = path.rpartition("/")
        names = self.below.get(parent)
        return names.get(name) if names else None

    def take_out(self, directory: str) -> "dict[str, Names]":
        """Remove all that is below a directory; give it, by directory, the topmost first."""
        taken: dict[str, Names] = {}
        waiting = [directory]
        while waiting:
            path = waiting.pop()
            names = self.below.pop(path, None)
            if names:
                taken[path] = names
                waiting += [node.path for node in names.values() if node.kind == "directory"]
        for names in taken.values():
            for node in names.values():
                self.leave(node)
        return taken

    def leave(self, node: Node) -> None:
        """Count the bytes of what has just left the tree, unless another name of it (a hard link) is left."""
        if node.kind not in ("directory", "hardlink") and not self.pass_on(node) and node.size_bytes:
            lost, times = self.lost.get(node.path, (0, 0))
            self.lost[node.path] = lost + node.size_bytes, times + 1

    def pass_on(self, node: Node) -> bool:
        """Let another name of a file be the file; tell whether there is one. The file stays that of its own layer."""
        known = [(layer, links) for layer, links in self.links_since(node.layer) if links.get(node.path)]
        groups = [(layer, links, links[node.path]) for layer, links in known if links[node.path][0] == node.path]
        for layer, links, group in groups:
            while len(group) > 1:
                heir = self.get(group.pop())
                if heir and heir.kind == "hardlink" and heir.layer == layer and links.get(heir.target) is group:
                    parent, _, name = heir.path.rpartition("/")
                    self.below[parent][name] = node._replace(path=heir.path)
                    for _, each, names in groups:  # also what other layers link to it
                        each[heir.path] = names
                        names[0] = heir.path
                    return True
        return False

    def links_since(self, layer: int) -> "Iterable[tuple[int, dict[str, list[str]]]]":
        """Give the hard links of a layer and of those above it, each with the layer's index.

        They are, for the path of a file, the file's first name, then its further ones.
        """
        raise NotImplementedError


class Content(Tree):
    """What the entries of one layer say, before it is laid on others."""

    __slots__ = ("_long_bytes", "_most", "entries", "implied", "layer", "links", "opaque", "size_bytes", "whiteouts")

    def __init__(self, layer: int = 0) -> None:
        super().__init__()
        self.layer = layer
        self.entries = 0
        self.size_bytes = 0
        self.whiteouts: dict[str, None] = {}  # hidden paths, in the order of the entries
        self.opaque: dict[str, None] = {}  # directories of which all that is below is hidden
        self.implied: set[str] = set()  # directories without an entry, above paths that have one
        self.links: dict[str, list[str]] = {}
        self._long_bytes, self._most = 0, MOST_ENTRIES

    def links_since(self, layer: int) -> Iterable[tuple[int, dict[str, list[str]]]]:
        return ((self.layer, self.links),)

    def add(
        self, path: str, kind: str, size_bytes: int = 0, mode: int = 0o755, uid: int = 0, gid: int = 0, target: str = ""
    ) -> None:
        """Take one entry; see `take`."""
        self.take([(path, kind, size_bytes, mode, uid, gid, target, 0, 0)])

    def take(
        self, entries: Iterable[tuple[str, str, int, int, int, int, str, int, int]], most: int = MOST_ENTRIES
    ) -> None:
        """Take at most so many entries (of `labkit.images.tar`), in the order of the tar; `entries` counts them.

        A directory that no entry gives, above a path that one gives, counts as an entry.

        ValueError with a sentence for what no engine unpacks: a name that leads out of the image, a root that is no
        directory, a path below a file or a symlink of the same layer, a whiteout of no name, a hard link to itself or
        to a directory.
        """
        below, layer, new = self.below, self.layer, tuple.__new__
        self._most = most
        last, names = "", below[""]  # the directory of the entry before, which most often is that of the next
        tidy = ""  # the same as the tar has it, where that is how it is kept
        for name, kind, size_bytes, mode, uid, gid, target, _, _ in entries:
            self.entries += 1
            folder, _, rest = name.rpartition("/")
            if folder and folder == tidy and rest not in _DOTS and "\0" not in rest and len(name) < 255:
                path, parent, name = name, folder, rest
            else:
                path = clean(name)
                parent, _, rest = path.rpartition("/")
                tidy, name = parent if path == name else "", rest
            if self.entries > most or len(path) > 255 or len(target) > 255:
                self._bound(path, target)
            if name[:4] == WHITEOUT:
                self._hide(parent, name)
                continue
            if parent != last or kind == "hardlink":
                found = below.get(parent)
                names, last = (self._make_directory(parent) if found is None else found), parent
            if kind == "hardlink":
                target = self._link(path, target)
            old = names.get(name)
            names[name] = new(Node, (path, kind, size_bytes, mode, uid, gid, target, layer))
            self.size_bytes += size_bytes
            if old is not None:
                self._replace(old, kind)
                last, names = "", below[""]
            elif not name:
                self._take_root(kind)

    def at(self, layer: int) -> "Content":
        """Give this content as that of another layer."""
        if layer == self.layer:
            return self
        other = Content(layer)
        other.entries, other.size_bytes, other.lost = self.entries, self.size_bytes, self.lost
        other.whiteouts, other.opaque, other.implied, other.links = (
            self.whiteouts,
            self.opaque,
            self.implied,
            self.links,
        )
        other.below = {
            directory: {name: node._replace(layer=layer) for name, node in names.items()}
            for directory, names in self.below.items()
        }
        return other

    def _hide(self, parent: str, name: str) -> None:
        if parent not in self.below:
            self._make_directory(parent)
        if name == OPAQUE:
            self.opaque[parent] = None
        elif name.startswith(_AUFS_OWN):
            return
        elif (hidden := name[len(WHITEOUT) :]) in ("", ".", ".."):
            raise ValueError(f"the whiteout {printable(name)} names nothing")
        else:
            self.whiteouts[f"{parent}/{hidden}" if parent else hidden] = None

    def _make_directory(self, path: str) -> Names:
        """Give what is in a directory of this layer that had nothing yet; the layer may have no entry for it."""
        missing = []
        while path not in self.below:
            missing.append(path)
            path = path.rpartition("/")[0]
        names = self.below[path]
        for path in reversed(missing):
            name = path.rpartition("/")[2]
            stands = names.get(name)
            if stands is None:
                names[name] = Node(path, "directory", layer=self.layer)
                self.implied.add(path)
                self._bound(path)
            elif stands.kind != "directory":
                raise ValueError(f"{printable(path)} is a {stands.kind} of the same layer, and a path is below it")
            names = self.below[path] = {}
        return names

    def _link(self, path: str, target: str) -> str:
        """Note a hard link; give the path of the file that it is a name of."""
        target = clean(target)
        stands = self.get(target)
        if stands and stands.kind == "hardlink":
            target = stands.target
            if group := self.links.get(target):
                target = group[0]
        if target == path or not target:
            raise ValueError(f"a hard link to {'itself' if target else 'the root'}")
        if stands and stands.kind == "directory":
            raise ValueError(f"a hard link to the directory {printable(target)}")
        if target.startswith(f"{path}/"):
            raise ValueError(f"a hard link to {printable(target)}, whose directory it replaces")
        self.links.setdefault(target, [target]).append(path)
        return target

    def _bound(self, path: str, target: str = "") -> None:
        """Refuse what would fill the memory: one name of 4 KB can stand for two thousand directories."""
        if self.entries + len(self.implied) > self._most:
            raise ValueError(f"more than {MOST_ENTRIES:,} entries in all layers")
        if len(target) >= LONGEST_PATH:
            raise ValueError(f"a link whose target is longer than {LONGEST_PATH:,} bytes")
        if len(path) > 255 or len(target) > 255:
            self._long_bytes += len(path) + len(target)
        if self._long_bytes > MOST_LONG_BYTES:
            raise ValueError(f"more than {MOST_LONG_BYTES:,} bytes of names that are longer than 255")

    def _take_root(self, kind: str) -> None:
        """The root has no name, and is no node."""
        del self.below[""][""]
        if kind != "directory":
            raise ValueError(f"the root is a {kind}")

    def _replace(self, old: Node, kind: str) -> None:
        """Let an entry take the place of an earlier one of the same layer."""
        self.implied.discard(old.path)
        if old.kind == "directory":
            if kind != "directory":
                self.take_out(old.path)
        else:
            self.leave(old)
