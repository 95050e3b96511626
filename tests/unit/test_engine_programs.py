"""Is an engine refused that no machine can run, and does the doctor name the one that a machine will run?"""

from collections.abc import Callable
from pathlib import Path

import pytest

from labkit import cli
from labkit.errors import EngineUnfit
from labkit.machine import doctor, engine_programs
from labkit.machine.request import Request

Install = Callable[..., Path]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Puts programs that tell these versions where a machine finds them, and no others; each has a directory."""
    monkeypatch.setattr(engine_programs, "PATHS", str(tmp_path / "installed"))
    for variable in ("LABKIT_ENGINE", "LABKIT_IMAGE_STORE"):
        monkeypatch.delenv(variable, raising=False)

    def write(directory: str = "installed", **versions: str) -> Path:
        place = tmp_path / directory
        place.mkdir(exist_ok=True)
        for name, words in versions.items():
            (place / name).write_text(f"#!/bin/sh\necho {words}\n")
            (place / name).chmod(0o755)
        return place

    return write


@pytest.mark.parametrize(
    ("dockerd", "runc"),
    [("20.10.24+dfsg1", "1.1.5"), ("28.5.2+dfsg4", "1.1.5+ds1"), ("29.0.0", "1.2"), ("29.1", "1.10.0")],
)
def test_engines_and_runtimes_that_go_together(dockerd: str, runc: str, install: Install) -> None:
    """The numbers of a version are compared as numbers."""
    install(dockerd=f"Docker version {dockerd}, build 1", runc=f"runc version {runc}")

    assert [] == list(doctor._check_engine())


@pytest.mark.parametrize("runc", ["1.1.15+ds1", "1.0.0~rc93"])
def test_a_runc_that_is_too_old(runc: str, install: Install) -> None:
    """Both versions are named, and the cure, before anything boots: every start of a container would fail."""
    install(dockerd="Docker version 29.8.0, build 1", runc=f"runc version '{runc}'")

    (problem,) = doctor._check_engine()

    assert f"Docker 29.8.0 needs runc 1.2 or newer, and {engine_programs._find('runc')} is {runc}." == problem.found
    assert "Put a newer runc" in problem.cure


def test_the_named_engine_goes_first(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    """What LABKIT_ENGINE holds is taken from there, the rest is the installed; the request has it as a whole path."""
    install(dockerd="Docker version 20.10.24, build 1", runc="runc version 1.1.5")
    named = install("named", dockerd="Docker version 28.5.2, build 1")
    monkeypatch.chdir(named.parent)
    monkeypatch.setenv("LABKIT_ENGINE", "named")

    assert {
        "program": str(named / "dockerd"),
        "version": "28.5.2",
        "image_store": "graphdriver",
    } == engine_programs.describe_engine()
    request = Request("native", "", 0.0, "/")
    assert str(named) == request.engine and named in request.needed_paths()


@pytest.mark.parametrize(
    ("version", "wanted", "store"),
    [
        ("20.10.24", None, "graphdriver"),
        ("28.5.2", None, "graphdriver"),
        ("29.0.0", None, "containerd"),
        ("28.5.2", "containerd", "containerd"),
        ("29.0.0", "graphdriver", "graphdriver"),
    ],
)
def test_the_image_store(
    version: str,
    wanted: str | None,
    store: str,
    install: Install,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The one that is asked for, or else the engine's own; the doctor names engine, version and store."""
    install(dockerd=f"Docker version {version}, build 1")
    if wanted:
        monkeypatch.setenv("LABKIT_IMAGE_STORE", wanted)
    monkeypatch.setattr(doctor, "check", lambda kind: [])

    assert store == engine_programs.describe_engine()["image_store"]
    cli.main(["doctor"])
    words = {"containerd": "images kept with containerd", "graphdriver": "images kept by a graph driver"}[store]
    assert f"engine  Docker {version} (" in (said := capsys.readouterr().out) and words in said


@pytest.mark.parametrize(
    ("variables", "found", "cure"),
    [
        ({"LABKIT_ENGINE": "/nowhere"}, "LABKIT_ENGINE is /nowhere, and there is no program dockerd in it.", "unset"),
        ({"LABKIT_ENGINE": "empty"}, "/empty, and there is no program dockerd in it.", "tools/newer-engine DIR"),
        ({"LABKIT_ENGINE": "a:b"}, "a colon parts directories.", "without one"),
        ({"LABKIT_IMAGE_STORE": "Containerd"}, "LABKIT_IMAGE_STORE is 'Containerd'.", "containerd or graphdriver"),
        ({"LABKIT_IMAGE_STORE": "containerd"}, "Docker 20.10.24 keeps no images there.", "LABKIT_ENGINE"),
        ({"LABKIT_ENGINE": "broken"}, "does not tell its version: 'no such library'.", "runs on this system"),
        ({"LABKIT_ENGINE": "garbage"}, "Exec format error", "runs on this system"),
    ],
)
def test_an_engine_that_is_not_there(
    variables: dict[str, str], found: str, cure: str, install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the environment asks for and cannot have is a problem with a cure, on both kinds; nothing else is run."""
    directory = install(dockerd="Docker version 20.10.24, build 1", runc="runc version 1.1.5").parent
    install("empty", docker="x")
    (install("empty") / "dockerd").write_text("not executable")
    install("a:b", dockerd="Docker version 28.5.2, build 1")
    install("broken", dockerd="no such library")
    (install("garbage", dockerd="x") / "dockerd").write_bytes(b"\0\1")
    monkeypatch.chdir(directory)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    (problem,) = doctor._check_engine()

    assert found in problem.found and cure in problem.cure
    assert {} == doctor._describe_engine()


def test_versions_are_asked_once(install: Install, tmp_path: Path) -> None:
    """A program that is slow to tell its version runs while a machine begins to boot, and once."""
    program = install(dockerd="Docker version 20.10.24, build 1", runc="runc version 1.1.5") / "dockerd"
    program.write_text(f"#!/bin/sh\necho x >>{tmp_path}/asked\necho Docker version 20.10.24\n")

    engine_programs.ask_versions()
    engine_programs.describe_engine()
    engine_programs.require_engine()

    assert "x\n" == (tmp_path / "asked").read_text()


def test_a_missing_engine(install: Install) -> None:
    """That a program is missing is told elsewhere; here nothing breaks."""
    engine_programs.ask_versions()

    with pytest.raises(EngineUnfit):
        engine_programs.describe_engine()
