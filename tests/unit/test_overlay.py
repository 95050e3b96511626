"""Are the directories of an overlay read and compared as the kernel means them?"""

import os
import stat

import pytest

from labkit.images.overlay import (
    Directories,
    Entry,
    Overlay,
    changed_paths,
    classify,
    parse_overlay,
    row_of,
    rows_of,
    total_bytes,
)
from labkit.linux.proc import Mount, parse_mount


def found(mode: int, *, device: int = 0, names: int = 1, size: int = 0) -> os.stat_result:
    """What lstat(2) gives, with this mode, device number, number of names and size."""
    return os.stat_result((mode, 1, 1, names, 0, 0, size, 0, 0, 0), {"st_rdev": device})


def overlay_of(options: str) -> Overlay | None:
    return parse_overlay(Mount("/", "/m", "overlay", options))


def test_a_line_of_the_mount_table_names_the_directories() -> None:
    """The topmost lower directory is the first; what is no overlay gives nothing."""
    line = b"98 43 0:58 / /m rw shared:1 - overlay overlay rw,lowerdir=/b:/a,upperdir=/u,workdir=/w,uuid=on"

    assert Overlay(("/b", "/a"), "/u", "/w", "/m") == parse_overlay(parse_mount(line))
    assert parse_overlay(parse_mount(b"36 35 0:31 / /m rw - tmpfs none rw")) is None


def test_names_with_colons_commas_and_spaces_come_through() -> None:
    """A colon in a name has a backslash, and the kernel writes that one, commas and spaces in octal."""
    overlay = overlay_of(r"rw,lowerdir=/a\134:b\054\040c:/d,upperdir=/u\075")

    assert overlay is not None
    assert (("/a:b, c", "/d"), "/u=", "") == overlay[:3]


def test_lower_directories_may_be_given_one_by_one() -> None:
    """Newer kernels take and show them so: lowerdir+."""
    assert Overlay(("/b", "/a:c"), "", "", "/m") == overlay_of("ro,lowerdir+=/b,lowerdir+=/a:c")


@pytest.mark.parametrize(
    ("mode", "device", "kind"),
    [
        (stat.S_IFCHR, 0, "whiteout"),
        (stat.S_IFCHR | 0o600, os.makedev(1, 3), "character device"),
        (stat.S_IFBLK, 0, "block device"),
        (stat.S_IFREG, 0, "file"),
        (stat.S_IFLNK, 0, "symlink"),
        (stat.S_IFIFO, 0, "fifo"),
    ],
)
def test_a_whiteout_is_a_character_device_of_number_zero(mode: int, device: int, kind: str) -> None:
    """And nothing else is: neither another device, nor a block device."""
    assert kind == classify("a", found(mode, device=device), {}).kind


def test_marks_are_read_from_extended_attributes() -> None:
    """Opaque needs the value y: x, which newer kernels set, says only that there are whiteouts of another form."""
    marks = {
        "trusted.overlay.origin": b"\x00\xfb",
        "trusted.overlay.redirect": b"/old",
        "trusted.overlay.metacopy": b"",
    }
    entry = classify("a", found(stat.S_IFDIR), {"trusted.overlay.opaque": b"y", **marks})

    assert (True, True, "/old", True) == entry[-4:]
    assert not classify("a", found(stat.S_IFDIR), {"trusted.overlay.opaque": b"x"}).is_opaque
    assert not classify("a", found(stat.S_IFDIR), {"user.overlay.opaque": b"y"}).is_opaque


def test_the_names_of_whiteouts_are_not_counted() -> None:
    """The kernel gives all whiteouts of an overlay one inode."""
    assert 1 == classify("a", found(stat.S_IFCHR, names=7), {}).names
    assert 7 == classify("a", found(stat.S_IFREG, names=7, size=3), {}).names


FILE, DIRECTORY = Entry("a", "file", 3), Entry("a", "directory")


@pytest.mark.parametrize(
    ("lower", "upper", "merged", "state"),
    [
        (FILE, None, FILE, "lower"),
        (FILE, None, None, "hidden"),
        (FILE, Entry("a", "whiteout"), None, "whiteout"),
        (None, FILE, FILE, "new"),
        (FILE, FILE, FILE, "covers"),
        (DIRECTORY, FILE, FILE, "covers"),
        (DIRECTORY, DIRECTORY, DIRECTORY, "merges"),
        (DIRECTORY, Entry("a", "directory", is_opaque=True), DIRECTORY, "opaque"),
    ],
)
def test_what_an_overlay_makes_of_a_path(
    lower: Entry | None, upper: Entry | None, merged: Entry | None, state: str
) -> None:
    """Each state from what lies in the directories."""
    parts = [(entry,) if entry else () for entry in (lower, upper, merged)]

    assert [state] == [row.state for row in rows_of(Directories((parts[0],), parts[1], parts[2]))]


def test_what_is_in_a_directory_follows_it() -> None:
    """`a.txt` sorts before `a/b` as text, and must not come between a directory and its content."""
    entries = tuple(Entry(path, "file") for path in ("a", "a.txt", "a/b"))

    assert ["a", "a/b", "a.txt"] == [row.path for row in rows_of(Directories((entries,), (), entries))]


def test_each_lower_directory_is_told() -> None:
    """The topmost has number 1, and the first place."""
    row = row_of(Directories(((FILE,), (), (DIRECTORY,)), (), (FILE,)), "a")

    assert row is not None
    assert ((1, FILE), (3, DIRECTORY)) == row.lower
    assert row_of(Directories(((FILE,),), (), ()), "b") is None


def test_what_has_changed_is_named() -> None:
    """A copy-up, a new path and a path that is gone; what is as it was is not."""
    before = Directories(((FILE, Entry("b", "file"), Entry("c", "file")),), (Entry("d", "file"),), ())
    now = before._replace(upper=(Entry("a", "file", 4), Entry("e", "file")))

    assert {"a", "d", "e"} == changed_paths(before, now)
    assert set() == changed_paths(now, now)
    assert 4 == total_bytes(now.upper)
