"""Which kinds of namespaces are there, and by which letter and colour does one see who shares which?

A namespace is named by the first process that is in it: the first process of a list gives the letter A to all of its
namespaces, the next process that has others gives B to those, and so on. So a container with namespaces of its own is a
row of B, and a process that has joined one of them has one B among other letters. The colour goes with the letter, and
so does a pattern, for who sees no colours.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol

from labkit.show.look import read_css

__all__ = ["INKS", "KINDS", "SHIM", "STYLE", "Kind", "Names", "Placed", "Process"]
__all__ += ["arrange", "ink_of", "is_engine", "kinds_of", "letter_of", "name_namespaces"]


class Kind(NamedTuple):
    """A kind of namespace: what it isolates, in a few words, and the flag with which it is made."""

    words: str
    flag: str


# In the order of the notes, then the two that are younger; the names are those of the files in /proc/PID/ns.
KINDS: Mapping[str, Kind] = {
    "uts": Kind("host name", "CLONE_NEWUTS"),
    "ipc": Kind("shared memory", "CLONE_NEWIPC"),
    "pid": Kind("process numbers", "CLONE_NEWPID"),
    "net": Kind("network", "CLONE_NEWNET"),
    "mnt": Kind("mounts", "CLONE_NEWNS"),
    "user": Kind("users", "CLONE_NEWUSER"),
    "cgroup": Kind("control groups", "CLONE_NEWCGROUP"),
    "time": Kind("clocks", "CLONE_NEWTIME"),
}
# The first is for A, which is what all share; then roles whose inks differ for all eyes. After the last come the second
# and those that follow it again: the letters go on.
INKS = ("kernel", "container", "layer", "stdin", "added", "stdout", "lost")
LETTERS = 26
SHIM = "containerd-shim"
STYLE = (
    "<style>"
    + read_css("namespace_look")
    + "".join(f".lk .ns-{number}{{--ns:var(--lk-{role})}}" for number, role in enumerate(INKS))
    + "</style>"
)
Names = Mapping[tuple[str, int], str]


class Namespace(Protocol):
    """A namespace: the number that stands for it."""

    @property
    def inode(self) -> int: ...


class Process(Protocol):
    """A process as `labkit.isolation.namespaces` reads it: `pids` are its numbers from outside inwards.

    A kind of namespace that may not be read is left out of `namespaces`.
    """

    @property
    def pid(self) -> int: ...
    @property
    def ppid(self) -> int: ...
    @property
    def comm(self) -> str: ...
    @property
    def pids(self) -> Sequence[int]: ...
    @property
    def namespaces(self) -> Mapping[str, Namespace]: ...


class Placed(NamedTuple):
    """A process in a tree, and how many of its ancestors are in the list."""

    process: Process
    depth: int


def arrange(processes: Iterable[Process]) -> list[Placed]:
    """Put each process below its parent, sisters in the order given; one whose parent is not there is a root."""
    known = {one.pid: one for one in processes}
    children: dict[int, list[Process]] = {}
    for one in known.values():
        children.setdefault(one.ppid if one.ppid in known and one.ppid != one.pid else 0, []).append(one)
    placed: list[Placed] = []
    waiting = [Placed(one, 0) for one in reversed(children.get(0, []))]
    while waiting:  # no recursion: a chain of processes may be long
        placed.append(waiting.pop())
        process, depth = placed[-1]
        waiting += [Placed(one, depth + 1) for one in reversed(children.get(process.pid, []))]
    return placed


def kinds_of(processes: Iterable[Process]) -> tuple[str, ...]:
    """The kinds that this kernel shows, in the order of KINDS."""
    seen = {kind for one in processes for kind in one.namespaces}
    return tuple(kind for kind in KINDS if kind in seen)


def name_namespaces(processes: Sequence[Process], kinds: Sequence[str]) -> Names:
    """Give each namespace the letter of the first process that is in it: A to Z, then A2 and so on.

    A process that brings nothing new takes no letter.
    """
    names: dict[tuple[str, int], str] = {}
    taken = 0
    for one in processes:
        own = [(kind, one.namespaces[kind].inode) for kind in kinds if kind in one.namespaces]
        new = [namespace for namespace in own if namespace not in names]
        if new:
            names |= dict.fromkeys(new, _letter(taken))
            taken += 1
    return names


def ink_of(letter: str) -> int:
    """The number of a letter's colour and pattern: 0 for A alone.

    >>> ink_of("A"), ink_of("B"), ink_of("H"), ink_of("A2")
    (0, 1, 1, 2)
    """
    place = ord(letter[0]) - ord("A") + LETTERS * (int(letter[1:] or 1) - 1)
    return place and 1 + (place - 1) % (len(INKS) - 1)


def letter_of(process: Process, kind: str, names: Names) -> str:
    """The letter of a process's namespace; a question mark where /proc does not say it."""
    namespace = process.namespaces.get(kind)
    return "?" if namespace is None else names[kind, namespace.inode]


def is_engine(comm: str) -> bool:
    """Is this the name of a part of the engine? The kernel keeps 15 characters of a name."""
    return comm in ("dockerd", "containerd", "docker-proxy", "runc", "crun") or comm.startswith(SHIM)


def _letter(place: int) -> str:
    again, number = divmod(place, LETTERS)
    return chr(ord("A") + number) + (str(again + 1) if again else "")
