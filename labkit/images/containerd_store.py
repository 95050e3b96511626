"""What is in the store of containerd, with which Docker 29 keeps its images by default?

    io.containerd.metadata.v1.bolt/meta.db          namespaces; in each: images, content, snapshots, leases
    io.containerd.content.v1.content/blobs/sha256   blobs by digest: manifests, configurations, layers as they came
    io.containerd.snapshotter.v1.NAME/metadata.db   which directory a snapshot has, and whether it is committed
    io.containerd.snapshotter.v1.NAME/snapshots/N   the directory: fs has the files, work is the kernel's

A committed snapshot that is named by a chain_id is a layer; an active one is what a container writes. dockerd has the
namespace "moby". The two databases are read as they are on the disk (`labkit.images.bolt`), also while containerd
writes them: a commit never touches the pages of the commit before it, so what was read counts if no commit came in
between. Source: containerd's `core/metadata/buckets.go`, `core/snapshots/storage/bolt.go`, `plugins/content/local`.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from labkit.errors import ImageError
from labkit.images.bolt import META_BYTES, Bucket, last_transaction, read_buckets
from labkit.images.oci import Descriptor, is_digest, parse_config, parse_document, parse_index, parse_manifest
from labkit.images.paths import printable
from labkit.images.reading import open_below, read_small
from labkit.images.store import read_containers, read_volumes
from labkit.images.stored import CONTAINERD, Blob, Mount, Store, StoredImage, StoredLayer

__all__ = ["find_containerd", "read_containerd", "read_database", "snapshot_numbers"]

PLACES = ("containerd/daemon", "containerd", "")  # below dockerd's data root; containerd's own root
META = "io.containerd.metadata.v1.bolt/meta.db"
BLOBS = "io.containerd.content.v1.content/blobs"
LARGEST_DATABASE = 2**30
_TRIES = 10
_KINDS = {1: "view", 2: "active", 3: "committed"}
_DEEPEST = 8  # indexes in indexes
_SAVED_AS = "docker.io/library/"  # containerd's name of "busybox" is docker.io/library/busybox


class _Snapshot(NamedTuple):
    key: str
    parent: str
    kind: str
    number: int
    size_bytes: int


def find_containerd(root: Path = Path("/var/lib/docker")) -> Path | None:
    """Give containerd's root below a data root, or None where no containerd has run there."""
    return next((root / place for place in PLACES if (root / place / META).is_file()), None)


def read_containerd(
    root: Path = Path("/var/lib/docker"), namespace: str = "moby", snapshotter: str = "overlayfs"
) -> Store:
    """Read what one namespace of containerd holds, as the values that `labkit.images.store` gives.

    `root` is dockerd's data root, or containerd's own. ImageError where there is no such store, and for records
    that are not what they must be.
    """
    top = find_containerd(root)
    if top is None:
        raise ImageError(str(root), "containerd keeps nothing there")
    data = read_database(top / META)
    space = _bucket(data, "v1", namespace)
    if not space:
        raise ImageError(str(top / META), f"there is no namespace {printable(namespace)}")
    blobs = _read_blobs(top, _bucket(space, "content", "blob"))
    reader = _Images(blobs, str(top / META))
    images: dict[str, StoredImage] = {}
    names: dict[str, str] = {}
    for name, record in _bucket(space, "images").items():
        target = _text(_table(record).get(b"target", {}), "digest") if isinstance(record, dict) else ""
        shown = name.decode(errors="replace").removeprefix(_SAVED_AS)
        before = images.get(target)
        if image := reader.read(target):
            names[shown] = target
            images[target] = image._replace(names=tuple(sorted({shown, *(before.names if before else ())})))
    snapshots = _read_snapshots(top, namespace, snapshotter, _bucket(space, "snapshots", snapshotter))
    folder = top / f"io.containerd.snapshotter.v1.{snapshotter}" / "snapshots"
    diff_ids = {
        chain_id: diff_id
        for image in images.values()
        for chain_id, diff_id in zip(image.chain_ids, image.diff_ids, strict=True)
    }
    return Store(
        root,
        CONTAINERD,
        snapshotter,
        images=images,
        layers=dict(_layers(snapshots, diff_ids, folder, top / META)),
        mounts=dict(_mounts(root, snapshots, folder, snapshotter)),
        names=names,
        containers=read_containers(root),
        volumes=read_volumes(root),
        blobs=blobs,
        leases=dict(_leases(_bucket(space, "leases"))),
    )


def read_database(path: Path) -> Bucket:
    """Read a bolt database that its owner may be writing. ImageError for what is none, or changes all the time."""
    for _ in range(_TRIES):
        try:
            data = read_small(path, LARGEST_DATABASE)
            with open_below(path.parent, path.name) as file:
                after = file.read(META_BYTES)
            before = last_transaction(data[:META_BYTES], str(path))
            if before == last_transaction(after, str(path)):
                return read_buckets(data, str(path))
        except OSError as error:
            raise ImageError(str(path), f"it cannot be read: {error.strerror}") from error
    raise ImageError(str(path), f"it changed while it was read, {_TRIES} times")


def snapshot_numbers(path: Path) -> dict[str, int]:
    """Give the number that the directory of each snapshot has, by the snapshot's own name; a layer's is its chain_id.

    `path` is the database of a snapshotter, which names a snapshot "moby/7/sha256:...". ImageError as read_database.
    """
    records = _bucket(read_database(path), "v1", "snapshots")
    return {
        key.decode(errors="replace").rpartition("/")[2]: _number(_table(record), "id")
        for key, record in records.items()
    }


class _Images:
    """Follows the target of an image to its configuration, through indexes and a manifest."""

    def __init__(self, blobs: Mapping[str, Blob], where: str) -> None:
        self._blobs, self._where = blobs, where

    def read(self, target: str) -> StoredImage | None:
        """None where the store has not all documents of an image, as after a pull that was cut off."""
        for path, data in self._documents(target, 0):
            manifest = parse_manifest(data, str(path))
            config = self._read(manifest.config.digest)
            if config:
                read = parse_config(config[1], str(config[0]))
                return StoredImage(target, (), config[1], read.diff_ids, path=config[0])
        return None

    def _documents(self, digest: str, depth: int) -> Iterator[tuple[Path, bytes]]:
        """Give the manifests below a digest that are here, and that are of a platform."""
        found = self._read(digest)
        if found is None or depth > _DEEPEST:
            return
        path, data = found
        document = parse_document(data, str(path))
        if isinstance(document, dict) and "manifests" in document:
            for each in parse_index(data, str(path)).manifests:
                if _is_platform(each):
                    yield from self._documents(each.digest, depth + 1)
        else:
            yield path, data

    def _read(self, digest: str) -> tuple[Path, bytes] | None:
        blob = self._blobs.get(digest)
        if blob is None:
            return None
        try:
            return blob.path, read_small(blob.path)
        except FileNotFoundError:
            return None


def _is_platform(descriptor: Descriptor) -> bool:
    return not descriptor.platform.startswith("unknown")  # attestations are of unknown/unknown


def _read_blobs(top: Path, records: Bucket) -> dict[str, Blob]:
    found = {}
    for key, record in records.items():
        digest = key.decode(errors="replace")
        if not is_digest(digest) or not isinstance(record, dict):
            raise ImageError(str(top / META), f"{printable(digest)} is no blob")
        kind, _, name = digest.partition(":")
        labels = {k.decode(errors="replace"): _decode(v) for k, v in _table(record.get(b"labels", {})).items()}
        found[digest] = Blob(digest, _number(record, "size", signed=True), top / BLOBS / kind / name, labels)
    return found


def _read_snapshots(top: Path, namespace: str, snapshotter: str, records: Bucket) -> dict[str, _Snapshot]:
    """Join what containerd knows of a snapshot with what the snapshotter knows: its directory, and its kind."""
    path = top / f"io.containerd.snapshotter.v1.{snapshotter}" / "metadata.db"
    own = _bucket(read_database(path), "v1", "snapshots") if records else {}
    found = {}
    for key, record in records.items():
        there = own.get(_text(record, "name").encode()) if isinstance(record, dict) else None
        if isinstance(record, dict) and isinstance(there, dict):
            name, size = key.decode(errors="replace"), _number(there, "size", signed=True)
            kind = _KINDS.get(_number(there, "kind"), "")
            found[name] = _Snapshot(name, _text(record, "parent"), kind, _number(there, "id"), size)
    return found


def _layers(
    snapshots: Mapping[str, _Snapshot], diff_ids: Mapping[str, str], folder: Path, record: Path
) -> Iterator[tuple[str, StoredLayer]]:
    for key, found in snapshots.items():
        if found.kind == "committed" and is_digest(key):
            number = str(found.number)
            directory = folder / number / "fs"
            yield (
                key,
                StoredLayer(key, diff_ids.get(key, ""), found.parent, found.size_bytes, number, directory, record),
            )


def _mounts(
    root: Path, snapshots: Mapping[str, _Snapshot], folder: Path, snapshotter: str
) -> Iterator[tuple[str, Mount]]:
    for key, found in snapshots.items():
        if found.kind == "active" and found.parent in snapshots:
            init = snapshots[found.parent]
            directory = folder / str(found.number) / "fs"
            merged = root / "rootfs" / snapshotter / key
            yield key, Mount(key, str(found.number), str(init.number), init.parent, directory, merged)


def _leases(records: Bucket) -> Iterator[tuple[str, tuple[str, ...]]]:
    for key, record in records.items():
        table = _table(record)
        kept = [name for one in _table(table.get(b"snapshots", {})).values() for name in _table(one)]
        kept += list(_table(table.get(b"content", {})))
        yield key.decode(errors="replace"), tuple(name.decode(errors="replace") for name in kept)


def _bucket(bucket: Bucket, *keys: str) -> Bucket:
    """Give a bucket within buckets; an empty one where there is none."""
    for key in keys:
        bucket = _table(bucket.get(key.encode(), {}))
    return bucket


def _table(value: "bytes | Bucket") -> Bucket:
    return value if isinstance(value, dict) else {}


def _decode(value: "bytes | Bucket") -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else ""


def _text(value: "bytes | Bucket", key: str) -> str:
    return _decode(_table(value).get(key.encode(), b""))


def _number(record: Bucket, key: str, *, signed: bool = False) -> int:
    """Read a number as Go's encoding/binary writes it: seven bits a byte; a signed one has its sign in the last bit."""
    value = record.get(key.encode(), b"")
    number = sum((byte & 0x7F) << 7 * place for place, byte in enumerate(value[:10])) if isinstance(value, bytes) else 0
    return (number >> 1) ^ -(number & 1) if signed else number
