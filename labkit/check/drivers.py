"""Does an engine use the driver that was asked for? Does the layer of a container hold a file that was copied up?"""

import io
import json
import tarfile
import tempfile
from pathlib import Path

from labkit.api.engine import Engine
from labkit.check.finding import find_container
from labkit.check.verdict import Verdict, shorten
from labkit.daemons.daemon import run_daemon
from labkit.errors import MachineError

__all__ = ["check_copied_up", "check_settings"]

OWN_SETTINGS = Path("/etc/docker/daemon.json")
MODIFIED = 0  # a Kind of the answer of "Get changes on a container's filesystem"
THROWAWAY = {"Image": "busybox", "Cmd": ["true"]}


def check_settings(file: Path, driver: str) -> Verdict:
    """Does an engine that is started with this settings file use the driver? One is started to find out.

    Raises what every call of an Engine raises.
    """
    if not file.exists():
        words = OWN_SETTINGS.read_text() if OWN_SETTINGS.exists() else ""
        if "storage" in words or driver in words:
            return Verdict(True, f"there is no {file}: you wrote into {OWN_SETTINGS}, of the machine's own engine")
        near = [one for one in sorted(file.parent.glob("*")) if one.is_file() and driver in _read(one)]
        return Verdict(True, f"there is {near[0]}, but no {file}") if near else Verdict(attempted=False)
    try:
        settings = json.loads(file.read_text(errors="replace"))
    except ValueError as error:
        return Verdict(True, f"{file} is no JSON: {error}")
    if not isinstance(settings, dict):
        return Verdict(True, f"{file} is no JSON object: it has to begin with a brace")
    with tempfile.TemporaryDirectory(prefix="labkit-check-") as place:
        try:
            with run_daemon(Path(place), settings=settings, end_s=0.0) as daemon, Engine(daemon.host) as second:
                running = second.get("/info").json()["Driver"]
        except MachineError as error:
            return Verdict(True, f"an engine does not start with {file}. {error}")
    return Verdict(True, "" if running == driver else f"an engine with {file} uses {running}, not {driver}")


def check_copied_up(engine: Engine, name: str, path: str) -> Verdict:
    """Does the layer of a container hold a whole copy of a file of busybox, in which no byte of the content differs?

    Raises EngineRefusal where the engine cannot tell.
    """
    found = find_container(engine, name)
    if isinstance(found, Verdict):
        return found
    changes = engine.get(f"/containers/{name}/changes").json() or []
    own = [change["Path"] for change in changes if change["Path"] == path and change["Kind"] == MODIFIED]
    if not own:
        others = [change["Path"] for change in changes if change["Kind"] != MODIFIED]
        beside = (
            f" It has {shorten(others[0])}." if others else " The layer has no new file at all." if not changes else ""
        )
        return Verdict(True, f"the layer of {name} has no copy of {path}.{beside}")
    if _content(engine, name, path) != _content_of_the_image(engine, path):
        return Verdict(True, f"the layer of {name} has {path}, but its content is another than in the image")
    return Verdict(True)


def _content_of_the_image(engine: Engine, path: str) -> bytes:
    made = engine.post("/containers/create", json=THROWAWAY).json()["Id"]
    try:
        return _content(engine, made, path)
    finally:
        engine.delete(f"/containers/{made}", query={"force": True})


def _content(engine: Engine, name: str, path: str) -> bytes:
    """The bytes of one file, out of the tar in which the engine gives it."""
    packed = engine.get(f"/containers/{name}/archive", query={"path": path}).answer.body
    with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
        member = tar.next()
        opened = tar.extractfile(member) if member else None
        return opened.read() if opened else b""


def _read(file: Path) -> str:
    try:
        return file.read_text(errors="replace")
    except OSError:
        return ""
