"""Does every form of the same image give the same answer, and is it the right one?

The image has what layers can do to paths, each at least once; `tests/hostile/reference.py` says what comes out.
"""

import pytest

from labkit.images.archives import analyse_file
from labkit.images.layers import Analysis
from tests.hostile.images import FORMS, NAME, Image, digest, gzipped, write_form, zstd
from tests.hostile.reference import describe, lay_layers, read_layer
from tests.hostile.tars import folder, gnu_long, gnu_sparse, header, member, pax, pax_sparse, tar

LONG, LONGER = "long/" + "n" * 120, "longer/" + "/".join(["d" * 90] * 5)
OLD_SPARSE = gnu_sparse("sparse/gnu", [(0, b"a" * 512), (2**20, b"b" * 512)], 2**21)  # engines refuse the kind "S"
BASE = tar(
    folder("./"),
    folder("etc/"),
    member("etc/passwd", b"root\n", mode=0o644),
    member("etc/shadow", b"root:*\n", mode=0o640, gid=42),
    header("bin", kind=b"2", link="usr/bin"),
    folder("usr/"),
    folder("usr/bin/"),
    member("usr/bin/su", b"\x7fELF" * 300, mode=0o4755),
    header("usr/bin/su2", kind=b"1", link="usr/bin/su", mode=0o4755),
    folder("tmp/", 0o1777),
    folder("var/"),
    folder("var/cache/"),
    member("var/cache/one", b"1" * 1000),
    member("var/cache/two", b"2" * 2000),
    member("var/cache/deep/three", b"3" * 3000),
    folder("var/log/"),
    member("var/log/old", b"log\n" * 100),
    header("dev/null", kind=b"3", device=(1, 3), mode=0o666),
    header("dev/sda", kind=b"4", device=(8, 0), mode=0o660, gid=6),
    header("run/pipe", kind=b"6"),
    pax_sparse("sparse/pax", [(4096, b"c" * 512)], 2**16),
    gnu_long(LONG) + member(LONG[:100], b"long"),
    pax(("path", LONGER)) + member("cut", b"longer"),
    member("n" * 99, b"x", prefix="p" * 155),
    pax(("path", "café/ключ")) + member("caf/", b"key"),
    member(b"latin/caf\xe9", b"latin"),
)
CHANGE = tar(
    folder("etc/"),
    member("etc/passwd", b"root\nme\n", mode=0o600, uid=1000, gid=1000),
    member("etc/.wh.shadow"),
    folder("var/cache/"),
    member("var/cache/.wh..wh..opq"),
    member("var/cache/two", b"22"),
    member("var/log", b"a file now\n"),
    folder("tmp/", 0o700),
    member("usr/bin/su", b"other"),
    member("new/implied/file", b"new"),
    pax(("path", "café/.wh.ключ")) + member("caf/.wh."),
)
TOP = tar(
    member("sparse/gnu", b"dense"),
    member(".wh.longer"),
    folder("var/log/"),
    member("var/log/again", b"log"),
    folder("bin/"),
    member("bin/sh", b"sh", mode=0o755),
    header("etc/mtab", kind=b"2", link="/proc/mounts"),
)
EMPTY = tar()
IMAGE = Image(OLD_SPARSE + BASE, CHANGE, EMPTY, TOP, EMPTY)
FOR_ENGINES = Image(BASE, CHANGE, EMPTY, TOP, EMPTY)


WHOLE = {"gzip": gzipped, "zstd": zstd}
WAYS = [
    *FORMS,
    *(f"{form}, as a directory" for form in FORMS if "OCI" in form),
    *(f"{form}, all in {packed}" for form in ("old docker save", "containerd's save") for packed in WHOLE),
]


@pytest.fixture(scope="module", params=WAYS)
def found(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Analysis:
    """What is found in one form of the image."""
    form = request.param.removesuffix(", as a directory")
    form, _, packed = form.partition(", all in ")
    place = write_form(form, IMAGE, tmp_path_factory.mktemp("form") / "image", directory="directory" in request.param)
    if packed:
        place.write_bytes(WHOLE[packed](place.read_bytes()))
    return analyse_file(place)


def test_the_tree_is_right_at_every_layer(found: Analysis) -> None:
    """Paths, kinds, sizes, modes, owners, targets, and which layer gives each."""
    for depth, (tree, _) in enumerate(lay_layers(list(IMAGE.layers))):
        assert describe(tree) == describe(found.tree(depth))


def test_the_changes_are_right_in_every_layer(found: Analysis) -> None:
    """Added, modified, deleted: path, kind and bytes."""
    for layer, (_, changes) in zip(found.layers, lay_layers(list(IMAGE.layers)), strict=True):
        assert changes == {tuple(change) for change in layer.changes}
        assert sorted(layer.changes) == list(layer.changes)
        assert len(changes) == layer.added + layer.modified + layer.deleted


def test_ids_and_sizes_are_those_of_the_bytes(found: Analysis) -> None:
    """The ids are computed from the layers, and a lost byte is counted once."""
    sizes = [sum(place.size_bytes for place in read_layer(each, 0)[0].values()) for each in IMAGE.layers]

    assert [digest(layer) for layer in IMAGE.layers] == [layer.diff_id for layer in found.layers]
    assert digest(IMAGE.config) == found.image_id
    assert sizes == [layer.size_bytes for layer in found.layers]
    assert sum(sizes) - found.wasted_bytes == sum(n.size_bytes for n in found.tree(len(found.layers) - 1).values())


def test_what_a_layer_was_made_by_is_in_the_history(found: Analysis) -> None:
    """A line of the history that made no layer is passed over."""
    assert [f"COPY {number} /" for number in range(5)] == [layer.created_by for layer in found.layers]
    assert ("amd64", NAME) == (found.architecture, found.name.removeprefix("docker.io/"))
