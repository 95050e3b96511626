"""What do bombs cost, and archives of very many entries? No more memory and time than is written here.

Each runs as a learner runs it, in a process that may have little memory. The sizes are those that still show how the
cost grows; LABKIT_HOSTILE_ENTRIES=1000000 takes a million entries.
"""

import gzip
import hashlib
import json
import os
import sys
from contextlib import nullcontext
from pathlib import Path

import pytest
from backports import zstd as zstandard

from labkit.errors import ImageError
from labkit.images import compression
from labkit.images.archives import analyse_file
from labkit.images.content import Content
from tests.hostile.images import OCI, Blobs, build_config, build_manifest, layout
from tests.hostile.limited import labkit_layers, run_limited
from tests.hostile.tars import END, header, member, tar

MIB = 2**20
ENTRIES = int(os.environ.get("LABKIT_HOSTILE_ENTRIES", 100_000))
BYTES_AN_ENTRY = 700  # a path, a node, its place in a directory, and a change
BASE_BYTES = 60 * MIB  # Python, what labkit imports, and buffers
SECONDS_AN_ENTRY = 60e-6
CHUNK = 16 * MIB


def write_bomb(place: Path, kind: str, size: int) -> None:
    """Write an OCI layout with one layer that holds a file of `size` zeros, compressed a thousand times or more."""
    assert size % CHUNK == 0
    compress = (lambda data: gzip.compress(data, mtime=0)) if kind == "gzip" else zstandard.compress
    zeros = compress(bytes(CHUNK))
    head = header("zeros", size=size)
    diff_id = hashlib.sha256(head)
    for _ in range(size // CHUNK):
        diff_id.update(bytes(CHUNK))
    diff_id.update(END)
    packed = compress(head) + zeros * (size // CHUNK) + compress(END)
    config = build_config([], rootfs={"type": "layers", "diff_ids": [f"sha256:{diff_id.hexdigest()}"]})
    write_layout(place, config, packed, f"+{kind}")


def write_layout(place: Path, config: bytes, packed: bytes, suffix: str) -> None:
    blobs = Blobs()
    layer = blobs.add(packed, f"{OCI}.layer.v1.tar{suffix}")
    manifest = blobs.add(build_manifest(blobs.add(config, f"{OCI}.config.v1+json"), [layer]), f"{OCI}.manifest.v1+json")
    with place.open("wb") as out:
        for name, data in layout(blobs, manifest).items():
            out.write(member(name, data))
        out.write(END)


@pytest.mark.parametrize("kind", ["gzip", "zstd"])
def test_a_bomb_costs_no_memory(kind: str, tmp_path: Path) -> None:
    """A layer of a thousand times its bytes is read in a stream: with twice the zeros the memory is the same."""
    peaks = []
    for size in 64 * MIB, 128 * MIB:
        write_bomb(tmp_path / "bomb.tar", kind, size)
        assert (tmp_path / "bomb.tar").stat().st_size < size // 200

        ran = labkit_layers(tmp_path / "bomb.tar", "--json")

        assert (0, "") == (ran.status, ran.error)
        assert size == json.loads(ran.out)["layers"][0]["size_bytes"]
        peaks.append(ran.peak_bytes)
    assert max(peaks) < BASE_BYTES
    assert abs(peaks[1] - peaks[0]) < 8 * MIB


@pytest.mark.parametrize("kind", ["gzip", "zstd"])
def test_a_layer_in_very_many_pieces_is_refused(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each piece costs time, though it may hold nothing: so many are read, and no more."""
    monkeypatch.setattr(compression, "MOST_MEMBERS", 1000)
    layer = tar(member("f", b"x"))
    pack = gzip.compress if kind == "gzip" else zstandard.compress
    for count, is_refused in (998, False), (1001, True):
        write_layout(tmp_path / "image.tar", build_config([layer]), pack(b"") * count + pack(layer), f"+{kind}")

        with pytest.raises(ImageError, match="layer 1.*pieces") if is_refused else nullcontext():
            analyse_file(tmp_path / "image.tar")


def write_entries(place: Path, count: int, *, packed: bool) -> None:
    """Write an image with a layer of `count` empty files, a thousand in a directory."""
    diff_id, blocks = hashlib.sha256(), []
    for number in range(count):
        blocks.append(header_of(f"d{number // 1000:07}/f{number:012}".encode()))
    layer = b"".join(blocks) + END
    diff_id.update(layer)
    config = build_config([], rootfs={"type": "layers", "diff_ids": [f"sha256:{diff_id.hexdigest()}"]})
    write_layout(place, config, gzip.compress(layer, 1) if packed else layer, "+gzip" if packed else "")


TEMPLATE = header("")


def header_of(name: bytes) -> bytes:
    """Give the header of an empty file, quicker than tars.header."""
    total = int(TEMPLATE[148:154], 8) + sum(name)
    return name.ljust(100, b"\0") + TEMPLATE[100:148] + b"%06o\0 " % total + TEMPLATE[156:]


def test_the_quick_header_is_the_right_one() -> None:
    """It has the check sum that the slow one has."""
    assert header("d/f") == header_of(b"d/f")


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
def test_very_many_entries_cost_what_they_are(packed: bool, tmp_path: Path) -> None:
    """Memory and time grow with the entries, by no more than so much an entry."""
    write_entries(tmp_path / "many.tar", ENTRIES, packed=packed)
    limit = BASE_BYTES + BYTES_AN_ENTRY * ENTRIES

    ran = labkit_layers(tmp_path / "many.tar", "--json", limit_bytes=limit + 500 * MIB)

    assert (0, "") == (ran.status, ran.error)
    assert ENTRIES <= json.loads(ran.out)["layers"][0]["added"]
    assert ran.peak_bytes < limit
    assert ran.seconds < 10 + SECONDS_AN_ENTRY * ENTRIES


def test_long_names_of_directories_that_no_entry_gives_are_bounded(tmp_path: Path) -> None:
    """A name of 4 KB stands for two thousand directories, so an archive of a megabyte for a million of them."""
    names = [f"{number:04}/" + "d/" * 2040 + "f" for number in range(1500)]
    layer = tar(*(member("././@LongLink", name.encode() + b"\0", kind=b"L") + member("f") for name in names))
    write_layout(tmp_path / "deep.tar", build_config([layer]), gzip.compress(layer), "+gzip")

    ran = labkit_layers(tmp_path / "deep.tar", limit_bytes=512 * MIB)

    assert ran.status > 0 and "" == ran.out
    assert 1 == ran.error.count("\n") and "layer 1, entry" in ran.error, ran.error[-2000:]
    assert ran.peak_bytes < 450 * MIB


def test_directories_that_no_entry_gives_count_as_entries() -> None:
    """Two files, each three directories deep, are eight entries, and no more than so many are taken."""
    names = [f"{top}/b/c/f" for top in "ad"]
    entries = [(name, "file", 0, 0o644, 0, 0, "", 0, 0) for name in names]
    Content().take(entries, 8)

    with pytest.raises(ValueError, match="entries"):
        Content().take(entries, 7)


SHORT_OF_MEMORY = """
import resource, sys
from pathlib import Path
import labkit.images.archives, labkit.show.layers
from labkit.cli import main
taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (taken + int(sys.argv[2]),) * 2)
sys.exit(main(["layers", sys.argv[1]]))
"""


def test_memory_that_runs_out_is_said_in_one_line(tmp_path: Path) -> None:
    """A computer that has too little for an honest archive gets no traceback."""
    write_entries(tmp_path / "many.tar", 60_000, packed=False)
    program = [sys.executable, "-c", SHORT_OF_MEMORY, str(tmp_path / "many.tar")]

    *short, enough = (
        run_limited([*program, str(size * MIB)], limit_bytes=2**30, patience_s=60) for size in (2, 10, 12, 18, 24, 300)
    )

    assert (0, "") == (enough.status, enough.error)
    for few in short:
        assert few.status > 0 and "" == few.out
        assert 1 == few.error.count("\n") and "many.tar: " in few.error and "memory" in few.error, few.error[-2000:]


def test_the_peak_is_that_of_the_program() -> None:
    """The figure that the tests above stand on counts the memory of the child, and not that of the tests."""
    mine = bytearray(300 * MIB)

    small, large = (
        run_limited([sys.executable, "-c", f"bytearray({size})"], limit_bytes=2**30, patience_s=60).peak_bytes
        for size in (0, 100 * MIB)
    )

    assert len(mine) > small and 90 * MIB < large - small < 110 * MIB


def test_a_program_over_its_limit_fails() -> None:
    """The limit of the tests above is kept."""
    ran = run_limited([sys.executable, "-c", "bytearray(2**30)"], limit_bytes=2**29, patience_s=60)

    assert 1 == ran.status and "MemoryError" in ran.error
