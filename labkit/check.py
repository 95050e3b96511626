"""Did the learner do it? Each check looks at the state of the machine, never at what was typed.

A check gives a Verdict: not attempted, not yet (with what is missing), or done.
"""

import io
import subprocess
import tarfile
from dataclasses import dataclass

from labkit.engine import Engine

__all__ = ["Verdict", "check_container_runs", "check_image_tagged", "check_note_in_container"]


START_BYTES = 64 * 1024  # of a tar: its first header, and more text than any exercise asks for
SHOWN_CHARACTERS = 60


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a check found; `missing` says what is still to be done."""

    attempted: bool
    missing: str = ""

    def __repr__(self) -> str:
        if not self.attempted:
            return "not attempted"
        return f"not yet: {self.missing}" if self.missing else "done"


def check_container_runs(engine: Engine, name: str, hostname: str, image: str = "busybox") -> Verdict:
    """Is there a container of that name, from that image, that keeps running, and does it call itself `hostname`?"""
    found = engine.get(f"/containers/{name}/json", check=False)
    if found.answer.status == 404:
        return Verdict(attempted=False)
    container = found.json()
    state, restarts = container["State"]["Status"], container["RestartCount"]
    if state != "running":
        return Verdict(True, f"{name} exists, but its state is {state}")
    if restarts:
        return Verdict(True, f"{name} does not keep running: its restart count is {restarts}")
    if container["Image"] != _image_id(engine, image):
        return Verdict(True, f"{name} was not made from {image}")
    inside = _read_hostname(container["State"]["Pid"])
    if inside is None:
        return Verdict(True, f"{name} ended while it was looked at")
    return Verdict(True, "" if inside == hostname else f"{name} runs, but calls itself {inside}, not {hostname}")


def _read_hostname(pid: int) -> str | None:
    """What the kernel answers in a process's UTS namespace, and no file that could say anything; None: it ended."""
    done = subprocess.run(
        ["nsenter", f"--target={pid}", "--uts", "uname", "-n"], stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    return None if done.returncode else done.stdout.strip()


def _image_id(engine: Engine, name: str) -> str | None:
    found = engine.get(f"/images/{name}/json", check=False)
    return found.json()["Id"] if found.answer.status == 200 else None


def check_image_tagged(engine: Engine, tag: str, same_as: str) -> Verdict:
    """Do both names lead to one image?"""
    identity = _image_id(engine, tag)
    if identity is None:
        return Verdict(attempted=False)
    return Verdict(True, "" if identity == _image_id(engine, same_as) else f"{tag} is another image than {same_as}")


def check_note_in_container(engine: Engine, name: str, path: str, text: str, image: str = "busybox") -> Verdict:
    """Does a container from that image, never started, hold a file with that text (less white space at its ends)?"""
    found = engine.get(f"/containers/{name}/json", check=False)
    if found.answer.status == 404:
        return Verdict(attempted=False)
    container = found.json()
    with engine.stream("GET", f"/containers/{name}/archive", query={"path": path}, check=False) as pieces:
        start = bytearray()
        for piece in pieces:
            start += piece
            if len(start) >= START_BYTES:
                break  # a huge file, or a directory: nobody needs the rest of it
    if pieces.answer.status == 404:
        return Verdict(True, f"{name} has no {path}")
    if pieces.answer.status != 200:
        return Verdict(True, f"the engine does not give {path} of {name}: {start.decode(errors='replace').strip()}")

    words = _text_of_file(bytes(start))
    if words is None:
        return Verdict(True, f"{path} in {name} is no ordinary file")
    if words != text:
        shown = words if len(words) <= SHOWN_CHARACTERS else f"{words[:SHOWN_CHARACTERS]}…"
        return Verdict(True, f"{path} in {name} says {shown!r}, not {text!r}")
    if container["Image"] != _image_id(engine, image):
        return Verdict(True, f"{name} was not made from {image}")
    state = container["State"]["Status"]
    return Verdict(True, "" if state == "created" else f"{name} was started: its state is {state}, not created")


def _text_of_file(start: bytes) -> str | None:
    """The text of the file that a tar begins with, with … for what is cut off; None: it begins with something else."""
    try:
        with tarfile.open(fileobj=io.BytesIO(start), mode="r:") as tar:
            member = tar.next()
    except tarfile.TarError:
        return None
    if member is None or not member.isreg():
        return None
    content = start[member.offset_data : member.offset_data + member.size]
    text = content.decode(errors="replace").strip()
    return text if len(content) == member.size else f"{text}…"
