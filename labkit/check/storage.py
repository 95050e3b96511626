"""Did the learner find a layer in the data root, and is its tar the exact one?"""

import os
from hashlib import file_digest
from pathlib import Path

from labkit.check.verdict import Verdict, shorten
from labkit.errors import ImageError
from labkit.images.store import read_store
from labkit.images.stored import Store, StoredLayer

__all__ = ["check_layer_found", "check_layer_tar"]

ROOT = Path("/var/lib/docker")
NOT_MADE = "there is no image {} here"
GZIP = b"\x1f\x8b"


def check_layer_found(link: str, image: str, root: Path = ROOT) -> Verdict:
    """Does a symbolic link lead to the files of the topmost layer of an image? Raises ImageError for a broken store."""
    path = Path(link)
    store = read_store(root)
    layer = _topmost(store, image)
    if not path.is_symlink() and not path.exists():
        return Verdict(True, f"there is an image {image}, but no {link}") if layer else Verdict(attempted=False)
    if not path.is_symlink():
        found = "it is a directory of its own" if path.is_dir() else "it is a file"
        return Verdict(True, f"{link} is no symbolic link: {found}")
    if layer is None:
        return Verdict(True, NOT_MADE.format(image))
    goal = Path(os.path.realpath(path))
    if goal == layer.directory.resolve():
        return Verdict(True)
    return Verdict(True, f"{link} leads to {_describe(goal, layer, store)}")


def _topmost(store: Store, image: str) -> StoredLayer | None:
    try:
        return store.layers_of(store.image(image))[-1]
    except ImageError:
        return None


def _describe(goal: Path, layer: StoredLayer, store: Store) -> str:
    """Say what a directory is that is not the one that was wanted."""
    if not goal.exists():
        return "nothing: there is no such directory"
    if goal == layer.directory.parent.resolve():
        return "the right layer, but one step too high: the files are in its directory `diff`"
    if goal == layer.record.resolve():
        return "the record of the layer in layerdb: the file cache-id there names the directory"
    for mount in store.mounts.values():
        if goal in (mount.directory.resolve(), mount.merged.resolve()):
            name = store.containers[mount.container_id].name if mount.container_id in store.containers else "one"
            return f"a directory of the container {name}, and not to a layer of the image"
    for other in store.layers.values():
        if goal == other.directory.resolve() and other.diff_id == layer.diff_id:
            return "a layer with the same diff_id, but with another chain id: it belongs to another image"
        if goal == other.directory.resolve():
            return "another layer"
    return f"{shorten(str(goal))}, which is no directory of a layer"


def check_layer_tar(tar: str, image: str, root: Path = ROOT) -> Verdict:
    """Is a file the exact tar of the lowest layer of an image? Raises ImageError for a broken store."""
    path = Path(tar)
    if not path.is_file():
        return Verdict(True, f"{tar} is no file") if path.exists() else Verdict(attempted=False)
    store = read_store(root)
    try:
        layers = store.layers_of(store.image(image))
    except ImageError:
        return Verdict(True, NOT_MADE.format(image))
    with path.open("rb") as file:
        begins = file.read(2)
        file.seek(0)
        digest = f"sha256:{file_digest(file, 'sha256').hexdigest()}"
    if digest == layers[0].diff_id:
        return Verdict(True)
    if begins == GZIP:
        return Verdict(True, f"{tar} is compressed: the diff_id is the sha256 of the tar as it is")
    if digest in (layer.diff_id for layer in store.layers.values()):
        return Verdict(True, f"{tar} is the exact tar of another layer")
    size = path.stat().st_size
    return Verdict(True, f"the sha256 of {tar} is not the diff_id of the lowest layer (the file has {size:,} bytes)")
