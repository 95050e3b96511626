"""What does a control group limit and count, and in which of the kernel's files does that stand?

Version 1 and version 2 behind one set of names and units; each value says which file it was read from. What has no
limit has the value `NO_LIMIT`, which is greater than every number. Sources: cgroup-v2.rst and cgroup-v1/ of the
kernel's documentation, cgroups(7).

    group = find_group(pid)
    read(group, "memory_limit_bytes")             # Reading(value=33554432, file='memory.max')
    write(group, "memory_limit_bytes", 2**26)     # by hand, as `docker update -m 64m` does it
"""

import re
from contextlib import suppress
from math import inf
from pathlib import Path
from typing import NamedTuple

from labkit.linux.cgroups import Group

__all__ = [
    "KNOBS",
    "NO_LIMIT",
    "PERIOD_US",
    "Knob",
    "Reading",
    "Source",
    "file_of",
    "read",
    "read_all",
    "set_limits",
    "write",
]

NO_LIMIT = inf
V1_NO_BYTES = 2**62  # version 1 has no word for "no limit" of memory: it shows the greatest multiple of a page
NS, US = 1e-9, 1e-6
PERIOD_US = 100_000  # what the kernel begins with, and what docker uses
ONLY = r"\A(\S+)"  # the first word of the file


class Reading(NamedTuple):
    """A limit or a counter, and the name of the file that the kernel shows it in."""

    value: float
    file: str


class Source(NamedTuple):
    """Where one version has a value: the controller (as version 1 names it), the file, and the number in its text.

    `pattern` has one group. What it finds several times, as once for each disk, is added up. `unit` is what one means.
    """

    controller: str
    file: str
    pattern: str = ONLY
    unit: float = 1


class Knob(NamedTuple):
    """A limit or a counter in both versions."""

    v1: Source
    v2: Source

    def source(self, version: int) -> Source:
        return self.v1 if version == 1 else self.v2


def _line(key: str) -> str:
    """A line of the form "key number"."""
    return rf"(?m)^{key} (\d+)$"


def _same(controller: str, file: str, pattern: str = ONLY) -> Knob:
    return Knob(Source(controller, file, pattern), Source(controller, file, pattern))


KNOBS = {
    "memory_limit_bytes": Knob(Source("memory", "memory.limit_in_bytes"), Source("memory", "memory.max")),
    "memory_bytes": Knob(Source("memory", "memory.usage_in_bytes"), Source("memory", "memory.current")),
    "memory_peak_bytes": Knob(Source("memory", "memory.max_usage_in_bytes"), Source("memory", "memory.peak")),
    "memory_limit_hits": Knob(Source("memory", "memory.failcnt"), Source("memory", "memory.events", _line("max"))),
    "oom_kills": Knob(
        Source("memory", "memory.oom_control", _line("oom_kill")), Source("memory", "memory.events", _line("oom_kill"))
    ),
    "cpu_quota_us": Knob(Source("cpu", "cpu.cfs_quota_us"), Source("cpu", "cpu.max")),
    "cpu_period_us": Knob(Source("cpu", "cpu.cfs_period_us"), Source("cpu", "cpu.max", r"\A\S+ (\d+)")),
    "cpu_s": Knob(Source("cpuacct", "cpuacct.usage", ONLY, NS), Source("cpu", "cpu.stat", _line("usage_usec"), US)),
    "cpu_periods": _same("cpu", "cpu.stat", _line("nr_periods")),
    "cpu_periods_throttled": _same("cpu", "cpu.stat", _line("nr_throttled")),
    "cpu_throttled_s": Knob(
        Source("cpu", "cpu.stat", _line("throttled_time"), NS), Source("cpu", "cpu.stat", _line("throttled_usec"), US)
    ),
    "pids_limit": _same("pids", "pids.max"),
    "pids": _same("pids", "pids.current"),
    "pids_refused": _same("pids", "pids.events", _line("max")),
    "frozen": Knob(Source("freezer", "freezer.state"), Source("freezer", "cgroup.events", _line("frozen"))),
    "io_written_bytes": Knob(
        Source("blkio", "blkio.throttle.io_service_bytes", r"\d Write (\d+)"),
        Source("blkio", "io.stat", r"wbytes=(\d+)"),
    ),
}
WORDS = {"max": NO_LIMIT, "THAWED": 0.0, "FREEZING": 0.0, "FROZEN": 1.0}


def file_of(group: Group, name: str) -> Path:
    """The file that holds a limit or a counter; raises KeyError when this kernel has no such controller."""
    source = KNOBS[name].source(group.version)
    return group.directory(source.controller) / source.file


def read(group: Group, name: str) -> Reading:
    """Read a limit or a counter, as KNOBS names them: bytes, seconds, microseconds, or a number of things.

    Raises OSError when the group is gone or this kernel has no such file, and KeyError for another name.
    """
    source = KNOBS[name].source(group.version)
    found = re.findall(source.pattern, file_of(group, name).read_text())
    return Reading(sum(_number(word) for word in found) * source.unit, source.file)


def read_all(group: Group) -> dict[str, Reading]:
    """Read every limit and counter that this kernel has for the group; nothing when the group is gone."""
    readings = {}
    for name in KNOBS:
        with suppress(OSError, KeyError):
            readings[name] = read(group, name)
    return readings


def write(group: Group, name: str, value: float) -> Path:
    """Set a limit by hand, in the same units, or freeze (1) and thaw (0); give the file that was written.

    The kernel answers in words of its own: EINVAL for no number, and in version 1 EBUSY for less memory than is used.
    Raises OSError with them, KeyError for another name, ValueError for a counter.
    """
    v1 = group.version == 1
    file = file_of(group, name)
    number = "max" if value == NO_LIMIT else str(int(value))
    if name == "frozen":
        file = file if v1 else file.with_name("cgroup.freeze")
        number = ("FROZEN" if value else "THAWED") if v1 else number
    elif name in ("memory_limit_bytes", "cpu_quota_us"):
        number = "-1" if v1 and value == NO_LIMIT else number
    elif name == "cpu_period_us":
        number = number if v1 else f"{file.read_text().split()[0]} {number}"
    elif name != "pids_limit":
        raise ValueError(f"{name} is counted by the kernel: nobody can set it")
    file.write_text(number)
    return file


def set_limits(
    group: Group, *, memory_bytes: float | None = None, cpus: float | None = None, pids: float | None = None
) -> dict[str, Path]:
    """Set what is not None: memory without any swap beyond it, the CPUs' time (0.5: half of one), the processes.

    Gives the file of each limit. Raises OSError with the kernel's words, KeyError when it has no such controller.
    """
    files = {}
    if memory_bytes is not None:
        raised = memory_bytes > read(group, "memory_limit_bytes").value
        if raised:  # version 1 wants the limit of memory and swap together to be the higher one at each moment
            _limit_swap(group, memory_bytes)
        files["memory_limit_bytes"] = write(group, "memory_limit_bytes", memory_bytes)
        if not raised:
            _limit_swap(group, memory_bytes)
    if cpus is not None:
        files["cpu_period_us"] = write(group, "cpu_period_us", PERIOD_US)
        files["cpu_quota_us"] = write(group, "cpu_quota_us", cpus * PERIOD_US)
    if pids is not None:
        files["pids_limit"] = write(group, "pids_limit", pids)
    return files


def _limit_swap(group: Group, memory_bytes: float) -> None:
    """No swap: version 1 limits memory and swap together, version 2 swap alone; a kernel without swap neither."""
    directory = group.directory("memory")
    file, number = ("memory.memsw.limit_in_bytes", memory_bytes) if group.version == 1 else ("memory.swap.max", 0)
    if (directory / file).exists():
        (directory / file).write_text("-1" if number == NO_LIMIT else str(int(number)))


def _number(word: str) -> float:
    """What a word of the kernel's means as a number."""
    if word in WORDS:
        return WORDS[word]
    number = int(word)
    return NO_LIMIT if number == -1 or number >= V1_NO_BYTES else number
