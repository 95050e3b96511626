"""Does each check tell an untouched exercise, a wrong answer and a right one apart?"""

import io
import os
import tarfile
from pathlib import Path
from typing import Any

import pytest

from labkit import check


class Answers:
    """Stands for the engine: a prepared (status, JSON) for each path."""

    def __init__(self, prepared: dict[str, tuple[int, Any]]) -> None:
        self.prepared = prepared

    def get(self, path: str, **_: Any) -> Any:
        status, value = self.prepared.get(path, (404, None))
        answer = type("Answer", (), {"status": status, "body": value if isinstance(value, bytes) else b""})
        return type("Exchange", (), {"answer": answer, "json": lambda self: value})()


def image(identity: str) -> tuple[int, Any]:
    return 200, {"Id": identity}


def container(running: bool, hostname: str = "rex") -> tuple[int, Any]:
    state = {"Running": running, "Status": "exited", "Pid": 0}
    return 200, {"State": state, "Config": {"Hostname": hostname}}


@pytest.mark.parametrize(
    ("prepared", "verdict"),
    [
        ({}, "not attempted"),
        ({"/images/mine/json": image("b")}, "not yet: mine is another image than busybox"),
        ({"/images/mine/json": image("a")}, "done"),
    ],
)
def test_image_tagged(prepared: dict[str, Any], verdict: str) -> None:
    """A second name has to lead to the same image."""
    engine = Answers({"/images/busybox/json": image("a"), **prepared})

    assert repr(check.check_image_tagged(engine, "mine", "busybox")) == verdict  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("prepared", "verdict"),
    [
        ({}, "not attempted"),
        ({"/containers/pet/json": container(False)}, "not yet: pet exists, but its state is exited"),
        (
            {"/containers/pet/json": container(True, "cat")},
            "not yet: pet runs, but calls itself cat, not rex",
        ),
    ],
)
def test_container_runs_wrong(prepared: dict[str, Any], verdict: str) -> None:
    """A container that stopped, or has another name inside, is not yet right."""
    assert repr(check.check_container_runs(Answers(prepared), "pet", "rex")) == verdict  # type: ignore[arg-type]


def test_container_runs_right() -> None:
    """The kernel's side is looked at too: here, a process of this computer stands for the container's."""
    name = Path("/etc/hostname").read_text().strip()
    status, value = container(True, name)
    value["State"]["Pid"] = os.getpid()

    found = check.check_container_runs(Answers({"/containers/pet/json": (status, value)}), "pet", name)  # type: ignore[arg-type]

    assert repr(found) == "done"


def letter(status: str) -> tuple[int, Any]:
    return 200, {"State": {"Status": status}}


def tar_of(text: bytes) -> tuple[int, Any]:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        entry = tarfile.TarInfo("note.txt")
        entry.size = len(text)
        tar.addfile(entry, io.BytesIO(text))
    return 200, file.getvalue()


def tar_of_link() -> tuple[int, Any]:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        entry = tarfile.TarInfo("note.txt")
        entry.type, entry.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(entry)
    return 200, file.getvalue()


@pytest.mark.parametrize(
    ("state", "archive", "verdict"),
    [
        (None, None, "not attempted"),
        ("created", None, "not yet: letter has no /note.txt"),
        ("created", tar_of(b"bye\n"), "not yet: /note.txt in letter says 'bye', not 'hello'"),
        ("created", tar_of_link(), "not yet: /note.txt in letter says '', not 'hello'"),
        ("exited", tar_of(b"hello\n"), "not yet: letter was started: its state is exited, not created"),
        ("running", tar_of(b"hello\n"), "not yet: letter was started: its state is running, not created"),
        ("created", tar_of(b"hello\n"), "done"),
    ],
)
def test_note_in_container(state: str | None, archive: tuple[int, Any] | None, verdict: str) -> None:
    """The file, its text, and that nobody ran the container."""
    prepared = {}
    if state:
        prepared["/containers/letter/json"] = letter(state)
    if archive:
        prepared["/containers/letter/archive"] = archive

    assert repr(check.check_note_in_container(Answers(prepared), "letter", "/note.txt", "hello")) == verdict  # type: ignore[arg-type]
