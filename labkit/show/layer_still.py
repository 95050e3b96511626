"""How does a layer stack look in a stored notebook, and on a second visit?

A still picture of one moment: the layers up to the one that is looked at, the tree after it with the folders that are
open, what a search has found, and the bytes lost. On white ground, without identities; what is long is cut.
"""

from collections.abc import Collection, Iterator
from html import escape
from typing import NamedTuple

from labkit.images.layers import Analysis
from labkit.images.paths import printable
from labkit.show.layer_rows import find_paths, visible_rows
from labkit.show.layer_stack import DEEDS, amount, layer_facts, loss_path, losses_of, title_of
from labkit.show.layer_tree import CHANGED, HIDDEN, At, Tree
from labkit.show.look import PAGE, ROLES, mark_svg
from labkit.show.still import cut, frame_svg, mask

__all__ = ["Moment", "layer_stack_svg"]

WIDTH_PX, LEFT_PX, LAYER_PX, ROW_PX, CHARACTER_PX = 760, 300, 36, 18, 7.3
LOST_PX = WIDTH_PX - 76  # where the column of lost bytes ends
MOST_LAYERS, MOST_ROWS, MOST_FOUND = 24, 22, 3
BAR_PX = LEFT_PX - 44
INK = {name: role.light for name, role in ROLES.items()}
TEXT, DIM, LINE, SOFT = (PAGE[name][0] for name in ("ink", "dim", "line", "soft"))
HATCH = (
    '<defs><pattern id="lost" width="5" height="5" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
    f'<rect width="5" height="5" fill="#fff"/><rect width="2" height="5" fill="{INK["lost"]}"/></pattern></defs>'
)


class Moment(NamedTuple):
    """What is seen of a stack: the layer (from 0), open folders (indices of a Tree), the search, and the filter."""

    depth: int
    opened: Collection[int] = ()
    search: str = ""
    only: bool = False


def layer_stack_svg(analysis: Analysis, tree: Tree, moment: Moment) -> str:
    """Draw one moment; what has no room is counted."""
    parts = [HATCH, _text(10, 24, cut(mask(title_of(analysis)), 60), weight=700, size=15)]
    lost = f"{amount(analysis.wasted_bytes)} lost below later layers"
    parts += [mark_svg("lost", WIDTH_PX - 16, 19), _text(WIDTH_PX - 28, 24, lost, INK["lost"], "end")]
    y = 36
    for words in _answers(analysis, tree, moment.search):
        y += ROW_PX
        parts.append(_text(10, y, cut(words, 100)))
    y += 16
    left, left_end = _layers(analysis, tree, moment.depth, y)
    waste, left_end = _waste(tree, left_end)
    right, right_end = _tree(analysis, tree, moment, y)
    return frame_svg([*parts, *left, *waste, *right], WIDTH_PX, max(left_end, right_end) + 10, differs=True)


def _answers(analysis: Analysis, tree: Tree, search: str) -> Iterator[str]:
    found, count = find_paths(tree.entries, search, MOST_FOUND)
    if search.strip():
        yield f"Which layer gives me {mask(printable(search.strip()))}? {count} path{'s' * (count != 1)}"
    facts = layer_facts(analysis, tree)
    for number in found:
        last = tree.entries[number].events[-1]
        gives = "hides it" if last.code >= HIDDEN else f"gives it: {facts[last.layer]['line']}"
        yield f"  {tree.entries[number].shown}: layer {last.layer + 1} {mask(gives)}"


def _layers(analysis: Analysis, tree: Tree, depth: int, y: int) -> tuple[list[str], int]:
    """The stack, the top layer first; of a high one that part in which the layer is."""
    facts = layer_facts(analysis, tree)
    most = max((fact["size"] for fact in facts), default=0) or 1
    first = max(0, min(len(facts) - MOST_LAYERS, depth - MOST_LAYERS // 2))
    shown = range(first, min(len(facts), first + MOST_LAYERS))
    parts = []
    rail_end = y + LAYER_PX * len(shown) - 8
    for number in reversed(shown):
        fact, is_above = facts[number], number > depth
        ink, width = DIM if is_above else TEXT, BAR_PX * fact["size"] / most
        if number == depth:
            parts.append(f'<rect x="6" y="{y}" width="{LEFT_PX}" height="{LAYER_PX}" rx="4" fill="#e4e8ed"/>')
            parts.append(f'<path d="M18 {y + 12}V{rail_end}" stroke="{INK["layer"]}" stroke-width="4"/>')
            parts.append(f'<circle cx="18" cy="{y + 12}" r="6" fill="#fff" stroke="{INK["layer"]}" stroke-width="4"/>')
        size = amount(fact["size"])
        room = int((BAR_PX - 8) / CHARACTER_PX) - len(size) - 3
        words = cut(f"{number + 1} {mask(fact['line'])}", room)
        parts.append(_text(34, y + 16, words, ink, weight=700 if number == depth else 400))
        parts.append(_text(LEFT_PX - 10, y + 16, size, ink, "end"))
        bar = f'<rect x="34" y="{y + 22}" width="{width:.1f}" height="7" fill="{INK["layer"]}"'
        parts.append(f'{bar} fill-opacity="0.35"/>' if is_above else f"{bar}/>")
        if fact["lost"] and not is_above:
            part = width * fact["lost"] / fact["size"]
            parts.append(
                f'<rect x="{34 + width - part:.1f}" y="{y + 22}" width="{part:.1f}" height="7" fill="url(#lost)"/>'
            )
        y += LAYER_PX
    if hidden := len(facts) - len(shown):
        parts.append(_text(34, y + 14, f"… {hidden} more layers", DIM))
        y += ROW_PX
    return parts, y


def _waste(tree: Tree, y: int) -> tuple[list[str], int]:
    parts = [mark_svg("lost", 18, y + 16), _text(34, y + 20, "Where bytes are lost", weight=700)]
    y += 20
    listed = losses_of(tree)
    for _, entry in listed:
        y += ROW_PX
        size = amount(entry.listed_bytes)
        room = int((BAR_PX - 8) / CHARACTER_PX) - len(size) - 1
        path = mask(loss_path(entry))
        path = path if len(path) <= room else f"…{path[1 - room :]}"
        parts += [_text(34, y, path), _text(LEFT_PX - 10, y, size, anchor="end")]
    if not listed:
        y += ROW_PX
        parts.append(_text(34, y, "none", DIM))
    return parts, y


def _tree(analysis: Analysis, tree: Tree, moment: Moment, y: int) -> tuple[list[str], int]:
    if not analysis.layers:
        return [], y
    left = LEFT_PX + 24
    layer = analysis.layers[moment.depth]
    did = ", ".join(f"{getattr(layer, name)} {role}" for role, name in DEEDS.items())
    head = f"The tree after layer {moment.depth + 1} of {len(analysis.layers)}"
    parts = [_text(left, y + 16, head, weight=700), _text(left, y + 34, did, DIM)]
    parts += [_text(LOST_PX, y + 34, "lost below", DIM, "end"), _text(WIDTH_PX - 10, y + 34, "size", DIM, "end")]
    y += 42
    at = tree.at(moment.depth)
    rows = visible_rows(tree.entries, at, moment.opened, moment.only)
    shown = rows if len(rows) <= MOST_ROWS else rows[: MOST_ROWS - 1]
    for number in shown:
        seen = at[number]
        assert seen is not None
        parts.append(_row(tree, number, seen, left, y))
        y += ROW_PX
    if len(rows) > len(shown):
        parts.append(_text(left + 18, y + 13, f"… {len(rows) - len(shown)} more rows", DIM))
        y += ROW_PX
    return parts, y


def _row(tree: Tree, number: int, seen: At, left: int, y: int) -> str:
    entry = tree.entries[number]
    role = "" if seen.did is None else "added" if seen.did < CHANGED else "changed" if seen.did == CHANGED else "hidden"
    ink, x = INK[role] if role else TEXT, left + 18.0 + 14 * entry.level
    is_folder = seen.kind == "directory"
    counts = [(name, getattr(seen, name)) for name in DEEDS if getattr(seen, name)]
    room = int((LOST_PX - 56 - x) / CHARACTER_PX) - sum(3 + len(str(count)) for _, count in counts)
    name = cut(mask(entry.name) + "/" * is_folder, max(4, room))
    struck = ' text-decoration="line-through"' if role == "hidden" else ""
    parts = []
    if role:
        box = f'x="{left}" y="{y}" width="{WIDTH_PX - left - 6}" height="{ROW_PX}"'
        parts += [f'<rect {box} fill="{ink}" fill-opacity="0.1"/>', mark_svg(role, x - 10, y + 9)]
    parts.append(_text(x, y + 13, name, ink, weight=700 if is_folder else 400, more=struck))
    x += (len(name) + 1) * CHARACTER_PX
    for deed, count in counts:
        parts += [mark_svg(deed, x + 6, y + 9), _text(x + 14, y + 13, str(count), INK[deed])]
        x += 20 + len(str(count)) * CHARACTER_PX
    if entry.lost_bytes:
        parts.append(_text(LOST_PX, y + 13, amount(entry.lost_bytes), INK["lost"], "end"))
    if seen.kind in ("file", "directory"):
        parts.append(_text(WIDTH_PX - 10, y + 13, amount(seen.size_bytes), DIM, "end"))
    return "".join(parts)


def _text(
    x: float,
    y: float,
    words: str,
    ink: str = TEXT,
    anchor: str = "start",
    *,
    weight: int = 400,
    size: int = 12,
    more: str = "",
) -> str:
    return (
        f'<text x="{x:g}" y="{y:g}" fill="{ink}" text-anchor="{anchor}" font-weight="{weight}" font-size="{size}"{more}'
        f' xml:space="preserve">{escape(words)}</text>'
    )
