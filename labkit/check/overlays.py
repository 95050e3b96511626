"""Does an overlay hide what it was asked to hide, and does a write layer hold what it should?"""

from pathlib import Path

from labkit.api.engine import Engine
from labkit.check.finding import find_container, judge_image, judge_running
from labkit.check.verdict import Verdict
from labkit.errors import LabError
from labkit.images.overlay import WHITEOUT, Overlay
from labkit.images.union import read_entry, read_overlays, read_root
from labkit.linux.proc import read_mounts

__all__ = ["check_overlay_hides", "check_restored"]

OF_OTHERS = ("/var/lib/docker/", "/run/union/", "/run/hand/")  # overlays of the engine, and of the lesson's own cells


def check_overlay_hides(merged: str, shown: str, hidden: str) -> Verdict:
    """Is an overlay mounted at `merged`, whose lower directory has both files, and which shows only the first?"""
    overlay = next((one for one in reversed(read_overlays()) if one.merged == merged), None)
    if overlay is None:
        return _judge_absence(merged)
    # Names that are relative were typed in the directory beside it, or nobody can tell.
    lower = [Path(merged).parent / one for one in overlay.lower]
    for name in (shown, hidden):
        if not any((found := read_entry(one, name)) and found.kind == "file" for one in lower):
            return Verdict(True, f"no lower directory has a file {name}: lower is only read, and keeps both files")
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
    if read_entry(upper, str(Path(path).parent)) is None:
        return Verdict(True, f"nobody has deleted /{path} in {name}: its write layer has no trace of that")
    if read_entry(f"/proc/{pid}/root", path) is None:
        return Verdict(
            True,
            f"the whiteout is gone, but {name} does not see /{path} yet: the same overlay is still mounted "
            "(`docker restart` keeps it mounted, too)",
        )
    return Verdict(True)
