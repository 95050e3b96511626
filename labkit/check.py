"""Did the learner do it? Each check looks at the state of the machine, never at what was typed.

A check gives a Verdict: not attempted, not yet (with what is missing), or done.
"""

import io
import tarfile
from dataclasses import dataclass
from pathlib import Path

from labkit.engine import Engine

__all__ = ["Verdict", "check_container_runs", "check_image_tagged", "check_note_in_container"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a check found; `missing` says what is still to be done."""

    attempted: bool
    missing: str = ""

    def __repr__(self) -> str:
        if not self.attempted:
            return "not attempted"
        return f"not yet: {self.missing}" if self.missing else "done"


def check_container_runs(engine: Engine, name: str, hostname: str) -> Verdict:
    """Is there a container of that name, running, and does it call itself `hostname`?"""
    found = engine.get(f"/containers/{name}/json", check=False)
    if found.answer.status == 404:
        return Verdict(attempted=False)
    container = found.json()
    if not container["State"]["Running"]:
        return Verdict(True, f"{name} exists, but its state is {container['State']['Status']}")
    if container["Config"]["Hostname"] != hostname:
        return Verdict(True, f"{name} runs, but calls itself {container['Config']['Hostname']}, not {hostname}")
    inside = Path(f"/proc/{container['State']['Pid']}/root/etc/hostname").read_text().strip()
    return Verdict(True, "" if inside == hostname else f"its /etc/hostname says {inside}")


def check_image_tagged(engine: Engine, tag: str, same_as: str) -> Verdict:
    """Do both names lead to one image?"""
    found = engine.get(f"/images/{tag}/json", check=False)
    if found.answer.status == 404:
        return Verdict(attempted=False)
    same = found.json()["Id"] == engine.get(f"/images/{same_as}/json").json()["Id"]
    return Verdict(True, "" if same else f"{tag} is another image than {same_as}")


def check_note_in_container(engine: Engine, name: str, path: str, text: str) -> Verdict:
    """Does a container that was never started hold a file with that text (less white space at its ends)?"""
    found = engine.get(f"/containers/{name}/json", check=False)
    if found.answer.status == 404:
        return Verdict(attempted=False)
    archive = engine.get(f"/containers/{name}/archive", query={"path": path}, check=False)
    if archive.answer.status == 404:
        return Verdict(True, f"{name} has no {path}")

    with tarfile.open(fileobj=io.BytesIO(archive.answer.body)) as tar:
        member = tar.next()
        content = tar.extractfile(member) if member and member.isfile() else None
        words = content.read(4096).decode(errors="replace").strip() if content else ""
    if words != text:
        return Verdict(True, f"{path} in {name} says {words!r}, not {text!r}")
    state = found.json()["State"]["Status"]
    return Verdict(True, "" if state == "created" else f"{name} was started: its state is {state}, not created")
