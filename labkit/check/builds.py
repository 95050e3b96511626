"""Does a change of one file leave the slow line of a Dockerfile in the cache?"""

import os
from collections.abc import Mapping
from pathlib import Path

from labkit.api.engine import Engine
from labkit.check.verdict import Verdict, shorten
from labkit.images.build_log import CACHED
from labkit.images.builds import build_files

__all__ = ["check_slow_line_cached"]

FIRST, AGAIN = "labkit-check:first", "labkit-check:again"
DOCKERFILE = "Dockerfile"


def check_slow_line_cached(engine: Engine, directory: Path, changing: str, slow: str) -> Verdict:
    """Does the RUN that makes the file /`slow` come from the cache, when the file `changing` has changed?

    The Dockerfile of `directory` is built twice, with the files that lie beside it; the second time there is one line
    more in `changing`. Both files have to come into the image.
    Raises what every call of an Engine raises; the images are removed.
    """
    if not (directory / DOCKERFILE).is_file():
        near = [path.name for path in directory.glob("[Dd]ocker*")] if directory.is_dir() else []
        return Verdict(bool(near), f"there is {directory}/{near[0]}, but no {DOCKERFILE} there" if near else "")
    files = {path.name: path.read_bytes() for path in sorted(directory.iterdir()) if path.is_file()}
    if changing not in files:
        return Verdict(True, f"there is no {changing} in {directory}")
    try:
        return Verdict(True, _judge(engine, files, changing, slow))
    finally:
        for name in (FIRST, AGAIN):
            engine.delete(f"/images/{name}", check=False)


def _judge(engine: Engine, files: Mapping[str, bytes], changing: str, slow: str) -> str:
    """What is wrong with them; "": nothing."""
    first = build_files(engine, files, FIRST)
    line = os.urandom(8).hex().encode() + b"\n"  # no build before this one has had it
    again = build_files(engine, {**files, changing: files[changing] + line}, AGAIN)
    if error := first.error or again.error:
        return f"the build fails: {shorten(error.strip())}"
    slow_lines = [step for step in again.steps if step.line.upper().startswith("RUN") and slow in step.line]
    if not slow_lines:
        return f"no line RUN makes /{slow}"
    for path in (f"/{changing}", f"/{slow}"):
        if not _has(engine, path):
            return f"the image has no {path}"
    late = [step.line for step in slow_lines if step.how != CACHED]
    return f"{changing} changed, and this line was built again: {shorten(late[0])}" if late else ""


def _has(engine: Engine, path: str) -> bool:
    """Is there this file in the image?"""
    made = engine.post("/containers/create", json={"Image": AGAIN, "Cmd": ["true"]}).json()["Id"]
    try:
        found = engine.head(f"/containers/{made}/archive", query={"path": path}, check=False)
        return found.answer.status == 200
    finally:
        engine.delete(f"/containers/{made}", query={"force": True})
