"""Whoever is killed, and whenever: is nothing of the machine left within ten seconds?"""

import fcntl
import os
import random
import secrets
import shutil
import signal
import subprocess
import sys
import termios
import time
from contextlib import suppress
from pathlib import Path
from typing import IO

import pytest
from jupyter_client.connect import write_connection_file

from tests.machine.host import (
    KINDS,
    LABKIT,
    Process,
    children,
    descendants,
    find_part,
    is_alive,
    name_of,
    snapshot,
    wait_until,
)

VICTIMS = ("client", "launcher", "guard", "machine", "slirp4netns")
MOMENTS = {
    "at boot": None,
    "when idle": "echo ready; sleep 1000",
    "with a container": "docker run -d busybox sleep 1000 >/dev/null; echo ready; sleep 1000",
    "as it writes": "echo ready; exec yes",
    "as it writes and nobody reads": "echo ready; exec yes",
}
SWEPT = {"native": 12, "uml": 6}  # moments of a boot
BOOT_S = {"native": 1.5, "uml": 8.0}
SEED = os.environ.get("LABKIT_TEST_SEED") or secrets.token_hex(4)
PATIENCE_S = 10.0
PROJECT = Path(__file__).resolve().parents[2]


def find_victim(victim: str, client: int) -> int:
    """Give the pid of a part of the machine, or of who asked for it."""
    launcher = children(client)[0]
    return {"client": client, "launcher": launcher}.get(victim) or find_part(launcher, victim)


def has_victim(victim: str, client: int) -> bool:
    try:
        return bool(find_victim(victim, client))
    except (OSError, LookupError):
        return False


def ends_in_time(family: list[Process]) -> bool:
    return wait_until(lambda: not any(map(is_alive, family)), PATIENCE_S)


def is_full(pipe: IO[bytes] | None) -> bool:
    """Has whoever writes to this pipe to wait? It holds fewer bytes than it could only by less than a page: pipe(7)."""
    waiting = bytearray(4)
    fcntl.ioctl(pipe.fileno(), termios.FIONREAD, waiting)  # type: ignore[union-attr]
    return int.from_bytes(waiting, sys.byteorder) > fcntl.fcntl(pipe, fcntl.F_GETPIPE_SZ) - 4096  # type: ignore[arg-type]


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("victim", VICTIMS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_kill_leaves_nothing(kind: str, victim: str, moment: str, state: Path) -> None:
    """No process, mount, control group, interface or file of the machine outlives kill -9 of any part."""
    before = snapshot(state)
    command = [LABKIT, "run", "--machine", kind, "--", "sh", "-c", MOMENTS[moment] or "sleep 1000"]
    starter = f"import subprocess; subprocess.run({command!r}, stdin=subprocess.DEVNULL)"
    client = subprocess.Popen([sys.executable, "-c", starter], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert client.stdout is not None
    if MOMENTS[moment]:
        assert client.stdout.readline() == b"ready\n"
    else:
        # Once the guard is there: whose parent dies before its first line has run cannot know who that was.
        assert wait_until(lambda: has_victim("guard", client.pid) and has_victim(victim, client.pid), 10)
        time.sleep(0.2)
        assert wait_until(lambda: has_victim(victim, client.pid), 10)  # what was seen may have been on its way to exec
    if moment == "as it writes and nobody reads":
        assert wait_until(lambda: is_full(client.stdout), 10)  # until then, nobody waits for a reader
    if moment == "as it writes":
        reader = subprocess.Popen(["cat"], stdin=client.stdout, stdout=subprocess.DEVNULL)
    family = descendants(client.pid)

    os.kill(find_victim(victim, client.pid), signal.SIGKILL)

    if moment == "as it writes and nobody reads" and victim not in ("client", "launcher"):
        launcher, *family = family  # as any program, it waits for its reader to read or to go
        assert ends_in_time(family), [name_of(process[0]) for process in family if is_alive(process)]
        assert is_alive(launcher)
        client.stdout.close()
        family = [launcher]
    assert ends_in_time(family), [name_of(process[0]) for process in family if is_alive(process)]
    assert wait_until(lambda: snapshot(state) == before, 2), snapshot(state)
    client.wait(5)
    client.stdout.close()
    if moment == "as it writes":
        assert 0 == reader.wait(5)


# What a Python says when it has come so far as to load the command line: until then it cannot know who its client was.
ANNOUNCE = """
import os, sys
sys.addaudithook(lambda event, words: (event, words[:1]) == ("import", ("labkit.cli",)) and os.write(1, b"begun\\n"))
"""


@pytest.mark.parametrize("kind", KINDS)
def test_a_kill_at_any_moment_of_the_boot_leaves_nothing(
    kind: str, state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever of those who are there is killed, and whenever, while a machine comes up and its command writes.

    The moments are drawn at random; LABKIT_TEST_SEED=... draws them again.
    """
    print(f"LABKIT_TEST_SEED={SEED}")
    draw = random.Random(f"{SEED} {kind}")
    (tmp_path / "sitecustomize.py").write_text(ANNOUNCE)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    before = snapshot(state)
    command = [LABKIT, "run", "--machine", kind, "--", "yes"]
    starter = f"import subprocess; subprocess.run({command!r}, stdin=subprocess.DEVNULL)"
    for _ in range(SWEPT[kind]):
        with subprocess.Popen([sys.executable, "-c", starter], stdout=subprocess.PIPE) as client:
            assert client.stdout is not None and b"begun\n" == client.stdout.readline()
            moment_s = draw.uniform(0, BOOT_S[kind])
            time.sleep(moment_s)
            victim = draw.choice(VICTIMS)
            if not has_victim(victim, client.pid):
                victim = "launcher"
            told = f"{victim} after {moment_s:.3f} s"
            family = descendants(client.pid)
            with suppress(ProcessLookupError, LookupError):  # a child of the doctor's, which has just ended
                os.kill(find_victim(victim, client.pid), signal.SIGKILL)
            if victim not in ("client", "launcher"):
                client.stdout.close()  # a launcher whose machine is gone waits for who reads what it has still to say
            gone = ends_in_time(family)
            client.kill()
        assert gone, (told, [name_of(process[0]) for process in family if is_alive(process)])
        assert wait_until(lambda: snapshot(state) == before, 5), (told, snapshot(state))


NOTEBOOK = """
import sys, time
from tests.machine import ask

manager = ask.start()
print(manager.shell_port, manager.iopub_port, manager.stdin_port, manager.control_port, manager.hb_port, flush=True)
if sys.argv[1] != "at boot":
    client = manager.client()
    client.start_channels()
    client.wait_for_ready(timeout=ask.PATIENCE_S)
    if sys.argv[1] == "as a cell floods the serial port":
        client.execute("__import__('subprocess').Popen('yes >/dev/ttyS0', shell=True)", silent=True, reply=True)
    print("ready", flush=True)
time.sleep(1000)
"""


@pytest.mark.parametrize(
    ("kind", "victim", "moment"),
    [
        *(
            (kind, victim, when)
            for kind in KINDS
            for victim in ("client", "launcher")
            for when in ("at boot", "when idle")
        ),
        *(("uml", victim, "when idle") for victim in ("machine", "slirp4netns", "slirp4netns of the channels")),
        ("uml", "client", "as a cell floods the serial port"),
    ],
)
def test_a_kill_leaves_nothing_of_a_notebook(
    kind: str, victim: str, moment: str, state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor does anything outlive kill -9 of a Jupyter server, or of the kernel that it sees; its ports are free."""
    monkeypatch.setenv("LABKIT_MACHINE", kind)
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path))  # the connection file is the server's, and stays
    before = snapshot(state)
    command = [sys.executable, "-c", NOTEBOOK, moment]
    with subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as client:
        try:
            assert client.stdout is not None
            ports = [int(port) for port in client.stdout.readline().split()]
            assert 5 == len(ports)
            if moment != "at boot":
                assert b"ready\n" == client.stdout.readline()
                assert sorted(ports) == snapshot(state, ports)["ports"]
            else:
                assert wait_until(lambda: has_victim("guard", client.pid), 10)
                time.sleep(0.2)
                assert wait_until(lambda: has_victim("guard", client.pid), 10)  # and no short-lived child of the doctor
            family = descendants(client.pid)

            os.kill(find_victim(victim, client.pid), signal.SIGKILL)

            gone = ends_in_time(family)
        finally:
            client.kill()
    assert gone, [name_of(process[0]) for process in family if is_alive(process)]
    assert wait_until(lambda: snapshot(state, ports) == before, 2), snapshot(state, ports)


@pytest.mark.parametrize("kind", KINDS)
def test_a_lost_run_directory_leaves_nothing(kind: str, state: Path) -> None:
    """A service that tidies /tmp may remove the ledger under a machine that is alive."""
    before = snapshot(state)
    command = [LABKIT, "run", "--machine", kind, "--", "sh", "-c", "echo ready; sleep 1000"]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as launcher:
        assert launcher.stdout is not None and launcher.stdout.readline() == b"ready\n"
        family = descendants(launcher.pid)
        shutil.rmtree(state / f"labkit-{os.getuid()}")

        launcher.terminate()

        assert wait_until(lambda: not any(map(is_alive, family)), PATIENCE_S)
    assert wait_until(lambda: snapshot(state) == before, 2), snapshot(state)


@pytest.mark.parametrize("kind", KINDS)
def test_a_kernel_whose_jupyter_died_first_ends(kind: str, state: Path, tmp_path: Path) -> None:
    """A server may be killed before the launcher has noted its parent: whom Jupyter named is looked for, too."""
    before = snapshot(state)
    with subprocess.Popen(["true"]) as server:
        server.wait()
    connection, _ = write_connection_file(str(tmp_path / "kernel.json"), key=b"key")
    launcher = [sys.executable, "-m", "labkit.machine.launcher", "-f", connection]
    env = {**os.environ, "LABKIT_MACHINE": kind, "JPY_PARENT_PID": str(server.pid)}

    done = subprocess.run(launcher, env=env, timeout=PATIENCE_S, check=False)

    assert 1 == done.returncode
    assert wait_until(lambda: snapshot(state) == before, 2), snapshot(state)


LEAVE = """
import os, socket, sys, time
from labkit.machine.outside.machine import Machine
from labkit.machine.request import Request
with Machine.running(Request(sys.argv[1], "", time.time(), os.getcwd(), command=["true"])) as machine:
    with socket.socket(fileno=os.dup(machine.line.fileno())) as line:
        line.shutdown(socket.SHUT_RDWR)
    os.waitpid(machine.guard_pid, 0)
"""


@pytest.mark.parametrize("kind", KINDS)
def test_a_machine_whose_owner_leaves_ends_without_a_word(kind: str, state: Path) -> None:
    """When the control line ends while it boots, a machine is gone at once, and writes no traceback to a log."""
    before = snapshot(state)

    command = [sys.executable, "-c", LEAVE, kind]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=PATIENCE_S, check=False)

    assert (0, "", "") == (done.returncode, done.stdout, done.stderr)
    assert wait_until(lambda: snapshot(state) == before, 2), snapshot(state)


def test_the_check_sees_a_survivor(state: Path) -> None:
    """A process and a file that are left are seen: the test above can fail."""
    before = snapshot(state)
    with subprocess.Popen(["sleep", "60"]) as survivor:
        (state / "left").touch()
        family = descendants(os.getpid())

        assert any(process[0] == survivor.pid and is_alive(process) for process in family)
        assert snapshot(state) != before
        survivor.kill()
