"""How does a machine come out of nothing but the right to run a program?

User-Mode Linux is a Linux kernel built as an ordinary program: its memory is a file, its processors are a process,
its root file system is the host's as its user may read it, its network card a socket to slirp4netns.
Source: Documentation/virt/uml/user_mode_linux_howto_v2.rst of the kernel; slirp4netns(1).
"""

import os
import random
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from shlex import join, quote

from labkit.linux import syscalls
from labkit.linux.proc import read_comm
from labkit.machine.channels import CARD
from labkit.machine.inside import init
from labkit.machine.outside import xstate
from labkit.machine.outside.guard import Ledger, Part
from labkit.machine.outside.kernel import Kernel
from labkit.machine.outside.slirp import start_slirp, wait_for_socket
from labkit.machine.request import Request

__all__ = ["CHANNELS_API", "start"]

# In the run directory, of the slirp4netns by which a notebook reaches its kernel: channels.py.
CHANNELS = "channels.sock"
CHANNELS_API = "channels-api.sock"

# What a kernel for every purpose does, and this one can do without: kernel-parameters.rst.
WITHOUT = (
    # Measuring which of five RAID-6 routines is fastest takes 0.85 s. Without it, only a Btrfs of several devices in
    # its RAID 5 or 6 profile would not work. Preparing to compress a swap space, which is not there, takes 0.05 s.
    "initcall_blacklist=raid6_select_algo,init_zswap",
    "pty.legacy_count=0",  # 256 pairs of terminals of the kind before /dev/pts, each announced to a program: 0.3 s
    "lpj=12800000",  # turns of a loop in a tick, which delays of microseconds are made of; counting them: 0.1 s
    "dummy.numdummies=0",  # network cards that nobody asked for
    # A thread of each Go program (sysmon) sleeps 20 us at a time while the others work. Each of its timers costs four
    # times that; rounded up to the tick (10 ms), there are twelve times fewer of them in a boot.
    "highres=off",
)


def start(request: Request, ledger: Ledger, line: int, kernel: Kernel, memory_dir: Path) -> Iterator[Part]:
    """Start the machine's processes; give each as it starts. `line` is the inside's end of the control line.

    `memory_dir` holds the file that is the machine's memory; it has to allow executable mappings.
    Raises MachineError when slirp4netns does not come up.
    """
    run_dir = ledger.run_dir
    handed, environment = [line], {}
    if xstate.is_needed(kernel.version):
        handed.append(xstate.open_library(run_dir, memory_dir))
        environment["LD_PRELOAD"] = f"/proc/self/fd/{handed[-1]}"
    bess = run_dir / "bess.sock"
    opening = {bess: start_slirp(ledger, "slirp.log", ["--target-type=bess", str(bess)])}
    yield "its network (slirp4netns)", opening[bess]
    if request.connection:
        channels = run_dir / CHANNELS
        options = ["--api-socket", str(run_dir / CHANNELS_API), "--target-type=bess", str(channels)]
        opening[channels] = start_slirp(ledger, "channels.log", options)
        yield "the notebook's wire (slirp4netns)", opening[channels]
    for path, pid in opening.items():
        if not wait_for_socket(path, pid):  # it has ended, and the guard sees how
            return
    request_file = run_dir / "request.json"
    request_file.touch(mode=0o600)
    request_file.write_text(request.to_json())
    write_init(run_dir / "init", request_file)
    parent = os.getpid()
    # One processor inside is one processor outside: otherwise its host threads chase each other.
    cpu = choose_cpu()

    def prepare() -> None:
        syscalls.die_with_parent(parent, signal.SIGKILL)
        os.sched_setaffinity(0, {cpu})

    console = ledger.open_log("console.log")
    process = subprocess.Popen(
        command_line(kernel, request, run_dir, line),
        env={
            **environment,
            "HOME": str(run_dir),
            "TMPDIR": str(memory_dir),
            "PATH": os.environ.get("PATH", os.defpath),
        },
        pass_fds=handed,
        stdin=subprocess.DEVNULL,
        stdout=console,
        stderr=console,
        start_new_session=True,
        preexec_fn=prepare,
    )
    for fd in (console, *handed[1:]):
        os.close(fd)
    ledger.add_program(process)  # its helper processes outlive it
    yield "the machine", process.pid


def write_init(script: Path, request_file: Path) -> None:
    """Write the script that becomes PID 1: on the kernel's command line a path with a space would be two words."""
    package_root = Path(__file__).resolve().parents[3]
    program = [sys.executable, "-s", "-P", str(Path(init.__file__).resolve()), str(request_file)]
    terminal = os.environ.get("TERM", "dumb")  # the outer one
    lines = (
        "#!/bin/sh",
        f"export PYTHONPATH={quote(str(package_root))} TERM={quote(terminal)}",
        f"exec {join(program)}",
    )
    script.write_bytes(os.fsencode("\n".join(lines) + "\n"))
    script.chmod(0o700)


def command_line(kernel: Kernel, request: Request, run_dir: Path, line: int) -> list[str]:
    """The kernel's command line: its hardware, its root, and the program that becomes PID 1."""
    return [
        str(kernel.program),
        f"mem={request.memory_mib}M",
        *kernel.options(),
        *("root=/dev/root", "rootfstype=hostfs", "rootflags=/", "rw"),
        "devtmpfs.mount=1",  # PID 1 finds its serial port there, also where the host's /dev has none
        *("con=null", "con0=null,fd:1", "ssl=null", f"ssl0=fd:{line}"),
        *(f"uml_dir={run_dir}/uml", "umid=lab", "quiet", "noreboot", "panic=1"),
        *WITHOUT,
        f"vec0:transport=bess,dst={run_dir}/bess.sock,depth=128,gro=1",
        *([f"{CARD}:transport=bess,dst={run_dir}/{CHANNELS},depth=128,gro=1"] if request.connection else []),
        f"init={run_dir}/init",
    ]


def choose_cpu() -> int:
    """The processor, of those that this process may use, that the fewest other machines are pinned to."""
    taken = Counter(cpu for cpus in _pinned_machines() if len(cpus) == 1 for cpu in cpus)
    return min(os.sched_getaffinity(0), key=lambda cpu: (taken[cpu], random.random()))


def _pinned_machines() -> Iterator[set[int]]:
    """The processors of each machine's main process, which leads its session: beside it is one for each inside."""
    for pid in map(int, filter(str.isdigit, os.listdir("/proc"))):
        with suppress(OSError):  # it has ended
            if read_comm(pid) == "linux.uml" and os.getsid(pid) == pid:
                yield os.sched_getaffinity(pid)
