"""What is in the data root of an engine that keeps its images with a graph driver?

    image/DRIVER/repositories.json            names of images
    image/DRIVER/imagedb/content/sha256/ID    the configuration of an image, whose digest is the ID
    image/DRIVER/imagedb/metadata/sha256/ID   what the engine adds: parent, lastUpdated
    image/DRIVER/layerdb/sha256/CHAIN_ID      a layer: diff, size, cache-id, parent, tar-split.json.gz
    image/DRIVER/layerdb/mounts/CONTAINER     the layers of a container: mount-id, init-id, parent
    image/DRIVER/distribution                 which blob that was pulled is which layer
    DRIVER/CACHE_ID                           the files of a layer (overlay2: diff, link, lower, merged, work)
    containers/ID                             config.v2.json, hostconfig.json, ID-json.log
    volumes/NAME/_data                        the files of a volume

The files are read as they are, by root, and are believed only as far as they can be checked: an id has the form of an
id, and no link is followed. What the engine removes while this reads is left out. The other store is read by
`labkit.images.containerd_store`. Source: moby's `image/fs.go`, `layer/filestore.go`, `reference/store.go`,
`distribution/metadata`.
"""

import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from labkit.errors import ImageError
from labkit.images import tar_split
from labkit.images.oci import is_digest, parse_config, parse_document
from labkit.images.paths import printable
from labkit.images.reading import list_names, open_below, read_each, read_small
from labkit.images.stored import (
    GRAPHDRIVER,
    Mount,
    Store,
    StoredContainer,
    StoredImage,
    StoredLayer,
    StoredVolume,
)

__all__ = ["layer_tar", "list_drivers", "read_containers", "read_store", "read_volumes"]

# Where each driver keeps the files of a layer; the rest of what a driver has is its own affair.
DIRECTORIES = {
    "aufs": "aufs/diff/{}",
    "btrfs": "btrfs/subvolumes/{}",
    "fuse-overlayfs": "fuse-overlayfs/{}/diff",
    "overlay": "overlay/{}/root",
    "overlay2": "overlay2/{}/diff",
    "vfs": "vfs/dir/{}",
}
WITH_LINKS = ("overlay2", "fuse-overlayfs")  # those that give each directory a short name
_HEX = re.compile(r"[0-9a-f]{64}")
_CACHE_ID = re.compile(r"[0-9a-z]{25,64}(?:-init|-removing)?")
_SHORT = re.compile(r"[A-Z0-9]{26}")
_CONTAINER = re.compile(r"[0-9a-f]{64}")
_MOST_SOURCES = 1000

T = TypeVar("T")


def list_drivers(root: Path) -> list[str]:
    """Name the graph drivers that have kept images in a data root; none where the engine keeps them with containerd."""
    return [name for name in list_names(root / "image") if (root / "image" / name / "layerdb").is_dir()]


def read_store(root: Path = Path("/var/lib/docker"), driver: str = "") -> Store:
    """Read all that a data root holds. ImageError for a record that is none, or that is not there.

    `driver` is needed only where several have kept images there.
    """
    drivers = list_drivers(root)
    if not driver and len(drivers) != 1:
        found = (
            f"several drivers keep images there: {', '.join(drivers)}"
            if drivers
            else "no graph driver keeps images there"
        )
        raise ImageError(str(root), found)
    driver = driver or drivers[0]
    if driver not in DIRECTORIES:
        raise ImageError(str(root), f"how {printable(driver)} keeps its layers is not known")
    top = root / "image" / driver
    names = _read_names(top / "repositories.json")
    by_image: dict[str, list[str]] = {}
    for name, image_id in names.items():
        by_image.setdefault(image_id, []).append(name)
    read_image = partial(_read_image, top / "imagedb", by_image)
    images = read_each(top / "imagedb/content/sha256", _HEX, read_image)
    layers = read_each(top / "layerdb/sha256", _HEX, partial(_read_layer, root, driver))
    mounts = read_each(top / "layerdb/mounts", _CONTAINER, partial(_read_mount, root, driver))
    return Store(
        root,
        GRAPHDRIVER,
        driver,
        images={f"sha256:{key}": image for key, image in images.items()},
        layers={f"sha256:{key}": layer for key, layer in layers.items()},
        mounts=mounts,
        names={name: image_id for name, image_id in names.items() if image_id.removeprefix("sha256:") in images},
        containers=read_containers(root),
        volumes=read_volumes(root),
        diff_ids=_read_distribution(top / "distribution/diffid-by-digest/sha256", _diff_id),
        sources=_read_distribution(top / "distribution/v2metadata-by-diffid/sha256", _repositories),
        links=_read_links(root / driver / "l") if driver in WITH_LINKS else {},
    )


def layer_tar(layer: StoredLayer) -> Iterator[bytes]:
    """Give the exact tar of a layer, whose digest is its diff_id. ImageError where its files are not what they were."""
    path = layer.record / "tar-split.json.gz"
    try:
        packed = open_below(layer.record, path.name)
    except OSError as error:
        raise ImageError(str(path), f"it cannot be read: {error.strerror}") from error
    with packed:
        yield from tar_split.rebuild(packed, partial(open_below, layer.directory), str(path))


def read_containers(root: Path) -> dict[str, StoredContainer]:
    """Read containers/, by id. It is the same with both stores."""
    return read_each(root / "containers", _CONTAINER, _read_container)


def read_volumes(root: Path) -> dict[str, StoredVolume]:
    """Read volumes/, by name. It is the same with both stores."""
    found = (root / "volumes" / name / "_data" for name in list_names(root / "volumes"))
    return {path.parent.name: StoredVolume(path.parent.name, path) for path in found if path.is_dir()}


def _read_word(path: Path, form: Callable[[str], object], default: str | None = None) -> str:
    """Read a file of one word; where the file is absent, the default."""
    try:
        text = read_small(path, 4096).decode(errors="replace").strip()
    except FileNotFoundError:
        if default is None:
            raise
        return default
    if not form(text):
        raise ImageError(str(path), f"{printable(text)!r} is not what belongs there")
    return text


def _read_names(path: Path) -> dict[str, str]:
    """Read repositories.json. An engine that has no image yet has none."""
    try:
        document = parse_document(read_small(path), str(path))
    except FileNotFoundError:
        return {}
    repositories = document.get("Repositories") if isinstance(document, dict) else None
    if not isinstance(repositories, dict):
        raise ImageError(str(path), "no table of repositories")
    found = {}
    for names in repositories.values():
        for name, image_id in names.items() if isinstance(names, dict) else ():
            if not is_digest(image_id):
                raise ImageError(str(path), f"{printable(name)} leads to {printable(str(image_id))}, which is no id")
            found[name] = image_id
    return found


def _read_image(imagedb: Path, names: Mapping[str, list[str]], path: Path) -> StoredImage:
    data = read_small(path)
    image_id = f"sha256:{path.name}"
    parent = _read_word(imagedb / "metadata/sha256" / path.name / "parent", is_digest, "")
    tags = tuple(sorted(name for name in names.get(image_id, ()) if "@" not in name))
    return StoredImage(image_id, tags, data, parse_config(data, str(path)).diff_ids, parent, path)


def _read_layer(root: Path, driver: str, record: Path) -> StoredLayer:
    cache_id = _read_word(record / "cache-id", _CACHE_ID.fullmatch)
    directory = root / DIRECTORIES[driver].format(cache_id)
    return StoredLayer(
        f"sha256:{record.name}",
        _read_word(record / "diff", is_digest),
        _read_word(record / "parent", is_digest, ""),
        int(_read_word(record / "size", re.compile(r"\d{1,18}").fullmatch)),
        cache_id,
        directory,
        record,
        *_read_overlay(root / driver / cache_id, driver),
    )


def _read_mount(root: Path, driver: str, record: Path) -> Mount:
    mount_id = _read_word(record / "mount-id", _CACHE_ID.fullmatch)
    directory = root / DIRECTORIES[driver].format(mount_id)
    return Mount(
        record.name,
        mount_id,
        _read_word(record / "init-id", _CACHE_ID.fullmatch, ""),
        _read_word(record / "parent", is_digest, ""),
        directory,
        directory.with_name("merged") if driver in WITH_LINKS else directory,
        *_read_overlay(root / driver / mount_id, driver),
    )


def _read_overlay(directory: Path, driver: str) -> tuple[str, tuple[str, ...]]:
    """Give the short name of a directory of overlay2, and those of the directories that it stands on."""
    if driver not in WITH_LINKS or not directory.is_dir():
        return "", ()
    link = _read_word(directory / "link", _SHORT.fullmatch, "")
    try:
        lower = read_small(directory / "lower", 2**16).decode(errors="replace")
    except FileNotFoundError:
        lower = ""
    names = tuple(each.removeprefix("l/") for each in lower.split(":") if each)
    for name in names:
        if not _SHORT.fullmatch(name):
            raise ImageError(str(directory / "lower"), f"{printable(name)!r} is no short name of a layer")
    return link, names


def _read_links(folder: Path) -> dict[str, str]:
    """Read overlay2/l: which directory each short name means, as ../CACHE_ID/diff."""
    found = {}
    for name in list_names(folder):
        with suppress(OSError):  # no link, or gone meanwhile
            parts = os.readlink(folder / name).split("/")
            if len(parts) == 3 and (parts[0], parts[2]) == ("..", "diff"):
                found[name] = parts[1]
    return found


def _read_distribution(folder: Path, read: Callable[[Any, str], T]) -> dict[str, T]:
    found = read_each(folder, _HEX, lambda path: read(read_small(path), str(path)))
    return {f"sha256:{name}": value for name, value in found.items()}


def _diff_id(data: bytes, where: str) -> str:
    text = data.decode(errors="replace").strip()
    if not is_digest(text):
        raise ImageError(where, f"{printable(text)!r} is no digest")
    return text


def _repositories(data: bytes, where: str) -> tuple[str, ...]:
    document = parse_document(data, where)
    sources = document if isinstance(document, list) else []
    found = (each.get("SourceRepository") for each in sources[:_MOST_SOURCES] if isinstance(each, dict))
    return tuple(dict.fromkeys(name for name in found if isinstance(name, str)))


def _read_container(directory: Path) -> StoredContainer:
    path = directory / "config.v2.json"
    document = parse_document(read_small(path), str(path))
    values = [document.get(key) for key in ("Name", "Image", "LogPath")] if isinstance(document, dict) else [None]
    if not all(isinstance(value, str) for value in values):
        raise ImageError(str(path), "a container without Name, Image and LogPath")
    name, image_id, log = map(str, values)
    return StoredContainer(directory.name, name.removeprefix("/"), image_id, directory, log)
