"""How is what a container uses seen while it changes, and how does a reader set its limits?

view = watch_gauges(Engine(), "hungry")     follows the container, also through its end and a next start
with watch_gauges(Engine(), "hungry"):      while a block runs, and stored as it is at the end
view.set_limit("memory_limit_bytes", 2**24) what a slider does: a write to a file of the kernel

Beside the chart of a view that runs on after its cell there is a slider for each limit. It writes into the file that
docker wrote into, and the kernel's answer is shown.
"""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from html import escape
from typing import Any

from ipywidgets import IntSlider

from labkit.api.engine import Engine
from labkit.errors import EngineError, LabError
from labkit.linux.cgroup_limits import read, read_all, set_limits
from labkit.linux.cgroup_limits import write as write_limit
from labkit.linux.cgroups import Group, find_group
from labkit.show.gauge_samples import MIB, Sample
from labkit.show.gauges import gauges_html, gauges_svg, gauges_text
from labkit.widgets.live import LiveView, Picture

__all__ = ["ContainerSamples", "GaugesView", "watch_gauges"]

PERIOD_S = 0.1
REST = 4  # parts of the processor's time that are left to others, for each part that a sample takes
SOON_S = 2.0
KILLED = 128 + 9  # the exit status that docker gives for SIGKILL
SPEAKING = "font-family:var(--jp-code-font-family,monospace);color:var(--jp-ui-font-color1);min-height:1.5em"


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

    def __iter__(self) -> Iterator[Sample]:
        runs: bool | None = None
        while not self._over.is_set():
            began = time.thread_time()
            sample = self._take()
            if sample.values or runs is not False:  # while nothing runs, one sample says so
                yield sample
            runs = bool(sample.values)
            self.taken += 1
            self._over.wait(max(PERIOD_S, REST * (time.thread_time() - began)))

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
            return Sample(at_s, killed=self._was_killed(ended))
        self.group = self._find()
        self._own_kills, self._kills_above = 0.0, _kills_above(self.group)
        return self._take() if self.group is not None else Sample(at_s)

    def _find(self) -> Group | None:
        """Where the container's processes are counted; None while it does not run."""
        state = self._state()
        with suppress(OSError):
            return find_group(state["Pid"]) if state.get("Pid") else None
        return None

    def _was_killed(self, group: Group) -> bool:
        """Did the kernel kill its first process because memory ran out?

        The group's own counter is gone. Version 2 adds up in the group above. In version 1 the engine is asked: it
        hears of each kill, also of one that the group's counter has told already. (In version 2 the engine may come
        too late: the group is gone before it looks.)
        """
        is_told = not self._own_kills and self._state().get("OOMKilled", False)
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
        self._sliders = [
            _slider("memory, MiB", 4, 128, 32),
            _slider("processor, %", 5, 200, 100),
            _slider("processes", 1, 64, 32),
        ]
        for slider, name, unit in zip(
            self._sliders, ("memory_limit_bytes", "cpu_quota_us", "pids_limit"), (MIB, 1000, 1), strict=True
        ):
            slider.observe(self._setter(name, unit), "value")
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
                file = set_limits(group, memory_bytes=value)[name]
            else:
                file = write_limit(group, name, value)
        except OSError as error:
            raise LabError(f"The kernel refuses: {error.strerror}.") from None
        self._say(line := f"echo {file.read_text().strip()} > {file}")
        return line

    def catch_up(self) -> None:
        """Wait for one more sample that begins from now on."""
        wanted, deadline = self.samples.taken + 2, time.monotonic() + SOON_S
        while self.samples.taken < wanted and self.is_live and time.monotonic() < deadline:
            time.sleep(PERIOD_S / 4)

    def _setter(self, name: str, unit: int) -> Any:
        def set_it(change: dict[str, Any]) -> None:
            try:
                self.set_limit(name, change["new"] * unit)
            except LabError as error:
                self._say(str(error))

        return set_it

    def _say(self, words: str) -> None:
        self._said.html = f'<div style="{SPEAKING}" aria-live="polite">{escape(words)}</div>'

    def _wanted_controls(self) -> Sequence[Any]:
        """The sliders only while they work: not in a block, whose cell keeps the kernel from hearing of them."""
        return (*self._sliders, self._said) if self._has_button and self.is_live else ()


def watch_gauges(engine: Engine, container: str) -> GaugesView:
    """Follow a container of that name, from before its start on. The engine's client is the view's own from now on."""
    return GaugesView(ContainerSamples(engine, container))


def _slider(words: str, low: int, high: int, value: int) -> IntSlider:
    return IntSlider(
        value=value,
        min=low,
        max=high,
        description=words,
        style={"description_width": "6.5em"},
        layout={"width": "21em"},
    )


def _kills_above(group: Group | None) -> float:
    """What the group above has counted: in version 2 the kills in all groups below it, in version 1 only its own."""
    if group is None:
        return 0.0
    above = Group(group.version, "", {name: directory.parent for name, directory in group.directories.items()})
    with suppress(OSError, KeyError):
        return read(above, "oom_kills").value
    return 0.0
