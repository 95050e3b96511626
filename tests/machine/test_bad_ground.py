"""Where the host cannot carry a machine: do the doctor and the notebook say what was found, and the cure?

Each ground is played for real, in namespaces, a control group or a filter of its own. A client of Jupyter starts the
kernel there, and a cell has to end with the sentence within seconds; nothing may be left.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from shlex import quote
from typing import Any

import pytest
from jupyter_client.connect import write_connection_file
from jupyter_client.manager import KernelManager

from labkit.machine.last_words import FILE
from labkit.machine.outside.kernel import PROGRAM
from tests.machine import ask
from tests.machine.ground import ORDINARY_USER, Ground, memory_group, pids_group
from tests.machine.host import KINDS, LABKIT, find_part, has_part, snapshot, wait_until
from tests.machine.seccomp import refuse

pytestmark = pytest.mark.needs_root

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 20
NO_WAIT_S = 5  # for which a machine waits for its network to begin
AMPLE_MIB = 4096
SCARCE_MIB = 200
ROOM_FOR_ONE_MIB = 1000
EVERY_PLACE = '/tmp /dev/shm /var/tmp "$LABKIT_TMPDIR"'

HIDE = """
mount -t tmpfs none /mnt; mkdir /mnt/upper /mnt/work
mount -t overlay -o lowerdir=/usr/bin,upperdir=/mnt/upper,workdir=/mnt/work none /usr/bin
rm /usr/bin/{0}
"""
MOUNT_EVERYWHERE = f"""
kept=$(mktemp -d /mnt/XXXX); mkdir $kept/home $kept/project
mount --bind "$HOME" $kept/home; mount --bind {quote(str(ROOT))} $kept/project
for place in {EVERY_PLACE}; do mkdir -p $place; mount -t tmpfs -o {{0}} none $place; done
mkdir -p "$HOME" {quote(str(ROOT))}; mount --move $kept/home "$HOME"; mount --move $kept/project {quote(str(ROOT))}
rmdir $kept/home $kept/project $kept
"""
FILL = 'mount -t tmpfs -o size=1m none "$LABKIT_TMPDIR"; head -c 2m /dev/zero >"$LABKIT_TMPDIR/filler" || true'


@dataclass(frozen=True, slots=True)
class Bad:
    """A ground, and a word each of what must be said to be found there, and of the cure."""

    ground: Ground
    found: str
    cure: str
    kinds: tuple[str, ...] = KINDS
    memory_mib: int = AMPLE_MIB
    prefix: tuple[str, ...] = ()
    pretend: str = ""  # Python that runs first in every process: what cannot be played for real


def pretend_system(name: str) -> str:
    return f"import platform; platform.system = lambda: {name!r}"


BAD = {
    "no linux.uml": Bad(
        Ground(HIDE.format("linux.uml")), "linux.uml is missing", "apt-get install user-mode-linux", kinds=("uml",)
    ),
    "no slirp4netns": Bad(Ground(HIDE.format("slirp4netns")), "slirp4netns is missing", "apt-get install slirp4netns"),
    "dynamic busybox": Bad(
        Ground("mount --bind /bin/true /bin/busybox"), "is the dynamic one", "apt-get install busybox-static"
    ),
    "ptrace refused": Bad(
        Ground(profile=refuse("ptrace")), "forbids ptrace", "a profile that permits ptrace", kinds=("uml",)
    ),
    "namespaces refused": Bad(
        Ground(profile=refuse("unshare")), "no namespaces", "LABKIT_MACHINE=uml", kinds=("native",)
    ),
    "no privilege": Bad(Ground(user=ORDINARY_USER), "needs root", "LABKIT_MACHINE=uml", kinds=("native",)),
    "no memory": Bad(Ground(), "no memory for another machine", "Shut down the kernel", memory_mib=SCARCE_MIB),
    "noexec": Bad(Ground(MOUNT_EVERYWHERE.format("noexec")), "(noexec)", "LABKIT_TMPDIR", kinds=("uml",)),
    "no room for memory": Bad(
        Ground(MOUNT_EVERYWHERE.format("size=100m")), " MiB free of the 512 needed", "LABKIT_TMPDIR", kinds=("uml",)
    ),
    "disk full": Bad(Ground(FILL), "No space left on device", "Free some space"),
    "another processor": Bad(Ground(), "this processor is i686", "Use another computer", prefix=("setarch", "linux32")),
    "another system": Bad(Ground(), "This is Darwin", "Linux virtual machine", pretend=pretend_system("Darwin")),
}
CASES = [(name, kind) for name, bad in BAD.items() for kind in bad.kinds]


@pytest.fixture
def environment(tmp_path: Path, state: Path) -> dict[str, str]:
    """Directories of the test's own, that any user may write."""
    for directory in (tmp_path, state):
        directory.chmod(0o777)
    return {**os.environ, "HOME": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}


def examine(ground: Ground, environment: dict[str, str], *prefix: str) -> tuple[int, dict[str, Any]]:
    """What `labkit doctor --json` says there: its exit status, and the report."""
    command = ground.command(*prefix, LABKIT, "doctor", "--json")
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, json.loads(done.stdout)


def run_cell(ground: Ground, environment: dict[str, str], *prefix: str, code: str = "print(1)") -> dict[str, Any]:
    """What a cell gives there: see ask.py."""
    command = ground.command(*prefix, sys.executable, ask.__file__, code)
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


@pytest.mark.parametrize(("name", "kind"), CASES, ids=[f"{name}, {kind}" for name, kind in CASES])
def test_one_sentence_with_the_cure(
    name: str, kind: str, environment: dict[str, str], state: Path, tmp_path: Path
) -> None:
    """The doctor and a cell say what was found and the cure, within seconds; nothing is left."""
    bad = BAD[name]
    environment["LABKIT_MACHINE"] = kind
    if bad.pretend:
        (tmp_path / "sitecustomize.py").write_text(bad.pretend)
        environment["PYTHONPATH"] = str(tmp_path)
    before = snapshot(state)

    with memory_group(bad.memory_mib) as group:
        ground = replace(bad.ground, group=group)
        _, report = examine(ground, environment, *bad.prefix)
        answer = run_cell(ground, environment, *bad.prefix)

    problems = report["kinds"][kind]["problems"]
    assert any(bad.found in problem["found"] and bad.cure in problem["cure"] for problem in problems), problems
    assert report["machine"] is None
    assert "error" == answer["status"]
    assert bad.found in answer["evalue"] and bad.cure in answer["evalue"], answer["evalue"]
    assert answer["evalue"] in answer["text"]
    assert PATIENCE_S > answer["seconds"]
    assert before == snapshot(state)


FEW = 70  # processes: enough for a client of Jupyter and a refusal


@pytest.mark.parametrize(("limit", "kind"), [("pids.max", "native"), ("pids.max", "uml"), ("ulimit -u", "uml")])
def test_too_few_processes(limit: str, kind: str, environment: dict[str, str], state: Path) -> None:
    """A limit on processes, of a control group or of a user, is found before a machine boots, and is told in a cell."""
    environment["LABKIT_MACHINE"] = kind
    before = snapshot(state)

    with ExitStack() as groups:
        prefix: tuple[str, ...] = ()
        if limit == "pids.max":
            ground = Ground(groups.enter_context(pids_group(FEW)))
        else:
            ground, prefix = Ground(user=ORDINARY_USER), ("prlimit", f"--nproc={FEW}")
        _, report = examine(ground, environment, *prefix)
        answer = run_cell(ground, environment, *prefix)

    words = "more processes can be started here, and a machine takes"
    assert any(words in problem["found"] for problem in report["kinds"][kind]["problems"])
    assert words in answer["evalue"] and "Raise the limit" in answer["evalue"], answer["evalue"]
    assert PATIENCE_S > answer["seconds"]
    assert before == snapshot(state)


DEATHS = {  # what kills a machine as it boots, and the words for it
    "native": (Ground(profile=refuse("pivot_root")), (), "PermissionError: [Errno 1] Operation not permitted"),
    "uml": (Ground(), ("prlimit", "--fsize=104857600"), "the machine was killed (SIGXFSZ)"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_machine_that_dies_as_it_boots(kind: str, environment: dict[str, str], state: Path) -> None:
    """What no check foresees (a step refused, a limit on the size of files) is said in the notebook too.

    The doctor has booted such a machine, and says it of this kind alone.
    """
    ground, prefix, words = DEATHS[kind]
    environment["LABKIT_MACHINE"] = kind
    before = snapshot(state)

    with memory_group(AMPLE_MIB) as group:
        answer = run_cell(replace(ground, group=group), environment, *prefix)
    _, report = examine(ground, environment, *prefix)

    (problem,) = report["kinds"][kind]["problems"]
    assert problem["found"].startswith("A machine was booted, and failed: ") and words in problem["found"], problem
    assert f"Try again: labkit run --machine {kind} -- true" == problem["cure"]
    assert [kind] == [each for each in KINDS if not report["kinds"][each]["ok"]]
    assert answer["evalue"].startswith("The machine ended while it booted: " + words), answer["evalue"]
    assert "Restart the kernel" in answer["evalue"]
    assert PATIENCE_S > answer["seconds"]
    assert before == snapshot(state)


@pytest.mark.parametrize("kind", ["uml"])
def test_a_kernel_that_panics(kind: str, environment: dict[str, str], state: Path, tmp_path: Path) -> None:
    """Its own word for it is said, in the notebook and by `labkit run`; the page of addresses is in the file named."""
    program = tmp_path / PROGRAM
    program.write_text(f'#!/bin/sh\nexec {shutil.which(PROGRAM)} "$@" init=/nowhere\n')
    program.chmod(0o755)
    environment |= {"LABKIT_MACHINE": kind, "LABKIT_KERNEL": str(program)}
    file = state / f"labkit-{os.getuid()}" / FILE

    answer = run_cell(Ground(), environment)
    command = [LABKIT, "run", "--", "true"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)

    said = "the machine was killed (SIGABRT): Kernel panic - not syncing: Requested init /nowhere failed (error -2)."
    said += f" (all that was written: {file})."
    assert answer["evalue"].startswith(f"The machine ended while it booted: {said} Restart the kernel"), answer
    assert (125, f"labkit: The machine is gone: {said}\n") == (done.returncode, done.stderr)
    assert "Call Trace:" in file.read_text() and "0x" not in answer["evalue"]
    assert [file] == list(file.parent.iterdir())


@pytest.mark.parametrize(("end", "words"), [("exit 1", "ended: no way out"), ("kill -9 $$", "was killed (SIGKILL)")])
@pytest.mark.parametrize("kind", KINDS)
def test_a_network_that_dies_as_it_begins(
    kind: str, end: str, words: str, environment: dict[str, str], state: Path, tmp_path: Path
) -> None:
    """What ended is said at once, and not only that it did not do its work in time."""
    program = tmp_path / "slirp4netns"
    program.write_text(f"#!/bin/sh\necho no way out >&2\n{end}\n")
    program.chmod(0o755)
    environment |= {"LABKIT_MACHINE": kind, "PATH": f"{tmp_path}:{environment['PATH']}"}
    before = snapshot(state)

    answer = run_cell(Ground(), environment)

    assert answer["evalue"].startswith(f"The machine ended while it booted: its network (slirp4netns) {words}"), answer
    assert NO_WAIT_S > answer["seconds"]
    assert before == snapshot(state)


@pytest.mark.parametrize("kind", KINDS)
def test_a_machine_that_is_killed_as_it_boots(kind: str, state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that waits for its kernel gets the reason instead, on the same ports."""
    monkeypatch.setenv("LABKIT_MACHINE", kind)
    manager = KernelManager(kernel_name="docker-lab")
    manager.start_kernel(stderr=subprocess.DEVNULL)
    launcher = ask.launcher_of(manager)
    # Until each slirp4netns has its name, it may be taken for the machine.
    last = {"native": "slirp4netns", "uml": "slirp4netns of the channels"}[kind]
    assert wait_until(lambda: all(has_part(launcher, part) for part in (last, "machine")), 10)
    os.kill(find_part(launcher, "machine"), signal.SIGKILL)

    answer = ask.run_cell(manager, "print(1)")

    assert "the machine was killed (SIGKILL)" in answer["evalue"], answer
    assert wait_until(lambda: not list((state / "labkit-0").iterdir()), 5)


def test_machines_that_start_at_once_share_the_memory(environment: dict[str, str], state: Path) -> None:
    """Where there is room for one, and two are asked for in the same moment, one boots and the other is refused."""
    environment["LABKIT_MACHINE"] = "uml"
    code = "import time; time.sleep(5); print('booted')"

    with memory_group(ROOM_FOR_ONE_MIB) as group:
        command = Ground(group=group).command(sys.executable, ask.__file__, code)
        pair = [subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) for _ in range(2)]
        answers = [json.loads(process.communicate(timeout=60)[0]) for process in pair]

    words = sorted(answer["evalue"] or answer["text"] for answer in answers)
    assert words[0].startswith("There is no memory for another machine") and words[1] == "booted\n", words


def test_a_home_that_cannot_be_written(environment: dict[str, str], state: Path, tmp_path: Path) -> None:
    """JupyterLab cannot start there: `make lab` stops at once with the doctor's words. A machine does boot."""
    ground = Ground('mount -t tmpfs -o ro none "$HOME"')
    make = ground.command("make", "-C", str(ROOT), "lab")

    status, report = examine(ground, environment)
    lab = subprocess.run(make, env=environment, capture_output=True, text=True, timeout=60, check=False)

    found, cure = report["host"][0].values()
    assert f"The home directory {tmp_path} is not writable" in found
    assert "Set HOME to a directory that is." == cure
    assert 2 == status == lab.returncode
    assert found in lab.stdout and cure in lab.stdout and "Traceback" not in lab.stderr
    assert "1\n" == run_cell(ground, environment)["text"]


def test_a_root_without_namespaces(environment: dict[str, str]) -> None:
    """With no kind named, the doctor and the notebook take the one that can boot."""
    environment.pop("LABKIT_MACHINE", None)
    ground = Ground(profile=refuse("unshare"))

    _, report = examine(ground, environment)
    answer = run_cell(ground, environment, code="import os; print(os.environ['LABKIT_MACHINE_KIND'])")

    assert "uml" == report["machine"]
    assert "uml\n" == answer["text"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_taken_port(
    kind: str, state: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A kernel whose port belongs to another program gets another one, and the log says so."""
    monkeypatch.setenv("LABKIT_MACHINE", kind)
    manager = KernelManager(kernel_name="docker-lab")
    with socket.create_server(("127.0.0.1", 0)) as other:
        manager.shell_port = taken = other.getsockname()[1]
        manager.start_kernel()
        given = manager.shell_port

        assert "1\n" == ask.run_cell(manager, "print(1)")["text"]

    assert f"Port {taken} is another program's now: the kernel gets port {given} instead." in caplog.messages
    assert given != taken


def test_no_other_program_is_given_a_kernels_port(state: Path, start_kernel: Callable[[], KernelManager]) -> None:
    """A dead kernel's ports are held until it is shut down, and not a moment longer."""
    manager = start_kernel()
    ports = manager.ports
    launcher = ask.launcher_of(manager)
    assert wait_until(lambda: has_part(launcher, "slirp4netns"), 10)
    os.kill(launcher, signal.SIGKILL)
    assert wait_until(lambda: not list((state / "labkit-0").iterdir()), 10)

    free = [port for port in ports if may_have(port)]
    held = bound_here().intersection(ports)
    manager.shutdown_kernel(now=True)

    assert (5, []) == (len(set(ports)), free)
    assert {*ports} == held
    # Not `may_have`: the manager had a connection to one of them, which the kernel remembers for a minute (TIME_WAIT).
    assert set() == bound_here().intersection(ports)


def may_have(port: int) -> bool:
    """Whether a program that insists on a port of its own gets this one."""
    with socket.socket() as other:
        try:
            other.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def bound_here() -> set[int]:
    """The ports to which sockets of this process are bound."""
    ports = set()
    for number in os.listdir("/proc/self/fd"):
        with suppress(OSError), socket.socket(fileno=os.dup(int(number))) as own:
            if own.family == socket.AF_INET:
                ports.add(own.getsockname()[1])
    return ports


@pytest.mark.parametrize("kind", KINDS)
def test_a_taken_port_where_jupyter_does_not_start_the_kernel(kind: str, state: Path, tmp_path: Path) -> None:
    """The launcher ends at once and says so: its client speaks to the other program."""
    before = snapshot(state)
    file = str(tmp_path / "kernel.json")
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        write_connection_file(file, shell_port=taken, key=b"key")
        argv = [sys.executable, "-m", "labkit.machine.launcher", "-f", file]
        env = {**os.environ, "LABKIT_MACHINE": kind}
        done = subprocess.run(argv, env=env, capture_output=True, text=True, timeout=PATIENCE_S, check=False)

    said = f"labkit: Port {taken} on 127.0.0.1 is taken by another program (Address already in use). Restart the kernel"
    assert 1 == done.returncode
    assert said in done.stderr and "Traceback" not in done.stderr
    assert wait_until(lambda: before == snapshot(state), 2)


TAKE = """
import os, socket, sys
kept = [socket.create_server(("127.0.0.1", port)) for port in (40000, 40001)]
for listener in kept:
    listener.set_inheritable(True)
os.execvp(sys.argv[1], sys.argv[1:])
"""
NO_PORT = {  # the ground, what starts each command there, and the kernel's words
    "lo is down": (Ground(), ("unshare", "--net"), "Network is unreachable"),
    "all are taken": (
        Ground('sysctl -qw net.ipv4.ip_local_port_range="40000 40001"', has_network=False),
        (sys.executable, "-c", TAKE),
        "Address already in use",
    ),
}


@pytest.mark.parametrize("name", NO_PORT)
def test_no_port(name: str, environment: dict[str, str], state: Path) -> None:
    """Where no kernel can be reached, the doctor says so, and Jupyter's error, in the same words; a machine boots."""
    ground, prefix, words = NO_PORT[name]
    before = snapshot(state)

    status, report = examine(ground, environment, *prefix)
    cell = ground.command(*prefix, sys.executable, ask.__file__, "print(1)")
    notebook = subprocess.run(cell, env=environment, capture_output=True, text=True, timeout=60, check=False)
    command = ground.command(*prefix, LABKIT, "run", "--", "docker", "run", "--rm", "busybox", "echo", "hi")
    machine = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)

    found, cure = report["host"][0].values()
    assert (2, f"No port on 127.0.0.1 can be had and reached ({words}).") == (status, found)
    assert "ip link set lo up" in cure and "ip_local_port_range" in cure
    assert notebook.stderr.endswith(f"MachineError: {found} {cure}\n")
    assert "hi\n" == machine.stdout
    assert before == snapshot(state)


def test_an_unknown_kind(environment: dict[str, str]) -> None:
    """A misspelt LABKIT_MACHINE is named, and never taken for another."""
    environment["LABKIT_MACHINE"] = "umll"

    _, report = examine(Ground(), environment)
    answer = run_cell(Ground(), environment)

    words = "LABKIT_MACHINE is 'umll': the kinds of machine are native, uml and auto."
    assert (None, words) == (report["machine"], report["host"][0]["found"])
    assert words == answer["evalue"]


def test_a_system_without_unix(tmp_path: Path) -> None:
    """Where Python has no modules of a Unix, the doctor and the launcher can be imported, to say so."""
    blocked = "import sys; sys.modules.update(dict.fromkeys(['fcntl', 'pty', 'termios', 'tty', 'resource', 'pwd']))"
    modules = "import labkit.cli, labkit.machine.launcher, labkit.machine.doctor"

    done = subprocess.run([sys.executable, "-c", f"{blocked}; {modules}"], capture_output=True, text=True, check=False)

    assert (0, "") == (done.returncode, done.stderr)
