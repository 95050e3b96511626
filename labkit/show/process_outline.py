"""Which process started which, and which of them are together in namespaces of their own?

An outline: each process stands below its parent, and children that are in other namespaces than their parent stand in a
frame. Many children that are alike are folded into one line.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from labkit.show.namespace_look import Names, Process, arrange, kinds_of, letter_of, name_namespaces

__all__ = ["Fold", "Frame", "Node", "outline"]

ALIKE = 4  # children with one name and without children: of more, the rest is folded


class Frame(NamedTuple):
    """Namespaces that the parent is not in: the kinds by their letter, and who is in them.

    `joined` are the letters of namespaces in which another process was before; they stand last in `kinds`.
    """

    kinds: Mapping[str, Sequence[str]]
    joined: frozenset[str]
    members: Sequence[Process]


class Fold(NamedTuple):
    """Children that are alike."""

    members: Sequence[Process]


class Node(NamedTuple):
    """One line of the outline: a process, a frame or a fold, and in how many others it stands."""

    depth: int
    what: Process | Frame | Fold


class _Machine(NamedTuple):
    """What is known of all processes: their columns and letters, who gave each letter, and whose child each is."""

    kinds: Sequence[str]
    names: Names
    givers: Mapping[str, int]
    children: Mapping[int, Sequence[Process]]


def outline(processes: Sequence[Process], kinds: Sequence[str] = ()) -> list[Node]:
    """Put processes into an outline. One whose parent is not in the list stands outside, as the first one does.

    `kinds` are the namespaces that make frames; none are all that the kernel shows.
    """
    order = [row.process for row in arrange(processes)]
    if not order:
        return []
    machine = _survey(order, kinds or kinds_of(order))
    nodes: list[Node] = []
    waiting = _stack(0, _group(order[0], machine.children.get(0, ()), machine))
    while waiting:  # no recursion: a chain of processes may be long
        node = waiting.pop()
        nodes.append(node)
        if isinstance(node.what, Frame):
            waiting += _stack(node.depth + 1, _fold(node.what.members, machine))
        elif not isinstance(node.what, Fold):
            below = machine.children.get(node.what.pid, ())
            waiting += _stack(node.depth + 1, _group(node.what, below, machine))
    return nodes


def _survey(order: Sequence[Process], kinds: Sequence[str]) -> _Machine:
    names = name_namespaces(order, kinds)
    givers: dict[str, int] = {}
    known = {one.pid for one in order}
    children: dict[int, list[Process]] = {}
    for one in order:
        for kind in kinds:
            givers.setdefault(letter_of(one, kind, names), one.pid)
        children.setdefault(one.ppid if one.ppid in known and one.ppid != one.pid else 0, []).append(one)
    return _Machine(kinds, names, givers, children)


def _stack(depth: int, items: Iterator[Process | Frame | Fold]) -> list[Node]:
    return [Node(depth, item) for item in reversed([*items])]


def _group(parent: Process, children: Sequence[Process], machine: _Machine) -> Iterator[Process | Frame | Fold]:
    """The children that are where their parent is, and then a frame for each other set of namespaces."""
    groups: dict[tuple[tuple[str, str], ...], list[Process]] = {}
    for child in children:
        letters = ((kind, letter_of(child, kind, machine.names)) for kind in machine.kinds)
        apart = tuple(
            (kind, letter) for kind, letter in letters if letter not in ("?", letter_of(parent, kind, machine.names))
        )
        groups.setdefault(apart, []).append(child)
    yield from _fold(groups.pop((), []), machine)
    for apart, members in groups.items():
        yield _frame(apart, members, machine)


def _frame(apart: Sequence[tuple[str, str]], members: Sequence[Process], machine: _Machine) -> Frame:
    found: dict[str, list[str]] = {}
    for kind, letter in apart:
        found.setdefault(letter, []).append(kind)
    inside = {one.pid for one in members}
    joined = frozenset(letter for letter in found if machine.givers[letter] not in inside)
    return Frame(dict(sorted(found.items(), key=lambda item: item[0] in joined)), joined, members)


def _fold(members: Sequence[Process], machine: _Machine) -> Iterator[Process | Fold]:
    """Processes in their order; of those that have one name and no children, four and a fold."""
    alike: dict[str, list[Process]] = {}
    for one in members:
        if one.pid not in machine.children:
            alike.setdefault(one.comm, []).append(one)
    folds = [some[ALIKE:] for some in alike.values() if len(some) > ALIKE + 1]
    firsts = {some[0].pid: some for some in folds}
    folded = {one.pid for some in folds for one in some}
    for one in members:
        if one.pid in firsts:
            yield Fold(firsts[one.pid])
        elif one.pid not in folded:
            yield one
