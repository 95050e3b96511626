"""Is a real engine's data root read as the engine itself tells of it? With both stores, on both engines."""

import io
import json
import os
import subprocess
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from labkit.api.engine import Engine
from labkit.daemons.daemon import run_daemon
from labkit.images.containerd_store import read_containerd
from labkit.images.oci import digest_of
from labkit.images.store import layer_tar, read_store
from labkit.images.stored import CONTAINERD, GRAPHDRIVER, Store, find_faults
from tests.engine.daemon import IMAGE, load_busybox, reason_to_skip
from tests.newer_engine import fetch_newer_engine

pytestmark = pytest.mark.skipif(bool(reason_to_skip()) and os.environ.get("CI") != "true", reason=str(reason_to_skip()))

STORES = {"installed": GRAPHDRIVER, "newer, graph driver": GRAPHDRIVER, "newer, containerd": CONTAINERD}


class Running(NamedTuple):
    """An engine, and its data root as it is seen from here."""

    engine: Engine
    root: Path
    kind: str
    ctr: list[str]

    def read(self) -> Store:
        return read_store(self.root) if self.kind == GRAPHDRIVER else read_containerd(self.root)


@pytest.fixture(scope="module", params=STORES)
def running(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """An engine with two images that share their topmost layer, and a container that has written a file."""
    kind = STORES[request.param]
    programs = "" if request.param == "installed" else str(fetch_newer_engine())
    settings = {"features": {"containerd-snapshotter": kind == CONTAINERD}} if programs else {}
    place = tmp_path_factory.mktemp("d")
    with run_daemon(place, settings=settings, programs=programs) as daemon, Engine(daemon.host) as engine:
        load_busybox(engine)
        for name, below in (("hello", IMAGE), ("both", "hello"), ("bye", IMAGE)):
            make_image(engine, name, below, "hello" if name == "hello" else "bye")
        web = {"Image": "both", "Cmd": ["sh", "-c", "echo mine > /note; exec sleep 600"]}
        engine.post("/containers/create", query={"name": "web"}, json=web)
        inside = Path(f"/proc/{daemon.pid}/root")
        ctr = [f"{programs}/ctr" if programs else "ctr", "--address", f"{inside}/run/docker/containerd/containerd.sock"]
        yield Running(engine, inside / "run/data", kind, ctr)


def make_image(engine: Engine, name: str, below: str, file: str) -> None:
    """Commit a container into which one file was put, always with the same time."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        entry = tarfile.TarInfo(file)
        entry.size, entry.mtime = len(file), 1_700_000_000
        tar.addfile(entry, io.BytesIO(file.encode()))
    engine.post("/containers/create", query={"name": f"box-{name}"}, json={"Image": below, "Cmd": ["sh"]})
    engine.put(f"/containers/box-{name}/archive", query={"path": "/"}, body=packed.getvalue())
    engine.post("/commit", query={"container": f"box-{name}", "repo": name})


def test_images_are_those_of_the_engine(running: Running) -> None:
    """The same ids, the same names, the same diff_ids."""
    store = running.read()
    said = {name: image["Id"] for image in running.engine.get("/images/json").json() for name in image["RepoTags"]}

    assert said == store.names
    for name, image_id in said.items():
        inspected = running.engine.get(f"/images/{name}/json").json()
        assert image_id == store.image(name).image_id
        assert inspected["RootFS"]["Layers"] == list(store.image(name).diff_ids)


def test_nothing_lies(running: Running) -> None:
    """Every name that can be recomputed fits."""
    assert [] == find_faults(running.read())


def test_the_files_of_a_layer_are_in_its_directory(running: Running) -> None:
    """Each layer has the one file that was put into the container."""
    store = running.read()
    layers = store.layers_of(store.image("both"))

    assert [["hello"], ["bye"]] == [os.listdir(layer.directory) for layer in layers[1:]]
    assert store.layers_of(store.image("bye"))[-1].diff_id == layers[-1].diff_id
    assert store.layers_of(store.image("bye"))[-1].chain_id != layers[-1].chain_id


def test_the_directories_are_those_of_the_engine(running: Running) -> None:
    """Where the engine tells the directory of a layer, it is this one."""
    if running.kind == CONTAINERD:
        assert running.engine.get("/images/both/json").json()["GraphDriver"]["Data"] is None
        return
    store = running.read()
    data = running.engine.get("/images/both/json").json()["GraphDriver"]["Data"]
    below = data["LowerDir"].split(":")

    said = [Path(path).parent.name for path in [data["UpperDir"], *below]]
    assert said == [layer.cache_id for layer in reversed(store.layers_of(store.image("both")))]


def test_a_container_is_found(running: Running) -> None:
    """Its layer stands on that of its image, through the one that the engine made at first."""
    store = running.read()
    container = store.container("web")
    mount = store.mounts[container.container_id]

    assert running.engine.get("/containers/web/json").json()["Id"] == container.container_id
    assert store.image("both").image_id == container.image_id
    assert store.image("both").chain_ids[-1] == mount.parent
    assert mount.directory.is_dir() and mount.init_id != mount.mount_id


def test_the_exact_tar(running: Running) -> None:
    """Of each layer, and what `docker save` writes has it, too."""
    store = running.read()
    if running.kind == CONTAINERD:
        # This store keeps the layers as they came: the tar needs not be made again.
        kept = [blob for blob in store.blobs.values() if "containerd.io/uncompressed" in blob.labels]
        assert len(kept) >= 3 and all(digest_of(blob.path.read_bytes()) == blob.digest for blob in kept)
        return
    for layer in store.layers.values():
        assert layer.diff_id == digest_of(b"".join(layer_tar(layer)))


def test_what_is_removed_is_gone(running: Running) -> None:
    """An image that is made, read and removed; the engine writes while this reads."""
    make_image(running.engine, "late", IMAGE, "late")
    assert ["late"] == os.listdir(running.read().layers_of(running.read().image("late"))[-1].directory)
    running.engine.delete("/containers/box-late")
    running.engine.delete("/images/late")

    assert "late:latest" not in running.read().names


def test_containerd_tells_the_same(running: Running) -> None:
    """`ctr`, which asks containerd, names the blobs, the snapshots and their parents that this reads from the disk."""
    archive = running.engine.get("/images/both/get").answer.body
    namespace = "moby"
    if running.kind == GRAPHDRIVER:
        namespace = "lesson"
        subprocess.run(
            [*running.ctr, "-n", namespace, "images", "import", "-"], input=archive, check=True, capture_output=True
        )

    def ask(*words: str) -> list[list[str]]:
        said = subprocess.run([*running.ctr, "-n", namespace, *words], check=True, capture_output=True, text=True)
        return [line.split() for line in said.stdout.splitlines()[1:]]

    deadline = time.monotonic() + 10
    while True:  # containerd removes what the import has left over, a moment later
        store = read_containerd(running.root, namespace)
        told = sorted(line[0] for line in ask("content", "ls"))
        if told == sorted(store.blobs) or time.monotonic() > deadline:
            break
        time.sleep(0.1)
    assert told == sorted(store.blobs)
    layers = {line[0]: line[1] if len(line) > 2 else "" for line in ask("snapshots", "ls") if line[-1] == "Committed"}
    assert {name: parent for name, parent in layers.items() if name.startswith("sha256:")} == {
        name: layer.parent for name, layer in store.layers.items()
    }
    target = next(line[2] for line in ask("images", "ls") if line[0].endswith("/both:latest"))
    assert target == store.image("both").image_id
    manifest = json.loads(store.blobs[target].path.read_bytes())
    assert manifest["config"]["digest"] == store.image("both").config_digest
