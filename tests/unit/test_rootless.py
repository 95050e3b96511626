"""What does the starter of a rootless engine say and do before an engine runs?"""

import shutil
from pathlib import Path

import pytest

from labkit.daemons import rootless
from labkit.daemons.ordinary_user import OrdinaryUser, make_user
from labkit.errors import MachineError


def test_a_user_is_made_in_a_lab_machine_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Elsewhere the files of users would stay changed."""
    monkeypatch.delenv("LABKIT_MACHINE_KIND", raising=False)

    with pytest.raises(MachineError, match="in a lab machine only"):
        make_user("nobody-at-all")

    assert "nobody-at-all" not in Path("/etc/passwd").read_text()


def test_what_a_kernel_forbids_is_told_with_the_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    """A knob that is set otherwise than it has to be is named; one that is right, or is not there, is not."""
    told = []
    for knobs in ({"kernel.ostype": "Other"}, {"kernel.ostype": "Linux"}, {"kernel.no_such_knob": "1"}):
        monkeypatch.setattr(rootless, "KNOBS", knobs)
        told.append(rootless._name_knobs())

    assert ["sysctl kernel.ostype=Other", "", ""] == [sentence[-26:] for sentence in told]


@pytest.mark.parametrize(("mode", "is_closed"), [(0o700, True), (0o755, False)])
def test_programs_where_only_root_can_go(
    mode: int, is_closed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are seen by any directory on the way that is closed to others."""
    program = tmp_path / "cache/engine/dockerd"
    program.parent.mkdir(parents=True)
    for place in program.parents:
        if place.is_relative_to(tmp_path.parent.parent):
            place.chmod(0o755)
    program.parent.parent.chmod(mode)
    monkeypatch.setattr(shutil, "which", lambda _: str(program))

    assert (str(program.parent) if is_closed else "") == rootless._closed_programs()


@pytest.mark.parametrize(
    ("log", "words"),
    [
        ("failed to start daemon: no driver\n[rootlesskit:child ] error: exit status 1\n", "failed to start daemon"),
        ("[rootlesskit:parent] error: failed to setup UID/GID map\n", "failed to setup UID/GID map"),
        ("", "(none)"),
    ],
)
def test_last_words(log: str, words: str, tmp_path: Path) -> None:
    """They are dockerd's where it has said any, else rootlesskit's."""
    (tmp_path / "dockerd.log").write_text(log)
    engine = rootless.RootlessEngine(OrdinaryUser("rosa", 4000, tmp_path))

    assert words in engine._last_words()
    assert ("rootlesskit" in engine._last_words()) is ("failed to setup" in words)
