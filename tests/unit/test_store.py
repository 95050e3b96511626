"""Is a data root read as what it holds, and is one that lies refused, with the place?"""

import json
import os
import shutil
from hashlib import sha256
from pathlib import Path

import pytest

from labkit.errors import ImageError
from labkit.images.containerd_store import read_containerd, read_database
from labkit.images.oci import digest_of
from labkit.images.reading import open_below, read_small
from labkit.images.store import layer_tar, list_drivers, read_store
from labkit.images.stored import CONTAINERD, GRAPHDRIVER, find_faults
from tests.unit.stores import CONTAINER, make_bolt, make_containerd, make_root, varint


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_root(tmp_path / "root")


@pytest.fixture
def containerd(tmp_path: Path) -> Path:
    return make_containerd(tmp_path / "containerd-root")


def record_of(root: Path, name: str) -> Path:
    store = read_store(root)
    return store.layers_of(store.image(name))[-1].record


def test_a_name_leads_to_directories(root: Path) -> None:
    """Name, image, layers from the bottom, directories with the files."""
    store = read_store(root)
    image = store.image("other")
    layers = store.layers_of(image)

    assert (GRAPHDRIVER, "overlay2", ["overlay2"]) == (store.kind, store.driver, list_drivers(root))
    assert ("other:latest",) == image.names and store.image("busybox").image_id == image.parent
    assert ["base.txt", "extra.txt", "hello.txt"] == [os.listdir(layer.directory)[0] for layer in layers]
    assert [36, 45, 45] == [layer.size_bytes for layer in layers]
    assert ["", *(layer.chain_id for layer in layers[:-1])] == [layer.parent for layer in layers]
    assert image == store.image(image.image_id.removeprefix("sha256:")[:12])


def test_short_names_lead_to_the_layers_below(root: Path) -> None:
    """lower has the next layer first, as mount(8) wants it."""
    store = read_store(root)
    *below, top = store.layers_of(store.image("other"))

    assert [layer.cache_id for layer in reversed(below)] == [store.links[short] for short in top.lower]
    assert top.cache_id == store.links[top.link]


def test_one_layer_on_two_others_has_two_records(root: Path) -> None:
    """The same diff_id, two chain ids."""
    store = read_store(root)
    one, two = (store.layers_of(store.image(name))[-1] for name in ("hello", "other"))

    assert one.diff_id == two.diff_id and one.chain_id != two.chain_id and one.cache_id != two.cache_id


def test_a_container_stands_on_its_image(root: Path) -> None:
    """Its record names two directories; its files its name and its log."""
    store = read_store(root)
    container = store.container("web")
    mount = store.mounts[container.container_id]

    assert store.image("hello").image_id == container.image_id and f"/log/{CONTAINER}-json.log" == container.log
    assert store.image("hello").chain_ids[-1] == mount.parent and f"{mount.mount_id}-init" == mount.init_id
    assert ["note"] == os.listdir(mount.directory) and mount.merged.name == "merged"


def test_volumes_and_what_was_pulled(root: Path) -> None:
    """The rest of the notes' tree."""
    store = read_store(root)
    base = store.image("busybox").diff_ids[0]

    assert ["data"] == list(store.volumes)
    assert {f"sha256:{'b1' * 32}": base} == store.diff_ids
    assert {base: ("docker.io/library/busybox",)} == store.sources


def test_the_exact_tar_of_each_layer(root: Path) -> None:
    """Its digest is the diff_id, and a changed file gives another one."""
    store = read_store(root)
    layers = list(store.layers.values())

    assert [layer.diff_id for layer in layers] == [digest_of(b"".join(layer_tar(layer))) for layer in layers]

    file = layers[0].directory / os.listdir(layers[0].directory)[0]
    file.write_bytes(file.read_bytes()[::-1])
    assert layers[0].diff_id != digest_of(b"".join(layer_tar(layers[0])))


def test_the_exact_tar_takes_no_link(root: Path, tmp_path: Path) -> None:
    """A link in the place of a file or of its directory does not lead out of the layer."""
    store = read_store(root)
    layer = store.layers_of(store.image("busybox"))[0]
    (tmp_path / "secret").write_bytes(b"s" * 36)
    file = layer.directory / "base.txt"
    file.unlink()
    file.symlink_to(tmp_path / "secret")

    with pytest.raises(ImageError, match=r"the file base\.txt cannot be read"):
        b"".join(layer_tar(layer))

    file.unlink()
    os.mkfifo(file)
    with pytest.raises(ImageError, match=r"the file base\.txt cannot be read"):
        b"".join(layer_tar(layer))

    (layer.record / "tar-split.json.gz").unlink()
    with pytest.raises(ImageError, match="tar-split.json.gz: it cannot be read"):
        b"".join(layer_tar(layer))


def test_a_true_store_has_no_fault(root: Path, containerd: Path) -> None:
    """All names are recomputed, and fit."""
    assert [] == find_faults(read_store(root)) == find_faults(read_containerd(containerd))


def test_each_lie_is_a_fault(root: Path) -> None:
    """A file of an image that was changed, a record that was, a directory that is gone, a link that leads elsewhere."""
    store = read_store(root)
    image, layer = store.image("busybox"), store.layers_of(store.image("hello"))[-1]
    image.path.write_bytes(image.path.read_bytes() + b" ")
    (layer.record / "diff").write_text(f"sha256:{'0' * 64}")
    shutil.rmtree(layer.directory)
    link = root / "overlay2/l" / layer.link
    link.unlink()
    link.symlink_to(f"../{'0' * 64}/diff")

    faults = "\n".join(find_faults(read_store(root)))

    for words in (
        "digest of its configuration",
        "says that its diff_id",
        "make sha256:",
        "no directory",
        "leads to 0000",
    ):
        assert words in faults


def test_a_missing_record_is_a_fault(root: Path) -> None:
    """An image whose layer has no record, and who asks for its layers, hears which."""
    shutil.rmtree(record_of(root, "hello"))
    store = read_store(root)

    assert any("there is no record of its layer" in fault for fault in find_faults(store))
    with pytest.raises(ImageError, match="there is no record of the layer sha256:"):
        store.layers_of(store.image("hello"))


def test_unknown_names(root: Path) -> None:
    """The error says which names there are."""
    store = read_store(root)
    with pytest.raises(
        ImageError, match="there is no image nobody; the names are: busybox:latest, hello:latest, other"
    ):
        store.image("nobody")
    with pytest.raises(ImageError, match="there is no container nobody"):
        store.container("nobody")


@pytest.mark.parametrize(
    ("file", "content", "words"),
    [
        ("repositories.json", "[]", "no table of repositories"),
        ("repositories.json", '{"Repositories": {"a": {"a:b": "../../x"}}}', "a:b leads to ../../x, which is no id"),
        ("repositories.json", '{"Repositories": ', "repositories.json"),
        ("record/cache-id", "../../../etc", "'../../../etc' is not what belongs there"),
        ("record/diff", "sha256:\x1b[31m", r"\\x1b\[31m"),
        ("record/size", "-5", "is not what belongs there"),
        ("record/parent", "x" * 5000, "larger than 4,096 bytes"),
        ("image", '{"rootfs": {"diff_ids": ["x"]}}', "is no sha256 digest of a layer"),
        ("image", "x" * 9_000_000, "larger than"),
        ("container", '{"Name": 5}', "a container without Name"),
        ("lower", "l/../../etc", "is no short name of a layer"),
    ],
)
def test_a_record_that_lies_is_refused(root: Path, file: str, content: str, words: str) -> None:
    """The error says in which file, and can be shown on a terminal."""
    store = read_store(root)
    layer = store.layers_of(store.image("hello"))[-1]
    paths = {
        "repositories.json": root / "image/overlay2/repositories.json",
        "image": store.image("hello").path,
        "container": store.container("web").directory / "config.v2.json",
        "lower": layer.directory.with_name("lower"),
    }
    path = paths.get(file, layer.record / file.removeprefix("record/"))
    path.write_text(content)

    with pytest.raises(ImageError, match=words) as caught:
        read_store(root)

    assert str(path) in str(caught.value) and str(caught.value).isprintable()


def test_links_and_fifos_are_no_records(root: Path, tmp_path: Path) -> None:
    """A record is a file: a link to one elsewhere is refused, and nobody waits for a FIFO."""
    path = record_of(root, "hello") / "diff"
    (tmp_path / "diff").write_text(path.read_text())
    path.unlink()
    path.symlink_to(tmp_path / "diff")
    with pytest.raises(ImageError, match="diff: it cannot be read"):
        read_store(root)

    path.unlink()
    os.mkfifo(path)
    with pytest.raises(ImageError, match="diff: it cannot be read: it is no regular file"):
        read_store(root)


def test_a_directory_on_the_way_is_no_link(tmp_path: Path) -> None:
    """Only what lies below the directory is opened."""
    (tmp_path / "in/deep").mkdir(parents=True)
    (tmp_path / "in/deep/file").write_text("yes")
    (tmp_path / "out").mkdir()
    (tmp_path / "out/file").write_text("no")
    (tmp_path / "in/link").symlink_to(tmp_path / "out")

    with open_below(tmp_path / "in", "deep/file") as file:
        assert b"yes" == file.read()
    for path in ("link/file", "../out/file/..", "deep"):
        with pytest.raises(OSError):
            open_below(tmp_path / "in", path)


def test_a_limit_is_exact(tmp_path: Path) -> None:
    """A file of as many bytes as are allowed is read, and takes no more memory than it has."""
    (tmp_path / "file").write_bytes(b"x" * 10)

    assert b"x" * 10 == read_small(tmp_path / "file", 10) == read_small(tmp_path / "file", 2**40)
    with pytest.raises(ImageError, match="larger than 9 bytes"):
        read_small(tmp_path / "file", 9)


def test_what_is_removed_meanwhile_is_left_out(root: Path) -> None:
    """The engine removes a record file by file."""
    record = record_of(root, "hello")
    (record / "cache-id").unlink()

    assert 3 == len(read_store(root).layers)


def test_an_empty_root_and_several_drivers(tmp_path: Path, root: Path) -> None:
    """No driver, an unknown one, or several: the error says what to name."""
    with pytest.raises(ImageError, match="no graph driver keeps images there"):
        read_store(tmp_path)
    (root / "image/vfs/layerdb").mkdir(parents=True)
    with pytest.raises(ImageError, match="several drivers keep images there: overlay2, vfs"):
        read_store(root)
    assert {} == read_store(root, "vfs").layers and 4 == len(read_store(root, "overlay2").layers)
    (root / "image/zfs/layerdb").mkdir(parents=True)
    with pytest.raises(ImageError, match="how zfs keeps its layers is not known"):
        read_store(root, "zfs")


def test_containerd_keeps_the_same_kind_of_values(containerd: Path) -> None:
    """An image behind an index, its layers in numbered directories, a container, blobs and leases."""
    store = read_containerd(containerd)
    image = store.image("hello")
    layers = store.layers_of(image)
    mount = store.mounts[CONTAINER]

    assert (CONTAINERD, "overlayfs") == (store.kind, store.driver)
    assert image.config_digest in store.blobs and image.image_id != image.config_digest
    assert list(image.diff_ids) == [layer.diff_id for layer in layers]
    assert ["1", "2"] == [layer.cache_id for layer in layers] and all(layer.directory.is_dir() for layer in layers)
    assert ("4", "3", image.chain_ids[-1]) == (mount.mount_id, mount.init_id, mount.parent)
    assert {"a lease": (f"{CONTAINER}-init", image.config_digest)} == store.leases
    assert 5 == len(store.blobs)
    for digest, blob in store.blobs.items():
        assert digest == f"sha256:{sha256(blob.path.read_bytes()).hexdigest()}"
        assert blob.size_bytes == blob.path.stat().st_size


def test_an_image_that_is_not_whole_is_left_out(containerd: Path) -> None:
    """A pull that was cut off has left a name without its documents."""
    store = read_containerd(containerd)
    store.blobs[store.image("hello").config_digest].path.unlink()

    assert {} == read_containerd(containerd).images


def test_no_containerd(tmp_path: Path, containerd: Path) -> None:
    """Nothing there, another namespace, a database that is none."""
    with pytest.raises(ImageError, match="containerd keeps nothing there"):
        read_containerd(tmp_path)
    with pytest.raises(ImageError, match="there is no namespace lesson"):
        read_containerd(containerd, "lesson")
    meta = containerd / "containerd/daemon/io.containerd.metadata.v1.bolt/meta.db"
    meta.write_bytes(b"nothing")
    with pytest.raises(ImageError, match=r"meta\.db: no bolt database"):
        read_containerd(containerd)


def test_a_blob_with_a_name_that_leads_out(containerd: Path) -> None:
    """A record is believed only if its name is a digest."""
    meta = containerd / "containerd/daemon/io.containerd.metadata.v1.bolt/meta.db"
    space = {"content": {"blob": {"sha256:../../x": {"size": varint(2)}}}}
    meta.write_bytes(make_bolt({"v1": {"moby": space}}))

    with pytest.raises(ImageError, match="sha256:../../x is no blob"):
        read_containerd(containerd)


def test_a_database_that_is_written_all_the_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was read counts only if no commit came in between; it is tried again, and not for ever."""
    path = tmp_path / "meta.db"
    path.write_bytes(make_bolt({"a": "old"}, 1))
    commits = iter(range(2, 100))

    def read_and_commit(path: Path, limit: int) -> bytes:
        data = path.read_bytes()
        number = next(commits, None)
        if number is not None and number < stop:
            path.write_bytes(make_bolt({"a": "new"}, number))
        return data

    monkeypatch.setattr("labkit.images.containerd_store.read_small", read_and_commit)
    stop = 4
    assert {b"a": b"new"} == read_database(path)
    stop = 100
    with pytest.raises(ImageError, match="it changed while it was read, 10 times"):
        read_database(path)


def test_an_engine_without_images(root: Path) -> None:
    """Before the first image there is no repositories.json; a name whose image is gone is no name."""
    path = root / "image/overlay2/repositories.json"
    path.write_text(json.dumps({"Repositories": {"gone": {"gone:latest": f"sha256:{'9' * 64}"}}}))
    assert {} == read_store(root).names
    path.unlink()
    assert {} == read_store(root).names
