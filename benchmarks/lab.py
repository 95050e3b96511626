"""How does a benchmark boot a lab machine, run code in it, and weigh it from outside?"""

import ctypes
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager

__all__ = ["Kernel", "cpu_seconds", "possible_kinds", "start_kernel"]

BOOT_TIMEOUT_S = 120
CELL_TIMEOUT_S = 300
_NR_KCMP = {"x86_64": 312, "aarch64": 272}[os.uname().machine]
_KCMP_VM = 1  # <linux/kcmp.h>: do two processes share their memory?
_LIBC = ctypes.CDLL(None)


class Kernel:
    """A started kernel: `first_reply_s` after the request it answered; `run` executes code in it."""

    def __init__(self, manager: KernelManager, client: BlockingKernelClient, started: float) -> None:
        self.started = started
        self.first_reply_s = time.monotonic() - started
        self._manager = manager
        self._client = client

    def run(self, code: str) -> Any:
        """Execute code that prints one JSON document; return the document."""
        printed: list[str] = []

        def collect(message: dict[str, Any]) -> None:
            if message["msg_type"] == "stream" and message["content"]["name"] == "stdout":
                printed.append(message["content"]["text"])

        reply = self._client.execute_interactive(code, timeout=CELL_TIMEOUT_S, output_hook=collect)
        content = reply["content"]
        if content["status"] != "ok":
            raise RuntimeError(f"the benchmark's code failed: {content.get('ename')}: {content.get('evalue')}")
        return json.loads("".join(printed))

    @property
    def launcher(self) -> int:
        """The pid of the machine's outermost process."""
        pid: int = vars(self._manager.provisioner)["pid"]
        return pid

    @property
    def pss_bytes(self) -> int:
        """The proportional memory of the launcher and everything below it, seen from the host."""
        return sum(_pss_bytes(pid) for pid in _one_per_memory(_descendants(self.launcher)))


@contextmanager
def start_kernel(name: str, machine: str | None = None, settings: Mapping[str, str] = {}) -> Iterator[Kernel]:
    """Start a kernel by kernelspec, wait for its first reply, and take it down afterwards.

    `machine` is the kind of a lab machine; `settings` are added to the environment.
    """
    env = {**os.environ, **({"LABKIT_MACHINE": machine} if machine else {}), **settings}
    manager = KernelManager(kernel_name=name)
    started = time.monotonic()
    manager.start_kernel(env=env)
    client = manager.client()
    try:
        client.start_channels()
        client.wait_for_ready(timeout=BOOT_TIMEOUT_S)
        yield Kernel(manager, client, started)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def possible_kinds() -> list[str]:
    """Ask `labkit doctor` which kinds of machine this host can boot."""
    doctor = Path(sys.executable).with_name("labkit")
    answer = subprocess.run([doctor, "doctor", "--json"], stdout=subprocess.PIPE, text=True, check=False)
    return [kind for kind, report in json.loads(answer.stdout)["kinds"].items() if report["ok"]]


def cpu_seconds(root: int) -> float:
    """The processor time that a process and everything below it have taken: utime and stime of proc_pid_stat(5)."""
    ticks = 0
    for pid in _descendants(root):
        try:
            ticks += sum(map(int, Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]))
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended while we were reading
    return ticks / os.sysconf("SC_CLK_TCK")


def _descendants(root: int) -> set[int]:
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text()
            except (FileNotFoundError, ProcessLookupError):
                continue  # it ended while we were reading
            parents[int(entry.name)] = int(stat.rpartition(")")[2].split()[1])
    family = {root}
    while grown := {pid for pid, parent in parents.items() if parent in family} - family:
        family |= grown
    return family


def _one_per_memory(pids: set[int]) -> list[int]:
    """Leave out the processes that share another one's memory, as the helpers of a user-mode kernel do: kcmp(2)."""
    found: list[int] = []
    for pid in sorted(pids):
        if all(_LIBC.syscall(_NR_KCMP, pid, other, _KCMP_VM, 0, 0) != 0 for other in found):
            found.append(pid)
    return found


def _pss_bytes(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0  # it ended, or has no memory of its own left
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
