"""What does a data root hold, as values? The same values for both stores that an engine can have.

| value | the engine's own store (a graph driver) | containerd's store |
|---|---|---|
| `StoredImage` | imagedb/content, imagedb/metadata | an image of meta.db, and its blobs |
| `StoredLayer` | layerdb/sha256, and the directory that its cache-id names | a committed snapshot, and its directory |
| `Mount` | layerdb/mounts, and the directory that its mount-id names | an active snapshot, and its directory |
| `Blob` | (there is none: layers are kept unpacked only) | content/blobs |

Sources: moby's `image/fs.go`, `layer/filestore.go` and `daemon/graphdriver/overlay2`; containerd's
`core/metadata/buckets.go`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from labkit.errors import ImageError
from labkit.images.oci import chain_ids, digest_of
from labkit.images.paths import printable

__all__ = [
    *("CONTAINERD", "GRAPHDRIVER", "Blob", "Mount", "Store", "StoredContainer", "StoredImage", "StoredLayer"),
    *("StoredVolume", "find_faults"),
]

GRAPHDRIVER, CONTAINERD = "graphdriver", "containerd"


class StoredImage(NamedTuple):
    """An image as a store keeps it."""

    image_id: (
        str  # "sha256:...": in the engine's own store the digest of the configuration, in containerd's of the target
    )
    names: tuple[str, ...]  # "busybox:latest"; none for an image that only others stand on
    config: bytes  # the configuration, as its bytes are
    diff_ids: tuple[str, ...]  # bottom first
    parent: str = ""  # the image that it was built on, here; "" where none is known
    path: Path = Path()  # the file of the configuration

    @property
    def config_digest(self) -> str:
        return digest_of(self.config)

    @property
    def chain_ids(self) -> tuple[str, ...]:
        return chain_ids(self.diff_ids)


class StoredLayer(NamedTuple):
    """A layer of an image: its record, and the directory with its files."""

    chain_id: str
    diff_id: str  # of its tar; "" where the store does not say
    parent: str  # the name of what it stands on; "" for a layer at the bottom
    size_bytes: int  # content bytes of its files, as the store has them
    cache_id: str  # the name of its directory
    directory: Path  # its files
    record: Path  # where the store has written this: a directory of layerdb, or the file meta.db
    link: str = ""  # overlay2: the short name of its directory, in overlay2/l
    lower: tuple[str, ...] = ()  # overlay2: the short names of those below, the next one first


class Mount(NamedTuple):
    """The layer of a container that can be written, and the layer below it, which the engine makes at first."""

    container_id: str
    mount_id: str  # the name of its directory
    init_id: str
    parent: str  # the chain_id of the image's topmost layer; "" for an image without layers
    directory: Path  # what the container has written
    merged: Path  # where its root is mounted while it runs
    link: str = ""
    lower: tuple[str, ...] = ()


class StoredContainer(NamedTuple):
    """A container, as its files in containers/ID tell of it."""

    container_id: str
    name: str
    image_id: str
    directory: Path
    log: str  # the path of its log; "" where it has none yet


class StoredVolume(NamedTuple):
    """A local volume."""

    name: str
    directory: Path  # its files


class Blob(NamedTuple):
    """Bytes that are kept by their digest."""

    digest: str
    size_bytes: int
    path: Path
    labels: Mapping[str, str]  # containerd.io/gc.ref.*: what it keeps alive; containerd.io/uncompressed: a diff_id


@dataclass(frozen=True, slots=True)
class Store:
    """What one store of a data root holds."""

    root: Path
    kind: str  # GRAPHDRIVER or CONTAINERD
    driver: str  # "overlay2", "vfs"; of containerd the snapshotter, "overlayfs"
    images: Mapping[str, StoredImage] = field(default_factory=dict)  # by image_id
    layers: Mapping[str, StoredLayer] = field(default_factory=dict)  # by chain_id
    mounts: Mapping[str, Mount] = field(default_factory=dict)  # by container_id
    names: Mapping[str, str] = field(default_factory=dict)  # "busybox:latest", "busybox@sha256:...": an image_id
    containers: Mapping[str, StoredContainer] = field(default_factory=dict)  # by container_id
    volumes: Mapping[str, StoredVolume] = field(default_factory=dict)  # by name
    diff_ids: Mapping[str, str] = field(default_factory=dict)  # distribution: by digest of a pulled blob
    sources: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # distribution: by diff_id, where from
    links: Mapping[str, str] = field(default_factory=dict)  # overlay2/l: a short name: the name of a directory
    blobs: Mapping[str, Blob] = field(default_factory=dict)  # by digest
    leases: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # what each keeps from being collected

    def image(self, name: str) -> StoredImage:
        """Give an image by its name ("busybox", "busybox:latest") or the beginning of its id. ImageError for none."""
        for each in (name, f"{name}:latest"):
            if each in self.names:
                return self.images[self.names[each]]
        found = [image for key, image in self.images.items() if name and key.removeprefix("sha256:").startswith(name)]
        if len(found) == 1:
            return found[0]
        what = f"{len(found)} images begin with {printable(name)}" if found else f"there is no image {printable(name)}"
        raise ImageError(str(self.root), f"{what}; the names are: {', '.join(sorted(self.names)) or 'none'}")

    def layers_of(self, image: StoredImage) -> tuple[StoredLayer, ...]:
        """Give the layers of an image, bottom first. ImageError where the store has not all of them."""
        missing = [each for each in image.chain_ids if each not in self.layers]
        if missing:
            raise ImageError(str(self.root), f"there is no record of the layer {missing[0]}")
        return tuple(self.layers[each] for each in image.chain_ids)

    def container(self, name: str) -> StoredContainer:
        """Give a container by its name. ImageError where there is none."""
        for each in self.containers.values():
            if each.name == name:
                return each
        raise ImageError(str(self.root), f"there is no container {printable(name)}")


def find_faults(store: Store) -> list[str]:
    """Recompute each name from the bytes that it names, and say in sentences what does not fit."""
    return [*_image_faults(store), *_layer_faults(store), *_link_faults(store)]


def _image_faults(store: Store) -> Iterator[str]:
    for image_id, image in store.images.items():
        if store.kind == GRAPHDRIVER and image.config_digest != image_id:
            yield f"image {image_id}: the digest of its configuration is {image.config_digest}"
        for chain_id, diff_id in zip(image.chain_ids, image.diff_ids, strict=True):
            layer = store.layers.get(chain_id)
            if layer is None:
                yield f"image {image_id}: there is no record of its layer {chain_id}"
            elif layer.diff_id not in ("", diff_id):
                yield f"image {image_id}: the record of layer {chain_id} says that its diff_id is {layer.diff_id}"


def _layer_faults(store: Store) -> Iterator[str]:
    for chain_id, layer in store.layers.items():
        if store.kind == GRAPHDRIVER:
            made = digest_of(f"{layer.parent} {layer.diff_id}".encode()) if layer.parent else layer.diff_id
            if made != chain_id:
                yield f"layer {chain_id}: its parent and its diff_id make {made}"
            if layer.parent and layer.parent not in store.layers:
                yield f"layer {chain_id}: there is no record of its parent {layer.parent}"
        if not layer.directory.is_dir():
            yield f"layer {chain_id}: there is no directory {layer.directory}"


def _link_faults(store: Store) -> Iterator[str]:
    stacks = [(layer.cache_id, layer.link, layer.lower) for layer in store.layers.values()]
    stacks += [(mount.mount_id, mount.link, mount.lower) for mount in store.mounts.values()]
    for directory, link, lower in stacks:
        if link and store.links.get(link) != directory:
            yield f"{directory}: its short name {link} leads to {store.links.get(link, 'nothing')}"
        for short in lower:
            if short not in store.links:
                yield f"{directory}: it stands on {short}, which leads nowhere"
