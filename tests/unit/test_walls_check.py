"""Do the checks of lesson 15 read from the kernel's files what a container may do?"""

from pathlib import Path
from typing import Any, cast

import pytest

from labkit.api.engine import Engine
from labkit.check import walls
from labkit.check.walls import check_capabilities, check_read_only

RUNS = ["sleep", "600"]
STATUS = "Uid:\t{uid}\t{uid}\nCapBnd:\t{bnd:016x}\nCapEff:\t{eff:016x}\nNoNewPrivs:\t{new}\n"
MOUNTS = "overlay / overlay {root} 0 0\nproc /proc proc rw 0 0\n{tmp}"
TMPFS = "tmpfs /tmp tmpfs rw,nosuid 0 0\n"


class Engines:
    """An engine with one container, which runs as this process."""

    def __init__(self, args: list[str], mounts: list[dict[str, Any]]) -> None:
        state = {"Status": "running", "Pid": 7, "ExitCode": 0}
        self.value = {"Name": "/box", "State": state, "Path": args[0], "Args": args[1:], "Mounts": mounts}

    def get(self, *_: Any, **__: Any) -> "Engines":
        return self

    def json(self) -> Any:
        return self.value


def judge(
    monkeypatch: pytest.MonkeyPatch,
    place: Path,
    which: str,
    *,
    args: list[str] = RUNS,
    bnd: int = 1,
    eff: int = 1,
    uid: int = 0,
    new: int = 1,
    root: str = "ro",
    tmp: str = TMPFS,
    mounts: list[dict[str, Any]] | None = None,
) -> str:
    """The verdict on a container of which the kernel says this."""
    (place / "status").write_text(STATUS.format(uid=uid, bnd=bnd, eff=eff, new=new))
    (place / "mounts").write_text(MOUNTS.format(root=root, tmp=tmp))
    monkeypatch.setattr(walls, "Path", lambda text: place / Path(text).name if text != "/proc/7" else place)
    engine = cast(Engine, Engines(args, mounts or []))
    if which == "a":
        return repr(check_capabilities(engine, "box", ["CHOWN"], RUNS))
    return repr(check_read_only(engine, "box", "/tmp", RUNS))


@pytest.mark.parametrize(
    ("which", "seen", "words"),
    [
        ("a", {}, "done"),
        ("a", {"bnd": 3, "eff": 3}, "more than was asked for: DAC_OVERRIDE"),
        ("a", {"bnd": 0xFF}, "DAC_OVERRIDE, DAC_READ_SEARCH, FOWNER and 4 more"),
        ("a", {"bnd": 0, "eff": 0}, "does not have CHOWN"),
        ("a", {"eff": 0, "uid": 1000}, "runs as user 1000, and that one has no CHOWN"),
        ("a", {"args": ["cat"]}, "it runs `cat`, and not `sleep 600`"),
        ("b", {}, "done"),
        ("b", {"root": "rw"}, "the root directory of box can be written"),
        ("b", {"tmp": ""}, "nothing is mounted at /tmp"),
        ("b", {"tmp": "/dev/vda /tmp ext4 rw 0 0\n"}, "/tmp is no tmpfs"),
        ("b", {"tmp": "tmpfs /tmp tmpfs ro 0 0\n"}, "it cannot be written"),
        ("b", {"new": 0}, "NoNewPrivs is 0"),
        ("b", {"mounts": [{"Destination": "/srv", "RW": True, "Type": "bind"}]}, "/srv is a directory of the machine"),
        ("b", {"mounts": [{"Destination": "/srv", "RW": False, "Type": "bind"}]}, "done"),
    ],
)
def test_each_container_gets_its_verdict(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, which: str, seen: dict[str, Any], words: str
) -> None:
    """Right ones, and each usual mistake."""
    assert words in judge(monkeypatch, tmp_path, which, **seen)
