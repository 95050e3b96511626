"""What do the directories of an overlay hold, and what do their marks mean?

An overlay shows several directories as one: lower directories, which are only read, and an upper one, which takes all
that is written. The words and the marks are those of the kernel's Documentation/filesystems/overlayfs.rst. Values
alone: labkit.images.union reads them from a system.
"""

import os
import re
import stat
from collections.abc import Collection, Iterator, Mapping
from typing import NamedTuple

from labkit.linux.proc import Mount

__all__ = [
    *("Directories", "Entry", "Overlay", "Row", "changed_paths", "classify", "name_kind", "parse_overlay"),
    *("row_of", "rows_of", "total_bytes"),
]

OPAQUE, ORIGIN = "trusted.overlay.opaque", "trusted.overlay.origin"
REDIRECT, METACOPY = "trusted.overlay.redirect", "trusted.overlay.metacopy"
KINDS = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "directory",
    stat.S_IFLNK: "symlink",
    stat.S_IFCHR: "character device",
    stat.S_IFBLK: "block device",
    stat.S_IFIFO: "fifo",
    stat.S_IFSOCK: "socket",
}
WHITEOUT = "whiteout"
_OCTAL = re.compile(r"\\([0-7]{3})")
_COLON = re.compile(r"(?<!\\):")


class Overlay(NamedTuple):
    """The directories of one overlay: `lower` has the topmost first; `upper` and `work` are "" where it is read-only.

    The names are the kernel's. One that does not begin with a / is relative to where its mounter was.
    """

    lower: tuple[str, ...]
    upper: str
    work: str
    merged: str


class Entry(NamedTuple):
    """What lies at one path of a directory, as it is on the disk.

    `kind`: "file", "directory", "symlink", "whiteout" (a character device 0, 0), or another of KINDS.
    `names`: of hard links. `text`: the first line of a short text. The last four are extended attributes of the
    overlay: whether a directory hides all that lies below it, whether it is a copy of something in a lower directory,
    where else its lower part is, and whether its content is still below.
    """

    path: str
    kind: str
    size_bytes: int = 0
    mode: int = 0
    names: int = 1
    text: str = ""
    is_opaque: bool = False
    has_origin: bool = False
    redirect: str = ""
    is_metacopy: bool = False


class Directories(NamedTuple):
    """What the directories of an overlay hold, each sorted by path; `lower` has the topmost directory first."""

    lower: tuple[tuple[Entry, ...], ...]
    upper: tuple[Entry, ...]
    merged: tuple[Entry, ...]


class Row(NamedTuple):
    """One path in all directories; `lower` has the number of each lower directory that has it, the topmost is 1.

    `state` is what the overlay makes of it: "lower" (seen as it is below), "new" (in upper alone), "covers" (upper
    hides what is below), "merges" (directories in both), "opaque" (a directory whose lower part is hidden), "whiteout",
    or "hidden" (by what upper has above this path, or by another lower directory).
    """

    path: str
    lower: tuple[tuple[int, Entry], ...]
    upper: Entry | None
    merged: Entry | None
    state: str


def parse_overlay(mount: Mount) -> Overlay | None:
    r"""Read the directories of a mount from its options; None where it is no overlay.

    >>> parse_overlay(Mount("/", "/m", "overlay", r"rw,lowerdir=/a\134:b:/c,upperdir=/u\054,workdir=/w"))
    Overlay(lower=('/a:b', '/c'), upper='/u,', work='/w', merged='/m')
    """
    if mount.fstype != "overlay":
        return None
    lower: list[str] = []
    others = {"upperdir": "", "workdir": ""}
    for option in mount.options.split(","):
        name, _, value = option.partition("=")
        value = _OCTAL.sub(lambda octal: chr(int(octal[1], 8)), value)
        if name == "lowerdir+":  # one at a time: how a kernel from 6.8 on says it, when the mounter did
            lower.append(value)
        elif name == "lowerdir":
            lower += [one.replace("\\:", ":") for one in _COLON.split(value)]
        elif name in others:
            others[name] = value
    return Overlay(tuple(lower), others["upperdir"], others["workdir"], mount.point)


def classify(path: str, found: os.stat_result, attributes: Mapping[str, bytes], text: str = "") -> Entry:
    """Tell what an overlay takes a thing for: by lstat(2) and by its extended attributes (trusted.overlay.*)."""
    kind = KINDS.get(stat.S_IFMT(found.st_mode), "unknown")
    if kind == "character device" and found.st_rdev == 0:
        kind = WHITEOUT
    return Entry(
        path=path,
        kind=kind,
        size_bytes=found.st_size if kind == "file" else 0,
        mode=stat.S_IMODE(found.st_mode),
        # The kernel gives all whiteouts of an overlay one inode: their names are not those of one file.
        names=found.st_nlink if kind == "file" else 1,
        text=text,
        is_opaque=attributes.get(OPAQUE) == b"y",
        has_origin=ORIGIN in attributes,
        redirect=os.fsdecode(attributes.get(REDIRECT, b"")),
        is_metacopy=METACOPY in attributes,
    )


def name_kind(entry: Entry) -> str:
    """What it is, in words: its kind, and the mark that the overlay set on it.

    >>> name_kind(Entry("a", "directory", is_opaque=True))
    'opaque directory'
    """
    return f"opaque {entry.kind}" if entry.is_opaque else entry.kind


def total_bytes(entries: Collection[Entry]) -> int:
    """The bytes of all regular files; one that has several names here is counted with each."""
    return sum(entry.size_bytes for entry in entries)


def rows_of(directories: Directories) -> list[Row]:
    """Compare the directories path by path: sorted so that what is in a directory follows it."""
    lowers = [{entry.path: entry for entry in one} for one in directories.lower]
    upper = {entry.path: entry for entry in directories.upper}
    merged = {entry.path: entry for entry in directories.merged}
    paths = {path for one in [*lowers, upper, merged] for path in one}
    return [
        _compare(
            path,
            tuple((number, one[path]) for number, one in enumerate(lowers, 1) if path in one),
            upper.get(path),
            merged.get(path),
        )
        for path in sorted(paths, key=lambda path: path.split("/"))
    ]


def row_of(directories: Directories, path: str) -> Row | None:
    """The row of one path; None where no directory has it."""
    return next((row for row in rows_of(directories) if row.path == path), None)


def _compare(path: str, lower: tuple[tuple[int, Entry], ...], upper: Entry | None, merged: Entry | None) -> Row:
    return Row(path, lower, upper, merged, _state(bool(lower), upper, merged))


def _state(is_below: bool, upper: Entry | None, merged: Entry | None) -> str:
    if upper is None:
        return "lower" if merged else "hidden"
    if upper.kind == WHITEOUT:
        return WHITEOUT
    if upper.is_opaque:
        return "opaque"
    if not is_below:
        return "new"
    return "merges" if upper.kind == "directory" else "covers"


def changed_paths(before: Directories, now: Directories) -> set[str]:
    """The paths at which anything differs."""
    old = {row.path: row for row in rows_of(before)}
    new = {row.path: row for row in rows_of(now)}
    return set(_differing(old, new))


def _differing(old: Mapping[str, Row], new: Mapping[str, Row]) -> Iterator[str]:
    for path in old.keys() | new.keys():
        if old.get(path) != new.get(path):
            yield path
