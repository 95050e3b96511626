"""What does a machine's kernel do with overlays? Run in a machine; prints a line "NAME<tab>trouble" for each fact.

Each function is a fact that the union view and lesson 06 stand on: it asserts. No trouble is an empty one.
"""

import os
from pathlib import Path

from labkit.errors import LabError
from labkit.images.overlay import Overlay, row_of
from labkit.images.union import (
    Files,
    Union,
    find_mount,
    mount_overlay,
    open_union,
    read_entry,
    read_overlays,
    read_root,
    unmount_below,
)
from labkit.linux.proc import read_mounts
from labkit.linux.syscalls import mount
from labkit.shell import sh
from tests.machine.facts import main, named

__all__ = ["FACTS", "main"]

FILES: Files = {
    "big": bytes(3_000_000),
    "note": "below\n",
    "same": Path("note"),
    "app/old": "x\n",
    "app/deep/er": "y\n",
    "empty/": "",
}


def state_of(union: Union, path: str) -> str:
    row = row_of(union.read(), path)
    return row.state if row else "nowhere"


def copy_up_copies_whole_files() -> None:
    """An append of five bytes, and a change of the mode, copy all; the copy says that it is one."""
    union = open_union(FILES)
    assert union.read().upper == (), "upper is not empty at first"
    for act, size in (("append", 3_000_005), ("chmod", 3_000_005)):
        assert union.act(act, "big").refusal == ""
        copy = read_entry(union.overlay.upper, "big")
        assert copy is not None and (copy.size_bytes, copy.has_origin) == (size, True), copy
    assert read_entry(union.overlay.lower[0], "big").size_bytes == 3_000_000  # type: ignore[union-attr]
    assert state_of(union, "big") == "covers"


def a_delete_leaves_a_whiteout() -> None:
    """Of a file, of a directory with all that is in it, and in the place of a copy."""
    union = open_union(FILES)
    union.act("append", "note")
    for path in ("note", "app", "big"):
        assert union.act("delete", path).refusal == ""
        assert state_of(union, path) == "whiteout", path
    found = os.lstat(f"{union.overlay.upper}/big")
    assert (found.st_mode & 0o170000, found.st_rdev) == (0o020000, 0), "no character device 0, 0"
    assert state_of(union, "app/deep/er") == "hidden"
    assert {entry.path for entry in union.read().merged} == {"same", "empty"}


def a_directory_made_anew_is_opaque() -> None:
    """Nothing of the one below is seen in it; one that lies in upper alone needs no mark."""
    union = open_union(FILES)
    union.act("mkdir over", "app")
    assert (state_of(union, "app"), state_of(union, "app/old")) == ("opaque", "hidden")
    assert os.listdir(union.merged / "app") == []


def a_directory_of_lower_is_not_renamed() -> None:
    """EXDEV; mv copies its files, and a file is renamed by a copy and a whiteout."""
    union = open_union(FILES)
    assert union.act("rename", "app").refusal.startswith("EXDEV")
    assert union.read().upper == (), "the refusal has left something"
    assert union.act("mv", "app").refusal == ""
    assert (state_of(union, "app"), state_of(union, "app.new/deep/er")) == ("whiteout", "new")
    assert (renamed := union.act("rename", "big")).refusal == ""
    assert (renamed.path, renamed.is_new) == ("big.new", False), renamed
    assert union.act("append", "fresh").is_new
    assert (state_of(union, "big"), state_of(union, "big.new")) == ("whiteout", "new")
    copy = read_entry(union.overlay.upper, "big.new")
    assert copy is not None and copy.has_origin, copy


def a_copy_up_breaks_hard_links() -> None:
    """Two names of one file below are two files after one of them was written; a new link is one of upper."""
    union = open_union(FILES)
    names = (union.merged / "note", union.merged / "same")
    assert os.path.samefile(*names)
    union.act("append", "note")
    assert not os.path.samefile(*names)
    assert names[1].read_text() == "below\n"
    assert union.act("link", "note").refusal == ""
    entry = read_entry(union.overlay.upper, "note.link")
    assert entry is not None and entry.names == 2, entry


def an_open_file_follows_the_copy() -> None:
    """What was opened for reading before the copy-up reads what was written after it."""
    union = open_union(FILES)
    with (union.merged / "note").open() as reader:
        union.act("append", "note")
        assert reader.read() == "below\nmore\n"


def what_the_kernel_refuses_is_told() -> None:
    """Its own word, and nothing has happened; a path that leads out is no path."""
    union = open_union(FILES)
    assert union.act("append", "app").refusal.startswith("EISDIR")
    assert union.act("delete", "nothing").refusal.startswith("ENOENT")
    for path in ("../lower/big", "/etc/passwd", ""):
        try:
            union.act("delete", path)
        except ValueError:
            continue
        raise AssertionError(f"{path!r} was taken")
    assert union.read().upper == ()


def a_whiteout_by_hand_hides() -> None:
    """mknod c 0 0 in upper before the mount; a relative name, a colon in a name, and two lower directories."""
    place = Path("/run/hands:on")
    for name in ("low:1", "low2", "upper", "work", "merged"):
        (place / name).mkdir(parents=True)
    (place / "low:1/a").write_text("one\n")
    (place / "low2/a").write_text("two\n")
    (place / "low2/b").write_text("two\n")
    os.mknod(place / "upper/b", 0o020000, 0)
    lower = tuple(str(place / name) for name in ("low:1", "low2"))
    overlay = Overlay(lower, *(str(place / name) for name in ("upper", "work", "merged")))
    with mount_overlay(overlay):
        assert read_overlays()[-1] == overlay, read_overlays()[-1]
        assert os.listdir(overlay.merged) == ["a"]
        assert Path(overlay.merged, "a").read_text() == "one\n"
    assert find_mount(overlay) == ""


def a_third_overlay_is_refused() -> None:
    """In words: lower directories on the machine's root are on an overlay, and one more above is too deep."""
    for name in ("lower", "upper", "work", "merged", "top"):
        Path("/opt/deep", name).mkdir(parents=True)
    Path("/run/deep/upper").mkdir(parents=True)
    Path("/run/deep/work").mkdir()
    second = Overlay(("/opt/deep/lower",), "/run/deep/upper", "/run/deep/work", "/opt/deep/merged")
    with mount_overlay(second):
        try:
            mount_overlay(Overlay(("/opt/deep/merged", "/opt/deep/lower"), "", "", "/opt/deep/top"))
        except LabError as error:
            assert "two deep at most" in str(error), error
        else:
            raise AssertionError("a third overlay was mounted")
    for missing in (second._replace(lower=("/opt/nowhere",)), second._replace(work="/opt/nowhere")):
        try:
            mount_overlay(missing)
        except LabError as error:
            assert "there is no /opt/nowhere" in str(error), error
        else:
            raise AssertionError("an overlay without a lower or a work directory was mounted")


def closing_leaves_nothing() -> None:
    """No mount and no directory, also where a program is still in it, and where making it failed half way."""
    before = read_mounts()
    union = open_union(FILES, Path("/run/closing"))
    inside = os.open(union.merged, os.O_RDONLY)
    union.close()
    union.close()
    os.close(inside)
    assert (read_mounts(), Path("/run/closing").exists()) == (before, False)
    try:
        open_union({"a/b": "", "a": ""}, Path("/run/closing"))
    except OSError:
        pass
    else:
        raise AssertionError("a file was written in the place of a directory")
    assert (read_mounts(), Path("/run/closing").exists()) == (before, False)
    first = open_union(FILES, Path("/run/closing"))
    open_union(FILES, Path("/run/closing")).close()
    assert (first.is_mounted, read_mounts()) == (False, before)


def all_below_a_directory_is_unmounted() -> None:
    """Also where one lies on another, and nothing else is."""
    before = read_mounts()
    Path("/run/below/one").mkdir(parents=True)
    for _ in range(2):
        mount("tmpfs", "/run/below/one", "tmpfs")
    Path("/run/below/one/two").mkdir()
    mount("tmpfs", "/run/below/one/two", "tmpfs")
    unmount_below("/run/below")
    assert read_mounts() == before


def a_containers_root_is_found() -> None:
    """Mounted by the start, not by create; the stop unmounts it, and keeps the write layer; rm removes that, too."""
    sh("docker create --name box busybox sleep 600")
    created = read_overlays()
    sh("docker start box")
    root = read_root(sh("docker inspect --format '{{.State.Pid}}' box").out.strip())
    assert len(read_overlays()) == len(created) + 1
    assert root.merged and os.path.samefile(f"{root.merged}/bin", f"{root.lower[-1]}/bin") is False
    sh("docker exec box sh -c 'echo hello > /new; rm /bin/vi'")
    kinds = [entry.kind for path in ("new", "bin/vi") if (entry := read_entry(root.upper, path))]
    assert kinds == ["file", "whiteout"], kinds
    sh("docker stop -t 1 box")
    assert (find_mount(root), os.path.exists(root.merged), os.path.exists(root.upper)) == ("", False, True)
    sh("docker rm box")
    assert not os.path.exists(root.upper)
    try:
        read_root(2**22)
    except LabError as error:
        assert "no process" in str(error)


FACTS = named(
    copy_up_copies_whole_files,
    a_delete_leaves_a_whiteout,
    a_directory_made_anew_is_opaque,
    a_directory_of_lower_is_not_renamed,
    a_copy_up_breaks_hard_links,
    an_open_file_follows_the_copy,
    what_the_kernel_refuses_is_told,
    a_whiteout_by_hand_hides,
    a_third_overlay_is_refused,
    closing_leaves_nothing,
    all_below_a_directory_is_unmounted,
    a_containers_root_is_found,
)

if __name__ == "__main__":
    main(FACTS)
