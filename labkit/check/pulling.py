"""Does a learner's `pull` make directories of an image's layers, out of what a registry says?

A registry of our own holds four small images: with deletions, with wrong bytes, and for each of two architectures.
"""

import io
import json
import os
import shutil
import tarfile
import tempfile
from pathlib import Path

from labkit.check.runs import last_words, run_program
from labkit.daemons.registry import RegistryServer, start_registry
from labkit.images.oci import digest_of
from labkit.images.registry import DOCKER_LIST, DOCKER_MANIFEST, Registry
from labkit.images.union import read_entry

__all__ = ["try_images"]

REPOSITORY = "check/box"
CONFIG = {"architecture": "any", "os": "linux", "config": {"Env": ["PATH=/bin"], "Cmd": ["/bin/sh"]}}
BELOW = {"a": "low", "gone": "low", "dir/old": "low"}
ABOVE = {"a": "high", ".wh.gone": "", "dir/.wh..wh..opq": "", "dir/new": "high"}
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
OTHER = "s390x"


def try_images(program: str) -> str:
    """What is missing; "" when nothing is. Raises MachineError where no registry can be started."""
    root = tempfile.mkdtemp(prefix="check-", dir="/run")
    try:
        with start_registry() as server:
            return _judge(program, root, server)
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _judge(program: str, root: str, server: RegistryServer) -> str:
    registry = Registry(server.url)
    layers = [_pack(files) for files in (BELOW, ABOVE)]
    _store(registry, "one", layers)
    _store_list(registry)
    name = f"localhost:{server.port}/{REPOSITORY}"
    done = run_program(program, ["pull", f"{name}:one"], root=root)
    if done.status != 0:
        return f"pull has failed: {last_words(done)}"
    place = Path(root) / "images" / f"{name.replace('/', '_')}:one.json"
    if not place.exists():
        return "pull has not written the file that image_file names"
    image = json.loads(place.read_text())
    expected = [digest_of(layer).partition(":")[2] for layer in layers]
    if sorted(image.get("layers", [])) != sorted(expected):
        return "layers in the image's file are not the digests of the layers, without sha256:"
    if image["layers"] != expected:
        return "the layers are in the wrong order: the lowest comes first, as in the manifest"
    if (image.get("config") or {}).get("Cmd") != ["/bin/sh"]:
        return "config in the image's file is not the part config of the image's configuration: it has no Cmd"
    if missing := _judge_layers(Path(root) / "layers", expected):
        return missing
    if f"{name}:one" not in run_program(program, ["images"], root=root).out:
        return "images does not name the image that was pulled"
    return _judge_others(program, root, server, registry, name)


def _judge_layers(layers: Path, names: list[str]) -> str:
    below, above = (layers / name for name in names)
    found = read_entry(below, "a")
    if found is None:
        return "the directory of the lowest layer has not the files of the layer's tar"
    gone = read_entry(above, "gone")
    if gone is None or gone.kind != "whiteout":
        return "the upper layer deletes `gone`: its directory should have a character device 0,0 of that name"
    if read_entry(above, ".wh.gone") is not None:
        return "the directory of the upper layer still has the tar's mark, .wh.gone"
    directory = read_entry(above, "dir")
    if directory is None or not directory.is_opaque:
        return "the upper layer has dir/.wh..wh..opq: its directory `dir` should be opaque (trusted.overlay.opaque)"
    return ""


def _judge_others(program: str, root: str, server: RegistryServer, registry: Registry, name: str) -> str:
    done = run_program(program, ["pull", f"{name}:many"], root=root)
    if done.status != 0:
        return f"a tag that names an image for each of two architectures was not pulled: {last_words(done)}"
    place = Path(root) / "images" / f"{name.replace('/', '_')}:many.json"
    wanted = ARCHITECTURES[os.uname().machine]
    if not place.exists() or json.loads(place.read_text())["config"].get("Cmd") != [wanted]:
        return f"of a tag with images for {OTHER} and {wanted}, the one for {wanted} is to be pulled"
    spoiled = _pack({"a": "spoiled"})
    _store(registry, "wrong", [spoiled])
    digest = digest_of(spoiled).partition(":")[2]
    blob = server.place / "data/docker/registry/v2/blobs/sha256" / digest[:2] / digest / "data"
    blob.write_bytes(_pack({"a": "changed"}))
    if run_program(program, ["pull", f"{name}:wrong"], root=root).status == 0:
        return "a layer with other bytes than its digest says was pulled: compare hashlib.sha256 with the digest"
    return ""


def _pack(files: dict[str, str]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name, text in files.items():
            about = tarfile.TarInfo(name)
            about.size = len(text)
            tar.addfile(about, io.BytesIO(text.encode()))
    return packed.getvalue()


def _store(registry: Registry, reference: str, layers: list[bytes], cmd: str = "/bin/sh") -> dict[str, object]:
    """Store an image under a tag, or under its digest (""); give its entry in a list of manifests."""
    config = json.dumps(CONFIG | {"config": {"Env": ["PATH=/bin"], "Cmd": [cmd]}}).encode()
    blobs = [{"size": len(one), "digest": registry.upload(REPOSITORY, one)} for one in (config, *layers)]
    kinds = ["application/vnd.docker.container.image.v1+json"]
    kinds += ["application/vnd.docker.image.rootfs.diff.tar"] * len(layers)
    listed = [{"mediaType": kind} | blob for kind, blob in zip(kinds, blobs, strict=True)]
    manifest = {"schemaVersion": 2, "mediaType": DOCKER_MANIFEST, "config": listed[0], "layers": listed[1:]}
    body = json.dumps(manifest).encode()
    digest = registry.put_manifest(REPOSITORY, reference or digest_of(body), body)
    return {"mediaType": DOCKER_MANIFEST, "size": len(body), "digest": digest}


def _store_list(registry: Registry) -> None:
    """A list with an image for another architecture first, then one for ours."""
    entries = [
        _store(registry, "", [_pack({"a": name})], name) | {"platform": {"architecture": name, "os": "linux"}}
        for name in (OTHER, ARCHITECTURES[os.uname().machine])
    ]
    body = json.dumps({"schemaVersion": 2, "mediaType": DOCKER_LIST, "manifests": entries}).encode()
    registry.put_manifest(REPOSITORY, "many", body, DOCKER_LIST)
