"""Does a machine run another engine than the installed one, and keep its images where it is told to?"""

from pathlib import Path

import pytest

from tests.machine import ask
from tests.machine.host import KINDS, run
from tests.machine.test_exercises import NOTEBOOKS, judge_exercises, misjudged
from tests.newer_engine import fetch_newer_engine

PATIENCE_S = 200  # for an engine that starts twice, on a busy computer
STORES = {"graphdriver": "overlay2", "containerd": "overlayfs"}
LOOK = "docker version --format '{{.Client.Version}} {{.Server.Version}}'; docker info --format '{{.Driver}}'"


@pytest.fixture
def newer(monkeypatch: pytest.MonkeyPatch) -> str:
    """Have machines run the newer engine, and give its version as it tells it."""
    engine = fetch_newer_engine()
    monkeypatch.setenv("LABKIT_ENGINE", str(engine))
    return engine.name.rpartition("-")[0]


@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize("kind", KINDS)
def test_a_command_meets_the_named_engine(
    kind: str, store: str, newer: str, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Command and engine are the named ones, the images lie in the named store, and containers run."""
    monkeypatch.setenv("LABKIT_IMAGE_STORE", store)

    done = run(kind, "sh", "-c", f"{LOOK}; docker run --rm busybox echo hi", timeout=PATIENCE_S)

    assert [f"{newer} {newer}", STORES[store], "hi"] == done.stdout.decode().splitlines(), done.stderr.decode()


@pytest.mark.parametrize("kind", KINDS)
def test_a_notebook_meets_the_named_engine(kind: str, newer: str, state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel's machine has it, too; started again after its death, it has its images still."""
    monkeypatch.setenv("LABKIT_MACHINE", kind)
    monkeypatch.setenv("LABKIT_IMAGE_STORE", "containerd")
    code = (
        "import os, signal; from pathlib import Path; from labkit.lesson import open_lesson, sh; "
        "lesson = open_lesson('x'); os.kill(int(Path('/run/docker.pid').read_text()), signal.SIGKILL); "
        "lesson.revive(); "
        f"print(sh({LOOK!r}).out, sh('docker run --rm busybox echo hi').out)"
    )

    said = ask.run_cell(ask.start(), code, PATIENCE_S)

    assert f"{newer} {newer}\noverlayfs\n hi\n" in said["text"], said


@pytest.mark.parametrize("kind", ["native"])
@pytest.mark.parametrize("lesson", NOTEBOOKS, ids=lambda path: path.stem)
def test_checks_on_the_newer_engine(
    lesson: Path, kind: str, newer: str, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The checks of the exercises judge its answers as they judge the installed engine's."""
    monkeypatch.setenv("LABKIT_MACHINE", kind)
    monkeypatch.setenv("LABKIT_IMAGE_STORE", "containerd")

    assert [] == misjudged(judge_exercises(lesson))


@pytest.mark.parametrize("kind", ["native"])
def test_a_runtime_too_old_is_told_in_place_of_a_machine(
    kind: str, state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One sentence says what does not go together, and what to do; there is no machine whose containers all fail."""
    for program, words in (("dockerd", "Docker version 29.8.0, build 1"), ("runc", "runc version 1.1.5")):
        (tmp_path / program).write_text(f"#!/bin/sh\necho {words}\n")
        (tmp_path / program).chmod(0o755)
    monkeypatch.setenv("LABKIT_ENGINE", str(tmp_path))

    done = run(kind, "true")

    assert 125 == done.returncode
    assert f"Docker 29.8.0 needs runc 1.2 or newer, and {tmp_path}/runc is 1.1.5. Put a" in done.stderr.decode()
