"""Does an overlay hide what it was asked to hide, and does a write layer hold what it should?"""

import time
from pathlib import Path

from labkit.api.engine import Engine
from labkit.check.finding import Container, find_container, judge_image, judge_running
from labkit.check.verdict import Verdict
from labkit.errors import LabError
from labkit.images.overlay import WHITEOUT, Overlay
from labkit.images.union import read_entry, read_overlays, read_root
from labkit.linux.proc import read_mounts

__all__ = ["check_overlay_hides", "check_restored"]

OF_OTHERS = ("/var/lib/docker/", "/run/union/", "/run/hand/")  # overlays of the engine, and of the lesson's own cells
TICK_NS = 20_000_000  # a kernel sets the time of a file from a clock that goes on by up to 10 ms at a time


def check_overlay_hides(merged: str, shown: str, hidden: str) -> Verdict:
    """Is an overlay mounted at `merged`, whose lower directory has both files, and which shows only the first?"""
    overlay = next((one for one in reversed(read_overlays()) if one.merged == merged), None)
    if overlay is None:
        return _judge_absence(merged)
    # Names that are relative were typed in the directory beside it, or nobody can tell.
    lower = [Path(merged).parent / one for one in overlay.lower]
    for name in (shown, hidden):
        if not any((found := read_entry(one, name)) and found.kind == "file" for one in lower):
            return Verdict(True, f"{name} is gone from lower. Put it back: lower must keep both files")
    if read_entry(merged, hidden) is not None:
        return Verdict(True, f"{hidden} is still seen in {merged}{_explain(overlay, merged, hidden)}")
    if read_entry(merged, shown) is None:
        return Verdict(True, f"{shown} is not seen in {merged}")
    return Verdict(True)


def _judge_absence(merged: str) -> Verdict:
    """What is there, where no overlay is mounted."""
    mount = next((one for one in reversed(read_mounts()) if one.point == merged), None)
    if mount is not None:
        return Verdict(True, f"what is mounted at {merged} is no overlay, but {mount.fstype}")
    others = [one.merged for one in read_overlays() if one.merged != "/" and not one.merged.startswith(OF_OTHERS)]
    if others:
        return Verdict(True, f"an overlay is mounted at {others[-1]}, but none at {merged}")
    if Path(merged).parent.exists():
        return Verdict(True, f"nothing is mounted at {merged}")
    return Verdict(attempted=False)


def _explain(overlay: Overlay, merged: str, hidden: str) -> str:
    if overlay.upper and read_entry(Path(merged).parent / overlay.upper, f".wh.{hidden}"):
        return f": .wh.{hidden} is the mark in a layer's tar, and on the disk the mark is a character device 0, 0"
    return ""


def check_restored(engine: Engine, name: str, path: str, image: str = "busybox") -> Verdict:
    """Does a running container see the image's own file again, which was deleted in it, and not a copy?

    A whiteout that was removed while the overlay was mounted does not count: overlayfs.rst calls the result undefined.
    `path` has no leading slash. Raises EngineRefusal where the engine cannot tell.
    """
    container = find_container(engine, name)
    if isinstance(container, Verdict):
        return container
    if trouble := judge_running(container):
        return Verdict(True, f"{name} exists, but {trouble}")
    if trouble := judge_image(engine, container, image):
        return Verdict(True, f"{name} runs, but {trouble}")
    pid = container["State"]["Pid"]
    try:
        upper = read_root(pid).upper
    except LabError as error:
        return Verdict(True, str(error))
    found = read_entry(upper, path)
    if found is not None and found.kind == WHITEOUT:
        return Verdict(True, f"a whiteout in the write layer of {name} hides /{path}")
    if found is not None:
        return Verdict(
            True, f"/{path} is there, but as a copy in the write layer of {name}: it is to be the image's own"
        )
    # A directory is copied up before anything in it is deleted, and stays in the write layer.
    parent = Path(path).parent
    if read_entry(upper, str(parent)) is None:
        return Verdict(True, f"nobody has deleted /{path} in {name}: its write layer has no trace of that")
    if _ran_at(engine, container, (Path(upper) / parent).stat().st_mtime_ns):
        return Verdict(
            True,
            f"the write layer of {name} was changed while {name} ran, and then the result is undefined: delete "
            f"/{path} once more, stop {name}, remove the whiteout, and start {name}",
        )
    if read_entry(f"/proc/{pid}/root", path) is None:
        return Verdict(True, f"the whiteout is gone, but {name} does not see /{path}: another mark hides it")
    return Verdict(True)


def _ran_at(engine: Engine, container: Container, moment_ns: int) -> bool:
    """Did a container run at a moment (ns since 1970)? The engine remembers its last 256 events; False: it forgot."""
    query = {
        "since": "0",
        "until": f"{time.time():.9f}",  # now: else the answer would wait
        "filters": {"container": [container["Id"]], "event": ["start", "die"]},
    }
    ran = False
    with engine.json_lines("GET", "/events", query=query) as events:
        for event in events:
            if event["timeNano"] <= moment_ns + TICK_NS:
                ran = event["Action"] == "start"
    return ran
