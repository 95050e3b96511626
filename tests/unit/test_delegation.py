"""Does a group get its controllers while others fork?"""

import errno
import os
from pathlib import Path

import pytest

from labkit.linux import delegation


def lay_group(top: Path) -> None:
    """Files as a container of cgroup version 2 sees them at the top of its hierarchy: cgroups(7)."""
    (top / "init").mkdir()
    for name, text in {"cgroup.type": "domain", "cgroup.controllers": "cpu memory", "cgroup.procs": "7 8"}.items():
        (top / name).write_text(text)
    (top / "cgroup.subtree_control").write_text("cpu")


def refuse(monkeypatch: pytest.MonkeyPatch, number: int, times: int) -> list[str]:
    """Have the kernel's answer to the next writes of subtree_control be an error; give the list of what is written."""
    written: list[str] = []
    write = Path.write_text

    def answer(path: Path, text: str) -> int:
        written.append(f"{path.parent.name}/{path.name}" if path.name == "cgroup.procs" else text)
        if path.name == "cgroup.subtree_control" and written.count(text) <= times:
            raise OSError(number, os.strerror(number))
        return write(path, text)

    monkeypatch.setattr(Path, "write_text", answer)
    return written


def test_a_child_that_was_forked_meanwhile_is_moved_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """EBUSY says that a process is in the group again: all are moved once more."""
    lay_group(tmp_path)
    written = refuse(monkeypatch, errno.EBUSY, times=2)

    delegation.pass_controllers_on(tmp_path)

    assert ["init/cgroup.procs", "init/cgroup.procs", "+memory"] * 3 == written


def test_another_refusal_is_final(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What will not change is not tried again."""
    lay_group(tmp_path)
    written = refuse(monkeypatch, errno.EACCES, times=1)

    with pytest.raises(PermissionError):
        delegation.pass_controllers_on(tmp_path)

    assert 1 == written.count("+memory")


def test_a_group_that_stays_busy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trying ends, with the kernel's words."""
    lay_group(tmp_path)
    monkeypatch.setattr(delegation, "MOVING_PATIENCE_S", 0.05)
    refuse(monkeypatch, errno.EBUSY, times=10**9)

    with pytest.raises(OSError, match="busy"):
        delegation.pass_controllers_on(tmp_path)
