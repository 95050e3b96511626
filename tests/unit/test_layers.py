"""Does a layer do to the layers below what the image specification says?"""

import pytest

from labkit.errors import ImageError
from labkit.images.content import Content
from labkit.images.layers import Analysis, analyse

Item = tuple[object, ...]


def lay(*layers: list[Item]) -> Analysis:
    contents = []
    for items in layers:
        content = Content()
        for item in items:
            content.add(*item)  # type: ignore[arg-type]
        contents.append(content)
    return analyse(contents)


def changes(found: Analysis, layer: int) -> list[tuple[str, str, int]]:
    return [(each.path, each.change, each.size_bytes) for each in found.layers[layer].changes]


def test_a_path_is_added_then_modified() -> None:
    """The second layer that gives a path modifies it, and the first copy is wasted."""
    found = lay([("a", "file", 10)], [("a", "file", 3), ("b", "file", 1)])

    assert [("a", "added", 10)] == changes(found, 0)
    assert [("a", "modified", 3), ("b", "added", 1)] == changes(found, 1)
    assert (10, {"a": 1, "b": 1}) == (found.wasted_bytes, {p: n.layer for p, n in found.tree(1).items()})
    assert (13, 4 / 14) == (found.dive_wasted_bytes, found.efficiency)


def test_a_whiteout_deletes_a_directory_as_one_path() -> None:
    """What lay below it is counted once, with its bytes."""
    found = lay([("d", "directory"), ("d/x", "file", 5), ("d/e/y", "file", 7)], [(".wh.d", "file")])

    assert [("d", "deleted", 12)] == changes(found, 1)
    assert ({}, 12) == (found.tree(1), found.wasted_bytes)


def test_a_whiteout_of_what_never_was_changes_nothing() -> None:
    """No path is deleted, and nothing fails."""
    found = lay([("a", "file", 1)], [(".wh.b", "file"), (".wh.c", "file")])

    assert ([], ["a"]) == (changes(found, 1), list(found.tree(1)))


@pytest.mark.parametrize("first", [True, False])
def test_a_whiteout_spares_its_own_layer(first: bool) -> None:
    """In either order the layer's own path stays."""
    items: list[Item] = [(".wh.a", "file"), ("a", "file", 2)]
    found = lay([("a", "file", 9)], items if first else items[::-1])

    assert [("a", "modified", 2)] == changes(found, 1)
    assert (9, 2) == (found.wasted_bytes, found.tree(1)["a"].size_bytes)


def test_an_opaque_directory_hides_what_is_below_and_not_given_again() -> None:
    """A path that is given again is modified, also deep in a directory that is given again."""
    below: list[Item] = [("d", "directory"), ("d/keep/x", "file", 1), ("d/keep/y", "file", 2), ("d/gone", "file", 4)]
    found = lay(
        below, [("d", "directory"), ("d/.wh..wh..opq", "file"), ("d/keep", "directory"), ("d/keep/x", "file", 8)]
    )

    assert [
        ("d", "modified", 0),
        ("d/gone", "deleted", 4),
        ("d/keep", "modified", 0),
        ("d/keep/x", "modified", 8),
        ("d/keep/y", "deleted", 2),
    ] == changes(found, 1)
    assert (["d", "d/keep", "d/keep/x"], 7) == (list(found.tree(1)), found.wasted_bytes)


def test_a_file_takes_the_place_of_a_directory() -> None:
    """What was in the directory is deleted."""
    found = lay([("d/x", "file", 5)], [("d", "file", 1)], [("d/z", "file", 2)])

    assert [("d", "modified", 1), ("d/x", "deleted", 5)] == changes(found, 1)
    assert [("d", "modified", 0), ("d/z", "added", 2)] == changes(found, 2)
    assert "directory" == found.tree(2)["d"].kind


def test_a_hard_link_keeps_the_bytes_until_its_last_name_is_gone() -> None:
    """Another name becomes the file."""
    base: list[Item] = [
        ("a", "file", 6),
        ("b", "hardlink", 0, 0o644, 0, 0, "a"),
        ("c", "hardlink", 0, 0o644, 0, 0, "b"),
    ]
    found = lay(base, [(".wh.a", "file")], [(".wh.b", "file"), (".wh.c", "file")])

    kinds = {path: (node.kind, node.size_bytes, node.target) for path, node in found.tree(1).items()}
    heir = next(path for path, (kind, _, _) in kinds.items() if kind == "file")
    other = "b" if heir == "c" else "c"
    assert {heir: ("file", 6, ""), other: ("hardlink", 0, heir)} == kinds
    assert (6, 1) == (found.wasted_bytes, len(found.wasted))
    assert 0 == lay(base, [(".wh.a", "file")]).wasted_bytes


LINKED: list[list[Item]] = [[("d/a", "file", 6)], [("b", "hardlink", 0, 0o644, 0, 0, "d/a")]]


@pytest.mark.parametrize("later", [(".wh.d", "file"), ("d/.wh.a", "file"), ("d/a", "file", 1)])
def test_a_hard_link_of_a_later_layer_keeps_the_bytes(later: Item) -> None:
    """A third layer hides or replaces its target: the link is the file, whose bytes the first layer carries."""
    found = lay(*LINKED, [later])

    assert ("hardlink", 0, "d/a", 1) == found.tree(1)["b"][1:3] + found.tree(1)["b"][6:]
    assert ("file", 6, "", 0) == found.tree(2)["b"][1:3] + found.tree(2)["b"][6:]
    assert 0 == found.wasted_bytes
    assert 6 == lay(*LINKED, [later], [(".wh.b", "file")]).wasted_bytes


def test_a_hard_link_goes_on_to_the_next_name() -> None:
    """Two layers link to one file, which the next layers hide name by name."""
    found = lay(*LINKED, [("c", "hardlink", 0, 0o644, 0, 0, "d/a")], [("d/.wh.a", "file")], [(".wh.b", "file")])

    kinds = {path: (node.kind, node.size_bytes) for path, node in found.tree(4).items() if path in ("b", "c")}
    assert {"c": ("file", 6)} == kinds and 0 == found.wasted_bytes


def test_sizes_add_up() -> None:
    """All layers' bytes are the wasted bytes and those of the whole tree."""
    found = lay(
        [("a", "file", 6), ("b", "hardlink", 0, 0o644, 0, 0, "a"), ("d/x", "file", 5), ("d/x", "file", 4)],
        [("a", "file", 1), ("d", "symlink", 0, 0o777, 0, 0, "a")],
        [(".wh.b", "file"), ("d/x", "file", 3)],
    )

    shown = sum(node.size_bytes for node in found.tree(2).values())
    assert sum(layer.size_bytes for layer in found.layers) == found.wasted_bytes + shown


@pytest.mark.parametrize(
    ("items", "words"),
    [
        ([("../etc/passwd", "file")], "leads out of the image"),
        ([(".", "symlink", 0, 0o777, 0, 0, "/")], "the root is a symlink"),
        ([("a", "symlink", 0, 0o777, 0, 0, "/etc"), ("a/passwd", "file")], "a is a symlink of the same layer"),
        ([("a", "hardlink", 0, 0o644, 0, 0, "../b")], "leads out of the image"),
        ([("a", "hardlink", 0, 0o644, 0, 0, "a")], "a hard link to itself"),
        ([(".wh.", "file")], "names nothing"),
        ([("d/.wh...", "file")], "names nothing"),
    ],
)
def test_what_no_engine_unpacks_is_refused(items: list[Item], words: str) -> None:
    """Each with a sentence."""
    with pytest.raises(ValueError, match=words):
        lay(items)


def test_a_hard_link_to_nothing_is_refused() -> None:
    """It says which layer."""
    with pytest.raises(ImageError, match="layer 1: a is a hard link to b, which is not there"):
        lay([("a", "hardlink", 0, 0o644, 0, 0, "b")])


def test_one_content_may_be_two_layers() -> None:
    """An image may have the same layer twice."""
    content = Content()
    content.add("a", "file", 4)
    found = analyse([content, content])

    assert (4, 1, 1) == (found.wasted_bytes, found.provider("a"), found.layers[1].modified)
