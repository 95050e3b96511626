"""When the engine alone is killed: does the machine go on, does the lesson say so, and can it bring the engine back?"""

import os
import signal
import time
from pathlib import Path

import pytest

from tests.machine import ask
from tests.machine.host import KINDS, descendants, find_part, has_part, is_alive, name_of, snapshot, wait_until

KILL = """
import os, signal, subprocess, time
from labkit.lesson import open_lesson

def kill(name):
    pid = int(subprocess.check_output(["pgrep", "-ox", name]))
    os.kill(pid, signal.SIGKILL)
    while os.path.exists(f"/proc/{pid}"):
        time.sleep(0.01)

def run(*words):
    return subprocess.run(["docker", "run", *words], capture_output=True, text=True).stdout.strip()
"""
BROUGHT_BACK = """
lesson = open_lesson("x")
for moment in MOMENTS:
    if moment != "idle":
        run("-d", "--stop-timeout=1", "busybox", "sleep", "100")
    kill(VICTIM)
    print(moment, "alive:", lesson.engine_alive())
    if not lesson.engine_alive():
        lesson.revive()
    deadline = time.monotonic() + 20
    while run("--rm", "busybox", "echo", "hi") != "hi" and time.monotonic() < deadline:
        time.sleep(0.2)
    print(moment, "afterwards:", run("--rm", "busybox", "echo", "hi"))
lesson.close()
"""
AT_BOOT = """
while subprocess.run(["pgrep", "-x", "dockerd"], capture_output=True).returncode:
    time.sleep(0.01)
kill("dockerd")
"""
PATIENCE_S = 10.0


@pytest.mark.parametrize(
    ("victim", "alive", "moments"),
    [
        ("dockerd", False, ("idle", "with a container")),
        ("containerd", True, ("idle", "with a container")),  # dockerd takes some 10 s to start it again
    ],
)
@pytest.mark.parametrize("kind", KINDS)
def test_the_machine_goes_on(
    kind: str, victim: str, alive: bool, moments: tuple[str, ...], state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lesson sees that dockerd is dead, and revives it; containerd is started again by dockerd itself."""
    monkeypatch.setenv("LABKIT_MACHINE", kind)
    before = snapshot(state)
    manager = ask.start()
    family = descendants(os.getpid())

    code = f"{KILL}\nVICTIM, MOMENTS = {victim!r}, {moments!r}{BROUGHT_BACK}"
    answer = ask.run_cell(manager, code, patience_s=150)

    assert "ok" == answer["status"], answer["text"]
    for moment in moments:
        assert f"{moment} alive: {alive}\n" in answer["text"]
        assert f"{moment} afterwards: hi\n" in answer["text"]
    assert "left behind: nothing" in answer["text"]
    assert wait_until(lambda: not any(map(is_alive, family)), PATIENCE_S)
    assert wait_until(lambda: before == snapshot(state), 2), snapshot(state)


@pytest.mark.parametrize("kind", KINDS)
def test_dockerd_killed_at_boot(kind: str, state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The notebook's Python goes on, and opening the lesson says why there is no engine, and the cure."""
    monkeypatch.setenv("LABKIT_MACHINE", kind)
    before = snapshot(state)
    manager = ask.start()
    at_boot = AT_BOOT
    if kind == "native":  # where Python and the engine start side by side: killed from outside, lest it be too late
        at_boot = ""
        kill_at_boot(ask.launcher_of(manager))

    answer = ask.run_cell(manager, KILL + at_boot + 'open_lesson("x")')

    assert answer["evalue"].startswith("The engine did not come up: MachineError: dockerd ended while it started.")
    assert answer["evalue"].endswith("Restart the kernel to try again.")
    assert wait_until(lambda: before == snapshot(state), PATIENCE_S), snapshot(state)


def kill_at_boot(launcher: int) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        inside = descendants(find_part(launcher, "machine")) if has_part(launcher, "machine") else []
        for pid, _ in inside:
            if name_of(pid) == "dockerd":
                os.kill(pid, signal.SIGKILL)
                return
    raise AssertionError("dockerd did not start")
