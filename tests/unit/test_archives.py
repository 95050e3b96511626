"""Is an archive that is damaged, lying or hostile refused with a sentence that says where?"""

import gzip
import hashlib
import io
import json
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pytest

from labkit.errors import ImageError
from labkit.images.archives import analyse_file
from labkit.images.compression import MOST_UNCHECKED, Inflated, compression_of
from labkit.images.paths import printable
from labkit.show.layers import layers_text

LABKIT = str(Path(sys.executable).with_name("labkit"))


def pack(files: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, data in files.items():
            about = tarfile.TarInfo(name)
            about.size = len(data)
            tar.addfile(about, io.BytesIO(data))
    return packed.getvalue()


def digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def saved(layers: list[bytes], **changed: object) -> bytes:
    """An archive as docker save of 20.10 writes it."""
    return saved_as(layers, layers, **changed)


def saved_as(layers: list[bytes], stored: list[bytes], **changed: object) -> bytes:
    """The same; `stored` are the layers as they lie in it."""
    config = json.dumps({"architecture": "amd64", "rootfs": {"diff_ids": [digest(each) for each in layers]}}).encode()
    names = [f"{number}/layer.tar" for number in range(len(layers))]
    manifest = {"Config": f"{digest(config)[7:]}.json", "RepoTags": ["a:1"], "Layers": names} | changed
    documents = {str(manifest["Config"]): config, "manifest.json": json.dumps([manifest]).encode()}
    return pack(dict(zip(names, stored, strict=True)) | documents)


def layout(place: Path, index: object, *blobs: bytes) -> Path:
    folder = place / "blobs/sha256"
    folder.mkdir(parents=True)
    for data in blobs:
        (folder / digest(data)[7:]).write_bytes(data)
    (place / "index.json").write_text(json.dumps(index))
    return place


def point_to(data: bytes) -> dict[str, object]:
    return {"digest": digest(data), "size": len(data)}


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """An archive of one layer with two files."""
    path = tmp_path / "image.tar"
    path.write_bytes(saved([pack({"etc/a": b"a" * 700, "b": b"b"})]))
    return path


def test_a_whole_archive_is_read(archive: Path) -> None:
    """The twin of all that follows."""
    found = analyse_file(archive)

    assert ("a:1", 701, ["b", "etc", "etc/a"]) == (found.name, found.layers[0].size_bytes, list(found.tree(0)))


def test_cut_off_anywhere_it_is_refused_or_right(archive: Path) -> None:
    """Only the end mark, and what fills the last block up, may be missing."""
    whole, said = archive.read_bytes(), 0
    expected = analyse_file(archive).layers
    for end in range(0, len(whole), 256):
        archive.write_bytes(whole[:end])
        try:
            assert expected == analyse_file(archive).layers, end
        except ImageError as error:
            said += 1
            assert str(error).startswith(("image.tar: ", "entry ", "layer ", "manifest.json")), str(error)
    assert said > 10


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        (
            {"Layers": ["../../etc/shadow"]},
            "manifest.json of image.tar: the name ../../etc/shadow leads out of the image",
        ),
        ({"Layers": ["/etc/shadow"]}, "etc/shadow is named, and is not there"),
        ({"Layers": ["0/layer.tar"] * 2}, "it names 1 layers, and the manifest 2"),
        ({"Layers": "0/layer.tar"}, "without the names of its Config and its Layers"),
        ({"Config": "nosuch.json"}, None),
        ({"RepoTags": 7}, "RepoTags is no list"),
    ],
)
def test_a_manifest_that_lies_is_refused(archive: Path, changed: dict[str, object], words: str | None) -> None:
    """The sentence names the place and the thing."""
    archive.write_bytes(saved([pack({"a": b""})], **changed))
    if words is None:  # under another name the configuration is what it is
        assert "a:1" == analyse_file(archive).name
        return
    with pytest.raises(ImageError) as caught:
        analyse_file(archive)
    assert words in str(caught.value)


def test_a_layer_with_another_digest_is_refused(archive: Path) -> None:
    """Unless digests are not asked for."""
    archive.write_bytes(archive.read_bytes().replace(b"a" * 700, b"x" * 700))

    with pytest.raises(ImageError, match=r"layer 1 \(0/layer.tar\) of image.tar, as a tar: its bytes have the digest"):
        analyse_file(archive)
    assert 701 == analyse_file(archive, digests=False).layers[0].size_bytes


def test_an_index_that_is_too_deep_is_refused(tmp_path: Path) -> None:
    """A thousand indexes in each other take no longer than nine."""
    blobs = [b'{"manifests": []}']
    for _ in range(1000):
        blobs.append(json.dumps({"manifests": [point_to(blobs[-1])]}).encode())

    with pytest.raises(ImageError, match="more than 8 deep"):
        analyse_file(layout(tmp_path / "oci", {"manifests": [point_to(blobs[-1])]}, *blobs))


def test_json_that_is_too_deep_is_refused(tmp_path: Path) -> None:
    """Python's reader of JSON has a limit; it is no traceback."""
    place = layout(tmp_path / "oci", {})
    (place / "index.json").write_text("[" * 200_000)

    with pytest.raises(ImageError, match="nested too deep"):
        analyse_file(place)


def test_a_symlink_in_a_directory_is_not_followed(tmp_path: Path) -> None:
    """A blob that leads to a file of this computer is no blob."""
    place = layout(tmp_path / "oci", {"manifests": [{"digest": f"sha256:{'1' * 64}", "size": 1}]})
    (place / "blobs/sha256" / ("1" * 64)).symlink_to("/etc/passwd")

    with pytest.raises(ImageError, match="no symlink is followed"):
        analyse_file(place)


def test_a_name_that_no_file_can_have_is_not_there(tmp_path: Path) -> None:
    """A lone surrogate in JSON, where a directory is asked for it."""
    place = layout(tmp_path / "saved", {})
    (place / "manifest.json").write_text('[{"Config": "\\ud800.json", "Layers": []}]')

    with pytest.raises(ImageError, match="is named, and is not there"):
        analyse_file(place)


def test_a_digest_that_is_not_computed_is_refused(tmp_path: Path) -> None:
    """What cannot be compared is not passed over."""
    with pytest.raises(ImageError, match="is no sha256 digest"):
        analyse_file(layout(tmp_path / "oci", {"manifests": [{"digest": f"sha512:{'1' * 128}", "size": 1}]}))


def test_a_bomb_is_stopped(tmp_path: Path) -> None:
    """Three gigabytes of zeros in three megabytes: at the limit, in seconds."""
    piece = gzip.compress(bytes(2**26), 9)

    class Source:
        end = None

        def read_at(self, offset: int, size: int) -> bytes:
            return (piece * 2)[offset % len(piece) : offset % len(piece) + min(size, 4096)]

    began = time.monotonic()
    with pytest.raises(ValueError, match="labkit stops at"):
        Inflated(Source(), compression_of(piece)).finish()
    assert time.monotonic() - began < 60
    assert MOST_UNCHECKED == 2**30


def test_names_are_never_obeyed_by_the_terminal(archive: Path) -> None:
    """An escape code in a name is written out, in the report and in errors."""
    layers = [pack({"\x1b[31mred\nnext": b"12"}), pack({"\x1b[31mred\nnext": b"3"})]
    archive.write_bytes(saved(layers))
    text = layers_text(analyse_file(archive))

    assert "\\x1b[31mred\\x0anext" in text and "\x1b" not in text
    assert "\\x1b]0;x\\x07" == printable("\x1b]0;x\x07")


def test_the_report_fits_and_degrades(archive: Path) -> None:
    """100 columns, or those of the terminal, but 72 at least; and ASCII where the terminal has no more."""
    archive.write_bytes(saved([pack({"ü" * 150: b"1" * number}) for number in range(1, 30)]))
    found = analyse_file(archive)

    for columns, most in ((100, 100), (80, 80), (10, 72), (300, 100)):
        assert max(map(len, layers_text(found, columns=columns).splitlines())) <= most
    assert layers_text(found, is_utf8=False).isascii() and max(map(len, layers_text(found).splitlines())) <= 100


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        ([], 0, ""),
        (["--json"], 0, ""),
        (["--max-wasted", "1B"], 0, ""),
        (["--min-efficiency", "1.5"], 1, "the efficiency is 1.0000, less than 1.5"),
        (["--max-wasted", "much"], 2, "'much' is no size"),
        (["--name", "b:2"], 125, "no image b:2 (a:1)"),
    ],
)
def test_the_command_says_by_its_status_what_came_out(archive: Path, words: list[str], status: int, said: str) -> None:
    """And on stderr, in one line of its own."""
    done = subprocess.run([LABKIT, "layers", archive, *words], capture_output=True, text=True, check=False)

    assert (status, True) == (done.returncode, said in done.stderr), done.stderr
    if status in (0, 125):
        assert (status != 0) == len(done.stderr.splitlines())
    if words == ["--json"]:
        layer = json.loads(done.stdout)["layers"][0]
        assert (701, 3, 0, 0) == tuple(layer[key] for key in ("size_bytes", "added", "modified", "deleted"))


def test_a_stream_that_is_cut_off_is_refused(archive: Path) -> None:
    """An archive that is compressed as a whole: one line, wherever it ends, and the same answer where it does not."""
    expected = analyse_file(archive).layers
    whole = gzip.compress(archive.read_bytes())
    archive.write_bytes(whole)
    assert expected == analyse_file(archive).layers
    for end in range(0, len(whole), 7):
        archive.write_bytes(whole[:end])
        with pytest.raises(ImageError, match="image.tar: "):
            analyse_file(archive)


@pytest.mark.parametrize("content", [b"", b"text\n", b"\x1f\x8b\x08", b"BZh9", bytes(1024)], ids=repr)
def test_what_is_no_archive_is_refused_in_one_line(archive: Path, content: bytes) -> None:
    """An empty file, text, a cut gzip, bzip2, an empty tar."""
    archive.write_bytes(content)
    done = subprocess.run([LABKIT, "layers", archive], capture_output=True, text=True, check=False)

    assert (125, "", 1) == (done.returncode, done.stdout, len(done.stderr.splitlines())), done.stderr
    assert done.stderr.startswith("labkit: ") and "image.tar: " in done.stderr
