"""Does the storage view open each directory, say what its bytes prove, and keep ids out of what is stored?"""

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from labkit.images.containerd_store import read_containerd
from labkit.images.store import read_store
from labkit.images.stored import Store
from labkit.show.opened import open_place
from labkit.show.places import PLACES, follow_choices, follow_trail, short
from labkit.show.storage import MOST_ENTRIES, storage_html, storage_svg, storage_text
from tests.unit.stores import CONTAINER, make_containerd, make_root

IDENTITY = re.compile(r"[0-9a-f]{7,}")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_root(tmp_path / "root")


@pytest.fixture
def store(root: Path) -> Store:
    return read_store(root)


@pytest.fixture
def other(tmp_path: Path) -> Store:
    return read_containerd(make_containerd(tmp_path / "other"))


def test_each_line_of_the_notes_is_there(store: Store, other: Store) -> None:
    """In the old words and in today's; with containerd's store in its words, too."""
    text = storage_text(store)

    assert "aufs/diff | overlay2/CACHE-ID/diff | 6 directories" in text
    assert "image/aufs/layerdb | image/overlay2/layerdb | 4 layers, 1 mount" in text
    assert len(PLACES) == len(text.splitlines()) == len(storage_text(store, other).splitlines())
    assert "image/aufs/imagedb | image/overlay2/imagedb | content/blobs | 3 images" in storage_text(store, other)


def test_the_stored_forms_hold_no_identity(store: Store, other: Store) -> None:
    """Text and picture of two runs are the same."""
    for stored in (storage_text(store, other), re.sub("#[0-9a-f]{6}", "", storage_svg(store, other))):
        assert [] == IDENTITY.findall(stored)
    ElementTree.fromstring(storage_svg(store, other))


def test_one_directory_is_open_and_one_thing_is_followed(store: Store, other: Store) -> None:
    """There is a choice for each line, for each image and for each container, and one of each is made."""
    drawn = storage_html(store, other)

    assert len(PLACES) == drawn.count('name="place"') == drawn.count("<section")
    assert len(follow_choices(store)) == drawn.count('name="follow"') == drawn.count("data-trail=") // 2
    assert 2 == len(re.findall(r"<input[^>]* checked", drawn))


def test_the_image_with_most_layers_is_followed_first(store: Store) -> None:
    """Then the others, then containers."""
    assert ["other", "hello", "busybox", "web"] == [name for _, name, _ in follow_choices(store)]


def test_a_trail_leads_from_a_name_to_directories(store: Store) -> None:
    """Of a container: what it writes, then the layers of its image, the topmost first."""
    key = next(key for key, name, _ in follow_choices(store) if name == "web")
    trail = follow_trail(store, key)
    layers = store.layers_of(store.image("hello"))

    assert [("container", "web"), ("container id", short(CONTAINER))] == list(trail.steps[:2])
    assert [short("e0" * 32), f"{short('e0' * 32)}-init"] == [cache_id for *_, cache_id in trail.layers[:2]]
    assert [short(layer.chain_id) for layer in reversed(layers)] == [chain_id for _, _, chain_id, _ in trail.layers[2:]]


def test_what_is_followed_is_marked_in_every_directory(store: Store, other: Store) -> None:
    """Also in containerd's store, where the image has another id."""
    key = next(key for key, name, _ in follow_choices(store) if name == "other")
    marked = {one.key: [entry.name for entry in open_place(one, store).entries if key in entry.keys] for one in PLACES}
    image = store.image("other")

    assert sorted(short(layer.cache_id) for layer in store.layers_of(image)) == sorted(marked["diff"])
    assert [short(image.image_id)] == marked["imagedb"] and ["other:latest"] == marked["repositories"]
    assert {short(chain_id) for chain_id in image.chain_ids} == set(marked["layerdb"])

    theirs = follow_choices(other)[0][0]
    blobs = [entry for entry in open_place(PLACES[4], other).entries if theirs in entry.keys]
    assert 4 == len(blobs)  # the configuration, the index that is its id, and two layers


def test_the_aufs_tree_has_the_same_ids(store: Store) -> None:
    """aufs/layers names the lower directories in full, where overlay2 has short names."""
    opened = open_place(PLACES[1], store)
    *below, top = store.layers_of(store.image("other"))
    old = {entry.name: entry.says for entry in opened.old}

    assert " ".join(short(layer.cache_id) for layer in reversed(below)) == old[short(top.cache_id)]


@pytest.mark.parametrize(
    ("key", "right", "wrong"),
    [
        ("imagedb", "3 of 3", "2 of 3"),
        ("layerdb", "4 of 4", "3 of 4"),
        ("lower", "9 of 9", "8 of 9"),
        ("diff", "6 of 6", "5 of 6"),
    ],
)
def test_a_proof_is_recomputed(root: Path, key: str, right: str, wrong: str) -> None:
    """A byte that was changed on the disk is seen."""
    one = next(one for one in PLACES if one.key == key)
    store = read_store(root)
    assert right in str(open_place(one, store).proof) and "lks-proof lks-wrong" not in storage_html(store)

    layer = store.layers_of(store.image("other"))[-1]
    if key == "imagedb":
        path = store.image("other").path
        path.write_bytes(path.read_bytes() + b" ")
    elif key == "layerdb":
        (layer.record / "diff").write_text(f"sha256:{'0' * 64}")
    elif key == "lower":
        (root / "overlay2/l" / store.layers_of(store.image("other"))[1].link).unlink()
    else:
        for file in layer.record.iterdir():
            file.unlink()
        layer.record.rmdir()

    changed = read_store(root)
    assert wrong in str(open_place(one, changed).proof) and "lks-proof lks-wrong" in storage_html(changed)


def test_a_large_store_is_cut_with_a_mark(store: Store) -> None:
    """The page does not grow with a data root, and says how much is left out."""
    image = store.image("busybox")
    many = {f"sha256:{number:064x}": image._replace(image_id=f"sha256:{number:064x}", names=()) for number in range(40)}
    large = Store(store.root, store.kind, store.driver, images={**store.images, **many}, layers=store.layers)

    assert f"and {len(large.images) - MOST_ENTRIES} more" in storage_html(large)
    assert len(storage_html(large)) < 2 * len(storage_html(store))


def test_markup_in_a_name_is_not_obeyed(store: Store) -> None:
    """A container may have no such name; whoever writes config.v2.json may."""
    evil = {key: one._replace(name="<b>\x1b[31m") for key, one in store.containers.items()}
    drawn = storage_html(Store(store.root, store.kind, store.driver, containers=evil, mounts=store.mounts))

    assert "&lt;b&gt;" in drawn and "<b>\x1b" not in drawn and "\x1b" not in drawn
