"""Does the layer inspection survive what nobody thought of, and does it agree with a reference that is plainly right?

`make test` tries a few examples, the same each time; `make fuzz` others for minutes.
"""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import event, example, given
from hypothesis import strategies as st

from labkit.errors import ImageError
from labkit.images.archives import analyse_file
from labkit.images.layers import Analysis
from tests.hostile.images import (
    FORMS,
    OCI,
    Blobs,
    Image,
    archive,
    build_config,
    build_manifest,
    gzipped,
    layout,
    new_save,
    old_save,
    zstd,
)
from tests.hostile.reference import describe, lay_layers
from tests.hostile.tars import gnu_long, gnu_sparse, header, member, pax, pax_sparse, tar

LAYER = tar(
    header("etc/", kind=b"5"),
    pax(("path", "etc/motd"), ("size", "3")) + member("x", b"abc"),
    gnu_long("l" * 120) + member("l", b"x"),
    gnu_sparse("s", [(0, b"s" * 512)], 2**20, extended=1),
    pax_sparse("t", [(512, b"s" * 512)], 2**20),
    header("a", kind=b"2", link="etc"),
    header("b", kind=b"1", link="etc/motd"),
)
IMAGE = Image(LAYER, tar(member("etc/.wh.motd"), member("top", b"t")))
WHOLE = {form: archive(build(IMAGE)) for form, build in FORMS.items()}
WHOLE |= {"all in gzip": gzipped(WHOLE["old docker save"]), "all in zstd": zstd(WHOLE["new docker save"])}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One file for all examples of a test."""
    return tmp_path_factory.mktemp("fuzz") / "image.tar"


def analyse(place: Path, data: bytes, **options: Any) -> Analysis | None:
    """Give what is found in an archive of these bytes; None where it is refused, in one line that can be shown."""
    place.write_bytes(data)
    try:
        found = analyse_file(place, **options)
    except ImageError as error:
        event("refused")
        assert error.what and str(error).isprintable(), repr(str(error))
        return None
    event("an answer")
    for depth in range(len(found.layers)):
        found.tree(depth)
    return found


def what(found: Analysis | None) -> object:
    return found and (found.layers, found.wasted)


# What a few bytes may become: other bytes, nothing, twice the same, or what stands elsewhere.
edits = st.lists(
    st.tuples(
        st.sampled_from(["set", "cut", "repeat", "move"]),
        st.integers(0, 2**16),
        st.integers(1, 600),
        st.one_of(
            st.binary(min_size=1, max_size=12), st.sampled_from([b"\0" * 512, b"99999999999\0", b"\xff" * 12, b"../"])
        ),
    ),
    min_size=1,
    max_size=4,
)


def bend(data: bytes, changes: list[tuple[str, int, int, bytes]], step: int = 1) -> bytes:
    """Change bytes; with a step of 512 whole blocks go, come and move."""
    for word, at, length, new in changes:
        at = at % (len(data) + 1) // step * step
        length = max(step, length // step * step)
        piece = data[at : at + length]
        if word == "set":
            data = data[:at] + new + data[at + len(new) :]
        elif word == "cut":
            data = data[:at] + data[at + length :]
        elif word == "repeat":
            data = data[:at] + piece * 2 + data[at + length :]
        else:
            rest = data[:at] + data[at + length :]
            to = length * 7 % (len(rest) + 1) // step * step
            data = rest[:to] + piece + rest[to:]
    return data


@given(form=st.sampled_from(sorted(WHOLE)), changes=edits, step=st.sampled_from([1, 512]))
def test_a_bent_archive_is_refused_or_is_another_image(
    place: Path, form: str, changes: list[tuple[str, int, int, bytes]], step: int
) -> None:
    """The ID of the image stands for all its bytes: who gets the same ID gets the same layers."""
    right = analyse(place, WHOLE[form])
    assert right is not None

    found = analyse(place, bend(WHOLE[form], changes, step))

    if found is not None and found.image_id == right.image_id:
        assert [layer.changes for layer in right.layers] == [layer.changes for layer in found.layers]
        assert [layer.diff_id for layer in right.layers] == [layer.diff_id for layer in found.layers]


@given(changes=edits, step=st.sampled_from([1, 512]), verified=st.booleans())
def test_a_bent_layer_is_refused_or_read(
    place: Path, changes: list[tuple[str, int, int, bytes]], step: int, verified: bool
) -> None:
    """With digests that are right for the bent bytes; with digests and without, the answer is the same."""
    data = archive(old_save(Image(bend(LAYER, changes, step))))

    assert what(analyse(place, data)) == what(analyse(place, data, digests=False))


@given(changes=edits, is_zstd=st.booleans())
def test_a_bent_compressed_layer_is_refused_or_read(
    place: Path, changes: list[tuple[str, int, int, bytes]], is_zstd: bool
) -> None:
    """Its digest as a blob is right, so that only the decompression can tell, or the diff_id."""
    packed = bend(zstd(LAYER) if is_zstd else gzipped(LAYER), changes)
    blobs = Blobs()
    described = blobs.add(packed, f"{OCI}.layer.v1.tar+{'zstd' if is_zstd else 'gzip'}")
    manifest = build_manifest(blobs.add(build_config([LAYER]), f"{OCI}.config.v1+json"), [described])
    data = archive(layout(blobs, blobs.add(manifest, f"{OCI}.manifest.v1+json")))

    found = analyse(place, data)

    analyse(place, data, digests=False)
    right = analyse(place, archive(old_save(Image(LAYER))))
    assert found is None or (right and found.layers[0].changes == right.layers[0].changes)


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=9)
    | st.sampled_from(["..", "/etc/passwd"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(
    form=st.sampled_from([old_save, new_save]),
    name=st.sampled_from(["manifest.json", "index.json", "config", "manifest"]),
    steps=st.lists(st.integers(0, 9), max_size=6),
    value=values,
    digests=st.booleans(),
)
def test_a_bent_document_is_refused_or_read(
    place: Path, form: Any, name: str, steps: list[int], value: Any, digests: bool
) -> None:
    """One value of a document is another one, of any kind."""
    files = form(IMAGE)
    documents = {"config": b'"rootfs"', "manifest": b'"layers"'}
    names = [each for each in files if name in documents and documents[name] in files[each][:5000]] or [name]
    if names[0] in files:
        files[names[0]] = json.dumps(replace(json.loads(files[names[0]]), steps, value)).encode()

    analyse(place, archive(files), digests=digests)


def replace(document: Any, steps: list[int], value: Any) -> Any:
    """Walk down into a document and put the value there."""
    if not steps or not isinstance(document, dict | list) or not document:
        return value
    if isinstance(document, dict):
        key = sorted(document)[steps[0] % len(document)]
        return document | {key: replace(document[key], steps[1:], value)}
    at = steps[0] % len(document)
    return [*document[:at], replace(document[at], steps[1:], value), *document[at + 1 :]]


paths = st.sampled_from(["a", "b", "c", "a/a", "a/b", "b/a", "a/a/a", "a/b/c", "é", "b/caf\udce9", "c/a/b/a"])
kinds = st.sampled_from(
    ["file", "file", "file", "directory", "directory", "symlink", "fifo", "hardlink", "whiteout", "opaque"]
)
layers = st.lists(st.tuples(kinds, paths, st.integers(0, 3), st.sampled_from([0o644, 0o4755])), max_size=9)


def build(entries: list[tuple[str, str, int, int]]) -> bytes:
    """Give a layer of these entries; a hard link goes to the last file, which has no other link."""
    members, last = [], ""
    for kind, path, size, mode in entries:
        folder, _, name = path.rpartition("/")
        name = name if not folder else f"/{name}"
        if kind == "file":
            members.append(member(path, b"x" * size, mode=mode))
            last = path
        elif kind == "directory":
            members.append(header(f"{path}/", kind=b"5", mode=mode))
        elif kind == "symlink":
            members.append(header(path, kind=b"2", link="../" * size + "a", mode=0o777))
        elif kind == "fifo":
            members.append(header(path, kind=b"6", mode=mode))
        elif kind == "hardlink" and last and last != path:
            members.append(header(path, kind=b"1", link=last, mode=mode))
            last = ""
        elif kind == "whiteout":
            members.append(member(f"{folder}/.wh.{name.strip('/')}".lstrip("/")))
        elif kind == "opaque":
            members.append(member(f"{path}/.wh..wh..opq"))
    return tar(*members)


def entry(kind: str, path: str) -> tuple[str, str, int, int]:
    return kind, path, 3, 0o644


# What long runs have found stays here.
@example([[entry("file", "a/b/c")], [entry("opaque", "a/b"), entry("file", "a")]])
@example([[entry("file", "a/b/c")], [entry("whiteout", "a/b"), entry("whiteout", "a")]])
@example([[entry("file", "a/a"), entry("hardlink", "a")]])
@example([[entry("file", "a"), entry("symlink", "a"), entry("hardlink", "b"), entry("file", "a")]])
@example([[entry("file", "a/b/c"), entry("hardlink", "a/a"), entry("file", "a")]])
@given(entries=st.lists(layers, min_size=1, max_size=4))
def test_any_layers_give_what_the_reference_gives(place: Path, entries: list[list[tuple[str, str, int, int]]]) -> None:
    """The tree at every layer, the changes of every layer, and every byte either wasted or in the tree."""
    image = Image(*map(build, entries))
    try:
        right = lay_layers(list(image.layers))
    except ValueError:
        right = []

    found = analyse(place, archive(old_save(image)))

    assert bool(right) == (found is not None)
    if found is None:
        return
    linked = any(kind == "hardlink" for layer in entries for kind, *_ in layer)
    for depth, (tree, changes) in enumerate(right):
        assert describe(tree) == describe(found.tree(depth))
        assert comparable(changes, linked) == comparable(set(map(tuple, found.layers[depth].changes)), linked)
    kept = sum(node.size_bytes for node in found.tree(len(right) - 1).values())
    assert sum(layer.size_bytes for layer in found.layers) == found.wasted_bytes + kept
    assert all(found.provider(path) == place.layer for path, place in right[-1][0].items())


def comparable(changes: set[Any], linked: bool) -> set[Any]:
    """Where files have several names, with which of them their bytes go is a matter of taste."""
    return {
        (path, kind, size if not linked else 0, word) if not linked else (path, word)
        for path, kind, size, word in changes
    }
