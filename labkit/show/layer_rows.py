"""Which rows of an image's tree are seen with some folders open, and which paths does a search find?

Rows and answers are indices of the entries of `layer_tree.read_tree`. labkit/widgets/layer_stack.js does the same.
"""

from collections.abc import Collection, Iterator, Sequence

from labkit.show.layer_tree import At, Entry

__all__ = ["find_paths", "open_changes", "visible_rows"]


def visible_rows(entries: Sequence[Entry], at: Sequence[At | None], opened: Collection[int], only: bool) -> list[int]:
    """Give the indices of the rows that are seen with these folders open; `only`: what this layer did, and where."""
    rows, number = [], 0
    while number < len(entries):
        seen = at[number]
        is_row = seen is not None and (seen.is_touched or not only)
        if is_row:
            rows.append(number)
        number = number + 1 if is_row and number in opened else entries[number].end
    return rows


def open_changes(entries: Sequence[Entry], at: Sequence[At | None], only: bool, limit: int) -> set[int]:
    """Choose the folders to open so that one sees what the layer did, the upper ones first, in at most so many rows."""
    opened: set[int] = set()
    count = len(visible_rows(entries, at, (), only))
    folders = [number for number in _inside(entries, -1) if _is_touched(at[number])]
    while folders:
        lower = []
        for number in folders:
            seen = at[number]
            kids = [kid for kid in _inside(entries, number) if at[kid] and (not only or _is_touched(at[kid]))]
            if seen and seen.added + seen.changed + seen.hidden and count + len(kids) <= limit:
                count += len(kids)
                opened.add(number)
                lower += [kid for kid in kids if _is_touched(at[kid])]
        folders = lower
    return opened


def find_paths(entries: Sequence[Entry], query: str, limit: int) -> tuple[list[int], int]:
    """Give at most `limit` entries whose path has `query` in it, the best first, and how many there are."""
    wanted = query.strip().strip("/").lower()
    if not wanted:
        return [], 0
    ranks: tuple[list[int], ...] = ([], [], [], [])
    for number, entry in enumerate(entries):
        path = entry.shown.lower()
        if wanted in path:
            ranks[_rank(path, wanted)].append(number)
    found = [number for rank in ranks for number in rank]
    return found[:limit], len(found)


def _inside(entries: Sequence[Entry], folder: int) -> Iterator[int]:
    """The entries right in a folder; -1: in the root."""
    number, end = folder + 1, entries[folder].end if folder >= 0 else len(entries)
    while number < end:
        yield number
        number = entries[number].end


def _is_touched(seen: At | None) -> bool:
    return seen is not None and seen.is_touched


def _rank(path: str, wanted: str) -> int:
    if path == wanted:
        return 0
    if path.endswith(f"/{wanted}"):
        return 1
    return 2 if f"/{wanted}" in f"/{path}" else 3
