"""What does a control group limit and count, and in which of the kernel's files does that stand?

Version 1 and version 2 behind one set of names and units; each value says which file it was read from. What has no
limit has the value `NO_LIMIT`, which is greater than every number. Sources: cgroup-v2.rst and cgroup-v1/ of the
kernel's documentation, cgroups(7).

    group = find_group(pid)
    read(group, "memory_limit_bytes")             # Reading(value=33554432, file='memory.max')
    write(group, "memory_limit_bytes", 2**26)     # by hand, as `docker update -m 64m` does it
"""

import errno
import os
from contextlib import suppress
from itertools import pairwise
from math import inf
from pathlib import Path
from typing import NamedTuple

from labkit.linux.cgroups import Group, read_file, write_file

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
ONLY = 0  # the first word of the file


class Reading(NamedTuple):
    """A limit or a counter, and the name of the file that the kernel shows it in."""

    value: float
    file: str


class Source(NamedTuple):
    """Where one version has a value: the controller (as version 1 names it), the file, and the number in its text.

    `place` counts the words of the text, or is the word before the number, which may come several times, as once for
    each disk: then the numbers are added up. `unit` is what one means.
    """

    controller: str
    file: str
    place: int | str = ONLY
    unit: float = 1


class Knob(NamedTuple):
    """A limit or a counter in both versions."""

    v1: Source
    v2: Source

    def source(self, version: int) -> Source:
        return self.v1 if version == 1 else self.v2


def _same(controller: str, file: str, place: int | str = ONLY) -> Knob:
    return Knob(Source(controller, file, place), Source(controller, file, place))


KNOBS = {
    "memory_limit_bytes": Knob(Source("memory", "memory.limit_in_bytes"), Source("memory", "memory.max")),
    "memory_bytes": Knob(Source("memory", "memory.usage_in_bytes"), Source("memory", "memory.current")),
    "memory_peak_bytes": Knob(Source("memory", "memory.max_usage_in_bytes"), Source("memory", "memory.peak")),
    "memory_limit_hits": Knob(Source("memory", "memory.failcnt"), Source("memory", "memory.events", "max")),
    "oom_kills": Knob(
        Source("memory", "memory.oom_control", "oom_kill"), Source("memory", "memory.events", "oom_kill")
    ),
    "cpu_quota_us": Knob(Source("cpu", "cpu.cfs_quota_us"), Source("cpu", "cpu.max")),
    "cpu_period_us": Knob(Source("cpu", "cpu.cfs_period_us"), Source("cpu", "cpu.max", 1)),
    "cpu_s": Knob(Source("cpuacct", "cpuacct.usage", ONLY, NS), Source("cpu", "cpu.stat", "usage_usec", US)),
    "cpu_periods": _same("cpu", "cpu.stat", "nr_periods"),
    "cpu_periods_throttled": _same("cpu", "cpu.stat", "nr_throttled"),
    "cpu_throttled_s": Knob(
        Source("cpu", "cpu.stat", "throttled_time", NS), Source("cpu", "cpu.stat", "throttled_usec", US)
    ),
    "pids_limit": _same("pids", "pids.max"),
    "pids": _same("pids", "pids.current"),
    "pids_refused": _same("pids", "pids.events", "max"),
    "frozen": Knob(Source("freezer", "freezer.state"), Source("freezer", "cgroup.events", "frozen")),
    "io_written_bytes": Knob(
        Source("blkio", "blkio.throttle.io_service_bytes", "Write"), Source("blkio", "io.stat", "wbytes")
    ),
}
WORDS = {"max": NO_LIMIT, "THAWED": 0.0, "FREEZING": 0.0, "FROZEN": 1.0}


def file_of(group: Group, name: str) -> Path:
    """The file that holds a limit or a counter; raises FileNotFoundError when this kernel has no such controller."""
    return Path(_find(group, name)[1])


def read(group: Group, name: str) -> Reading:
    """Read a limit or a counter, as KNOBS names them: bytes, seconds, microseconds, or a number of things.

    Raises OSError when the group is gone or this kernel has no such file, and KeyError for another name.
    """
    source, file = _find(group, name)
    words, place = read_file(file).replace("=", " ").split(), source.place
    found = words[place : place + 1] if isinstance(place, int) else [b for a, b in pairwise(words) if a == place]
    return Reading(sum(map(_number, found)) * source.unit, source.file)


def read_all(group: Group) -> dict[str, Reading]:
    """Read every limit and counter that this kernel has for the group; nothing when the group is gone."""
    readings = {}
    for name in KNOBS:
        with suppress(OSError):
            readings[name] = read(group, name)
    return readings


def write(group: Group, name: str, value: float) -> str:
    """Set a limit by hand, in the same units, or freeze (1) and thaw (0); give the file that was written.

    The kernel answers in words of its own: EINVAL for no number, and in version 1 EBUSY for less memory than is used.
    Raises OSError with them, KeyError for another name, ValueError for a counter.
    """
    v1, file = group.version == 1, _find(group, name)[1]
    number = _word(value)
    if name == "frozen":
        file = file if v1 else f"{group.directory('freezer')}/cgroup.freeze"
        number = ("FROZEN" if value else "THAWED") if v1 else number
    elif name in ("memory_limit_bytes", "cpu_quota_us"):
        number = "-1" if v1 and value == NO_LIMIT else number
    elif name == "cpu_period_us":
        number = number if v1 else f"{read_file(file).split()[0]} {number}"
    elif name != "pids_limit":
        raise ValueError(f"{name} is counted by the kernel: nobody can set it")
    write_file(file, number)
    return file


def set_limits(
    group: Group,
    *,
    memory_bytes: float | None = None,
    memory_and_swap_bytes: float | None = None,
    cpus: float | None = None,
    pids: float | None = None,
) -> None:
    """Set what is not None: memory, the CPUs' time (0.5: half of one), the processes.

    A limit of memory leaves no swap beyond it, unless `memory_and_swap_bytes` is greater.
    Raises OSError with the kernel's words.
    """
    if memory_bytes is not None:
        swap = 0 if memory_and_swap_bytes is None else memory_and_swap_bytes - memory_bytes
        _limit_memory(group, memory_bytes, swap)
    if cpus is not None:
        _limit_cpus(group, cpus)
    if pids is not None:
        write(group, "pids_limit", pids)


def _limit_memory(group: Group, memory_bytes: float, swap_bytes: float) -> None:
    try:
        write(group, "memory_limit_bytes", memory_bytes)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        # Version 1 has a limit of memory and swap together, which is to be the higher one at each moment.
        _limit_swap(group, memory_bytes, swap_bytes)
        write(group, "memory_limit_bytes", memory_bytes)
    _limit_swap(group, memory_bytes, swap_bytes)


def _limit_swap(group: Group, memory_bytes: float, swap_bytes: float) -> None:
    """Version 1 limits memory and swap together, version 2 swap alone; a kernel without swap neither."""
    v1 = group.version == 1
    file = f"{group.directory('memory')}/{'memory.memsw.limit_in_bytes' if v1 else 'memory.swap.max'}"
    if os.path.exists(file):
        both = memory_bytes + swap_bytes
        write_file(file, ("-1" if both == NO_LIMIT else _word(both)) if v1 else _word(swap_bytes))


def _limit_cpus(group: Group, cpus: float) -> None:
    quota_us = cpus * PERIOD_US
    if group.version == 2:  # one file, which takes both numbers at once
        write_file(f"{group.directory('cpu')}/cpu.max", f"{_word(quota_us)} {PERIOD_US}")
    else:
        write(group, "cpu_period_us", PERIOD_US)
        write(group, "cpu_quota_us", quota_us)


def _find(group: Group, name: str) -> tuple[Source, str]:
    source = KNOBS[name].source(group.version)
    return source, f"{group.directory(source.controller)}/{source.file}"


def _number(word: str) -> float:
    """What a word of the kernel's means as a number."""
    if word in WORDS:
        return WORDS[word]
    number = int(word)
    return NO_LIMIT if number == -1 or number >= V1_NO_BYTES else number


def _word(number: float) -> str:
    """A number in the kernel's words, as they are but for some files of version 1."""
    return "max" if number == NO_LIMIT else str(round(number))
