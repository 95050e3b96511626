"""Is the dockerd that a user-mode machine executes made of the one that is there now, and whole or not there?"""

import os
from pathlib import Path

import pytest

from labkit import cli
from labkit.machine import doctor
from labkit.machine.outside import dockerd
from labkit.machine.outside.dockerd import DockerdUnfit, find_relocated, keep_relocated
from labkit.machine.outside.relocation import relocate
from labkit.machine.problem import Problem
from tests.unit.test_relocation import build
from tools import dockerd as tool

SOURCE = (
    '#include <stdio.h>\nconst char *const words[] = {"Docker version 1", 0};\nint main(void) { puts(words[0]); }\n'
)


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program that says as much as dockerd does, where machines look for dockerd first."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("LABKIT_ENGINE", str(tmp_path))
    program = build(tmp_path, source=SOURCE).rename(tmp_path / "dockerd")
    return program


def kept(directory: Path) -> list[Path]:
    return sorted(path for path in directory.rglob("*") if path.is_file())


def test_none_is_found_until_it_is_made(installed: Path) -> None:
    """It is the relocated program, and may be executed; by another name of the same file it is found, too."""
    assert find_relocated(installed) is None

    made = keep_relocated(installed)

    assert relocate(installed.read_bytes()) == made.read_bytes()
    assert made == find_relocated(installed) == keep_relocated(installed)
    assert os.access(made, os.X_OK)
    (installed.parent / "link").symlink_to(installed)
    assert made == find_relocated(installed.parent / "link")


def test_after_an_update_the_old_one_is_not_taken(installed: Path) -> None:
    """Another time of the file is another file. When it is made anew, nothing of the old one is left."""
    keep_relocated(installed)
    os.utime(installed, (1, 1))

    assert find_relocated(installed) is None
    made = keep_relocated(installed)

    assert [made] == kept(dockerd.shelf())
    assert made == find_relocated(installed)


def test_what_a_killed_run_left_is_removed(installed: Path) -> None:
    left = keep_relocated(installed).with_name("half-made")
    left.write_bytes(b"half")

    made = keep_relocated(installed)

    assert [made] == kept(dockerd.shelf())


@pytest.mark.parametrize("content", [b"#!/bin/sh\necho Docker version 1\n", b"\x7fELF", b""])
def test_one_that_cannot_be_relocated_is_told_and_executed_as_it_is(
    content: bytes, installed: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`make kernel` goes on, since a machine works without it."""
    installed.write_bytes(content)
    monkeypatch.setattr("sys.argv", ["make kernel"])

    with pytest.raises(DockerdUnfit, match="cannot be relocated beforehand: "):
        keep_relocated(installed)

    assert [] == kept(dockerd.shelf())
    assert 0 == tool.main()
    assert "`uml` machines execute it as it is\n" in capsys.readouterr().out


def test_one_that_says_something_else_is_not_kept(installed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was made has to start, and to be the same version."""
    monkeypatch.setattr(dockerd, "relocate", lambda program: program.replace(b"version 1", b"version 2"))

    with pytest.raises(DockerdUnfit, match="does not say 'Docker version 1'"):
        keep_relocated(installed)

    assert [] == kept(dockerd.shelf())


def test_a_cache_that_cannot_be_written_is_told(installed: Path, tmp_path: Path) -> None:
    """Here a file is where a directory should be."""
    place = tmp_path / "cache"
    (place / "labkit").mkdir(parents=True)
    (place / "labkit/dockerd").touch()

    with pytest.raises(DockerdUnfit, match="cannot be relocated beforehand: .*"):
        keep_relocated(installed)

    assert find_relocated(installed) is None


def test_the_tool_makes_it_and_removes_it(
    installed: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["make kernel"])
    assert 0 == tool.main()
    made = find_relocated(installed)

    assert f"execute {made}, made of {installed}\n" in capsys.readouterr().out
    monkeypatch.setattr("sys.argv", ["make kernel", "--remove"])
    assert 0 == tool.main()
    assert not dockerd.shelf().exists()


def test_a_dockerd_that_is_not_there(installed: Path) -> None:
    installed.unlink()

    assert find_relocated(installed) is None
    with pytest.raises(DockerdUnfit, match="No such file"):
        keep_relocated(installed)


def test_the_doctor_says_which_file_is_executed(
    installed: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The installed one, with what to do, or what was made of it; only where a user-mode machine is possible."""
    kernel = {"own": True, "release": "7.2", "processes": "by seccomp", "program": "linux.uml", "quicker": ""}
    monkeypatch.setattr(doctor, "check", lambda kind: [Problem("It is wrong.", "Mend it.")])
    monkeypatch.setattr(doctor, "describe_kernel", lambda: kernel)

    cli.main(["doctor"])
    before = capsys.readouterr().out
    made = keep_relocated(installed)
    cli.main(["doctor"])
    after = capsys.readouterr().out

    assert "`uml` machines execute it as it is; after `make kernel` it starts sooner" in before
    assert f"`uml` machines execute it with its relocations done ({made})" in after
