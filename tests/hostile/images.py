"""How is one image written in each of the forms that exist?

An image here is a list of layer tars. Every form is written from the specifications: docker save's manifest.json
(image specification v1.2), OCI's image layout 1.1, and what containerd's store saves: an index below index.json that
names an attestation, too.
"""

import gzip
import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from backports import zstd as zstandard

from tests.hostile.tars import member, tar

__all__ = [
    "FORMS",
    "Blobs",
    "Image",
    "archive",
    "build_config",
    "build_descriptor",
    "build_save",
    "digest",
    "dump",
    "old_save",
    "write_form",
]

OCI = "application/vnd.oci.image"
DOCKER = "application/vnd.docker"
NAME = "lab/image:hostile"
Files = dict[str, bytes]


class Image:
    """Layers as plain tars, bottom first, and what is said of them; each can be overridden to lie."""

    def __init__(self, *layers: bytes, **config: Any) -> None:
        self.layers = layers
        self.config = build_config(layers, **config)


def build_config(layers: Sequence[bytes], **more: Any) -> bytes:
    """Give an image configuration whose history has a line for each layer, and one that made none."""
    history = [{"created": "2020-01-01T00:00:00Z", "created_by": f"COPY {n} /"} for n in range(len(layers))]
    return dump(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {},
            "history": [*history, {"created_by": 'CMD ["sh"]', "empty_layer": True}],
            "rootfs": {"type": "layers", "diff_ids": [digest(layer) for layer in layers]},
            **more,
        }
    )


def dump(value: Any) -> bytes:
    return json.dumps(value).encode()


def digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def archive(files: Files) -> bytes:
    """Give a tar of these files, in this order."""
    return tar(*(member(name, data) for name, data in files.items()))


def build_save(config: bytes, layers: Files, **more: Any) -> Files:
    """Give manifest.json, the config and the layers as they are named; `more` goes into the manifest."""
    name = f"{digest(config)[7:]}.json"
    entry = {"Config": name, "RepoTags": [NAME], "Layers": list(layers), **more}
    return {**layers, name: config, "manifest.json": dump([entry])}


def old_save(image: Image) -> Files:
    """Give what engines up to 24 save: a directory for each layer, named by an id of version 1."""
    files: Files = {}
    for number, layer in enumerate(image.layers):
        folder = hashlib.sha256(b"%d" % number).hexdigest()
        files |= {f"{folder}/VERSION": b"1.0", f"{folder}/json": dump({"id": folder}), f"{folder}/layer.tar": layer}
    saved = build_save(image.config, {name: data for name, data in files.items() if name.endswith("layer.tar")})
    return files | saved | {"repositories": dump({"lab/image": {"hostile": "0" * 64}})}


class Blobs:
    """Blobs by digest, and the descriptors that name them."""

    def __init__(self) -> None:
        self.files: Files = {}

    def add(self, data: bytes, media_type: str, **more: Any) -> dict[str, Any]:
        self.files[f"blobs/sha256/{digest(data)[7:]}"] = data
        return build_descriptor(data, media_type, **more)


def build_descriptor(data: bytes, media_type: str, **more: Any) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": digest(data), "size": len(data), **more}


def new_save(image: Image) -> Files:
    """Give what engines from 25 save: an OCI layout, and a manifest.json that names the same blobs."""
    blobs = Blobs()
    manifest = add_manifest(blobs, image, plain, f"{OCI}.layer.v1.tar")
    names = [f"blobs/sha256/{digest(layer)[7:]}" for layer in image.layers]
    entry = {"Config": f"blobs/sha256/{digest(image.config)[7:]}", "RepoTags": [NAME], "Layers": names}
    sources = {digest(layer): build_descriptor(layer, f"{OCI}.layer.v1.tar") for layer in image.layers}
    return layout(blobs, manifest) | {"manifest.json": dump([{**entry, "LayerSources": sources}])}


def containerd_save(image: Image) -> Files:
    """Give what an engine with containerd's store saves: compressed layers, and an index with an attestation."""
    blobs = Blobs()
    manifest = add_manifest(blobs, image, gzipped, f"{OCI}.layer.v1.tar+gzip")
    statement = blobs.add(dump({"predicateType": "https://slsa.dev/provenance/v0.2"}), "application/vnd.in-toto+json")
    nothing = blobs.add(dump({"architecture": "unknown", "os": "unknown", "rootfs": {"type": "layers"}}), CONFIG)
    proof = blobs.add(build_manifest(nothing, [statement]), f"{OCI}.manifest.v1+json")
    proof["annotations"] = {"vnd.docker.reference.type": "attestation-manifest"}
    proof["platform"] = {"architecture": "unknown", "os": "unknown"}
    manifest["platform"] = {"architecture": "amd64", "os": "linux"}
    index = blobs.add(build_index(proof, manifest), f"{OCI}.index.v1+json")
    names = [f"blobs/sha256/{digest(gzipped(layer))[7:]}" for layer in image.layers]
    entry = {"Config": f"blobs/sha256/{digest(image.config)[7:]}", "RepoTags": [NAME], "Layers": names}
    return layout(blobs, index) | {"manifest.json": dump([entry])}


def oci_layout(compress: Callable[[bytes], bytes], suffix: str) -> Callable[[Image], Files]:
    def build(image: Image) -> Files:
        blobs = Blobs()
        return layout(blobs, add_manifest(blobs, image, compress, f"{OCI}.layer.v1.tar{suffix}"))

    return build


def layout(blobs: Blobs, *roots: dict[str, Any]) -> Files:
    """Give an OCI layout whose index.json names these."""
    names = {"io.containerd.image.name": f"docker.io/{NAME}", "org.opencontainers.image.ref.name": "hostile"}
    roots = tuple({**root, "annotations": {**root.get("annotations", {}), **names}} for root in roots)
    return {**blobs.files, "index.json": build_index(*roots), "oci-layout": dump({"imageLayoutVersion": "1.0.0"})}


def add_manifest(blobs: Blobs, image: Image, compress: Callable[[bytes], bytes], media_type: str) -> dict[str, Any]:
    layers = [blobs.add(compress(layer), media_type) for layer in image.layers]
    return blobs.add(build_manifest(blobs.add(image.config, CONFIG), layers), f"{OCI}.manifest.v1+json")


def build_manifest(config: dict[str, Any], layers: list[dict[str, Any]], **more: Any) -> bytes:
    said = {"schemaVersion": 2, "mediaType": f"{OCI}.manifest.v1+json", "config": config, "layers": layers}
    return dump({**said, **more})


def build_index(*manifests: dict[str, Any]) -> bytes:
    return dump({"schemaVersion": 2, "mediaType": f"{OCI}.index.v1+json", "manifests": list(manifests)})


def plain(data: bytes) -> bytes:
    return data


def gzipped(data: bytes) -> bytes:
    return gzip.compress(data, 1, mtime=0)


def gzipped_twice(data: bytes) -> bytes:
    """Give two gzip members, one after the other, as parallel gzip writes them."""
    return gzipped(data[: len(data) // 2]) + gzipped(data[len(data) // 2 :])


def zstd(data: bytes) -> bytes:
    return zstandard.compress(data)


def zstd_chunked(data: bytes) -> bytes:
    """Give two zstd frames with a skippable frame between and after them, as zstd:chunked layers have."""
    skipped = b"\x50\x2a\x4d\x18" + (5).to_bytes(4, "little") + b"table"
    half = len(data) // 2
    return zstd(data[:half]) + skipped + zstd(data[half:]) + skipped


CONFIG = f"{OCI}.config.v1+json"
FORMS: dict[str, Callable[[Image], Files]] = {
    "old docker save": old_save,
    "new docker save": new_save,
    "containerd's save": containerd_save,
    "OCI layout, plain": oci_layout(plain, ""),
    "OCI layout, gzip": oci_layout(gzipped, "+gzip"),
    "OCI layout, gzip in two members": oci_layout(gzipped_twice, "+gzip"),
    "OCI layout, zstd": oci_layout(zstd, "+zstd"),
    "OCI layout, zstd in two frames": oci_layout(zstd_chunked, "+zstd"),
    "OCI layout, gzip that is called plain": oci_layout(gzipped, ""),
}


def write_form(form: str, image: Image, place: Path, *, directory: bool = False) -> Path:
    """Write an image in one form as a tar, or as a directory, and say where."""
    files = FORMS[form](image)
    if not directory:
        place.write_bytes(archive(files))
        return place
    for name, data in files.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_bytes(data)
    return place
