"""A learner breaks what can be broken: does the host notice anything?

What is tried are accidents, not attacks: root inside a `native` machine shares the host's kernel and could reach its
disks on purpose; docs/boot.md says so.
"""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.machine.host import KINDS, LABKIT, descendants, is_alive, run, snapshot, wait_until

UML_MIB = 512
OTHERS_MIB = 500  # what the host's other programs may write meanwhile; a leak would be a filler of 2 GiB
BUSY_S = 4  # how long a fork bomb may go on
BOMB, MAX_PROCESSES = 300, 4096  # it did go off; what the control group of a machine allows
SLACK = 100  # those that come and go during a count
RESPONSE_S = 2.0  # for a small program on a host that has two other things to do


@contextmanager
def untouched(state: Path) -> Iterator[Path]:
    """Compare the host before and after; gives a file of the host that an accident could take along."""
    sentinel = state / "of-the-host"
    sentinel.write_text("still there")
    before, programs = look_around(state), set(os.listdir("/usr/bin"))
    yield sentinel
    assert before == look_around(state)
    assert programs <= set(os.listdir("/usr/bin"))  # somebody may install another one
    assert "still there" == sentinel.read_text()


def look_around(state: Path) -> dict[str, object]:
    return {
        **snapshot(state),
        "name": Path("/proc/sys/kernel/hostname").read_text(),
        "boot": Path("/proc/sys/kernel/random/boot_id").read_text(),
        "top": sorted((entry.name, entry.inode()) for entry in os.scandir("/")),
        "users": Path("/etc/passwd").read_text(),
    }


@pytest.mark.parametrize("kind", KINDS)
def test_removing_everything(kind: str, state: Path) -> None:
    """`rm -rf /` takes the machine's files, and none of the host's."""
    with untouched(state) as sentinel:
        # The whole tree may be large: what matters goes first, and the rest gets a few seconds.
        script = f"rm -rf {sentinel} /etc; timeout -s KILL 8 rm -rf --no-preserve-root /; echo $?"

        done = run(kind, "sh", "-c", f"{script}; test -e {sentinel} -o -e /etc/passwd || echo gone")

        assert b"gone\n" in done.stdout, done


@pytest.mark.parametrize("kind", KINDS)
def test_killing_every_process(kind: str, state: Path) -> None:
    """`kill -9 -1` ends the machine's processes, and none of the host's."""
    with untouched(state), subprocess.Popen(["sleep", "100"]) as bystander:
        script = "docker run -d busybox sleep 100 >/dev/null; kill -9 -1; sleep 1; pgrep -c 'sleep|dockerd|containerd'"
        done = run(kind, "sh", "-c", script)

        assert bystander.poll() is None
        bystander.kill()
        assert b"0\n" == done.stdout


@pytest.mark.parametrize("kind", KINDS)
def test_names_and_mounts(kind: str, state: Path) -> None:
    """Another host name, mounts, and everything unmounted that can be: all of it inside."""
    script = "cp /bin/busybox /tmp; hostname broken; mount -t tmpfs none /mnt; mount --bind /mnt /usr; "
    script += "PATH=/tmp; busybox umount -a -l; busybox umount -l /proc /sys /dev /; busybox hostname"

    with untouched(state):
        done = run(kind, "sh", "-c", script)

        assert (0, b"broken\n") == (done.returncode, done.stdout), done
        assert b"Traceback" not in done.stderr


@pytest.mark.parametrize("kind", KINDS)
def test_switching_off(kind: str, state: Path) -> None:
    """reboot(2) ends the machine, with a clear word and no hang, and the host goes on."""
    host = os.readlink("/proc/self/ns/pid")
    script = f"test {kind} = uml -o $(readlink /proc/self/ns/pid) != {host} && exec /bin/busybox reboot -f"

    with untouched(state):
        done = run(kind, "sh", "-c", script)

        assert 125 == done.returncode and b"labkit: The machine is gone: the machine" in done.stderr, done


@pytest.mark.alone
@pytest.mark.needs_root
@pytest.mark.parametrize("kind", KINDS)
def test_filled_disks(kind: str, state: Path) -> None:
    """Each place that can be written gets full, the machine still answers, and the host's disks keep their room.

    All that a `uml` machine takes is the file that is its memory, also when its console is written to without end.
    """
    fill = "for place in / /var/lib/docker /run /dev/shm /root; do dd if=/dev/zero of=$place/filler bs=1M; {0}; done"
    script = fill.format("df $place | tail -1; rm $place/filler") + "; timeout 1 cat /dev/zero >/dev/console"
    script += "; docker run --rm busybox echo survived"

    with disk_in_memory(Path("/dev/shm")), disk_in_memory(state), untouched(state):
        free = {place: free_mib(place) for place in ("/", "/dev/shm", str(state))}
        command = [LABKIT, "run", "--machine", kind, "--", "sh", "-c", script]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as client:
            lost = dict.fromkeys(free, 0)
            while client.poll() is None:
                lost = {place: max(lost[place], before - free_mib(place)) for place, before in free.items()}
                time.sleep(0.2)
            assert client.stdout is not None and client.stderr is not None
            out, err = client.stdout.read(), client.stderr.read()

    assert 5 == err.count(b"dd: error writing"), err
    assert out.endswith(b"survived\n"), out
    assert (UML_MIB if kind == "uml" else 0) + 2 >= lost[str(state)]
    assert 2 >= lost["/dev/shm"]
    assert OTHERS_MIB > lost["/"], lost


@contextmanager
def disk_in_memory(directory: Path) -> Iterator[None]:
    """Give a directory a file system of its own, on which nobody else writes."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1g", "none", directory], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", directory], check=True)


def free_mib(place: str) -> int:
    room = os.statvfs(place)
    return room.f_bavail * room.f_frsize >> 20


@pytest.mark.alone
@pytest.mark.parametrize("kind", KINDS)
def test_a_fork_bomb(kind: str, state: Path) -> None:
    """The host stays responsive while it goes on, and the end of the machine ends it.

    Under the host's own kernel, the machine's control group ends its growth.
    """
    script = "echo ready; bomb() { bomb | bomb & }; bomb 2>/dev/null; sleep 100"

    with untouched(state):
        client = subprocess.Popen([LABKIT, "run", "--machine", kind, "--", "sh", "-c", script], stdout=subprocess.PIPE)
        assert client.stdout is not None and client.stdout.readline() == b"ready\n"
        spaces = [pid_namespace(process[0]) for process in reversed(descendants(client.pid))]
        space = next(filter(None, spaces))  # of one that is deep inside, and lives
        counts, waits = [], []
        until = time.monotonic() + BUSY_S
        while time.monotonic() < until:
            began = time.monotonic()
            subprocess.run(["/bin/true"], check=True)
            waits.append(time.monotonic() - began)
            counts.append([pid_namespace(int(name)) for name in os.listdir("/proc") if name.isdigit()].count(space))
            time.sleep(0.1)
        family = descendants(client.pid)
        client.send_signal(signal.SIGTERM)
        began = time.monotonic()
        client.wait(20)
        assert wait_until(lambda: not any(map(is_alive, family)), 10)
        client.stdout.close()
        print(f"processes at most {max(counts)}, longest wait {max(waits):.2f} s, end {time.monotonic() - began:.1f} s")

    assert RESPONSE_S > max(waits)
    if kind == "native":
        assert BOMB < max(counts) < MAX_PROCESSES + SLACK


@pytest.mark.parametrize("kind", ["native"])
def test_the_shells_are_copies(kind: str) -> None:
    """A machine under the host's kernel keeps the shells and their C library in its own layer, and shares none."""
    script = "df --output=used --block-size=1 / | tail -n 1; "
    script += "stat -Lc %s /bin/sh /bin/bash $(grep -om1 '/.*/libc.so.6' /proc/$$/maps)"

    used, *sizes = map(int, run(kind, "sh", "-c", script).stdout.split())

    assert 3 == len(sizes) and used > sum(sizes)


def pid_namespace(pid: int) -> str:
    try:
        return os.readlink(f"/proc/{pid}/ns/pid")
    except OSError:  # it has ended
        return ""
