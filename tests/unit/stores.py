"""Stores of images that were never an engine's: a data root, a bolt database, a tar-split, made for a test."""

import base64
import gzip
import io
import json
import struct
import tarfile
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from labkit.images.oci import chain_ids, digest_of
from labkit.images.tar_split import crc64

__all__ = ["make_bolt", "make_containerd", "make_root", "make_tar", "split_tar", "varint"]

PAGE = 4096
LAYERS = {"busybox:latest": ["base"], "hello:latest": ["base", "hello"], "other:latest": ["base", "extra", "hello"]}
CONTAINER = "c0" * 32


def make_tar(files: Mapping[str, bytes]) -> bytes:
    """A tar of regular files."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


def split_tar(packed: bytes) -> bytes:
    """The tar-split.json.gz of a tar of regular files."""
    lines: list[dict[str, Any]] = []
    place = 0
    with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
        for entry in tar.getmembers():
            lines.append({"type": 2, "payload": base64.b64encode(packed[place : entry.offset_data]).decode()})
            place = entry.offset_data + entry.size
            checksum = crc64(packed[entry.offset_data : place]).to_bytes(8, "big")
            lines.append({"type": 1, "name": entry.name, "size": entry.size, "payload": _encode(checksum)})
    lines.append({"type": 2, "payload": _encode(packed[place:])})
    return gzip.compress("\n".join(json.dumps(line | {"position": at}) for at, line in enumerate(lines)).encode())


def make_root(root: Path) -> Path:
    """A data root as overlay2 has it: three images of four layers, and a container that has written a file."""
    top = root / "image/overlay2"
    (root / "overlay2/l").mkdir(parents=True)
    tars = {name: make_tar({f"{name}.txt": name.encode() * 9}) for name in ("base", "hello", "extra")}
    names: dict[str, str] = {}
    for image, layers in LAYERS.items():
        diff_ids = [digest_of(tars[layer]) for layer in layers]
        for depth, chain_id in enumerate(chain_ids(diff_ids)):
            _make_layer(root, chain_id, tars[layers[depth]], chain_ids(diff_ids)[:depth], f"{layers[depth]}.txt")
        config = json.dumps({"rootfs": {"type": "layers", "diff_ids": diff_ids}}).encode()
        names[image] = _write(top / "imagedb/content/sha256", config)
    parent = top / "imagedb/metadata/sha256" / names["other:latest"].removeprefix("sha256:") / "parent"
    _put(parent, names["busybox:latest"])
    repositories = {name.partition(":")[0]: {name: image_id} for name, image_id in names.items()}
    _put(top / "repositories.json", json.dumps({"Repositories": repositories}))
    _make_container(root, names["hello:latest"], chain_ids([digest_of(tars["base"]), digest_of(tars["hello"])]))
    (root / "volumes/data/_data").mkdir(parents=True)
    _put(top / "distribution/diffid-by-digest/sha256" / ("b1" * 32), digest_of(tars["base"]))
    source = [{"Digest": f"sha256:{'b1' * 32}", "SourceRepository": "docker.io/library/busybox", "HMAC": ""}]
    known = top / "distribution/v2metadata-by-diffid/sha256" / digest_of(tars["base"]).removeprefix("sha256:")
    _put(known, json.dumps(source))
    return root


def _make_layer(root: Path, chain_id: str, packed: bytes, below: Sequence[str], file: str) -> None:
    record = root / "image/overlay2/layerdb/sha256" / chain_id.removeprefix("sha256:")
    if record.exists():
        return
    cache_id = _cache_id(chain_id)
    directory = _make_directory(root, cache_id, [_short(_cache_id(one)) for one in reversed(below)])
    with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
        content = tar.extractfile(file)
        assert content is not None
        size = (directory / "diff" / file).write_bytes(content.read())
    _put(record / "cache-id", cache_id)
    _put(record / "diff", digest_of(packed))
    _put(record / "size", str(size))
    if below:
        _put(record / "parent", below[-1])
    (record / "tar-split.json.gz").write_bytes(split_tar(packed))


def _make_container(root: Path, image_id: str, chain: Sequence[str]) -> None:
    mount_id = "e0" * 32
    lower = [_short(_cache_id(one)) for one in reversed(chain)]
    _make_directory(root, f"{mount_id}-init", lower)
    directory = _make_directory(root, mount_id, [_short(f"{mount_id}-init"), *lower])
    (directory / "diff/note").write_text("mine")
    record = root / "image/overlay2/layerdb/mounts" / CONTAINER
    _put(record / "mount-id", mount_id)
    _put(record / "init-id", f"{mount_id}-init")
    _put(record / "parent", chain[-1])
    said = {"Name": "/web", "Image": image_id, "LogPath": f"/log/{CONTAINER}-json.log"}
    _put(root / "containers" / CONTAINER / "config.v2.json", json.dumps(said))


def _make_directory(root: Path, cache_id: str, lower: Sequence[str]) -> Path:
    directory = root / "overlay2" / cache_id
    (directory / "diff").mkdir(parents=True)
    (directory / "link").write_text(_short(cache_id))
    if lower:
        (directory / "lower").write_text(":".join(f"l/{short}" for short in lower))
    (root / "overlay2/l" / _short(cache_id)).symlink_to(f"../{cache_id}/diff")
    return directory


def _cache_id(chain_id: str) -> str:
    return sha256(f"cache {chain_id}".encode()).hexdigest()


def _short(cache_id: str) -> str:
    return base64.b32encode(sha256(cache_id.encode()).digest()).decode()[:26].translate(str.maketrans("=", "A"))


def make_containerd(root: Path, namespace: str = "moby") -> Path:
    """A data root as containerd has it: one image of two layers behind an index, and a container on it."""
    top = root / "containerd/daemon"
    blobs = top / "io.containerd.content.v1.content/blobs/sha256"
    tars = [make_tar({"base.txt": b"base"}), make_tar({"hello.txt": b"hello"})]
    diff_ids = [digest_of(packed) for packed in tars]
    config = json.dumps({"rootfs": {"type": "layers", "diff_ids": diff_ids}}).encode()
    layers = [gzip.compress(packed, mtime=0) for packed in tars]
    manifest = json.dumps({"config": _descriptor(config), "layers": [_descriptor(one) for one in layers]}).encode()
    attestation = {**_descriptor(b"gone"), "platform": {"os": "unknown", "architecture": "unknown"}}
    index = json.dumps({"manifests": [attestation, _descriptor(manifest)]}).encode()
    kept = [config, *layers, manifest, index]
    for one in kept:
        _write(blobs, one)
    records: dict[str, Any] = {digest_of(one): {"size": varint(2 * len(one)), "labels": {}} for one in kept}
    for packed, layer in zip(tars, layers, strict=True):
        records[digest_of(layer)]["labels"] = {"containerd.io/uncompressed": digest_of(packed)}
    chain = chain_ids(diff_ids)
    init = f"{CONTAINER}-init"
    parents = {chain[0]: "", chain[1]: chain[0], init: chain[1], CONTAINER: init}
    space: dict[str, Any] = {
        "images": {"docker.io/library/hello:latest": {"target": {"digest": digest_of(index)}}},
        "content": {"blob": records},
        "snapshots": {
            "overlayfs": {key: {"name": f"{namespace}/{key}", "parent": parent} for key, parent in parents.items()}
        },
        "leases": {"a lease": {"snapshots": {"overlayfs": {init: ""}}, "content": {digest_of(config): ""}}},
    }
    meta = top / "io.containerd.metadata.v1.bolt/meta.db"
    meta.parent.mkdir(parents=True)
    meta.write_bytes(make_bolt({"v1": {namespace: space}}))
    snapshotter = top / "io.containerd.snapshotter.v1.overlayfs"
    own: dict[str, Any] = {
        f"{namespace}/{key}": {"id": varint(number), "kind": varint(2 if key == CONTAINER else 3), "size": varint(8192)}
        for number, key in enumerate(parents, 1)
    }
    for number in range(1, len(parents) + 1):
        (snapshotter / "snapshots" / str(number) / "fs").mkdir(parents=True)
    (snapshotter / "metadata.db").write_bytes(make_bolt({"v1": {"snapshots": own}}))
    return root


def make_bolt(buckets: Mapping[str, Any], transaction: int = 7, *, fanout: int = 0) -> bytes:
    """A bolt database of buckets in buckets; with a `fanout`, a bucket of more keys has a branch page above leaves."""
    pages: list[bytes] = []

    def add(data: bytes) -> int:
        pages.append(data)
        number = 3 + len(pages)  # 0 and 1: meta, 2: the free list, 3: never used
        more = max(0, -(-len(data) // PAGE) - 1)
        pages.extend([b""] * more)
        return number

    def finish(number: int, kind: int, count: int, body: bytes) -> bytes:
        more = max(0, -(-(16 + len(body)) // PAGE) - 1)
        return struct.pack("<QHHI", number, kind, count, more) + body

    def leaf(items: Sequence[tuple[bytes, bytes, int]]) -> bytes:
        heads, data = b"", b""
        for index, (key, value, flags) in enumerate(items):
            place = 16 * (len(items) - index) + len(data)
            heads += struct.pack("<IIII", flags, place, len(key), len(value))
            data += key + value
        return heads + data

    def put(bucket: Mapping[str, Any]) -> int:
        items = []
        for key, value in sorted(bucket.items()):
            if isinstance(value, Mapping):
                items.append((key.encode(), struct.pack("<QQ", put(value), 0), 1))
            else:
                items.append((key.encode(), value.encode() if isinstance(value, str) else value, 0))
        groups = [items[at : at + fanout] for at in range(0, len(items), fanout)] if fanout else [items]
        numbers = [add_page(2, len(group), leaf(group)) for group in groups or [[]]]
        if len(numbers) == 1:
            return numbers[0]
        heads, keys = b"", b""
        for index, number in enumerate(numbers):
            first = groups[index][0][0]
            heads += struct.pack("<IIQ", 16 * (len(numbers) - index) + len(keys), len(first), number)
            keys += first
        return add_page(1, len(numbers), heads + keys)

    def add_page(kind: int, count: int, body: bytes) -> int:
        number = add(b"\0" * (16 + len(body)))
        pages[number - 4] = finish(number, kind, count, body)
        return number

    root = put(buckets)
    metas = b"".join(_meta(number, root, transaction - 1 + number) for number in (0, 1))
    rest = b"".join(page.ljust(-(-max(len(page), 1) // PAGE) * PAGE, b"\0") if page else b"" for page in pages)
    return metas + bytes(2 * PAGE) + rest


def _meta(number: int, root: int, transaction: int) -> bytes:
    body = struct.pack("<IIIIQQQQQ", 0xED0CDAED, 2, PAGE, 0, root, 0, 2, 99, transaction)
    value = 0xCBF29CE484222325
    for byte in body:
        value = (value ^ byte) * 0x100000001B3 % 2**64
    return (struct.pack("<QHHI", number, 4, 0, 0) + body + struct.pack("<Q", value)).ljust(PAGE, b"\0")


def varint(number: int) -> bytes:
    """A number as Go's encoding/binary writes it."""
    found = bytearray()
    while number >= 128:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*found, number])


def _descriptor(data: bytes) -> dict[str, Any]:
    return {"mediaType": "", "digest": digest_of(data), "size": len(data)}


def _encode(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def _write(folder: Path, data: bytes) -> str:
    digest = digest_of(data)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / digest.removeprefix("sha256:")).write_bytes(data)
    return digest
