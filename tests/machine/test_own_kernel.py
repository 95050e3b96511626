"""Has the lab's own kernel what the lessons will stand on, and does it boot where a filter may not be put?

One machine is asked all lines of the first test. Where the kernel is not built, that is announced, and fails in CI.
"""

import subprocess
from pathlib import Path

import pytest

from tests.machine.conftest import IN_CI
from tests.machine.ground import Ground
from tests.machine.host import LABKIT, OWN_KERNEL, find_kernels, run
from tests.machine.seccomp import refuse
from tests.machine.test_ordinary_linux import ASK

# What kernel.config promises, and a line of bash that shows it by its status.
LINES = {
    "it is the lab's own": "uname -r | grep -q -e -lab$",
    "no modules": "! test -e /proc/modules && ! test -e /proc/sys/kernel/modprobe",
    "its configuration": "zcat /proc/config.gz | grep -q ^CONFIG_OVERLAY_FS=y",
    "every namespace": "for n in cgroup ipc mnt net pid time user uts; do test -e /proc/self/ns/$n; done",
    "a time namespace": "test $(unshare -T --boottime 100000 --fork cut -d. -f1 /proc/uptime) -gt 100000",
    "a user namespace": "unshare -Ur id -u | grep -qx 0",
    "pressure": "grep -q ^some /proc/pressure/memory",
    "control groups of version 2": "grep -qw memory /sys/fs/cgroup/cgroup.controllers",
    "control groups of version 1": "mkdir /tmp/v1; mount -t cgroup -o freezer none /tmp/v1; test -e /tmp/v1/tasks",
    "file systems": "for f in btrfs ext4 xfs squashfs erofs fuse hostfs; do grep -qw $f /proc/filesystems; done",
    "a loop device": "truncate -s 8M /tmp/d; mkfs.ext4 -q /tmp/d; mount -o loop /tmp/d /mnt; umount /mnt",
    "overlay": "o=$(mktemp -d); mount -t tmpfs t $o; mkdir $o/{l,u,w,m}; cd $o; "
    "mount -t overlay o -o lowerdir=l,upperdir=u,workdir=w m",
    "device mapper": "grep -qw device-mapper /proc/misc",
    "veth and bridge": "ip link add br9 type bridge; ip link add v1 type veth peer v2; ip link set v1 master br9",
    "vlan": "ip link add d7 type dummy; ip link add link d7 name v9 type vlan id 9",
    "macvlan and ipvlan": "ip link add d9 type dummy; ip link add m9 link d9 type macvlan; ip link add d8 type dummy; "
    "ip link add i9 link d8 type ipvlan",
    "vxlan": "ip link add x9 type vxlan id 9 dstport 4789 remote 10.9.9.9 dev lo",
    "iptables-legacy": "iptables-legacy -t nat -A POSTROUTING -s 10.9.0.0/16 -j MASQUERADE",
    "iptables-nft": "iptables-nft -t nat -A POSTROUTING -s 10.9.0.0/16 -j MASQUERADE",
    "ip6tables": "ip6tables-legacy -t nat -L && ip6tables-nft -t nat -L",
    "IPVS": "test -e /proc/net/ip_vs",
    "netem": "tc qdisc add dev lo root netem delay 1ms; tc qdisc del dev lo root",
    "esp": "ip xfrm state add src 10.9.0.1 dst 10.9.0.2 proto esp spi 1 mode transport "
    "aead 'rfc4106(gcm(aes))' 0x1111111111111111111111111111111111111111 128",
    "seccomp": "grep -qw kill_process /proc/sys/kernel/seccomp/actions_avail",
    "Landlock": "python3 -c 'import ctypes; exit(ctypes.CDLL(None).syscall(444, None, 0, 1) < 1)'",
    "BPF": "python3 -c 'import ctypes as c; exit(c.CDLL(None).syscall(321, 0, (c.c_uint * 18)(2, 4, 4, 1), 72) < 0)'",
    "wider faults": "grep -qx 1048576 /sys/kernel/debug/fault_around_bytes",
}


@pytest.fixture
def own(monkeypatch: pytest.MonkeyPatch) -> str:
    """Have machines run it, and give its file."""
    program = find_kernels().get(OWN_KERNEL)
    if program is None:
        (pytest.fail if IN_CI else pytest.skip)("the lab's own kernel is not built: make kernel")
    monkeypatch.setenv("LABKIT_KERNEL", program)
    return program


@pytest.mark.parametrize("kind", ["uml"])
def test_it_has_what_its_configuration_promises(kind: str, own: str, state: Path) -> None:
    """Each is used, not only looked for, where the tools at hand can."""
    data = "".join(f"{name}\0{line}\0" for name, line in LINES.items())

    done = run(kind, "bash", "-c", ASK, data=data.encode(), timeout=200)

    told = [line.split("\t") for line in done.stdout.decode().splitlines()]
    assert list(LINES) == [name for name, _, _ in told], done.stderr.decode()
    assert [] == [(name, words) for name, word, words in told if word != "yes"]


@pytest.mark.needs_root
@pytest.mark.parametrize(("refused", "processes"), [("seccomp", "by ptrace"), ("ptrace", "by seccomp")])
@pytest.mark.parametrize("kind", ["uml"])
def test_a_host_may_forbid_one_of_the_two_ways(kind: str, refused: str, processes: str, own: str, state: Path) -> None:
    """Where no filter may be put, it traces; where it may not trace, it does with filters. The doctor says which."""
    ground = Ground(profile=refuse(refused))
    command = ground.command(LABKIT, "run", "--machine", kind, "--", "docker", "run", "--rm", "busybox", "echo", "hi")
    look = "from labkit.machine.doctor import describe_kernel; print(describe_kernel()['processes'])"

    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    said = subprocess.run(
        ground.command(str(Path(LABKIT).with_name("python")), "-c", look), capture_output=True, text=True
    )

    assert (0, "hi") == (done.returncode, done.stdout.strip()), done.stderr
    assert f"{processes}\n" == said.stdout


# As a container engine makes it: without a serial port.
DEV_OF_A_CONTAINER = """
mount -t tmpfs dev /mnt
cp -a /dev/null /dev/zero /dev/full /dev/random /dev/urandom /dev/tty /mnt
mkdir /mnt/shm /mnt/pts
mount --move /mnt /dev
mount -t tmpfs shm /dev/shm
"""


@pytest.mark.needs_root
@pytest.mark.parametrize("name", find_kernels())
@pytest.mark.parametrize("kind", ["uml"])
def test_a_host_may_have_no_serial_port(name: str, kind: str, state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel has its own /dev, in which its control line is, from its first process on."""
    monkeypatch.setenv("LABKIT_KERNEL", find_kernels()[name])
    command = Ground(DEV_OF_A_CONTAINER).command(LABKIT, "run", "--machine", kind, "--", "echo", "hi")

    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)

    assert (0, "hi\n") == (done.returncode, done.stdout), done.stderr
