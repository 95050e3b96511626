"""What comes of an archive that is cut short? The same answer, if nothing of the image is missing, or an error."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from labkit.errors import ImageError
from labkit.images.archives import analyse_file
from labkit.images.layers import Analysis
from tests.hostile.images import FORMS, Image, archive, gzipped, old_save, zstd
from tests.hostile.tars import END, gnu_long, gnu_sparse, header, member, pax, tar

BLOCK = 512
LAYER = tar(
    header("etc/", kind=b"5"),
    pax(("path", "etc/motd")) + member("x", b"m" * 700),
    gnu_long("l" * 120) + member("l", b"x"),
    gnu_sparse("s", [(0, b"s" * 512)], 2**20, extended=1),
)
IMAGE = Image(LAYER, tar(member("etc/.wh.motd"), member("top", b"t")))


def cuts(size: int) -> Iterator[int]:
    """Every block, and odd places within the first, the middle and the last blocks."""
    yield from range(0, size, BLOCK)
    for block in (0, size // 2 // BLOCK, size // BLOCK - 1):
        yield from (block * BLOCK + odd for odd in (1, 100, 257, 511))


def what(found: Analysis) -> object:
    return found.image_id, found.layers, found.wasted


WHOLE = {form: archive(build(IMAGE)) for form, build in FORMS.items()}
WHOLE |= {"all in gzip": gzipped(WHOLE["old docker save"]), "all in zstd": zstd(WHOLE["old docker save"])}


@pytest.mark.parametrize("form", WHOLE)
def test_an_archive_that_is_cut_gives_no_wrong_answer(form: str, tmp_path: Path) -> None:
    """At every place the answer is that of the whole archive, or an error of one line."""
    whole = WHOLE[form]
    place = tmp_path / "image.tar"
    place.write_bytes(whole)
    right = what(analyse_file(place))
    places = list(range(0, len(whole), 7) if form.startswith("all in") else cuts(len(whole)))
    answers = 0
    for cut in places:
        place.write_bytes(whole[:cut])
        try:
            found = what(analyse_file(place))
        except ImageError as error:
            assert "\n" not in str(error)
        else:
            answers += 1
            assert right == found, f"cut after {cut} bytes"

    assert answers <= 10  # cuts in the zeros at the end, and in check sums after them


def test_a_layer_that_is_cut_gives_no_more_than_was_there(tmp_path: Path) -> None:
    """A layer whose digest is that of the rest: an error, or what stands before the cut."""
    place = tmp_path / "image.tar"
    place.write_bytes(archive(old_save(Image(LAYER))))
    whole = analyse_file(place).tree(0)
    for cut in cuts(len(LAYER)):
        place.write_bytes(archive(old_save(Image(LAYER[:cut]))))
        try:
            tree = analyse_file(place).tree(0)
        except ImageError as error:
            assert "layer 1" in str(error)
        else:
            assert tree.items() <= whole.items(), f"cut after {cut} bytes"
            assert cut % BLOCK == 0 or cut > len(LAYER) - len(END)
