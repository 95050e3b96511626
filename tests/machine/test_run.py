"""Does `labkit run` give a machine that keeps its contract, and pass bytes and statuses on unchanged?"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from shlex import quote

import pytest

import labkit
from tests.machine import ask
from tests.machine.host import DEBIANS_KERNEL, KINDS, LABKIT, find_kernels, has_part, run, snapshot, wait_until

CONTRACT = r"""
set -e
test "$(id -u)" = 0; echo "root"
test "$(hostname)" = lab; echo "called lab"
test "$LABKIT_MACHINE_KIND" = @kind@; echo "of the kind asked for"
docker image inspect busybox:latest >/dev/null; echo "has busybox"
test "$(docker run --rm busybox echo hi)" = hi; echo "runs a container"
curl -fsS http://127.0.0.1:5678/_ping >/dev/null; echo "answers on tcp 5678"
curl -fsS --unix-socket /var/run/docker.sock http://d/_ping >/dev/null; echo "answers on the socket"
test -f /sys/fs/cgroup/cgroup.controllers -o -d /sys/fs/cgroup/memory; echo "has control groups"
unshare --user --map-root-user true; echo "permits user namespaces"
touch /usr/bin/new /etc/new ~/new; echo "is writable"
for program in runc ip iptables strace nsenter gcc; do command -v $program >/dev/null; done; echo "has tools"
"""
PROMISES = [line.split('echo "')[1].rstrip('"') for line in CONTRACT.splitlines() if 'echo "' in line]


@pytest.mark.parametrize("kind", KINDS)
def test_the_contract_holds(kind: str, state: Path) -> None:
    """What lessons rely on is true inside, and the host is afterwards as it was."""
    before = snapshot(state)

    done = run(kind, "bash", "-c", CONTRACT.replace("@kind@", kind))

    assert done.stdout.decode().splitlines() == PROMISES, done.stderr.decode()
    assert snapshot(state) == before
    assert not Path("/usr/bin/new").exists()


@pytest.mark.parametrize("kind", KINDS)
def test_bytes_and_status_pass_unchanged(kind: str, state: Path) -> None:
    """Any byte of the input comes back on its own stream, and the status is the command's."""
    data = bytes(range(256)) * 40

    done = run(kind, "sh", "-c", "cat; echo to-stderr >&2; exit 7", data=data)

    assert (done.returncode, done.stdout, done.stderr) == (7, data, b"to-stderr\n")


@pytest.mark.parametrize("kind", KINDS)
def test_a_missing_program_is_127(kind: str, state: Path) -> None:
    """A command that does not exist ends as in a shell."""
    done = run(kind, "no-such-program")

    assert (done.returncode, done.stderr) == (127, b"labkit: no-such-program: No such file or directory\n")


@pytest.mark.parametrize("kind", KINDS)
def test_two_machines_do_not_meet(kind: str, state: Path) -> None:
    """A container of one machine is not in the other, and both listen on the same port."""
    script = "docker run -d --name one busybox sleep 60 >/dev/null; sleep 2; docker ps -q | wc -l"
    command = [LABKIT, "run", "--machine", kind, "--", "sh", "-c", script]

    pair = [subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL) for _ in range(2)]

    assert [process.communicate(timeout=90)[0] for process in pair] == [b"1\n", b"1\n"]


@pytest.mark.parametrize("kind", KINDS)
def test_the_engine_comes_back(kind: str, state: Path) -> None:
    """A dockerd that was killed can be started again, from inside, with its images."""
    script = (
        "import os, signal; from pathlib import Path\n"
        "from labkit.machine.inside.engine_process import engine_answers, start_engine\n"
        "os.kill(int(Path('/run/docker.pid').read_text()), signal.SIGKILL)\n"
        "print(engine_answers()); start_engine(); print(engine_answers())\n"
        "from labkit.api.engine import Engine; print(Engine().get('/images/busybox:latest/json').answer.status)"
    )

    done = run(kind, sys.executable, "-c", script)

    assert done.stdout.decode().split() == ["False", "True", "200"], done.stderr.decode()


@pytest.mark.parametrize("kind", KINDS)
def test_a_paused_container_ends_with_its_machine(kind: str, state: Path) -> None:
    """Where control groups are of version 1, SIGKILL does not reach a frozen process: it is thawed first."""
    before = snapshot(state)
    nap = f"sleep 4{os.getpid()}{KINDS.index(kind)}"  # others may run this test beside us
    script = f"docker run -d --name pet busybox {nap} >/dev/null; docker pause pet"

    done = run(kind, "sh", "-c", script)

    assert done.stdout == b"pet\n", done.stderr.decode()
    assert snapshot(state) == before
    assert subprocess.run(["pgrep", "-f", f"^{nap}"], check=False).returncode == 1


@pytest.mark.parametrize("kind", KINDS)
def test_a_command_that_writes_before_it_reads(kind: str, state: Path) -> None:
    """Much output while much input waits: neither keeps the other up."""
    done = run(kind, "sh", "-c", "seq 50000; wc -c", data=bytes(200_000))

    assert done.stdout.split()[-2:] == [b"50000", b"200000"]


@pytest.mark.parametrize("kind", ["uml"])
def test_a_module_on_demand(kind: str, state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once the engine is up, Debian's kernel has the modules loaded that somebody asks it for."""
    monkeypatch.setenv("LABKIT_KERNEL", find_kernels()[DEBIANS_KERNEL])
    done = run(kind, "sh", "-c", "ip link add made type dummy; lsmod | grep -o ^dummy")

    assert done.stdout == b"dummy\n", done.stderr.decode()


@pytest.mark.parametrize("kind", KINDS)
def test_the_environment_is_the_machines_own(kind: str, state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A language of the host's changes no output, its proxy keeps nobody from the engine, its Docker is not asked."""
    for name, value in {
        "LC_ALL": "de_DE.UTF-8",
        "http_proxy": "http://192.0.2.1:1",
        "DOCKER_HOST": "tcp://192.0.2.1:1",
    }.items():
        monkeypatch.setenv(name, value)

    done = run(kind, "sh", "-c", "ls /nowhere; curl -fsS http://localhost:5678/_ping; docker ps -q; echo; env | sort")

    assert done.stderr == b"ls: cannot access '/nowhere': No such file or directory\n"
    assert done.stdout.startswith(b"OK\n")
    assert b"http_proxy=http://192.0.2.1:1\n" in done.stdout and b"LC_ALL" not in done.stdout


VERSION_2 = """
for name in iptables ip6tables; do ln -s /usr/sbin/$name-legacy /usr/local/sbin/$name; done
echo "+cpu +io +memory +pids" >/sys/fs/cgroup/cgroup.subtree_control
"""
NATIVE = """
@labkit@ run --machine native -- sh -c 'docker run --rm --memory 32m --pids-limit 50 busybox echo hi
    for limit in memory.max pids.max; do cat /sys/fs/cgroup/$limit; done'
ls -d /sys/fs/cgroup/labkit-* 2>/dev/null | wc -l
"""
AS_IN_A_CONTAINER = """
mkdir /sys/fs/cgroup/box
echo $$ >/sys/fs/cgroup/box/cgroup.procs
exec unshare --cgroup --mount sh -euc 'umount -l /sys/fs/cgroup; mount -t cgroup2 none /sys/fs/cgroup; . /tmp/native'
"""


@pytest.mark.parametrize("kind", ["uml"])
@pytest.mark.parametrize("where", ["on a host", "in a container"])
def test_a_native_machine_on_control_groups_of_version_2(where: str, kind: str, state: Path) -> None:
    """A machine in a machine, on version 2 alone: the limits of containers and its own hold, and nothing is left.

    A host passes its controllers on, as an ordinary Debian does; a privileged container sees its own group as top.
    """
    native = NATIVE.replace("@labkit@", LABKIT)
    begin = f"{VERSION_2}\ncat >/tmp/native\n"
    script = begin + (". /tmp/native" if where == "on a host" else AS_IN_A_CONTAINER)

    done = run(kind, "sh", "-c", script, data=native.encode(), timeout=150)

    greeting, memory, pids, left = done.stdout.decode().split()
    assert ("hi", "4096", "0") == (greeting, pids, left) and int(memory) > 0, done.stderr.decode()


@pytest.mark.needs_root
def test_odd_mounts_of_the_host_do_no_harm(state: Path, tmp_path: Path) -> None:
    """A mount whose name parts overlay's options is carried, and readable inside; one that cannot be is left out."""
    odd = tmp_path / "a:b,c d"
    odd.mkdir()
    (odd / "file").write_text("seen\n")
    mounts = f"mount --bind {quote(str(odd))} {quote(str(odd))}"
    command = [LABKIT, "run", "--machine", "native", "--", "cat", str(odd / "file")]

    done = subprocess.run(
        ["unshare", "--mount", "sh", "-euc", f'{mounts}; exec "$@"', "sh", *command], capture_output=True, check=False
    )

    assert done.stdout == b"seen\n", done.stderr.decode()


@pytest.mark.parametrize("kind", KINDS)
def test_paths_with_spaces(kind: str, state: Path, tmp_path: Path) -> None:
    """The project, its Python and the directory that one stands in may have any name."""
    odd = tmp_path / "my projects, \u00fcbung 'one'"
    (odd / "here").mkdir(parents=True)
    shutil.copytree(Path(labkit.__file__).parent, odd / "labkit")
    (odd / "python").symlink_to(sys.prefix)
    command = [str(odd / "python/bin/python"), "-m", "labkit", "run", "--machine", kind, "--", "pwd"]
    env = {**os.environ, "PYTHONPATH": str(odd)}

    done = subprocess.run(command, cwd=odd / "here", env=env, capture_output=True, check=False, timeout=60)

    assert (f"{odd}/here\n".encode(), b"") == (done.stdout, done.stderr)


@pytest.mark.parametrize("kind", KINDS)
def test_signals_and_umask_are_a_shells(kind: str, state: Path) -> None:
    """A pipe that nobody reads ends who writes into it; whoever is not root can read what everybody has to."""
    script = "yes | head -1; stat -c %a /etc/resolv.conf /etc/hosts /run/labkit /run/lock; umask"

    done = subprocess.run(
        ["sh", "-c", 'umask 077; exec "$@"', "sh", LABKIT, "run", "--machine", kind, "--", "sh", "-c", script],
        capture_output=True,
        check=False,
        timeout=60,
    )

    assert (["y", "644", "644", "755", "1777", "0022"], b"") == (done.stdout.decode().split(), done.stderr)


@pytest.mark.parametrize("kind", KINDS)
def test_a_directory_that_is_not_inside(kind: str, state: Path) -> None:
    """Who stands in a place that a machine has anew, /dev/shm for one, is told so; the command is not blamed."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as outside:
        command = [LABKIT, "run", "--machine", kind, "--", "true"]
        done = subprocess.run(command, cwd=outside, capture_output=True, check=False, timeout=60)

    assert (126, f"labkit: {outside}: No such file or directory\n") == (done.returncode, done.stderr.decode())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("times", [1, 2])
def test_interrupted_as_it_boots(times: int, kind: str, state: Path) -> None:
    """Ctrl-C before there is a command ends the machine, and a second one changes nothing."""
    before = snapshot(state)
    command = [LABKIT, "run", "--machine", kind, "--", "sleep", "100"]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE) as booting:
        assert booting.stderr is not None
        assert wait_until(lambda: has_part(booting.pid, "slirp4netns"), 10)
        for _ in range(times):
            booting.send_signal(signal.SIGINT)
            time.sleep(0.02)
        words = booting.stderr.read()

    assert (130, b"") == (booting.returncode, words)
    assert wait_until(lambda: snapshot(state) == before, 2), snapshot(state)


INTERRUPT = """
import os, sys
sys.addaudithook(lambda event, words: (event, words[:1]) == ("import", ({module!r},)) and os.kill(os.getpid(), 2))
"""


@pytest.mark.parametrize(
    "module", ["labkit.cli", "argparse", "labkit.machine.doctor", "labkit.machine.outside.attach", "pty"]
)
@pytest.mark.parametrize("kind", ["native"])
def test_interrupted_as_it_loads(
    kind: str, module: str, state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C while Python still loads labkit's modules ends it as later, without a traceback of imports."""
    before = snapshot(state)
    (tmp_path / "sitecustomize.py").write_text(INTERRUPT.format(module=module))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    done = run(kind, "sleep", "100", timeout=10)

    assert (130, b"", b"") == (done.returncode, done.stdout, done.stderr)
    assert before == snapshot(state)


ODD_STREAMS = {  # redirections of a shell: what the command prints, what is said, the status
    "<&-": ("end", "", 3),
    "1>&-": ("", "", 3),
    "2>&-": ("end", "", 3),
    "<&- 1>&- 2>&-": ("", "", 3),
    "0>/dev/null": ("end", "labkit: the standard input cannot be read (Bad file descriptor)", 3),
    "1>/dev/full": ("", "labkit: standard output cannot be written (No space left on device)", 125),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("streams", ODD_STREAMS)
def test_odd_streams(streams: str, kind: str, state: Path) -> None:
    """A standard stream that is closed counts as /dev/null; one that cannot be used is named in one sentence."""
    shell = [
        "sh",
        "-c",
        f'"$@" {streams}',
        "sh",
        LABKIT,
        "run",
        "--machine",
        kind,
        "--",
        "sh",
        "-c",
        "cat; echo end; exit 3",
    ]

    done = subprocess.run(shell, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False)

    assert ODD_STREAMS[streams] == (done.stdout.rstrip(), done.stderr.rstrip(), done.returncode)


@pytest.mark.parametrize("kind", KINDS)
def test_pid_1_brings_no_directory_of_its_own(kind: str, state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A notebook imports what it would import on the host: labkit's modules on machines are not top-level modules."""
    monkeypatch.setenv("LABKIT_MACHINE", kind)

    answer = ask.run_cell(ask.start(), "import sys; print([path for path in sys.path if path.endswith('machine')])")

    assert "[]\n" == answer["text"]


UNFORESEEN = """
import sys

def refuse(event, words):
    if (event, words[:1]) == ("import", ("labkit.machine.inside.engine_process",)):
        raise KeyError("unforeseen")

sys.addaudithook(refuse)
"""


@pytest.mark.parametrize("kind", ["native"])  # nothing of the host's is executed in PID 1 of a `uml` machine
def test_an_error_that_nobody_foresaw_is_told(
    kind: str, state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the process that starts the engine raises is said in its own words; it is not said to have been killed."""
    (tmp_path / "sitecustomize.py").write_text(UNFORESEEN)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    done = run(kind, "true")

    assert (125, b"labkit: KeyError: 'unforeseen'\n") == (done.returncode, done.stderr)
