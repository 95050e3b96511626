"""Does a file of /proc come out as values, whatever names are in it?"""

import os
import subprocess
from pathlib import Path

import pytest

from labkit.linux import proc


def test_this_process() -> None:
    """What the kernel says of this process is what Python says of it."""
    stat = proc.read_stat("self")

    assert stat is not None
    assert (os.getpid(), os.getppid(), os.getpgrp(), os.getsid(0)) == (stat.pid, stat.ppid, stat.pgrp, stat.session)
    assert stat.comm == proc.read_comm("self")
    assert os.getpid() in proc.pids()


def test_a_process_that_ended() -> None:
    """It gives nothing; while nobody has waited for it, it is a zombie."""
    ended = subprocess.Popen(["true"])
    os.waitid(os.P_PID, ended.pid, os.WEXITED | os.WNOWAIT)
    zombie = proc.read_stat(ended.pid)
    assert zombie is not None
    assert ("true", "Z") == (zombie.comm, zombie.state)
    ended.wait()

    assert proc.read_stat(ended.pid) is None
    assert "" == proc.read_comm(ended.pid)


@pytest.mark.parametrize("name", ["a) R 1 (b", ")", " ", "x\ny"])
def test_a_name_that_looks_like_more(name: str) -> None:
    """The name ends at the last bracket."""
    stat = proc.parse_stat(f"7 ({name}) S 1 2 3 " + "0 " * 15 + "99 0 0")

    assert (7, name, "S", 1, 2, 3, 99) == stat


@pytest.mark.parametrize("text", ["", "7", "7 (a) S 1", "x (a) " + "0 " * 30])
def test_another_text_is_no_stat(text: str) -> None:
    """A text that was cut off, or is another, is an error."""
    with pytest.raises(ValueError):
        proc.parse_stat(text)


def test_the_name_of_a_mount_may_be_any_bytes() -> None:
    """Spaces and line ends are octal in the file; bytes that are not UTF-8 come through."""
    mount = proc.parse_mount(b"36 35 98:0 /a\\012b /c\\040\xff rw shared:1 - ext4 /dev/sd\\134a rw")

    assert ("/a\nb", "/c \udcff", "ext4", "rw") == mount
    with pytest.raises(ValueError):
        proc.parse_mount(b"36 35 98:0 / /")


def test_the_groups_of_both_versions() -> None:
    """A hierarchy of version 2 has no controllers, a named one of version 1 has its name as one."""
    assert (0, (), "/a:b") == proc.parse_membership("0::/a:b")
    assert (1, ("name=systemd",), "/") == proc.parse_membership("1:name=systemd:/")
    assert any(mount.point == "/proc" for mount in proc.read_mounts())
    assert proc.read_memberships()


def test_who_has_a_pipe_open_and_for_what() -> None:
    """Each program at its end; a pipe that is gone has nobody."""
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as cat:
        assert cat.stdin is not None
        name = os.readlink(f"/proc/self/fd/{cat.stdin.fileno()}")

        found = proc.read_openers(name)
        cat.stdin.close()

    assert {"cat": "read", proc.read_comm("self"): "write"} == found
    assert {} == proc.read_openers(name)


def test_who_only_knows_a_place_has_it_not_open(tmp_path: Path) -> None:
    """O_PATH gives neither reading nor writing; somebody who may do both is found with both."""
    place = tmp_path / "file"
    descriptor = os.open(place, os.O_RDWR | os.O_CREAT)
    assert {proc.read_comm("self"): "read and write"} == proc.read_openers(str(place))
    os.close(descriptor)

    descriptor = os.open(place, os.O_PATH)
    assert {} == proc.read_openers(str(place))
    os.close(descriptor)
