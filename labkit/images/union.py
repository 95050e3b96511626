"""How does the kernel make one directory of several, and what changes when somebody writes?

union = open_union({"a.txt": "hello\\n", "d/": ""})    an overlay, mounted by mount(2), on directories of its own
union.act("append", "a.txt")                          do something in the merged directory, as a program would
union.read()                                          what lies in each directory now
union.close()                                         unmount
read_root(pid)                                        the overlay that is the root directory of a container's process

Lower directories on an overlay count: the kernel stacks two overlays, and refuses a third with EINVAL. A lab machine's
root is an overlay. So a union brings a tmpfs of its own. See mount(2), tmpfs(5), overlayfs.rst.
"""

import errno
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import NamedTuple

from labkit.errors import LabError
from labkit.images.overlay import Directories, Entry, Overlay, classify, parse_overlay
from labkit.linux.proc import Mount, Pid, read_mounts
from labkit.linux.syscalls import MNT_DETACH, mount, umount2

__all__ = [
    *("ACTS", "Act", "Did", "Files", "Union", "find_mount", "mount_overlay", "open_union"),
    *("read_directories", "read_entries", "read_entry", "read_overlays", "read_root", "unmount_below"),
]

PLACE = Path("/run/union")
MOST_ENTRIES = 5000  # of one directory: a picture of more says nothing
MOST_TEXT = 4096  # bytes of a file whose first line is read
SHOWN_CHARACTERS = 24
LINE = "more\n"

Files = Mapping[str, str | bytes | Path]  # by path: text, bytes, or the path of another one that it is a second name of


class Act(NamedTuple):
    """Something that a program does to a path in the merged directory, how a shell says it, and where that is then."""

    line: str
    do: Callable[[Path], object]
    after: str = "{0}"


class Did(NamedTuple):
    """What was done, as a shell would say it, and the kernel's words where it refused; "": it did not.

    `path` is where the file or directory lies now; `is_new` says that none was there before.
    """

    line: str
    refusal: str = ""
    path: str = ""
    is_new: bool = False


class Union:
    """An overlay of one lower and one upper directory, on a tmpfs of its own; `overlay` names the directories."""

    def __init__(self, lower: Files, place: Path = PLACE) -> None:
        self.place = place
        self.overlay = Overlay((str(place / "lower"),), *(str(place / name) for name in ("upper", "work", "merged")))
        with ExitStack() as undo:
            place.mkdir(parents=True, exist_ok=True)
            undo.callback(_remove_empty, place)
            mount("union", place, "tmpfs")
            undo.callback(umount2, place, MNT_DETACH)
            _write(place / "lower", lower)
            for name in ("upper", "work", "merged"):
                (place / name).mkdir()
            undo.enter_context(mount_overlay(self.overlay))
            self._undo = undo.pop_all()
        self.is_mounted = True

    @property
    def merged(self) -> Path:
        """Where programs look and write."""
        return Path(self.overlay.merged)

    def read(self) -> Directories:
        """What lies in each directory now."""
        return read_directories(self.overlay)

    def act(self, name: str, path: str) -> Did:
        """Do one of ACTS to a path of the merged directory; the kernel may refuse, and then its words are told.

        Raises KeyError for another act, ValueError for a path that leads out of the merged directory.
        """
        target = self.merged / path
        if ".." in target.parts or self.merged not in target.parents:
            raise ValueError(f"{path!r} is no path inside the merged directory: give one such as 'a.txt'")
        act = ACTS[name]
        line = act.line.format(path)
        was_there = os.path.lexists(target)
        try:
            act.do(target)
        except OSError as error:
            words = f"{errno.errorcode.get(error.errno or 0, 'error')}: {os.strerror(error.errno or 0)}"
            return Did(line, words, path)
        return Did(line, "", act.after.format(path), not was_there)

    def close(self) -> None:
        """Unmount what was mounted; more than once does no harm. Programs that are still in it keep what they have."""
        self._undo.close()
        self.is_mounted = False
        if _opened.get(self.place) is self:
            del _opened[self.place]


_opened: dict[Path, Union] = {}


def open_union(lower: Files, place: Path = PLACE) -> Union:
    """Mount an overlay whose lower directory holds these files; a path that ends in / is a directory.

    Where this process has one at the same place already, that one is closed first: a cell may run again.
    Raises LabError when the kernel refuses, OSError when a file cannot be written.
    """
    if before := _opened.get(place):
        before.close()
    union = _opened[place] = Union(lower, place)
    return union


def mount_overlay(overlay: Overlay) -> ExitStack:
    """Mount these directories by mount(2); closing what comes back unmounts them. Raises LabError if it is refused."""
    lower = ":".join(one.replace("\\", "\\\\").replace(":", "\\:") for one in overlay.lower)
    options = f"lowerdir={lower}"
    if overlay.upper:
        options += f",upperdir={overlay.upper},workdir={overlay.work}"
    with ExitStack() as undo:
        try:
            mount("overlay", overlay.merged, "overlay", 0, options)
        except OSError as error:
            raise LabError(_explain(error, overlay)) from error
        undo.callback(umount2, overlay.merged, MNT_DETACH)
        return undo.pop_all()


def _explain(error: OSError, overlay: Overlay) -> str:
    words = f"The kernel refuses to mount an overlay at {overlay.merged} ({os.strerror(error.errno or 0)})"
    if error.errno == errno.EINVAL:
        return f"{words}: overlays are stacked two deep at most. Keep the directories on a tmpfs, as /run is."
    if error.errno == errno.ENOENT:
        return f"{words}: there is no {error.filename}. Make the lower, upper, work and merged directories first."
    return f"{words}."


def read_overlays(pid: Pid = "self") -> list[Overlay]:
    """The overlays that a process sees, in the order in which they were mounted; raises OSError when it is gone."""
    return [overlay for overlay in map(parse_overlay, read_mounts(pid)) if overlay is not None]


def read_root(pid: Pid) -> Overlay:
    """The overlay that is the root directory of a process, as that of a container.

    `merged` is where this process sees the same overlay, "" where it does not. Raises LabError where the root is no
    overlay, or the process is gone.
    """
    try:
        roots = [one for one in read_mounts(pid) if one.point == "/"]
    except OSError as error:
        raise LabError(f"There is no process {pid or 'of that container'}: start the container first.") from error
    root = parse_overlay(roots[-1]) if roots else None
    if root is None:
        kind = roots[-1].fstype if roots else "unknown"
        raise LabError(f"The root directory of process {pid} is no overlay but {kind}: its storage driver is another.")
    return root._replace(merged=find_mount(root))


def find_mount(overlay: Overlay, mounts: list[Mount] | None = None) -> str:
    """Where an overlay with the same upper directory is mounted, as this process sees it; "": nowhere."""
    seen = map(parse_overlay, read_mounts() if mounts is None else mounts)
    return next((one.merged for one in seen if one is not None and one.upper == overlay.upper), "")


def unmount_below(directory: str | Path) -> None:
    """Unmount all that is mounted at a directory or in it, the newest first, also where a program is still in it.

    Raises OSError when the kernel refuses.
    """
    for one in reversed(read_mounts()):
        if Path(one.point).is_relative_to(directory):
            umount2(one.point, MNT_DETACH)


def read_directories(overlay: Overlay, below: str = "") -> Directories:
    """What lies in each directory of an overlay, at `below` and in it. Raises LabError where there is too much."""
    return Directories(
        tuple(read_entries(one, below) for one in overlay.lower),
        read_entries(overlay.upper, below) if overlay.upper else (),
        read_entries(overlay.merged, below) if overlay.merged else (),
    )


def read_entries(directory: str | Path, below: str = "") -> tuple[Entry, ...]:
    """What lies in a directory, sorted by path; below the path `below`, if there is one. A directory may be missing.

    Raises LabError for more than 5000 entries.
    """
    top = Path(directory)
    found = []
    start = read_entry(top, below) if below else None
    if start is not None:
        found.append(start)
    for one in _walk(top / below):
        entry = read_entry(top, str(one.relative_to(top)))
        if entry is not None:
            found.append(entry)
        if len(found) > MOST_ENTRIES:
            raise LabError(f"{top / below} holds more than {MOST_ENTRIES} files: look at a directory in it.")
    return tuple(sorted(found))


def read_entry(directory: str | Path, path: str) -> Entry | None:
    """What lies at a path of a directory, as it is on the disk, no symlink followed; None: nothing."""
    place = Path(directory) / path
    try:
        found = place.lstat()
        names = os.listxattr(place, follow_symlinks=False)
        attributes = {name: os.getxattr(place, name, follow_symlinks=False) for name in names}
    except (FileNotFoundError, NotADirectoryError):
        return None
    return classify(path, found, attributes, _first_line(place, found))


def _walk(top: Path) -> Iterator[Path]:
    for directory, directories, files in os.walk(top):
        for name in [*directories, *files]:
            yield Path(directory, name)


def _first_line(place: Path, found: os.stat_result) -> str:
    """The first line of a short file; all lines but the first are counted."""
    if not place.is_file() or place.is_symlink() or not 0 < found.st_size <= MOST_TEXT:
        return ""
    text = place.read_bytes().decode("utf-8", "replace")
    first, _, rest = text.partition("\n")
    more = f" +{rest.count(chr(10)) + (not rest.endswith(chr(10)))}" if rest else ""
    return (first[:SHOWN_CHARACTERS] + more) if first.isprintable() else ""


def _write(directory: Path, files: Files) -> None:
    directory.mkdir()
    for path, content in files.items():
        target = directory / path
        (target if path.endswith("/") else target.parent).mkdir(parents=True, exist_ok=True)
        if isinstance(content, Path):
            target.hardlink_to(directory / content)
        elif not path.endswith("/"):
            target.write_bytes(content.encode() if isinstance(content, str) else content)


def _remove_empty(place: Path) -> None:
    with suppress(OSError):  # somebody else uses it: it is a directory, and no mount of ours
        place.rmdir()


def _append(path: Path) -> None:
    with path.open("a") as file:
        file.write(LINE)


def _delete(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def _make_anew(path: Path) -> None:
    _delete(path)
    path.mkdir()


def _beside(path: Path, ending: str) -> Path:
    return path.with_name(f"{path.name}.{ending}")


ACTS: Mapping[str, Act] = {
    "append": Act("echo more >> {0}", _append),
    "chmod": Act("chmod 700 {0}", lambda path: path.chmod(0o700)),
    "rename": Act('rename("{0}", "{0}.new")', lambda path: os.rename(path, _beside(path, "new")), "{0}.new"),
    "mv": Act("mv {0} {0}.new", lambda path: shutil.move(path, _beside(path, "new")), "{0}.new"),
    "link": Act("ln {0} {0}.link", lambda path: os.link(path, _beside(path, "link"))),
    "delete": Act("rm -r {0}", _delete),
    "mkdir over": Act("rm -r {0}; mkdir {0}", _make_anew),
}
