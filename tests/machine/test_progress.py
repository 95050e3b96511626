"""Does what a learner does in a machine arrive in the copy outside, and does the next machine know it?"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.manager import KernelManager

from labkit.progress import FILE, MARKER, read_learner
from tests.machine.host import KINDS, wait_until
from tests.machine.test_jupyter import connect, evaluate

PATIENCE_S = 60
SOON_S = 10
OPEN = "from labkit.lesson import open_lesson, predict\nlesson = open_lesson('00-start-here')"
KILL = "import os, signal\nos.kill(int(open('/run/docker.pid').read()), signal.SIGKILL)"
ASK = "who = predict('Who are you here?', 'root', 'nobody')"


def run(client: Any, code: str) -> str:
    """Run a cell; give what it printed. An error of the cell fails."""
    text: list[str] = []

    def hear(message: dict[str, Any]) -> None:
        text.append(message["content"].get("text", "") if message["msg_type"] == "stream" else "")

    reply = client.execute_interactive(code, timeout=PATIENCE_S, output_hook=hear)
    assert "ok" == reply["content"]["status"], reply["content"]
    return "".join(text)


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A learner's copy, in which the kernels start."""
    (tmp_path / MARKER).write_text('{"version": 1}')
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("kind", KINDS)
def test_a_prediction_arrives_and_comes_back(
    kind: str, copy: Path, start_kernel: Callable[[], KernelManager], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A choice and a try are in the file soon, a verdict when the machine ends; a restart brings them back."""
    monkeypatch.setenv("LABKIT_MACHINE", kind)
    manager = start_kernel()
    client = connect(manager)
    run(client, f"{OPEN}\n{ASK}\nwho.chosen = 1\nlesson.progress.note_exercise('A', False)")
    assert wait_until(lambda: (copy / FILE).exists() and "tries" in (copy / FILE).read_text(), SOON_S)
    kept = read_learner(copy)["00-start-here"]
    assert ("nobody", None) == (kept["predictions"]["Who are you here?"]["choice"], kept["closed"])
    assert {"tries": 1, "done": False} == {name: kept["exercises"]["A"][name] for name in ("tries", "done")}

    client.stop_channels()
    manager.restart_kernel()
    client = connect(manager)
    run(client, f"{OPEN}\n{ASK}")
    assert "('nobody', -1, 1)" == evaluate(client, "(who.choice, who.given, lesson.progress.tries('A'))")
    run(client, "who.verdict('root', 'id says so.')\nlesson.close()")
    client.stop_channels()
    manager.shutdown_kernel()  # what was noted last is kept before the machine ends
    kept = read_learner(copy)["00-start-here"]
    assert ("nobody", "root", False) == tuple(
        kept["predictions"]["Who are you here?"][name] for name in ("choice", "answer", "right")
    )
    assert kept["closed"] >= kept["opened"]
    assert {FILE, MARKER, ".progress.json.lock"} == set(os.listdir(copy))


@pytest.mark.parametrize("kind", KINDS)
def test_a_learner_who_is_root_there(
    kind: str, copy: Path, start_kernel: Callable[[], KernelManager], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A flood of what is no note, and the socket's removal, hurt neither the machine, nor the file, nor the lesson."""
    monkeypatch.setenv("LABKIT_MACHINE", kind)
    client = connect(start_kernel())
    run(client, OPEN)
    run(
        client,
        """
import json, os
from labkit.machine.inside.notes import KEPT, NOTES, send_note
for words in ("", "x" * 4096, "x" * 5000, "[" * 4000, json.dumps({"event": "exit", "status": 0}), "\\x00\\n{}"):
    for _ in range(100):
        send_note(words)
send_note(json.dumps({"lesson": "../../x", "event": "opened"}))
"""
        f"{ASK}\nwho.chosen = 0",
    )
    assert wait_until(lambda: "Who are you here?" in (copy / FILE).read_text(), SOON_S)
    assert ["00-start-here"] == list(read_learner(copy))

    run(
        client,
        "NOTES.unlink(); KEPT.write_text('broken')\nwho.chosen = 1\nlesson.close()\nlesson = open_lesson('01-x')",
    )
    assert "2" == evaluate(client, "1 + 1")
    assert "root" == read_learner(copy)["00-start-here"]["predictions"]["Who are you here?"]["choice"]


@pytest.mark.parametrize("kind", ["native"])
def test_a_broken_file_is_said(
    kind: str, copy: Path, start_kernel: Callable[[], KernelManager], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is moved aside, and the lesson says so as it opens."""
    monkeypatch.setenv("LABKIT_MACHINE", kind)
    (copy / FILE).write_text("my own notes")
    printed = run(connect(start_kernel()), OPEN)

    assert "progress.json could not be read. It is now progress.json.broken-1, and a new one begins." in printed
    assert "my own notes" == (copy / f"{FILE}.broken-1").read_text()


@pytest.mark.parametrize("kind", ["native"])
def test_without_a_copy_nothing_is_kept(
    kind: str, tmp_path: Path, start_kernel: Callable[[], KernelManager], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in the repository, where tests and tools run the lessons."""
    monkeypatch.setenv("LABKIT_MACHINE", kind)
    monkeypatch.chdir(tmp_path)
    client = connect(start_kernel())
    run(client, f"{OPEN}\n{ASK}\nwho.chosen = 0\nlesson.close()")

    assert "[]" == evaluate(
        client, "[name for name in ('notes', 'kept.json') if __import__('os').path.exists('/run/labkit/' + name)]"
    )
    assert [] == os.listdir(tmp_path)


@pytest.mark.parametrize("kind", ["native"])
def test_what_a_lesson_leaves_beside_containers(
    kind: str, tmp_path: Path, start_kernel: Callable[[], KernelManager], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A swarm with a service, and a docker context in use, are left at the end, and a killed engine is back."""
    monkeypatch.setenv("LABKIT_MACHINE", kind)
    monkeypatch.chdir(tmp_path)
    client = connect(start_kernel())
    run(client, OPEN)
    run(
        client,
        """
from labkit.shell import sh
for line in ("docker swarm init --advertise-addr 127.0.0.1", "docker service create -d --name s busybox sleep 600",
             "echo secret | docker secret create one -", "echo setting | docker config create one -",
             "docker context create other --docker host=tcp://127.0.0.1:1",
             "docker context use other"):
    result = sh(line)
    assert result.status == 0, result
""",
    )
    assert "lesson 00-start-here is closed; left behind: nothing\n" == run(client, "lesson.close()")
    assert "'default\\n'" == evaluate(client, "sh('docker context show').out")
    assert "'inactive\\n'" == evaluate(client, "sh('docker info --format {{.Swarm.LocalNodeState}}').out")
    run(client, "sh('docker swarm init --advertise-addr 127.0.0.1')")
    kept = "sh('docker secret ls --quiet; docker config ls --quiet; docker service ls --quiet')"
    assert "['', '', 0]" == evaluate(client, f"[*{kept}][1:]")
    run(client, "sh('docker swarm leave --force')")

    run(client, KILL)
    printed = run(client, OPEN)
    assert "the engine is back\nlesson 00-start-here is closed; left behind: nothing\n" in printed


@pytest.mark.parametrize("kind", ["native"])
def test_an_engine_that_died_before_the_lesson_opens(
    kind: str, tmp_path: Path, start_kernel: Callable[[], KernelManager], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The set-up cell starts it again, and says so."""
    monkeypatch.setenv("LABKIT_MACHINE", kind)
    monkeypatch.chdir(tmp_path)
    client = connect(start_kernel())
    run(client, f"from labkit.widgets.boot import wait_for_boot\nwait_for_boot()\n{KILL}")

    assert run(client, OPEN).startswith("the engine had ended, and is back\nlesson 00-start-here is open")
