"""Does `labkit run` give a machine that keeps its contract, and pass bytes and statuses on unchanged?"""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.machine.host import KINDS, LABKIT, run, snapshot

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
        "import os, signal; from pathlib import Path; from labkit.machine.engine_process import answers, start_engine\n"
        "os.kill(int(Path('/run/docker.pid').read_text()), signal.SIGKILL)\n"
        "print(answers()); start_engine(); print(answers())\n"
        "from labkit.engine import Engine; print(Engine().get('/images/busybox:latest/json').answer.status)"
    )

    done = run(kind, sys.executable, "-c", script)

    assert done.stdout.decode().split() == ["False", "True", "200"], done.stderr.decode()
