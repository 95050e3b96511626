"""What does a container look like from the inside? The same shell lines, in one of ours and in one of Docker's.

Run in a machine as `python container_probes.py`: prints JSON, {probe: [ours, Docker's]} for each probe that differs.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable

from labkit.isolation import container
from labkit.isolation.layers import image_spec
from labkit.isolation.spec import Limits

__all__ = ["DIFFERENCES", "PROBES", "compare"]

MASKED = "/proc/asound /proc/acpi /proc/kcore /proc/keys /proc/latency_stats /proc/timer_list /proc/timer_stats"
MASKED += " /proc/sched_debug /proc/scsi /sys/firmware /sys/devices/virtual/powercap"
READ_ONLY = "/proc/bus /proc/fs /proc/irq /proc/sys /proc/sysrq-trigger"

# By the name that docs/isolation.md uses: a line of the container's shell.
PROBES = {
    "namespaces": "for n in cgroup ipc mnt net pid time user uts; do echo $n $(readlink /proc/self/ns/$n); done",
    "root file system": "awk '$5 == \"/\"' /proc/self/mountinfo",
    "mounts": "awk '$5 != \"/\"' /proc/self/mountinfo",
    "devices": "cd /dev && find . -type c -o -type b -o -type l | sort | xargs ls -ld",
    "masked paths": f"for p in {MASKED}; do echo $p $(find $p 2>&1 | wc -l) $(head -c 9 $p 2>&1 | wc -c); done",
    "read-only paths": f"for p in {READ_ONLY}; do [ -w $p ] && echo $p; done; echo 1 > /proc/sys/vm/swappiness",
    "capabilities": "grep Cap /proc/self/status",
    "no_new_privs": "grep NoNewPrivs /proc/self/status",
    "seccomp": "grep Seccomp: /proc/self/status",
    "memory limit": "cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max",
    "swap limit": "cat /sys/fs/cgroup/memory/memory.memsw.limit_in_bytes /sys/fs/cgroup/memory.swap.max",
    "cpu limit": "cat /sys/fs/cgroup/cpu/cpu.cfs_quota_us /sys/fs/cgroup/cpu.max",
    "pids limit": "cat /sys/fs/cgroup/pids/pids.max /sys/fs/cgroup/pids.max",
    "device groups": "cat /sys/fs/cgroup/devices/devices.list | sort",
    "control groups": "cat /proc/self/cgroup",
    "hostname": "hostname",
    "process 1": "head -c 5 /proc/1/cmdline | tr '\\0' ' '; echo $$; set -- /proc/[0-9]*; echo $#",
    "session": "awk '{print $4, $5, $6}' /proc/1/stat",
    "rlimits": "cat /proc/self/limits",
    "environment": "env | sort",
    "directory": "pwd",
    "user": "id",
    "umask": "umask",
    "oom score": "cat /proc/self/oom_score_adj",
    "signals": "grep -E 'Sig(Blk|Ign|Cgt)' /proc/1/status",
    "descriptors": "ls /proc/1/fd | tr '\\n' ' '; echo",
    "standard input": "wc -c",
    "loopback": "ip -o addr show lo | sed 's/^[0-9]*: //'",
    "interfaces": "ls /sys/class/net",
    "names of hosts": "ls -l /etc/hosts /etc/resolv.conf /etc/hostname | awk '{print $NF}'",
    "settings of the network": "cat /proc/sys/net/ipv4/ip_unprivileged_port_start /proc/sys/net/ipv4/ping_group_range",
    "a device node": "mknod /tmp/disk b 7 0 && dd if=/tmp/disk of=/dev/null count=1",
    "a node of null": "mknod /tmp/null c 1 3 && echo x > /tmp/null",
    "a mount": "mount -t tmpfs none /mnt; mount -o remount,rw /proc/sys",
    "a new namespace": "unshare -m true; unshare -U true; unshare -n true",
    "a new name": "hostname other",
    "a new time": "date -s 2020-01-01 >/dev/null",
    "messages of the kernel": "dmesg | head -1 | cut -c 1-3",
    "another root": "mkdir -p /tmp/r/bin && cp /bin/busybox /tmp/r/bin && chroot /tmp/r /bin/busybox echo in",
    "raw sockets": "ping -c 1 -W 1 127.0.0.1 | grep -c received",
    "a low port": "(timeout 1 nc -l -p 80 127.0.0.1 </dev/null; echo $?)",
}
# By the name that docs/isolation.md explains: in which probes, and which text.
DIFFERENCES = {
    "no_new_privs": (["no_new_privs"], r"\d"),
    "files of names": (["mounts", "names of hosts"], r".*/etc/(hostname|hosts|resolv.conf).*"),
    "propagation": (["mounts", "root file system"], r" master$"),
    "more masked paths": (["mounts", "masked paths"], r"^(/proc/interrupts|/sys/devices/\S+) .*"),
    "IPv6 on lo": (["loopback"], r".*inet6.*"),
    "tun and console": (["device groups"], r"c (10:200|5:1) rwm"),
    "hierarchy without controllers": (["control groups"], r"^ .*"),
    "directory of the hierarchies": (["mounts"], r"(?<=/sys/fs/cgroup tmpfs ).*"),
    "open files": (["rlimits"], r"Max open files.*"),
}
SEPARATOR = "=== "
SCRIPT = "\n".join(f"echo '{SEPARATOR}{name}'; ( {line} ) 2>&1" for name, line in PROBES.items())
OPTIONS = ["--memory=64m", "--cpus=0.5", "--pids-limit=50", "--hostname=probe", "--network=none"]


def ours() -> str:
    limits = Limits(memory_bytes=64 * 2**20, cpus=0.5, pids=50)
    spec = image_spec("busybox", ["sh", "-c", SCRIPT], hostname="probe", limits=limits)
    done = container.run(spec, timeout_s=60)
    return (done.stdout + done.stderr).decode(errors="replace")


def dockers() -> str:
    command = ["docker", "run", "--rm", *OPTIONS, "busybox", "sh", "-c", SCRIPT]
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False).stdout


def parse(text: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        if line.startswith(SEPARATOR):
            name = line.removeprefix(SEPARATOR)
            found[name] = []
        else:
            found[name].append(line)
    return {name: TIDY.get(name, list)(lines) for name, lines in found.items()}


def compare() -> dict[str, list[list[str]]]:
    """The probes that say something else in ours than in Docker's, but for what docs/isolation.md explains."""
    mine, theirs = parse(ours()), parse(dockers())
    assert list(PROBES) == list(mine), mine.keys()
    assert list(PROBES) == list(theirs), theirs.keys()
    both = {name: [leave_out(name, mine[name]), leave_out(name, theirs[name])] for name in PROBES}
    return {name: each for name, each in both.items() if each[0] != each[1]}


def leave_out(probe: str, lines: list[str]) -> list[str]:
    """Take out of the lines of a probe what is known to differ; what is left empty goes."""
    for probes, pattern in DIFFERENCES.values():
        if probe in probes:
            lines = list(filter(None, (re.sub(pattern, "", line) for line in lines)))
    return lines


def tidy_namespaces(lines: list[str]) -> list[str]:
    """Which are the machine's own, and which new? A kernel may lack a kind."""
    found = []
    for line in lines:
        kind, _, name = line.partition(" ")
        own = os.readlink(f"/proc/self/ns/{kind}") if name else ""
        found.append(f"{kind} {'shared' if own == name else 'new'}")
    return found


def tidy_mounts(lines: list[str]) -> list[str]:
    """Where, of which kind, with which options; not the numbers, nor the engine's own directories."""
    found = []
    for line in lines:
        left, _, right = line.partition(" - ")
        point, options = left.split()[4:6]
        fstype = right.split()[0]
        shared = " ".join(word.split(":")[0] for word in left.split()[6:])
        found.append(f"{point} {fstype} {','.join(sorted(options.split(',')))} {shared}".rstrip())
    return sorted(found)


def tidy_groups(lines: list[str]) -> list[str]:
    """Which hierarchies, and whether the container has a group of its own there."""
    return sorted(
        f"{line.split(':')[1]} {'own' if re.search('[0-9a-f]{12}', line) else line.split(':', 2)[2]}" for line in lines
    )


def drop_times(lines: list[str]) -> list[str]:
    """ls -l without the dates, and without the size of a link's text."""
    return [re.sub(r" +\S+ +\S+ \S+ (?=\./)", " ", line) for line in lines]


TIDY: dict[str, Callable[[list[str]], list[str]]] = {
    "namespaces": tidy_namespaces,
    "root file system": tidy_mounts,
    "mounts": tidy_mounts,
    "control groups": tidy_groups,
    "devices": drop_times,
}

if __name__ == "__main__":
    json.dump(compare(), sys.stdout, indent=1)
