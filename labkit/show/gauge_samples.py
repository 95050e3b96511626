"""What do samples of a control group say: how much is used, where the limit is, and when somebody had to stop?

A sample is what the kernel shows at one moment, under the names of `labkit.linux.cgroup_limits.KNOBS`. Three gauges are
made of samples: memory, processor time and processes. Each has a line for what is used, another for the limit, and
marks: a process was killed, had to wait, or was refused.
"""

from collections.abc import Mapping, Sequence
from math import inf
from typing import NamedTuple

__all__ = [
    "GAUGES",
    "Gauge",
    "Mark",
    "Point",
    "Sample",
    "Series",
    "amount",
    "choose",
    "join_spans",
    "marks_of",
    "series_of",
]

MIB = 2**20


class Sample(NamedTuple):
    """The values of one moment, `at_s` seconds after the view began; none while the container does not run.

    `files` says which file of the kernel each value was read from. `killed` says that the group is gone because the
    kernel killed its first process; the group's own counter went with the group.
    """

    at_s: float
    values: Mapping[str, float] = {}
    files: Mapping[str, str] = {}
    killed: bool = False


class Gauge(NamedTuple):
    """One gauge: its title, the names of what is used and of its limit, and what a mark means."""

    title: str
    used: str
    limit: str
    mark: str  # the counter whose growth is marked
    role: str  # of the mark, in labkit.show.look
    word: str  # beside the mark


class Point(NamedTuple):
    """What is used at a moment and what the limit is then, in the gauge's unit; `inf` is no limit."""

    at_s: float
    used: float
    limit: float


class Series(NamedTuple):
    """A gauge over time: `runs` are the points of each time in which the container ran, without a gap between them."""

    gauge: Gauge
    runs: tuple[tuple[Point, ...], ...]
    files: Mapping[str, str]

    @property
    def points(self) -> tuple[Point, ...]:
        return tuple(point for run in self.runs for point in run)


class Mark(NamedTuple):
    """What happened between two moments, and how often."""

    since_s: float
    at_s: float
    times: float


GAUGES = (
    Gauge("memory", "memory_bytes", "memory_limit_bytes", "oom_kills", "killed", "killed"),
    Gauge("processor", "cpu_s", "cpu_quota_us", "cpu_periods_throttled", "throttled", "had to wait"),
    Gauge("processes", "pids", "pids_limit", "pids_refused", "refused", "refused"),
)


def choose(samples: Sequence[Sample], seconds: float, at_most: int) -> list[Sample]:
    """The samples of the last seconds; of many, one in so many that about `at_most` are left, the newest with them.

    Those at which the container did not run stay: they part its runs, and say that it was killed.
    """
    newest = samples[-1].at_s if samples else 0.0
    kept = [sample for sample in samples if newest - sample.at_s <= seconds]
    step, last = -(-len(kept) // at_most) or 1, len(kept) - 1
    return [sample for number, sample in enumerate(kept) if (last - number) % step == 0 or not sample.values]


def series_of(samples: Sequence[Sample], gauge: Gauge) -> Series:
    """What is used and the limit, over time. A processor's share is what was used between two samples, in percent."""
    runs: list[list[Point]] = [[]]
    files: dict[str, str] = {}
    for before, now in zip([None, *samples], samples, strict=False):
        if gauge.used not in now.values:
            runs.append([])
            continue
        files |= {name: now.files[name] for name in (gauge.used, gauge.limit, gauge.mark) if name in now.files}
        used = _used(before, now, gauge)
        if used is not None:
            runs[-1].append(Point(now.at_s, used, _limit(now, gauge)))
    return Series(gauge, tuple(tuple(run) for run in runs if run), files)


def marks_of(samples: Sequence[Sample], gauge: Gauge) -> list[Mark]:
    """When its counter has grown; a kill that took the counter with it counts, too."""
    found = []
    for before, now in zip(samples, samples[1:], strict=False):
        count = now.values.get(gauge.mark, 0) - before.values.get(gauge.mark, 0)
        if now.killed and not before.killed and gauge.mark == "oom_kills":
            count = 1
        if count > 0 and (before.values or not now.values):  # a container that starts anew begins at 0
            found.append(Mark(before.at_s, now.at_s, count))
    return found


def amount(gauge: Gauge, value: float) -> str:
    """A value of a gauge in words.

    >>> amount(GAUGES[0], 33554432), amount(GAUGES[1], 25), amount(GAUGES[2], inf)
    ('32 MiB', '25 %', 'no limit')
    """
    if value == inf:
        return "no limit"
    match gauge.title:
        case "memory":
            return f"{value / MIB:.1f}".removesuffix(".0") + " MiB"
        case "processor":
            return f"{value:.0f} %"
    return f"{value:.0f}"


def join_spans(spans: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Spans of time, in order; those that meet become one.

    >>> join_spans([(0, 1), (1, 2), (3, 4)])
    [(0, 2), (3, 4)]
    """
    joined: list[tuple[float, float]] = []
    for since_s, until_s in spans:
        if joined and joined[-1][1] >= since_s:
            joined[-1] = (joined[-1][0], until_s)
        else:
            joined.append((since_s, until_s))
    return joined


def _used(before: Sample | None, now: Sample, gauge: Gauge) -> float | None:
    if gauge.used != "cpu_s":
        return now.values[gauge.used]
    if before is None or "cpu_s" not in before.values or now.at_s <= before.at_s:
        return None
    return max(0.0, 100 * (now.values["cpu_s"] - before.values["cpu_s"]) / (now.at_s - before.at_s))


def _limit(sample: Sample, gauge: Gauge) -> float:
    limit = sample.values.get(gauge.limit, inf)
    return 100 * limit / sample.values["cpu_period_us"] if gauge.used == "cpu_s" and limit != inf else limit
