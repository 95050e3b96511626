"""How does a learner get a copy of the lessons that an update does not take away?

The folder has the lessons without outputs, the files that they read and link to, and a marker, `.docker-lab.json`:

    {"version": 1, "labkit": "0.1.0", "laid": {"01-engine-api.ipynb": "<sha256>"}, "offered": {...}}

`laid` says what was laid there. A file that is still as it was laid may be replaced; any other is the learner's. A
newer lesson is laid beside a lesson that the learner has worked in, once: `offered` says which.
"""

import fcntl
import hashlib
import json
import os
import platform
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from labkit import __version__, progress
from labkit.course import course_dir, find_lesson, list_lessons, read_notebook
from labkit.desk.home import PAGE, PICTURE, draw_home
from labkit.errors import LabError
from labkit.progress import MARKER

__all__ = ["MARKER", "Laid", "begin_again", "is_desk", "lay_course", "redraw_home"]

VERSION = 1
READING = "read"  # where the texts lie that lessons link to
LINK = re.compile(r"(\]\()(\.\./[^)#\s]+|home\.ipynb)((?:#[^)\s]*)?\))")
LISTS = ("../README.md", "home.ipynb")
LOCAL_LINK = re.compile(r"\[([^\]]*)\]\((?![a-z]+:|#)[^)]*\)")
METADATA = {  # as JupyterLab writes it when the kernel has answered: a lesson that is only opened does not change
    "kernelspec": {"display_name": "Docker Lab", "language": "python", "name": "docker-lab"},
    "language_info": {
        "codemirror_mode": {"name": "ipython", "version": 3},
        "file_extension": ".py",
        "mimetype": "text/x-python",
        "name": "python",
        "nbconvert_exporter": "python",
        "pygments_lexer": "ipython3",
        "version": platform.python_version(),
    },
}

Files = dict[str, bytes]  # by the path below the folder


@dataclass
class Laid:
    """What was done to a folder: names of files, each below the folder. As text, what a learner wants to know of it."""

    is_first: bool = False  # nothing was laid there before
    new: list[str] = field(default_factory=list)
    updated: list[str] = field(default_factory=list)
    beside: dict[str, str] = field(default_factory=dict)  # the learner's file: the new one

    def __str__(self) -> str:
        lines = []
        for what, names in (("new", self.new), ("updated", self.updated)):
            lines += [f"{what}: {name}" for name in names if name.endswith(".ipynb") and not self.is_first]
        lines += [f"you have worked in {name}: it stays; the new one is {new}" for name, new in self.beside.items()]
        return "\n".join(lines)


def is_desk(folder: Path) -> bool:
    """Was this folder made by `lay_course`?"""
    return (folder / MARKER).is_file()


def lay_course(folder: Path) -> Laid:
    """Lay the course in a folder, or bring the folder up to date; give what was done.

    Each file is written whole or not at all, and a call that was cut short is completed by the next one. What the
    learner has changed is not touched. Raises LabError when the folder holds other things, or cannot be written.
    """
    with _held(folder) as marker:
        laid = marker["laid"]
        done = Laid(is_first=not laid)
        wanted = _read_course()
        for name, content in wanted.items():
            _lay(folder, name, content, marker, done)
        for name in sorted(laid.keys() - wanted.keys()):  # the course has it no more
            if laid.get(name) == _fingerprint_of(folder / name):
                (folder / name).unlink()
            del laid[name]
        _write_marker(folder, marker)
        _draw_home(folder)
    return done


def begin_again(folder: Path, words: str) -> tuple[str, str]:
    """Lay one lesson anew, and forget what was done in it; give its file's name, and that of the copy ("" for none).

    `words` is a lesson's name or how it begins, as "01". Raises LabError when there is no such lesson, and when the
    folder is no learner's folder or cannot be written.
    """
    if not is_desk(folder):
        raise LabError(f"{folder} holds no lessons: `labkit lab {folder}` lays them there.")
    lesson = find_lesson(words)
    name = lesson.path.name
    with _held(folder) as marker:
        content = _read_course()[name]
        kept = ""
        if _fingerprint_of(folder / name) not in ("", _fingerprint(name, content)):
            kept = _free_name(folder, name, "kept")
            (folder / name).rename(folder / kept)
        _write(folder / name, content)
        marker["laid"][name] = _fingerprint(name, content)
        marker["offered"].pop(name, None)
        _write_marker(folder, marker)
        with suppress(LabError):  # a broken file: as above
            progress.forget(folder, lesson.name)
        _draw_home(folder)
    return name, kept


def redraw_home(folder: Path) -> None:
    """Draw the home page anew, from what is kept of the learner's work by now. Raises LabError."""
    with _held(folder):
        _draw_home(folder)


def _draw_home(folder: Path) -> None:
    for name, text in draw_home(folder, _read_progress(folder)).items():
        if _fingerprint_of(folder / name) != _fingerprint(name, text.encode()):
            _write(folder / name, text.encode())


def _read_progress(folder: Path) -> dict[str, Any]:
    """What is kept of each lesson; nothing where the file cannot be read: the lesson that is opened next says so."""
    with suppress(LabError):
        return progress.read_learner(folder)
    return {}


def _lay(folder: Path, name: str, content: bytes, marker: dict[str, Any], done: Laid) -> None:
    new, there = _fingerprint(name, content), _fingerprint_of(folder / name)
    if there in ("", marker["laid"].get(name)):
        if there != new:
            _write(folder / name, content)
            (done.updated if there else done.new).append(name)
    elif there != new and new not in (marker["laid"].get(name), marker["offered"].get(name)):
        beside = _free_name(folder, name, "new")
        _write(folder / beside, content)
        marker["offered"][name] = new
        done.beside[name] = beside
        return
    if there in ("", new, marker["laid"].get(name)):
        marker["laid"][name] = new


def _read_course() -> Files:
    """What belongs in a learner's folder: lessons, the files that they read, and the texts that they link to."""
    root = course_dir()
    notebooks, said = root / "notebooks", ""
    reading: dict[str, Path] = {}
    files: Files = {}
    for lesson in list_lessons():
        notebook = read_notebook(lesson.path)
        for cell in notebook["cells"]:
            if cell["cell_type"] == "markdown":
                cell["source"] = _bring_near("".join(cell["source"]), notebooks, reading)
            else:
                cell |= {"outputs": [], "execution_count": None}
            said += "".join(cell["source"])
        notebook["metadata"] = METADATA
        files[lesson.path.name] = json.dumps(notebook, indent=1, ensure_ascii=False).encode() + b"\n"
    for path in sorted(notebooks.rglob("*")):
        parts = path.relative_to(notebooks).parts
        if path.is_file() and path.suffix != ".ipynb" and path.name not in (PAGE, PICTURE) and "/".join(parts) in said:
            files["/".join(parts)] = path.read_bytes()
    for name, path in reading.items():
        files[f"{READING}/{name}"] = _without_links(path)
    return files


def _bring_near(text: str, notebooks: Path, reading: dict[str, Path]) -> str:
    """Have links that lead out of the lessons' directory lead to `READING`; note there what they lead to.

    Where all lessons are listed is the README in the repository, and the home page here.
    """

    def change(found: re.Match[str]) -> str:
        if found[2] in LISTS:
            return f"{found[1]}{PAGE})"
        path = _resolve(notebooks, found[2])
        reading[path.name] = path
        return f"{found[1]}{READING}/{path.name}{found[3]}"

    return LINK.sub(change, text)


def _resolve(notebooks: Path, link: str) -> Path:
    """What a link of a lesson leads to: the package is not where it is in the repository when it was installed."""
    parts = link.removeprefix("../").split("/")
    path = Path(__file__).parents[1].joinpath(*parts[1:]) if parts[0] == "labkit" else notebooks.parent.joinpath(*parts)
    if not path.is_file():
        raise LabError(f"A lesson links to {link}, which is not there.")
    return path


def _without_links(path: Path) -> bytes:
    """A text as it is, but for links to files that the folder does not have."""
    text = path.read_text(encoding="utf-8")
    return (LOCAL_LINK.sub(r"\1", text) if path.suffix == ".md" else text).encode()


def _fingerprint(name: str, content: bytes) -> str:
    """What tells whether a learner has worked in a file: of a notebook, what its cells hold. Opening changes more."""
    if name.endswith(".ipynb"):
        with suppress(ValueError, KeyError, TypeError):
            cells = json.loads(content)["cells"]
            held = [[cell["cell_type"], "".join(cell["source"]), cell.get("outputs", [])] for cell in cells]
            content = json.dumps(held, sort_keys=True).encode()
    return hashlib.sha256(content).hexdigest()


def _fingerprint_of(path: Path) -> str:
    """The fingerprint of a file that is there, or ""."""
    try:
        return _fingerprint(path.name, path.read_bytes())
    except FileNotFoundError:
        return ""


def _free_name(folder: Path, name: str, word: str) -> str:
    """A name that nobody has: "01-engine-api.ipynb" gives "01-engine-api-kept-1.ipynb" or a later number."""
    stem, dot, end = name.rpartition(".")
    number = 1
    while (folder / f"{stem}-{word}-{number}{dot}{end}").exists():
        number += 1
    return f"{stem}-{word}-{number}{dot}{end}"


@contextmanager
def _held(folder: Path) -> Iterator[dict[str, Any]]:
    """The folder's marker, while nobody else lays files there; a folder without one must be empty."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise LabError(f"{folder} cannot be made ({error.strerror}): name another folder.") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not is_desk(folder):
            if any(not name.startswith(".") and name != "lost+found" for name in os.listdir(folder)):
                raise LabError(f"{folder} holds other files: name a new folder or an empty one.")
            _write_marker(folder, {"laid": {}, "offered": {}})  # first of all: what is cut short is known as ours
        yield _read_marker(folder)
    except OSError as error:
        raise LabError(f"{folder} cannot be written ({error.strerror}): free some space, or name another.") from error
    finally:
        os.close(lock)


def _read_marker(folder: Path) -> dict[str, Any]:
    """What the marker says; a damaged one says nothing, and then every file that differs counts as the learner's."""
    found: Any = None
    with suppress(ValueError):
        found = json.loads((folder / MARKER).read_text(encoding="utf-8"))
    found = found if isinstance(found, dict) else {}
    if isinstance(version := found.get("version"), int) and version > VERSION:
        raise LabError(f"{folder} was laid by a newer labkit ({found.get('labkit')}): update this one.")
    return {name: value if isinstance(value := found.get(name), dict) else {} for name in ("laid", "offered")}


def _write_marker(folder: Path, marker: dict[str, Any]) -> None:
    whole = {"version": VERSION, "labkit": __version__, **marker}
    _write(folder / MARKER, json.dumps(whole, indent=1, sort_keys=True).encode() + b"\n")


def _write(path: Path, content: bytes) -> None:
    """Write a file whole or not at all: rename(2) puts it in its place. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with draft.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
