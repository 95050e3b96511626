"""What does a process of the helper do that runs a container, or keeps one?

The other side of `labkit.isolation.boxes`. What goes there and back is what JSON can carry.
"""

import base64
import json
import sys
from pathlib import Path
from typing import Any

from labkit.errors import ContainerError
from labkit.isolation import container
from labkit.isolation.handle import Container, Finished
from labkit.isolation.join import execute_in
from labkit.isolation.spec import Limits, User
from labkit.isolation.streams import pack

__all__ = ["keep", "run_here"]


def run_here(image: str, is_path: bool, args: list[str], stdin: str, options: dict[str, Any]) -> dict[str, Any]:
    """What `run` calls in the helper: arguments and value are what JSON can carry."""
    try:
        what = Path(image) if is_path else image
        done = container.run(what, args, stdin=base64.b64decode(stdin), has_guard=False, **_understand(options))
        return _as_words(done)
    except ContainerError as error:
        return {"error": str(error)}


def keep(image: str, is_path: bool, args: list[str], stdin: str, options: dict[str, Any]) -> None:
    """What `start` calls in the helper: it goes on until nobody asks any more."""
    try:
        what = Path(image) if is_path else image
        box = container.start(what, args, stdin=base64.b64decode(stdin), **_understand(options))
    except ContainerError as error:
        _say({"error": str(error)})
        return
    try:
        _say({"name": box.name, "pid": box.pid, "steps": box.steps})
        for line in sys.stdin:
            _say(_answer(box, *json.loads(line)))
    finally:
        container.remove(box)


def _answer(box: Container, what: str, *words: Any) -> dict[str, Any]:
    try:
        if what == "execute":
            args, stdin, options = words
            return _as_words(execute_in(box, args, stdin=base64.b64decode(stdin), **_understand(options)))
        if what == "logs":
            return {"logs": [pack(each) for each in container.logs(box)]}
        if what == "is_running":
            return {"is_running": container.is_running(box)}
        return {"status": container.stop(box, *words)}
    except (ContainerError, OSError) as error:
        return {"error": str(error)}


def _understand(options: dict[str, Any]) -> dict[str, Any]:
    """Make values of what JSON has carried."""
    found: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in options.items()
    }
    if isinstance(found.get("limits"), dict):
        found["limits"] = Limits(**found["limits"])
    if isinstance(found.get("user"), str):
        found["user"] = User(name=found["user"])
    return found


def _as_words(done: Finished) -> dict[str, Any]:
    return done._asdict() | {"stdout": pack(done.stdout), "stderr": pack(done.stderr)}


def _say(words: dict[str, Any]) -> None:
    print(json.dumps(words), flush=True)
