"""Do the checks of lesson 05 tell an untouched exercise, wrong answers and a right one apart?"""

import gzip
from pathlib import Path

import pytest

from labkit.check.storage import check_layer_found, check_layer_tar
from labkit.images.store import layer_tar, read_store
from labkit.images.stored import Store
from tests.unit.stores import make_root, make_tar


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_root(tmp_path / "root")


@pytest.fixture
def store(root: Path) -> Store:
    return read_store(root)


def found(root: Path, goal: Path | None, image: str = "hello") -> str:
    link = root.parent / "found"
    if goal is not None:
        link.symlink_to(goal)
    return repr(check_layer_found(str(link), image, root))


def test_a_link_to_the_files_is_done(root: Path, store: Store) -> None:
    """The link may be made by any way."""
    assert "done" == found(root, store.layers_of(store.image("hello"))[-1].directory)


def test_nothing_is_not_attempted_and_an_image_alone_is(root: Path) -> None:
    """Who has made the image hears what is missing."""
    assert "not attempted" == found(root, None, "nobody")
    assert "there is an image hello, but no" in found(root, None)
    assert "there is no image nobody here" in found(root, root, "nobody")


@pytest.mark.parametrize(
    ("goal", "words"),
    [
        ("above", "one step too high"),
        ("record", "the record of the layer in layerdb"),
        ("container", "a directory of the container web"),
        ("same", "the same diff_id, but with another chain id"),
        ("below", "leads to another layer"),
        ("nothing", "there is no such directory"),
        ("elsewhere", "which is no directory of a layer"),
    ],
)
def test_each_wrong_directory_is_named(root: Path, store: Store, goal: str, words: str) -> None:
    """The check says what the directory is."""
    below, layer = store.layers_of(store.image("hello"))
    goals = {
        "above": layer.directory.parent,
        "record": layer.record,
        "container": next(iter(store.mounts.values())).directory,
        "same": store.layers_of(store.image("other"))[-1].directory,
        "below": below.directory,
        "nothing": root / "nothing",
        "elsewhere": root,
    }

    assert words in found(root, goals[goal])


def test_a_copy_is_no_link(root: Path) -> None:
    """A directory or a file in the place of the link."""
    (root.parent / "found").mkdir()
    assert "is no symbolic link: it is a directory of its own" in found(root, None)
    (root.parent / "found").rmdir()
    (root.parent / "found").write_text("")
    assert "is no symbolic link: it is a file" in found(root, None)


def packed(root: Path, data: bytes | None) -> str:
    path = root.parent / "layer.tar"
    if data is not None:
        path.write_bytes(data)
    return repr(check_layer_tar(str(path), "hello", root))


def test_the_exact_tar_is_done(root: Path, store: Store) -> None:
    """And no other one is: not a tar of the same file, not the right one compressed, not that of another layer."""
    below, layer = store.layers_of(store.image("hello"))
    exact = b"".join(layer_tar(below))

    assert "not attempted" == packed(root, None)
    assert "is not the diff_id of the lowest layer (the file has" in packed(root, make_tar({"./base.txt": b"base" * 9}))
    assert "is compressed" in packed(root, gzip.compress(exact))
    assert "is the exact tar of another layer" in packed(root, b"".join(layer_tar(layer)))
    assert "done" == packed(root, exact)
    (root.parent / "layer.tar").unlink()
    (root.parent / "layer.tar").mkdir()
    assert "is no file" in packed(root, None)
