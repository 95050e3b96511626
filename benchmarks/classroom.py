"""What does a class cost one computer: how long until the last machine is there, how much memory, how much idle CPU?

python -m benchmarks.classroom 12            twelve machines of kind uml, started in the same moment
python -m benchmarks.classroom 12 native     of the other kind

Memory is counted twice: as benchmarks.machine does (PSS of every process of a machine), and as what the host's
MemAvailable lost, which other programs of the host disturb.
"""

import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks.lab import Kernel, cpu_seconds, start_kernel
from benchmarks.machine import WAIT_UNTIL_READY, memory_mib

CALM_S, IDLE_S = 5.0, 20.0

RUN_ONE = """
import json, subprocess, time
began = time.monotonic()
said = subprocess.check_output(["docker", "run", "--rm", "busybox", "echo", "hi"], text=True)
assert said == "hi\\n", said
print(json.dumps(time.monotonic() - began))
"""


@dataclass
class Learner:
    """What one machine of the class took; seconds count from the moment at which all were asked for."""

    kernel_s: float = 0.0
    engine_s: float = 0.0
    container_s: float = 0.0
    memory_mib: float = 0.0
    launcher: int = 0


class Classroom:
    """The machines of a class and its clock; each machine has a thread, and all wait for each other."""

    def __init__(self, size: int, kind: str) -> None:
        self.kind = kind
        self.learners = [Learner() for _ in range(size)]
        self.began = time.monotonic()
        self._passed = Counter[str]()
        self._lock = threading.Lock()
        self._together = threading.Barrier(size + 1)

    def measure(self) -> str:
        """Boot all, leave them alone, have each run a container; give the report."""
        free_before = available_mib()
        with ThreadPoolExecutor(len(self.learners)) as pool:
            lessons = [pool.submit(self._attend, learner) for learner in self.learners]
            try:
                self._together.wait()
                idle = self._idle_cpu()
                self._together.wait()
                self._together.wait()
                taken = free_before - available_mib()
                self._together.wait()
            except threading.BrokenBarrierError:
                problems = [error for lesson in lessons if (error := lesson.exception())]
                raise next(e for e in problems if not isinstance(e, threading.BrokenBarrierError)) from None
        return self._report(idle, taken)

    def _attend(self, learner: Learner) -> None:
        try:
            with start_kernel("docker-lab", self.kind) as kernel:
                self._follow(learner, kernel)
        except BaseException:
            self._together.abort()
            raise

    def _follow(self, learner: Learner, kernel: Kernel) -> None:
        learner.launcher = kernel.launcher
        learner.kernel_s = self._note("a kernel answers")
        kernel.run(WAIT_UNTIL_READY)
        learner.engine_s = self._note("an engine is ready")
        self._together.wait()
        self._together.wait()
        learner.container_s = kernel.run(RUN_ONE)
        self._note("a container has run")
        learner.memory_mib = memory_mib(self.kind, kernel)
        self._together.wait()
        self._together.wait()

    def _note(self, what: str) -> float:
        with self._lock:
            self._passed[what] += 1
            now = time.monotonic() - self.began
            print(f"{now:6.1f} s  {what:20} {self._passed[what]} of {len(self.learners)}", flush=True)
            return now

    def _idle_cpu(self) -> float:
        """The share of one processor that all machines together take while nobody uses them."""
        print(f"          nobody types for {CALM_S + IDLE_S:.0f} s", flush=True)
        time.sleep(CALM_S)
        before = [cpu_seconds(one.launcher) for one in self.learners]
        time.sleep(IDLE_S)
        after = [cpu_seconds(one.launcher) for one in self.learners]
        return (sum(after) - sum(before)) / IDLE_S

    def _report(self, idle: float, taken_mib: float) -> str:
        size, every = len(self.learners), self.learners
        rows = {
            "last kernel answers": f"{max(one.kernel_s for one in every):.1f} s",
            "last engine ready": f"{max(one.engine_s for one in every):.1f} s",
            "docker run, all at once": f"{median(one.container_s for one in every):.1f} s, "
            f"the slowest {max(one.container_s for one in every):.1f} s",
            "memory of a machine (PSS)": f"{median(one.memory_mib for one in every):.0f} MiB, "
            f"the largest {max(one.memory_mib for one in every):.0f} MiB",
            "MemAvailable lost": f"{taken_mib / size:.0f} MiB a learner",
            "idle CPU": f"{100 * idle / size:.1f} % of one processor a learner, {100 * idle:.0f} % for all",
        }
        return "\n".join(f"{name:28}{value}" for name, value in rows.items())


def available_mib() -> float:
    """What the host could still give to programs, as the kernel estimates it: proc_meminfo(5)."""
    lines = Path("/proc/meminfo").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("MemAvailable:"))


def main(size: int, kind: str = "uml") -> None:
    """Run the class, and say what it cost."""
    print(f"{size} machines of kind {kind}; {available_mib():.0f} MiB are free", flush=True)
    print("\n" + Classroom(size, kind).measure())


if __name__ == "__main__":
    main(int(sys.argv[1]), *sys.argv[2:3])
