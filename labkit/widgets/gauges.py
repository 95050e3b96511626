"""How is what a container uses seen while it changes, and how does a reader set its limits?

view = watch_gauges(Engine(), "hungry")     follows the container, also through its end and a next start
with watch_gauges(Engine(), "hungry"):      while a block runs, and stored as it is at the end
view.set_limit("memory_limit_bytes", 2**24) what a slider does: a write to a file of the kernel

Beside the chart of a view that runs on after its cell there is a slider for each limit. It writes into the file that
docker wrote into, and the kernel's answer is shown.
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from html import escape
from math import inf
from typing import Any

from ipywidgets import IntSlider

from labkit.api.engine import Engine
from labkit.errors import EngineError, LabError
from labkit.linux.cgroup_limits import PERIOD_US, file_of, read, read_all, set_limits
from labkit.linux.cgroup_limits import write as write_limit
from labkit.linux.cgroups import Group, find_group
from labkit.show.gauge_samples import MIB, Sample
from labkit.show.gauges import gauges_html, gauges_svg, gauges_text
from labkit.widgets.live import LiveView, Picture

__all__ = ["ContainerSamples", "GaugesView", "watch_gauges"]

PERIOD_S = 0.1
REST = 9  # parts of the processor's time that are left to others, for each part that a sample takes
MOST_IDLE_S = 0.5  # between two looks for a container that has not run for a while
SOON_S = 2.0
# A slider each: its limit, its words, the lowest and the highest value; and what one is in the kernel's unit.
LIMITS = (
    ("memory_limit_bytes", "memory, MiB", 4, 128),
    ("cpu_quota_us", "processor, %", 5, 200),
    ("pids_limit", "processes", 1, 64),
)
UNITS = {"memory_limit_bytes": MIB, "cpu_quota_us": PERIOD_US // 100, "pids_limit": 1}
SPEAKING = (
    "font-family:var(--jp-code-font-family,monospace);color:var(--jp-ui-font-color1);min-height:1.5em;"
    "overflow-wrap:anywhere"
)


class ContainerSamples:
    """Samples of a container's control group, about ten a second, from before its start on."""

    def __init__(self, engine: Engine, container: str) -> None:
        self.container = container
        self.group: Group | None = None  # while it runs
        self.taken = 0
        self._engine = engine
        self._over = threading.Event()
        self._began = time.monotonic()
        self._kills_above = 0.0  # of all containers of this engine, where the kernel adds them up (version 2)
        self._own_kills = 0.0
        self._pid = 0  # of its first process, as the engine tells it

    def __iter__(self) -> Iterator[Sample]:
        runs: bool | None = None
        idle_s = 0.0
        while not self._over.is_set():
            began = time.thread_time()
            sample = self._take()
            if sample.values or runs is not False:  # while nothing runs, one sample says so
                yield sample
            runs = bool(sample.values)
            self.taken += 1
            idle_s = 0.0 if runs else idle_s + PERIOD_S
            self._over.wait(max(min(PERIOD_S + idle_s / 10, MOST_IDLE_S), REST * (time.thread_time() - began)))

    def close(self) -> None:
        self._over.set()

    def _take(self) -> Sample:
        at_s = time.monotonic() - self._began
        readings = read_all(self.group) if self.group else {}
        if "pids" in readings and readings["pids"].value:
            values = {name: reading.value for name, reading in readings.items()}
            self._own_kills = values.get("oom_kills", 0.0)
            self._kills_above = _kills_above(self.group)
            return Sample(at_s, values, {name: reading.file for name, reading in readings.items()})
        ended, self.group = self.group, None
        if ended is not None:
            last = readings.get("oom_kills")  # the group is there for a moment after its last process
            is_last = last is not None and last.value > self._own_kills
            return Sample(at_s, killed=is_last or self._was_killed(ended))
        self.group = self._find()
        self._own_kills, self._kills_above = 0.0, _kills_above(self.group)
        return self._take() if self.group is not None else Sample(at_s)

    def _find(self) -> Group | None:
        """Where the container's processes are counted; None while it does not run."""
        state = self._state()
        self._pid = state.get("Pid", 0)
        with suppress(OSError):
            return find_group(self._pid) if self._pid else None
        return None

    def _was_killed(self, group: Group) -> bool:
        """Did the kernel kill its first process because memory ran out?

        The group's own counter is gone. Version 2 adds up in the group above. In version 1 the engine is asked: it
        hears of each kill, also of one that the group's counter has told already. (In version 2 the engine may come
        too late: the group is gone before it looks.)
        """
        state, deadline = self._state(), time.monotonic() + SOON_S
        while state.get("Pid") == self._pid and time.monotonic() < deadline:  # it has not heard of the end yet
            time.sleep(PERIOD_S / 4)
            state = self._state()
        is_told = not self._own_kills and state.get("OOMKilled", False)
        return is_told or _kills_above(group) > self._kills_above

    def _state(self) -> dict[str, Any]:
        with suppress(EngineError):
            found = self._engine.get(f"/containers/{self.container}/json", check=False)
            if found.answer.status == 200:
                return dict(found.json()["State"])
        return {}


class GaugesView(LiveView[Sample]):
    """The gauges of a container, and sliders for its limits."""

    def __init__(self, samples: ContainerSamples) -> None:
        self.samples = samples
        self._said = Picture()
        self._sliders = {name: _slider(words, low, high) for name, words, low, high in LIMITS}
        self._is_following = False  # a slider goes where the limit is, and writes nothing
        for name, slider in self._sliders.items():
            slider.observe(self._setter(name), "value")
        super().__init__(
            f"gauges of {samples.container}",
            samples,
            html=lambda items, _: gauges_html(items, name=f"container {samples.container}"),
            text=lambda items, _: gauges_text(items),
            picture=lambda items, _: gauges_svg(items),
        )

    def set_limit(self, name: str, value: float) -> str:
        """Write a limit into the kernel's file, as KNOBS names it; give the line of a shell that does the same.

        Raises LabError with the kernel's words when the container does not run, or the kernel refuses.
        """
        group = self.samples.group
        if group is None:
            raise LabError(f"The container {self.samples.container} does not run: it has no control group.")
        try:
            if name == "memory_limit_bytes":
                set_limits(group, memory_bytes=value)
            else:
                write_limit(group, name, value)
        except OSError as error:
            raise LabError(f"The kernel refuses: {error.strerror}.") from None
        file = file_of(group, name)
        self._say(line := f"echo {file.read_text().strip()} > {file}")
        return line

    def catch_up(self) -> None:
        """Wait for one more sample that begins from now on."""
        wanted, deadline = self.samples.taken + 2, time.monotonic() + SOON_S
        while self.samples.taken < wanted and self.is_live and time.monotonic() < deadline:
            time.sleep(PERIOD_S / 4)

    def take(self, item: Sample) -> None:
        """Add a sample; when the container begins to run, the sliders go to its limits."""
        if item.values and not (self._items and self._items[-1].values):
            self._is_following = True
            for name, slider in self._sliders.items():
                limit = item.values.get(name, inf)
                slider.value = slider.max if limit == inf else max(slider.min, min(slider.max, limit // UNITS[name]))
            self._is_following = False
        super().take(item)

    def _setter(self, name: str) -> Callable[[dict[str, Any]], None]:
        def set_it(change: dict[str, Any]) -> None:
            if self._is_following:
                return
            try:
                self.set_limit(name, change["new"] * UNITS[name])
            except LabError as error:
                self._say(str(error))

        return set_it

    def _say(self, words: str) -> None:
        self._said.html = f'<div style="{SPEAKING}" aria-live="polite">{escape(words)}</div>'

    def _wanted_controls(self) -> Sequence[Any]:
        """The sliders only while they work: not in a block, whose cell keeps the kernel from hearing of them."""
        return (*self._sliders.values(), self._said) if self._has_button and self.is_live else ()


def watch_gauges(engine: Engine, container: str) -> GaugesView:
    """Follow a container of that name, from before its start on. The engine's client is the view's own from now on."""
    return GaugesView(ContainerSamples(engine, container))


def _slider(words: str, low: int, high: int) -> IntSlider:
    style = {"description_width": "7.5em"}
    return IntSlider(value=high, min=low, max=high, description=words, style=style, layout={"width": "22em"})


def _kills_above(group: Group | None) -> float:
    """What the group above has counted: in version 2 the kills in all groups below it, in version 1 only its own."""
    if group is None:
        return 0.0
    with suppress(OSError):
        return read(group.above, "oom_kills").value
    return 0.0
