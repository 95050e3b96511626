"""Where no lab machine is possible: which engine does `make lab` take, and how does it run the image?

Docker and Podman are scripts here that note what they were told; `make binder` runs the same with a real engine.
"""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tools import lab_image

ROOT = Path(__file__).resolve().parents[2]
FAKE = f"""#!{sys.executable}
import json, os, sys
name, words = os.path.basename(sys.argv[0]), sys.argv[1:]
open(os.environ["NOTES"], "a").write(json.dumps([name, *words]) + chr(10))
if words[:1] == ["info"] and "--format" in words:
    print(os.environ["PROCESSOR"])
sys.exit(name + " " + words[0] in os.environ["REFUSED"].split(","))
"""


def open_lab(
    tmp_path: Path, *engines: str, refused: str = "", processor: str = "x86_64"
) -> tuple[subprocess.CompletedProcess[str], list[list[str]]]:
    """Run tools/lab_image.py with these engines on PATH; give what it did and what they were told."""
    for name in engines:
        (tmp_path / name).write_text(FAKE)
        (tmp_path / name).chmod(0o755)
    notes = tmp_path / "notes"
    notes.touch()
    told = {"NOTES": str(notes), "REFUSED": refused, "PROCESSOR": processor, "PATH": str(tmp_path)}
    command = [sys.executable, str(ROOT / "tools/lab_image.py")]
    done = subprocess.run(command, env=told, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    return done, [json.loads(line) for line in notes.read_text().splitlines()]


def test_no_engine(tmp_path: Path) -> None:
    """Without an engine nothing is opened, and it is said what would help."""
    done, told = open_lab(tmp_path)

    assert (1, []) == (done.returncode, told)
    assert "neither docker nor podman answers" in done.stderr and "start Docker Desktop" in done.stderr


@pytest.mark.parametrize(
    ("engines", "refused", "taken"),
    [
        (["docker", "podman"], "", "docker"),
        (["docker", "podman"], "docker info", "podman"),
        (["podman"], "", "podman"),
    ],
)
def test_the_engine(engines: list[str], refused: str, taken: str, tmp_path: Path) -> None:
    """Docker goes first, if its engine answers; it builds the Dockerfile of Binder, and then runs what it built."""
    done, told = open_lab(tmp_path, *engines, refused=refused, processor="amd64")

    assert 0 == done.returncode, done.stderr
    build, run = (words for words in told if words[1] != "info")
    assert [[taken, "build"], [taken, "run"]] == [build[:2], run[:2]]
    assert str(ROOT / "binder/Dockerfile") in build
    assert build[build.index("--tag") + 1] in run


def test_no_privilege_and_no_open_port(tmp_path: Path) -> None:
    """On x86-64 the container has no privilege; its port is published on 127.0.0.1 only; no token is set or lifted."""
    _, told = open_lab(tmp_path, "docker")

    words = told[-1]
    assert "--cap-drop=ALL" in words and "--security-opt=no-new-privileges" in words
    assert [] == [word for word in words if "privileged" in word and word != "--security-opt=no-new-privileges"]
    assert [] == [word for word in words if "token" in word or "password" in word]
    published = words[words.index("--publish") + 1]
    assert "127.0.0.1" == published.split(":")[0] and f"--port={published.split(':')[1]}" in words


def test_arm64(tmp_path: Path) -> None:
    """On arm64 the container is privileged, and that is said."""
    done, told = open_lab(tmp_path, "docker", processor="aarch64")

    assert "--privileged" in told[-1] and "--user=0:0" in told[-1] and "--allow-root" == told[-1][-1]
    assert "privileged" in done.stdout


def test_a_build_that_fails(tmp_path: Path) -> None:
    """Nothing is run when the image could not be built."""
    done, told = open_lab(tmp_path, "docker", refused="docker build")

    assert 1 == done.returncode and "could not build" in done.stderr
    assert [] == [words for words in told if words[1] == "run"]


def test_a_learners_files_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An ordinary user's folder is written through, under that user's number; it is there before the engine sees it."""
    monkeypatch.setattr(lab_image, "DESK", tmp_path / "desk")
    monkeypatch.setattr(os, "getuid", lambda: 1234)
    monkeypatch.setattr(os, "getgid", lambda: 99)

    words = lab_image.run_command("podman", "x86_64", 8888)

    assert f"{tmp_path / 'desk'}:/home/jovyan/docker-lab" == words[words.index("--volume") + 1]
    assert (tmp_path / "desk").is_dir()
    assert "--user=1234:99" in words and "--userns=keep-id" in words


def test_a_taken_port_is_passed_over() -> None:
    """The next free port is taken when another program has the first."""
    first = lab_image.find_port()
    with socket.create_server(("127.0.0.1", first)):
        assert first < lab_image.find_port()
