"""What is in an image that an engine has?

As root, on the computer of the engine, the directories of its layers are read where they are: those of overlay2, or of
the containerd snapshotter "overlayfs". Only names and sizes are looked at, no content. Else the engine is asked for the
image (`docker save`), which is read as it comes. The first way is taken where every layer is found.
Sources: moby, `daemon/graphdriver/overlay2` and `layer/filestore.go`; containerd, `plugins/snapshots/overlay`, whose
metadata.db is a bbolt file (`bbolt/internal/common/page.go`); Linux, Documentation/filesystems/overlayfs.rst.
"""

import os
import stat
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING
from urllib.parse import quote

from labkit.errors import ImageError
from labkit.images.archives import analyse_stream
from labkit.images.content import OPAQUE, WHITEOUT, Content
from labkit.images.layers import Analysis, analyse
from labkit.images.oci import History, ImageConfig, chain_ids
from labkit.images.paths import printable
from labkit.images.tar import Fields

if TYPE_CHECKING:
    from labkit.api.engine import Engine

__all__ = ["analyse_image", "find_layer_directories", "read_directory"]

_SNAPSHOTTER = "containerd/daemon/io.containerd.snapshotter.v1.overlayfs"
_KINDS = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "directory",
    stat.S_IFLNK: "symlink",
    stat.S_IFCHR: "character device",
    stat.S_IFBLK: "block device",
    stat.S_IFIFO: "fifo",
}


def analyse_image(
    engine: "Engine",
    name: str,
    *,
    digests: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Analysis:
    """Read an image of a live engine.

    With `digests` the engine writes the image out, and every digest is computed from its bytes. Raises ImageError,
    and EngineError where the engine does not have the image, or does not answer.
    """
    found = engine.get(f"/images/{quote(name, safe='')}/json").json()
    diff_ids = tuple((found.get("RootFS") or {}).get("Layers") or ())
    if not digests:
        directories = find_layer_directories(engine.get("/info").json(), diff_ids)
        if directories is not None:
            return _analyse_directories(engine, found, name, diff_ids, directories)
    with engine.stream("GET", f"/images/{quote(name, safe='')}/get") as pieces:
        source = iter(pieces)
        return analyse_stream(lambda size: next(source, b""), name, digests=digests, progress=progress)


def find_layer_directories(info: dict[str, object], diff_ids: Sequence[str]) -> list[str] | None:
    """Give the directory of each layer, by what GET /info says of the store; None where one cannot be read."""
    root, driver = str(info.get("DockerRootDir", "")), str(info.get("Driver", ""))
    chain = chain_ids(diff_ids)
    try:
        if driver == "overlay2":
            found = [_overlay2_directory(root, chain_id) for chain_id in chain]
        elif driver == "overlayfs":
            found = _snapshot_directories(f"{root}/{_SNAPSHOTTER}", chain)
        else:
            return None
    except (OSError, ImageError):  # not of this user, or no such store
        return None
    return found if all(os.access(each, os.R_OK | os.X_OK) for each in found) else None


def read_directory(path: str, layer: int = 0) -> Content:
    """Read the upper directory of an overlay as a layer; whiteouts and opaque directories as a tar would say them."""
    content = Content(layer)
    content.take(_entries(path))
    return content


def _entries(top: str) -> Iterator[Fields]:
    waiting = [""]
    links: dict[tuple[int, int], str] = {}
    while waiting:
        prefix = waiting.pop()
        # Names are looked up in the open directory: by whole paths it is a quarter slower.
        folder = os.open(f"{top}/{prefix}"[:-1], os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            if prefix and _is_opaque(folder):
                yield prefix + OPAQUE, "file", 0, 0, 0, 0, "", 0, 0
            with os.scandir(folder) as entries:
                for entry in entries:
                    about = entry.stat(follow_symlinks=False)
                    mode, name = about.st_mode, entry.name
                    kind = _KINDS.get(stat.S_IFMT(mode))
                    if kind is None:
                        continue  # a socket: no tar of a layer holds one
                    path, target, size = prefix + name, "", 0
                    if kind == "file":
                        size = about.st_size
                        if about.st_nlink > 1:
                            first = links.setdefault((about.st_dev, about.st_ino), path)
                            if first != path:
                                kind, target, size = "hardlink", first, 0
                    elif kind == "directory":
                        waiting.append(path + "/")
                    elif kind == "symlink":
                        target = os.readlink(name, dir_fd=folder)
                    elif kind == "character device" and about.st_rdev == 0:
                        yield f"{prefix}{WHITEOUT}{name}", "file", 0, 0, 0, 0, "", 0, 0
                        continue
                    yield path, kind, size, stat.S_IMODE(mode), about.st_uid, about.st_gid, target, 0, 0
        finally:
            os.close(folder)


def _is_opaque(folder: int) -> bool:
    try:
        return os.getxattr(folder, "trusted.overlay.opaque") == b"y"
    except OSError:  # it has no such attribute
        return False


def _overlay2_directory(root: str, chain_id: str) -> str:
    with open(f"{root}/image/overlay2/layerdb/{chain_id.replace(':', '/')}/cache-id") as file:
        return f"{root}/overlay2/{file.read().strip()}/diff"


def _snapshot_directories(place: str, chain: Sequence[str]) -> list[str]:
    """Find the snapshots by their names in the snapshotter's database."""
    from pathlib import Path  # only now: an engine with overlay2 needs none of it

    from labkit.images.containerd_store import snapshot_numbers

    numbers = snapshot_numbers(Path(place, "metadata.db"))
    if missing := set(chain) - numbers.keys():
        raise FileNotFoundError(f"no snapshot of {', '.join(sorted(missing))}")
    return [f"{place}/snapshots/{numbers[chain_id]}/fs" for chain_id in chain]


def _analyse_directories(
    engine: "Engine", found: dict[str, object], name: str, diff_ids: tuple[str, ...], directories: Sequence[str]
) -> Analysis:
    contents = []
    for index, directory in enumerate(directories):
        try:
            contents.append(read_directory(directory, index))
        except (OSError, ValueError) as error:
            where = f"layer {index + 1} of {printable(name)}, {printable(directory)}"
            raise ImageError(where, printable(str(error))) from None
    history = engine.get(f"/images/{quote(name, safe='')}/history").json()
    image_id = str(found.get("Id", ""))
    descriptor = found.get("Descriptor")
    config = ImageConfig(
        "" if descriptor else image_id,
        str(found.get("Architecture", "")),
        str(found.get("Os", "")),
        diff_ids,
        _history(history, len(diff_ids)),
        {},
    )
    return analyse(contents, name=name, config=config, manifest_digest=image_id if descriptor else "")


def _history(lines: Sequence[dict[str, object]], layers: int) -> tuple[History, ...]:
    """Read the engine's history, the newest line first; it says of no line whether it made a layer."""
    made = [(str(line.get("CreatedBy", "")), int(str(line.get("Size", 0)))) for line in reversed(lines)]
    with_bytes = [History(text, False) for text, size in made if size]
    if len(made) == layers:
        return tuple(History(text, False) for text, _ in made)
    return tuple(with_bytes) if len(with_bytes) == layers else ()
