"""What do layers give, worked out as plainly as can be?

Python's own tarfile reads each layer, and a dictionary is the root. It is slow, holds everything, and believes every
name: only for layers that the tests wrote themselves.
"""

import tarfile
from collections import defaultdict
from collections.abc import Mapping
from io import BytesIO
from typing import NamedTuple

from labkit.images.layers import Node

__all__ = ["KINDS", "Changes", "Place", "Tree", "describe", "lay_layers", "read_layer"]

KINDS = {
    tarfile.REGTYPE: "file",
    tarfile.AREGTYPE: "file",
    tarfile.GNUTYPE_SPARSE: "file",
    tarfile.DIRTYPE: "directory",
    tarfile.SYMTYPE: "symlink",
    tarfile.LNKTYPE: "hardlink",
    tarfile.CHRTYPE: "character device",
    tarfile.BLKTYPE: "block device",
    tarfile.FIFOTYPE: "fifo",
}
OPAQUE = ".wh..wh..opq"


class Place(NamedTuple):
    """What is at a path."""

    kind: str
    size_bytes: int
    mode: int | None  # None: a directory that no entry names, so that nothing is said of it
    uid: int
    gid: int
    target: str
    layer: int


Tree = dict[str, Place]
Changes = set[tuple[str, str, int, str]]


def lay_layers(layers: list[bytes]) -> list[tuple[Tree, Changes]]:
    """Give for each layer, bottom first, the tree up to it, and (path, kind, bytes, change) of what it does.

    ValueError for what no engine unpacks: a path below what is no directory in the same layer, a hard link to nothing.
    """
    tree: Tree = {}
    found = []
    for number, layer in enumerate(layers):
        below = tree
        tree = apply(below, layer, number)
        found.append((tree, compare(below, tree, number)))
    return found


def apply(below: Tree, layer: bytes, number: int) -> Tree:
    """Hide first, then add: a whiteout never hides what its own layer gives."""
    adds, hidden, opaque = read_layer(layer, number)
    tree = dict(below)
    for path in below:
        if any(is_at_or_below(path, each) for each in hidden) or any(
            path != each and is_at_or_below(path, each) for each in opaque
        ):
            remove(tree, path, number)
    for path, place in adds.items():
        known = tree.get(path)
        if place.mode is None and known is not None and known.kind == "directory":
            continue  # the layer says nothing of a directory that is there
        put(tree, path, place)
    for path, place in tree.items():
        if place.kind == "hardlink" and place.target not in tree:
            raise ValueError(f"{path} is a hard link to nothing")
    return tree


def read_layer(layer: bytes, number: int) -> tuple[Tree, set[str], set[str]]:
    """Give what a layer adds, the paths that it hides, and the directories whose content below it hides."""
    adds: Tree = {}
    hidden, opaque = set(), set()
    with tarfile.open(fileobj=BytesIO(layer), mode="r:", encoding="utf-8", errors="surrogateescape") as tar:
        for member in tar:
            path = member.name.removeprefix("./").strip("/")
            folder, _, name = path.rpartition("/")
            if path in ("", "."):
                continue
            for parent in parents(path):
                if parent not in adds:
                    adds[parent] = Place("directory", 0, None, 0, 0, "", number)
                elif adds[parent].kind != "directory":
                    raise ValueError(f"{path} is below {parent}, which is no directory")
            if name == OPAQUE:
                opaque.add(folder)
            elif name.startswith(".wh."):
                hidden.add(f"{folder}/{name[4:]}".strip("/"))
            else:
                kind = KINDS[member.type]
                size = member.size if kind == "file" else 0
                target = member.linkname if kind in ("symlink", "hardlink") else ""
                if kind == "hardlink" and target in adds and adds[target].kind == "hardlink":
                    target = adds[target].target
                if kind == "hardlink" and (target == path or (target in adds and adds[target].kind == "directory")):
                    raise ValueError(f"{path} is a hard link to itself, or to a directory")
                put(adds, path, Place(kind, size, member.mode & 0o7777, member.uid, member.gid, target, number))
    return adds, hidden, opaque


def put(tree: Tree, path: str, place: Place) -> None:
    """Put one thing at a path: only a directory on a directory keeps what is in it."""
    known = tree.get(path)
    if known is not None and not (known.kind == place.kind == "directory"):
        for each in [each for each in tree if is_at_or_below(each, path)]:
            remove(tree, each, place.layer)
    tree[path] = place


def remove(tree: Tree, path: str, number: int) -> None:
    """Take one path out, for layer `number`; another name of the same file (a hard link) now is the file."""
    place = tree.pop(path)
    heirs = [each for each, other in tree.items() if other.kind == "hardlink" and same_file(other, path, place, number)]
    if heirs and place.kind != "hardlink":
        tree[heirs[0]] = place
        for heir in heirs[1:]:
            tree[heir] = tree[heir]._replace(target=heirs[0])


def same_file(link: Place, path: str, place: Place, number: int) -> bool:
    """Whether a link means what stands at a path: one of the same layer, or of a later one below layer `number`."""
    return link.target == path and (link.layer == place.layer or place.layer < link.layer < number)


def compare(below: Tree, tree: Tree, number: int) -> Changes:
    """Say what became of each path: what the layer gives is added or modified; of what is gone, the topmost path."""
    changes: Changes = set()
    for path, place in tree.items():
        if place.layer == number:
            changes.add((path, place.kind, place.size_bytes, "modified" if path in below else "added"))
    gone = {path for path in below if path not in tree}
    for path in gone:
        if not any(parent in gone for parent in parents(path)):
            size = sum(place.size_bytes for each, place in below.items() if is_at_or_below(each, path))
            changes.add((path, below[path].kind, size, "deleted"))
    return changes


def describe(tree: Mapping[str, Place | Node]) -> dict[str, tuple[object, ...]]:
    """Give of each path what can be compared: which of a file's several names is "the file" is a matter of taste."""
    files: dict[tuple[str, int], list[str]] = defaultdict(list)
    for path, place in tree.items():
        files[place.target if place.kind == "hardlink" else path, place.layer].append(path)
    described: dict[str, tuple[object, ...]] = {}
    for path, place in tree.items():
        head = place.target if place.kind == "hardlink" else path
        several = files[head, place.layer]
        if len(several) > 1 and head in tree:
            first = tree[head]
            described[path] = (first.kind, first.size_bytes, first.target, sorted(several), place.layer)
        else:
            mode = 0o755 if place.mode is None else place.mode
            described[path] = (place.kind, place.size_bytes, mode, place.uid, place.gid, place.target, place.layer)
    return described


def parents(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:length]) for length in range(1, len(parts))]


def is_at_or_below(path: str, folder: str) -> bool:
    return path == folder or not folder or path.startswith(f"{folder}/")
