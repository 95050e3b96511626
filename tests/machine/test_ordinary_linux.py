"""Does a machine of each kind have what a Linux user takes for granted, as docs/machine.md has it in a table?

One machine of each kind, and with each kernel, is asked all lines; the table says which of them hold there.
"""

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.machine import ask
from tests.machine.host import KINDS, LABKIT, find_kernels, run, wait_until

DOCS = Path(__file__).parents[2] / "docs/machine.md"
# What the table names, and a line of bash that shows it by its status.
LINES = {
    "devices": "for d in null zero full random urandom tty ptmx; do test -c /dev/$d; done; ! echo x >/dev/full",
    "standard streams": 'test "$(echo x | cat /dev/stdin)" = x; test "$(echo x >/dev/stdout)" = x; test -L /dev/stderr',
    "process substitution": 'test "$(cat <(echo x))" = x',
    "terminals": "script -qec tty /dev/null | grep -q ^/dev/pts/",
    "loop devices": "truncate -s 8M /tmp/disk; mkfs.ext4 -q /tmp/disk; mount -o loop /tmp/disk /mnt; umount /mnt",
    "fuse": "mount -i -t fuse -o fd=3,rootmode=40000,user_id=0,group_id=0 none /mnt 3<>/dev/fuse; umount -l /mnt",
    "tun": "ip tuntap add dev tun9 mode tun; ip link delete tun9",
    "ps": "ps -ef | grep -q [d]ockerd",
    "top": "top -bn1 | grep -q dockerd",
    "free": "free -m | awk '/^Mem:/ { exit $2 < 100 }'",
    "vmstat": "vmstat | tail -n 1 | grep -q '[0-9]'",
    "its own name": 'test "$(getent hosts "$(hostname)" | awk "{ print \\$2 }")" = lab',
    "localhost": "getent ahosts localhost | grep -q ^127.0.0.1",
    "language": 'test "$(locale charmap)" = UTF-8; test -z "$(locale 2>&1 >/dev/null)"',
    "time zone": 'test "$(date +%Z%z)" = "@zone@"',
    "a shared root": 'test "$(findmnt -no PROPAGATION /)" = shared',
    "a mount reaches a container": """
        mkdir -p /tmp/a/m; docker run -d --name mounts -v /tmp/a:/a:rslave busybox sleep 99
        mount -t tmpfs none /tmp/a/m; touch /tmp/a/m/seen; docker exec mounts test -e /a/m/seen""",
    "a container's mount comes out": """
        mkdir -p /tmp/b/m
        docker run --rm --cap-add SYS_ADMIN -v /tmp/b:/b:rshared busybox mount -t tmpfs none /b/m
        mountpoint -q /tmp/b/m""",
    "docker top": "docker run -d --name topped busybox sleep 99; docker top topped | grep -q sleep",
    "docker update": """
        docker run -d --name updated busybox sleep 99
        docker update --memory 40m --memory-swap 80m updated; docker update --cpus 0.5 updated
        grep -qsx 41943040 /sys/fs/cgroup/{docker/*/memory.max,memory/docker/*/memory.limit_in_bytes}
        test "$(docker inspect -f '{{.State.Running}}' updated)" = true""",
    "docker stats": "docker run -d --name stats busybox sleep 99; docker stats --no-stream stats | grep -q '[0-9]%'",
    "namespaces of an ordinary user": """
        setpriv --reuid=1000 --regid=1000 --clear-groups \\
            unshare --user --map-root-user --pid --fork --mount-proc sh -c 'test "$(readlink /proc/self)" = 2'""",
    "cpuset": "grep -q cpuset: /proc/self/cgroup || grep -qw cpuset /sys/fs/cgroup/cgroup.controllers",
    "swap limits": "ls /sys/fs/cgroup/memory/memory.memsw.limit_in_bytes || ls /sys/fs/cgroup/*/memory.swap.max",
}
MACHINES = [("native",), *(("uml", name) for name in find_kernels())]
# In a mount namespace that stands for the host: its mounts before a machine, beside one that mounts something, after.
WATCH_MOUNTS = """
mkfifo "$1/mounted" "$1/end"
cat /proc/self/mountinfo >"$1/before"
"$2" run --machine "$3" -- sh -c '
    mkdir /tmp/inside; mount -t tmpfs inside-only /tmp/inside; grep -c inside-only /proc/self/mounts; read -r end' \
    <>"$1/end" >"$1/mounted" &
read -r count <"$1/mounted"
echo "$count"
cat /proc/self/mountinfo >"$1/during"
echo end >"$1/end"
wait
cat /proc/self/mountinfo >"$1/after"
"""
ASK = """
while IFS= read -r -d '' name && IFS= read -r -d '' line; do
    timeout 60 bash -euo pipefail -c "$line" </dev/null >/tmp/said 2>&1 && word=yes || word=no
    printf '%s\\t%s\\t%s\\n' "$name" "$word" "$(tail -n 1 /tmp/said | tr '\\t' ' ')"
done
"""


def read_table() -> dict[str, dict[str, str]]:
    """What the table in docs/ says of each kind of machine: name -> "yes", "no" or "as the host"."""
    table: dict[str, dict[str, str]] = {kind: {} for kind in KINDS}
    for name, *cells in re.findall(
        r"^\| (.+?) \| .+? \| (yes|no|as the host) \| (yes|no|as the host) \|$", DOCS.read_text(), re.M
    ):
        for kind, cell in zip(KINDS, cells, strict=True):
            table[kind][name] = cell
    return table


@pytest.fixture(scope="module", params=MACHINES, ids=", ".join)
def machine(request: pytest.FixtureRequest) -> tuple[str, ...]:
    """The machines that are asked: the kind, and of `uml` the name of its kernel."""
    chosen: tuple[str, ...] = request.param
    return chosen


@pytest.fixture(scope="module")
def answers(machine: tuple[str, ...]) -> Iterator[dict[str, tuple[str, str]]]:
    """What one such machine answers to each line: "yes" or "no", and its last words."""
    zone = subprocess.run(["date", "+%Z%z"], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    data = "".join(f"{name}\0{line.replace('@zone@', zone)}\0" for name, line in LINES.items())
    state = tempfile.mkdtemp(prefix="lab", dir="/tmp")
    kind, *kernels = machine
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LABKIT_TMPDIR", state)
        for name in kernels:
            patch.setenv("LABKIT_KERNEL", find_kernels()[name])
        done = run(kind, "bash", "-c", ASK, data=data.encode(), timeout=250)
    wait_until(lambda: not any(Path(state).glob("labkit-*/*")), 10)
    shutil.rmtree(state)
    told = [line.split("\t") for line in done.stdout.decode().splitlines()]
    assert list(LINES) == [name for name, _, _ in told], done.stderr.decode()
    yield {name: (word, words) for name, word, words in told}


def test_the_table_names_what_is_tested() -> None:
    """Each line has a row in docs/, and each row a line."""
    for rows in read_table().values():
        assert sorted(LINES) == sorted(rows)


@pytest.mark.parametrize("name", LINES)
def test_a_line(name: str, machine: tuple[str, ...], answers: dict[str, tuple[str, str]]) -> None:
    """The machine does what the table says of its kind, and nothing that the table denies."""
    promised = read_table()[machine[0]][name]
    if promised == "as the host":
        done = subprocess.run(["bash", "-c", LINES[name]], capture_output=True, check=False)
        promised = "no" if done.returncode else "yes"

    word, words = answers[name]

    assert promised == word, words


@pytest.mark.needs_root
@pytest.mark.parametrize("kind", KINDS)
def test_a_machine_changes_no_mount_of_the_host(kind: str, state: Path) -> None:
    """Where the host's own root is shared, as systemd has it, nothing is mounted or unmounted by what happens inside.

    slirp4netns's sandbox once took the host's control groups with it.
    """
    with tempfile.TemporaryDirectory() as place:
        done = subprocess.run(
            ["unshare", "--mount", "--propagation=shared", "sh", "-euc", WATCH_MOUNTS, "sh", place, LABKIT, kind],
            stdout=subprocess.PIPE,
            timeout=120,
            check=True,
        )
        before, during, after = (Path(place, name).read_text() for name in ("before", "during", "after"))

    assert b"1\n" == done.stdout
    assert re.search(r" / [rw,a-z]+ shared:", before), "the root is not shared: nothing was tried"
    assert before == during == after


@pytest.mark.needs_root
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("needed", [False, True])
def test_the_home_of_root(needed: bool, kind: str, state: Path) -> None:
    """/root is empty, whatever the host has there; but where something is needed from it, it is the host's."""
    if any(Path(path).is_relative_to("/root") for path in (sys.prefix, sys.base_prefix, __file__)):
        pytest.skip("the project or its Python lies in /root, which is needed then")
    with tempfile.TemporaryDirectory(dir="/root", prefix="labkit-test-") as directory:
        Path(directory, "file").touch()
        done = subprocess.run(
            [
                LABKIT,
                "run",
                "--machine",
                kind,
                "--",
                "sh",
                "-c",
                f"ls -A /root | wc -l; cat {directory}/file && touch /root/x",
            ],
            cwd=directory if needed else "/",
            capture_output=True,
            check=False,
        )

        assert needed == (done.returncode == 0) and needed == (b"0\n" != done.stdout), done
    assert not Path("/root/x").exists()


EAT = """
import os, subprocess, sys
from pathlib import Path
from labkit.lesson import open_lesson, sh

for limit in (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes")):
    if limit.exists():  # of a machine under the host's kernel, whose memory is large
        limit.write_text(str(400 << 20))
lesson = open_lesson("x")
engine = Path("/run/docker.pid").read_text()
"""
CONTAINER_EATS = f"""{EAT}
print("status", subprocess.run(["docker", "run", "busybox", "tail", "/dev/zero"], capture_output=True).returncode)
print("the same engine", lesson.engine_alive() and os.path.exists(f"/proc/{{engine}}"))
"""
PROCESS_EATS = f"""{EAT}
print("status", subprocess.run([sys.executable, "-c", "kept = [b'x' * (1 << 20) for _ in range(600)]"]).returncode)
print("the same engine", lesson.engine_alive() and os.path.exists(f"/proc/{{engine}}"))
"""


@pytest.mark.parametrize(("code", "status", "told"), [(CONTAINER_EATS, 137, False), (PROCESS_EATS, -9, True)])
@pytest.mark.parametrize("kind", KINDS)
def test_memory_runs_out(
    code: str, status: int, told: bool, kind: str, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who eats all memory is killed, the engine and the notebook live on; the notebook tells of its own processes."""
    monkeypatch.setenv("LABKIT_MACHINE", kind)

    answer = ask.run_cell(ask.start(), code, patience_s=200)

    assert f"status {status}\nthe same engine True\n" in answer["text"], answer
    assert told == ("Memory ran out, and the kernel killed 1 of this machine's own processes." in answer["text"])
