"""What if the place that is named is no plain archive: a directory with traps, a pipe, a device, nothing?"""

import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from labkit.errors import ImageError
from labkit.images.archives import analyse_file
from tests.hostile.cases import ESCAPE, SECRET
from tests.hostile.images import Image, digest, write_form
from tests.hostile.limited import labkit_layers
from tests.hostile.tars import member, tar

LAYER = tar(member("etc/motd", b"hello\n"))
FORM = "OCI layout, plain"
BLOB = f"blobs/sha256/{digest(LAYER)[7:]}"


@pytest.fixture
def layout(tmp_path: Path) -> Path:
    """An OCI layout that is good, as a directory, and beside it a file that nobody may read."""
    (tmp_path / SECRET).write_bytes(LAYER)
    return write_form(FORM, Image(LAYER), tmp_path / "layout", directory=True)


def pipe(place: Path) -> None:
    place.unlink()
    os.mkfifo(place)


def lead_out(place: Path) -> None:
    place.unlink()
    place.symlink_to(f"../../../{SECRET}")


def circle(place: Path) -> None:
    place.unlink()
    place.symlink_to(place.name)


def folder(place: Path) -> None:
    place.unlink()
    place.mkdir()


def zeros(place: Path) -> None:
    place.unlink()
    place.symlink_to("/dev/zero")


@pytest.mark.parametrize("where", ["index.json", "oci-layout", BLOB], ids=["index.json", "oci-layout", "a layer"])
@pytest.mark.parametrize("trap", [pipe, circle, folder, zeros], ids=lambda trap: trap.__name__)
def test_a_layout_with_a_trap_is_refused(layout: Path, trap: Callable[[Path], None], where: str) -> None:
    """A pipe that nobody writes to, a link to itself, a directory, a device without end: none is waited for or read."""
    trap(layout / where)

    ran = labkit_layers(layout, limit_bytes=400 * 2**20, patience_s=20)

    if where == "oci-layout":  # it need not be read
        assert ran.status == 0 or 1 == ran.error.count("\n")
    else:
        assert ran.status > 0 and "" == ran.out
        assert 1 == ran.error.count("\n") and Path(where).name[:12] in ran.error, ran.error[-2000:]


def test_a_layout_whose_blob_is_a_link_out_is_not_followed(layout: Path) -> None:
    """Though the bytes there are the right ones: who gives a layout away does not choose what is read of a computer."""
    lead_out(layout / BLOB)

    with pytest.raises(ImageError, match="layer 1|sha256"):
        analyse_file(layout)


def test_a_layout_may_lie_behind_a_link(layout: Path, tmp_path: Path) -> None:
    """The person who names the place chooses it; this is the benign twin."""
    (tmp_path / "link").symlink_to(layout)

    assert 1 == len(analyse_file(tmp_path / "link").layers)


@pytest.mark.parametrize("named", ["/dev/zero", "/dev/null", "/dev/tty", "/proc/self/mem"])
def test_a_device_is_refused(named: str) -> None:
    """In one line, and at once."""
    ran = labkit_layers(named, limit_bytes=400 * 2**20, patience_s=20)

    assert ran.status > 0 and "" == ran.out
    assert 1 == ran.error.count("\n") and Path(named).name in ran.error, ran.error[-2000:]


@pytest.mark.parametrize("form", ["old docker save", "containerd's save"])
def test_a_pipe_is_read(form: str, tmp_path: Path) -> None:
    """What comes through a pipe gives what the file gives; the person who names the pipe chooses it."""
    place = write_form(form, Image(LAYER), tmp_path / "image.tar")
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=lambda: (tmp_path / "pipe").write_bytes(place.read_bytes()))
    writer.start()

    found = analyse_file(tmp_path / "pipe")

    writer.join()
    assert found.layers == analyse_file(place).layers


def test_a_directory_of_nothing_is_refused(tmp_path: Path) -> None:
    """It is no layout, and says so."""
    (tmp_path / "empty").mkdir()

    with pytest.raises(ImageError, match=r"oci-layout|index\.json"):
        analyse_file(tmp_path / "empty")


@pytest.mark.parametrize("locale", ["C.UTF-8", "C"])
def test_no_name_is_shown_raw_whatever_the_terminal(layout: Path, tmp_path: Path, locale: str) -> None:
    """An escape code in the name of the archive itself, and a letter that the terminal cannot show."""
    place = tmp_path / f"é{ESCAPE}"
    image = Image(tar(member(f"café{ESCAPE}", b"x")), tar(member("caf\udce9", b"x")))
    write_form("old docker save", image, place)
    plain: dict[str, Any] = {"LC_ALL": locale, "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}

    for options in [], ["--json"]:
        good = labkit_layers(place, *options, **plain)
        shutil.copy(place, bad := tmp_path / f"é{ESCAPE}.cut")
        os.truncate(bad, 700)
        refused = labkit_layers(bad, *options, **plain)

        assert (0, "") == (good.status, good.error)
        assert ESCAPE not in good.out + refused.error
        assert refused.status > 0 and 1 == refused.error.count("\n"), refused.error[-2000:]
