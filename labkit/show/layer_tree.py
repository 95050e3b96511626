"""Which paths does an image have after each of its layers, and what has each layer done to them?

An `Analysis` lists what each layer changes. `read_tree` turns that into one list of every path that any layer knows, a
folder before what is in it, each with what happened to it. `state_at` looks at that list after one layer; `layer_rows`
has what is seen of it. labkit/widgets/layer_stack.js does the same on the page, from what `pack` gives: so the kernel
need not be asked while a slider moves.

    tree = read_tree(analysis)
    rows = visible_rows(tree.entries, tree.at(2), opened={0}, only=False)

A folder that goes takes along what is in it: that is hidden, too, though the layer names the folder alone. A hard link
has no bytes of its own here. OCI image specification, layer.md, "Whiteouts".
"""

import json
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from labkit.images.layers import Analysis, Change
from labkit.images.paths import printable

__all__ = [
    *("ADDED", "CHANGED", "HIDDEN", "HIDDEN_WITH", "THERE", "At", "Entry", "Event", "Tree", "pack", "read_tree"),
    "state_at",
]

# What a layer does to a path. THERE: no layer names this folder, and yet something is in it. HIDDEN_WITH: the layer
# hides a folder above it.
THERE, ADDED, CHANGED, HIDDEN, HIDDEN_WITH = range(5)
CODES = {"added": ADDED, "modified": CHANGED, "deleted": HIDDEN}
LETTERS = {
    "file": "f",
    "directory": "d",
    "symlink": "l",
    "hardlink": "h",
    "character device": "c",
    "block device": "b",
    "fifo": "p",
}


class Event(NamedTuple):
    """What a layer did to a path: the layer's index (0: the bottom), the code, what it is since then, its bytes."""

    layer: int
    code: int
    kind: str
    size_bytes: int


@dataclass(slots=True)
class Entry:
    """A path, how many folders it is in, and what happened to it; the bytes lost are those of `Analysis.wasted`."""

    path: str
    level: int
    events: list[Event] = field(default_factory=list)
    parent: int = -1  # index of the folder that it is in; -1: the root
    end: int = 0  # index of the first entry that is neither this one nor in it
    lost_bytes: int = 0  # of all copies of this path, and of what is in it, that the whole image does not show
    listed_bytes: int = 0  # the same where it counts once: at the file, or at the folder with which a layer hid it
    target: str = ""  # of a symbolic link, as the last layer has it

    @property
    def name(self) -> str:
        """Its last part, as it is shown: never raw."""
        return printable(self.path.rpartition("/")[2])

    @property
    def shown(self) -> str:
        """All of its path, as it is shown."""
        is_plain = self.path.isprintable() and "\\" not in self.path
        return self.path if is_plain else "/".join(map(printable, self.path.split("/")))


@dataclass(slots=True)
class Tree:
    """Every path of an image's layers; `lost` are the bytes of each layer that the whole image does not show."""

    entries: list[Entry]
    places: dict[str, int]  # by path, the index of its entry
    lost: list[int]
    _last: tuple[int, list["At | None"]] = field(default=(-1, []), repr=False)

    def at(self, depth: int) -> list["At | None"]:
        """Give each entry as it is after layers 0 to `depth`; None: it is not there. The last answer is kept."""
        if self._last[0] != depth:
            self._last = depth, state_at(self.entries, depth)
        return self._last[1]

    def worst(self, limit: int) -> list[int]:
        """Give the entries at which most bytes are lost, the most first: files, and folders that were hidden whole."""
        found = [number for number, entry in enumerate(self.entries) if entry.listed_bytes]
        return sorted(found, key=lambda number: (-self.entries[number].listed_bytes, number))[:limit]


class At(NamedTuple):
    """An entry after a layer; one that the layer hides is still told, at its place.

    `did` is the code of what this very layer did, None if nothing. The counts are of what this layer did further down
    in a folder, `size_bytes` is all that is in it.
    """

    kind: str
    did: int | None
    size_bytes: int
    added: int
    changed: int
    hidden: int

    @property
    def is_touched(self) -> bool:
        """Whether this layer did something, here or further down."""
        return self.did is not None or self.added + self.changed + self.hidden > 0


def read_tree(analysis: Analysis) -> Tree:
    """List every path of every layer, in the order of a tree, each with its events, the lowest layer first."""
    paths = {change.path for layer in analysis.layers for change in layer.changes}
    paths |= {above for folder in {path.rpartition("/")[0] for path in paths} for above in _with_folders_above(folder)}
    entries = [Entry(path, path.count("/")) for path in sorted(paths, key=lambda path: path.replace("/", "\0"))]
    _set_neighbours(entries)
    places = {entry.path: number for number, entry in enumerate(entries)}
    for index, layer in enumerate(analysis.layers):
        for change in layer.changes:  # what goes, goes first
            if change.change == "deleted":
                _add_event(entries, places[change.path], index, change)
        for change in layer.changes:
            if change.change != "deleted":
                _add_event(entries, places[change.path], index, change)
    lost = [layer.size_bytes for layer in analysis.layers]
    for node in analysis.tree(len(analysis.layers) - 1).values() if analysis.layers else ():
        lost[node.layer] -= node.size_bytes
        if node.kind == "symlink":
            entries[places[node.path]].target = printable(node.target)
    for waste in analysis.wasted:
        path = waste.path
        while path and path not in places:  # one layer had it, and put something else there
            path = path.rpartition("/")[0]
        if path:
            _add_loss(entries, places[path], waste.bytes)
    return Tree(entries, places, lost)


def state_at(entries: Sequence[Entry], depth: int) -> list[At | None]:
    """Give each entry as it is after layers 0 to `depth`; None: it is not there."""
    found: list[At | None] = [None] * len(entries)
    inside: dict[int, list[int]] = {}  # bytes, added, changed, hidden
    for number in range(len(entries) - 1, -1, -1):  # what is in a folder comes before the folder
        entry = entries[number]
        event = next((one for one in reversed(entry.events) if one.layer <= depth), None)
        if event is None or (event.code >= HIDDEN and event.layer < depth):
            continue
        did = event.code if event.layer == depth and event.code != THERE else None
        size, added, changed, hidden = inside.get(number, (0, 0, 0, 0))
        size = event.size_bytes + (size if event.code < HIDDEN else 0)
        found[number] = At(event.kind, did, size, added, changed, hidden)
        if entry.parent >= 0:
            outer = inside.setdefault(entry.parent, [0, 0, 0, 0])
            outer[0] += size if event.code < HIDDEN else 0
            outer[1] += added + (did == ADDED)
            outer[2] += changed + (did == CHANGED)
            outer[3] += hidden + (did == HIDDEN)
    return found


def pack(entries: Sequence[Entry]) -> bytes:
    """Pack entries for the page: columns in JSON, deflated as zlib does (RFC 1950); 100,000 entries are about 1 MB."""
    events = [event for entry in entries for event in entry.events]
    columns = {
        "names": "\n".join(entry.name for entry in entries),
        "levels": [entry.level for entry in entries],
        "counts": [len(entry.events) for entry in entries],
        "layers": [event.layer for event in events],
        "codes": "".join(str(event.code) for event in events),
        "kinds": "".join(LETTERS[event.kind] for event in events),
        "sizes": [event.size_bytes for event in events],
        "lost": [(number, entry.lost_bytes) for number, entry in enumerate(entries) if entry.lost_bytes],
        "targets": [(number, entry.target) for number, entry in enumerate(entries) if entry.target],
    }
    return zlib.compress(json.dumps(columns, separators=(",", ":")).encode(), 6)


def _with_folders_above(path: str) -> Iterator[str]:
    while path:
        yield path
        path = path.rpartition("/")[0]


def _set_neighbours(entries: Sequence[Entry]) -> None:
    """Say of each entry which one it is in, and where what is in it ends."""
    above: list[int] = []
    for number, entry in enumerate(entries):
        while len(above) > entry.level:
            entries[above.pop()].end = number
        entry.parent = above[-1] if above else -1
        above.append(number)
    for number in above:
        entries[number].end = len(entries)


def _add_event(entries: Sequence[Entry], number: int, layer: int, change: Change) -> None:
    entry, code = entries[number], CODES[change.change]
    if code == HIDDEN or change.kind != "directory":  # nothing stays in it
        for inner in entries[number + 1 : entry.end]:
            if _is_there(inner):
                inner.events.append(Event(layer, HIDDEN_WITH, inner.events[-1].kind, inner.events[-1].size_bytes))
    above = entry.parent
    while code != HIDDEN and above >= 0 and not _is_there(entries[above]):
        entries[above].events.append(Event(layer, THERE, "directory", 0))
        above = entries[above].parent
    size = change.size_bytes if change.kind == "file" or code == HIDDEN else 0
    entry.events.append(Event(layer, code, change.kind, size))


def _add_loss(entries: Sequence[Entry], number: int, lost_bytes: int) -> None:
    """Note bytes that are lost at a path on each folder above, and once for the list: on the folder that was hidden."""
    listed = number
    while entries[listed].parent >= 0 and entries[listed].events[-1].code == HIDDEN_WITH:
        listed = entries[listed].parent
    entries[listed].listed_bytes += lost_bytes
    while number >= 0:
        entries[number].lost_bytes += lost_bytes
        number = entries[number].parent


def _is_there(entry: Entry) -> bool:
    return bool(entry.events) and entry.events[-1].code < HIDDEN
