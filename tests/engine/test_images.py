"""Do real engines, and dive, agree with what labkit says of an image, in each form that the image may have?

The image is built by each engine from one Dockerfile: whiteouts, an opaque directory, a hard link, a directory replaced
by a file. The whole tree must be what `docker export` gives, the changes and the waste what dive gives, the ids the
engine's.
"""

import gzip
import hashlib
import io
import json
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from backports import zstd

from labkit.api.engine import Engine
from labkit.daemons.daemon import run_daemon
from labkit.errors import ImageError
from labkit.images.archives import analyse_file
from labkit.images.layers import Analysis
from labkit.images.live import analyse_image, find_layer_directories
from tests.engine.daemon import reason_to_skip
from tests.newer_engine import fetch_newer_engine

NAME = "stacked:v1"
DOCKERFILE = b"""FROM base
RUN echo one > /etc/one && mkdir -p /d/sub && echo x > /d/sub/x && echo y > /d/y && ln /etc/one /etc/uno
RUN ln -s /etc/one /abs
RUN rm -rf /d/sub && echo two > /etc/one
RUN rm -rf /d && echo file > /d
RUN rm /d && mkdir /d && echo z > /d/z
RUN rm -rf /d && mkdir /d && echo w > /d/w && chmod 700 /d
"""
# What the engine puts into each container.
ENGINES_OWN = {".dockerenv", "dev", "proc", "sys", "etc/hosts", "etc/hostname", "etc/resolv.conf", "etc/mtab"}
DIVE = str(Path(sys.executable).with_name("dive"))


class Built(NamedTuple):
    """What an engine says of the image, and what it writes out."""

    saved: Path
    inspected: dict[str, Any]
    exported: dict[str, tuple[str, int, int]]  # kind, size, permission bits
    live: Analysis
    live_saved: Analysis
    has_directories: bool


@pytest.fixture(scope="module", params=["installed", "newer", "newer, containerd store"])
def built(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Built]:
    """The image, by each engine."""
    if reason := reason_to_skip():
        pytest.skip(reason)
    programs = "" if request.param == "installed" else str(fetch_newer_engine())
    settings = {"features": {"containerd-snapshotter": "containerd" in request.param}} if programs else {}
    folder, data = tmp_path_factory.mktemp("e"), tmp_path_factory.mktemp("data")
    with (
        run_daemon(folder, settings=settings, programs=programs, data=data) as daemon,
        Engine(daemon.host, timeout_s=120) as engine,
    ):
        engine.post("/images/create", query={"fromSrc": "-", "repo": "base", "tag": "latest"}, body=make_base())
        context = pack({"Dockerfile": DOCKERFILE})
        engine.post("/build", query={"t": NAME, "networkmode": "none"}, body=context)
        inspected = engine.get(f"/images/{NAME}/json").json()
        saved = folder / "saved.tar"
        saved.write_bytes(engine.get(f"/images/{NAME}/get").answer.body)
        made = engine.post("/containers/create", json={"Image": NAME, "Cmd": ["sh"]}).json()["Id"]
        exported = read_export(engine.get(f"/containers/{made}/export").answer.body)
        engine.delete(f"/containers/{made}")
        directories = find_layer_directories(engine.get("/info").json(), inspected["RootFS"]["Layers"])
        live, live_saved = analyse_image(engine, NAME), analyse_image(engine, NAME, digests=True)
        yield Built(saved, inspected, exported, live, live_saved, directories is not None)


def make_base() -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        tar.add(Path(str(shutil.which("busybox"))).resolve(), "bin/busybox")
        for name in ("sh", "echo", "mkdir", "ln", "rm", "chmod"):
            link = tarfile.TarInfo(f"bin/{name}")
            link.type, link.linkname, link.mode = tarfile.SYMTYPE, "busybox", 0o777  # as Linux has them
            tar.addfile(link)
        for name in ("bin", "etc"):
            folder = tarfile.TarInfo(name)
            folder.type, folder.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(folder)
    return packed.getvalue()


def pack(files: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name, data in files.items():
            about = tarfile.TarInfo(name)
            about.size = len(data)
            tar.addfile(about, io.BytesIO(data))
    return packed.getvalue()


def read_export(data: bytes) -> dict[str, tuple[str, int, int]]:
    found = {}
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        for each in tar:
            about = tar.getmember(each.linkname) if each.islnk() else each
            kind = "directory" if about.isdir() else "symlink" if about.issym() else "file"
            found[each.name.rstrip("/")] = kind, about.size, about.mode & 0o7777
    return {path: about for path, about in found.items() if not is_engines_own(path)}


def is_engines_own(path: str) -> bool:
    return path in ENGINES_OWN or path.startswith("dev/")


def whole_tree(found: Analysis) -> dict[str, tuple[str, int, int]]:
    tree = found.tree(len(found.layers) - 1)
    nodes = {path: tree[node.target] if node.kind == "hardlink" else node for path, node in tree.items()}
    return {path: (node.kind, node.size_bytes, node.mode) for path, node in nodes.items() if not is_engines_own(path)}


def answer(found: Analysis) -> object:
    """What every form of an image must agree on."""
    layers = [layer._replace(digest="", created_by="") for layer in found.layers]
    return layers, found.wasted, found.dive_wasted_bytes, found.efficiency, whole_tree(found)


def test_the_whole_tree_is_what_docker_export_gives(built: Built) -> None:
    """Paths, kinds, sizes and permission bits."""
    assert built.exported == whole_tree(analyse_file(built.saved))


def test_ids_are_the_engine_s(built: Built) -> None:
    """The layers' diff_ids, and the image's ID: of the configuration, or with the containerd store of the manifest."""
    found = analyse_file(built.saved)

    assert built.inspected["RootFS"]["Layers"] == [layer.diff_id for layer in found.layers]
    assert built.inspected["Id"] in (found.image_id, found.manifest_digest)


def test_history_tells_who_made_each_layer(built: Built) -> None:
    """Also from the engine's own list."""
    for found in (analyse_file(built.saved), built.live):
        assert "echo one" in found.layers[1].created_by and "chmod 700" in found.layers[-1].created_by


def test_dive_sees_the_same(built: Built, tmp_path: Path) -> None:
    """The same paths in each layer, the same bytes, the same waste."""
    out = tmp_path / "dive.json"
    subprocess.run([DIVE, "--json", out, f"docker-archive://{built.saved}"], check=True, capture_output=True)
    seen, found = json.loads(out.read_text()), analyse_file(built.saved)

    for theirs, ours in zip(seen["layer"], found.layers, strict=True):
        paths = {each["path"].rstrip("/") for each in theirs["fileList"]}
        given = {path for path in paths if "/.wh." not in f"/{path}"}
        assert given == {each.path for each in ours.changes if each.change != "deleted"}
        assert theirs["sizeBytes"] == ours.size_bytes
    image = seen["image"]
    assert (image["inefficientBytes"], image["efficiencyScore"]) == (found.dive_wasted_bytes, found.efficiency)


def test_a_live_image_gives_the_same(built: Built) -> None:
    """Read from the layers' directories, and as the engine writes it out."""
    expected = answer(analyse_file(built.saved))

    assert built.has_directories
    assert expected == answer(built.live_saved)
    assert expected == answer(built.live)


COMPRESSIONS: dict[str, Callable[[bytes], bytes]] = {"plain": bytes, "gzip": gzip.compress, "zstd": zstd.compress}


@pytest.mark.parametrize("compression", COMPRESSIONS)
@pytest.mark.parametrize("form", ["directory", "tar", "tar in gzip"])
def test_every_form_gives_the_same(built: Built, tmp_path: Path, compression: str, form: str) -> None:
    """An OCI layout of the same layers, in an index within the index, beside an attestation."""
    layout = write_layout(tmp_path / "oci", read_layers(built.saved), COMPRESSIONS[compression])
    if form != "directory":
        with tarfile.open(tmp_path / "oci.tar", "w:gz" if "gzip" in form else "w") as tar:
            tar.add(layout, ".")
        layout = tmp_path / "oci.tar"

    for digests in (True, False):
        assert answer(analyse_file(built.saved)) == answer(analyse_file(layout, digests=digests))


def test_one_wrong_bit_is_found(built: Built, tmp_path: Path) -> None:
    """In a layer, which is named."""
    layers = read_layers(built.saved)
    layout = write_layout(tmp_path / "oci", layers, bytes)
    blob = layout / "blobs/sha256" / hashlib.sha256(layers[1][1]).hexdigest()
    data = bytearray(blob.read_bytes())
    data[data.index(b"one\n")] ^= 1  # in a file's content: only a digest tells
    blob.write_bytes(data)

    with pytest.raises(ImageError, match="layer 2 .* its bytes have the digest"):
        analyse_file(layout)


def read_layers(saved: Path) -> tuple[bytes, list[bytes]]:
    """Give the configuration and the layers, as tars, of what docker save wrote."""
    with tarfile.open(saved) as tar:

        def read(name: str) -> bytes:
            about = tar.getmember(name)
            while about.issym():
                about = tar.getmember(str(Path(about.name).parent.parent / about.linkname.removeprefix("../")))
            data = tar.extractfile(about)
            assert data
            return data.read()

        manifest = json.loads(read("manifest.json"))[0]
        layers = [read(name) for name in manifest["Layers"]]
        return read(manifest["Config"]), [gzip.decompress(x) if x[:2] == b"\x1f\x8b" else x for x in layers]


def write_layout(place: Path, image: tuple[bytes, list[bytes]], compress: Callable[[bytes], bytes]) -> Path:
    """Write an OCI layout."""
    blobs = place / "blobs/sha256"
    blobs.mkdir(parents=True)

    def add(data: bytes, **more: object) -> dict[str, object]:
        digest = hashlib.sha256(data).hexdigest()
        (blobs / digest).write_bytes(data)
        return {"digest": f"sha256:{digest}", "size": len(data), **more}

    def add_json(document: object, **more: object) -> dict[str, object]:
        return add(json.dumps(document).encode(), **more)

    config, layers = image
    manifest = add_json(
        {"schemaVersion": 2, "config": add(config), "layers": [add(compress(each)) for each in layers]},
        platform={"os": "linux", "architecture": "amd64"},
    )
    attestation = add_json(
        {"schemaVersion": 2, "config": add(b"{}"), "layers": [add(b"{}")]},
        platform={"os": "unknown", "architecture": "unknown"},
    )
    absent = {"digest": f"sha256:{'0' * 64}", "size": 1, "platform": {"os": "linux", "architecture": "arm64"}}
    inner = add_json({"schemaVersion": 2, "manifests": [absent, manifest, attestation]})
    (place / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [inner]}))
    (place / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    return place
