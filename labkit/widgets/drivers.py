"""How are storage drivers seen in a notebook: as a table, as a figure, and as bars that grow when the reader acts?

show_drivers([*trials, *refusals])     what each is, and whether it runs here
plot_trials(trials)                    bytes and seconds, by matplotlib
grow(trials)                           containers made one after the other, a byte changed: as it was measured
"""

import base64
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from anywidget import AnyWidget
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from traitlets import Bool, Int, List, Unicode

from labkit.images.drivers import DRIVERS, Refusal, Trial
from labkit.show.drivers import drivers_html, drivers_svg, drivers_text, growth_svg, megabytes, relations
from labkit.show.look import ROLES, STYLE
from labkit.widgets.script import read_script
from labkit.widgets.view import View

__all__ = ["Growth", "Plot", "grow", "plot_trials", "show_drivers"]

HERE = Path(__file__).parent
CREATED = [f"create {number}" for number in range(1, 11)]
INK, DIM = "#1f2328", "#545c66"  # of a light page: the figure has a white ground, legible on both
# The steps that are drawn, the role whose colour each has, and its hatching, for those who see no colours.
BYTES = (("the image", "engine", ""), ("ten containers", "container", "//"), ("one byte changed", "stderr", "xx"))
SECONDS = (
    ("build the image", "engine", ""),
    ("make ten containers", "container", "//"),
    ("run one of them", "stderr", "xx"),
)


def show_drivers(results: Iterable[Trial | Refusal]) -> View:
    """A table of drivers: what a layer is, what the kernel gives, and whether it runs here, in whose words not."""
    ordered = sorted(results, key=lambda result: list(DRIVERS).index(result.driver))
    return View(drivers_html(ordered), drivers_text(ordered), drivers_svg(ordered))


class Plot:
    """A figure; `relations` has what holds on every computer: each sentence, and whether it does."""

    def __init__(self, trials: Sequence[Trial]) -> None:
        self._trials = trials
        self.relations = relations(trials)

    def __repr__(self) -> str:
        return "(bytes and seconds of each driver)"

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        packed = io.BytesIO()
        draw_figure(self._trials).savefig(packed, format="png", dpi=110, bbox_inches="tight", pad_inches=0.08)
        return {"image/png": base64.b64encode(packed.getvalue()).decode(), "text/plain": repr(self)}


def plot_trials(results: Iterable[Trial | Refusal]) -> Plot:
    """Bytes and seconds of the drivers that run, side by side, drawn by matplotlib.

    Raises KeyError without a trial of overlay2 and one of vfs.
    """
    return Plot(_trials(results))


def draw_figure(trials: Sequence[Trial]) -> Figure:
    """Two panels of bars, one row a driver: what each step added on the disk, and how long each took."""
    drawn = Figure(
        figsize=(9.5, 1.4 + 0.52 * len(trials)), facecolor="white", layout=ConstrainedLayoutEngine(wspace=0.06)
    )
    left, right = drawn.subplots(1, 2, sharey=True)
    names = [trial.driver for trial in trials]
    kept = [
        [max(0, trial.bytes_after(last) - before) / 1e6 for trial, before in zip(trials, base, strict=True)]
        for last, base in (
            ("build", [0] * len(trials)),
            (CREATED[-1], [trial.bytes_after("build") for trial in trials]),
            ("change", [trial.bytes_after(CREATED[-1]) for trial in trials]),
        )
    ]
    _stack(left, names, kept, BYTES, "MB on the disk")
    for place, trial in enumerate(trials):
        left.annotate(
            megabytes(trial.bytes_after("change")),
            (sum(part[place] for part in kept), place),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            color=INK,
            fontsize=9,
        )
    left.set_xlim(right=max(map(sum, zip(*kept, strict=True))) * 1.18)
    spent = [[trial.seconds(*steps) for trial in trials] for steps in (("import", "build"), CREATED, ("change",))]
    _stack(right, names, spent, SECONDS, "seconds")
    return drawn


def _stack(
    axes: Axes, names: Sequence[str], parts: Sequence[Sequence[float]], keys: Sequence[tuple[str, str, str]], unit: str
) -> None:
    ends = [0.0] * len(names)
    for lengths, (label, role, hatch) in zip(parts, keys, strict=True):
        axes.barh(
            range(len(names)), lengths, left=ends, height=0.62, label=label, color=ROLES[role].light,
            hatch=hatch, edgecolor="white", linewidth=0.6,
        )  # fmt: skip
        ends = [end + length for end, length in zip(ends, lengths, strict=True)]
    axes.set_yticks(range(len(names)), names, family="monospace", color=INK)
    axes.set_xlabel(unit, color=INK)
    axes.tick_params(colors=DIM, labelcolor=INK)
    if not axes.yaxis_inverted():
        axes.invert_yaxis()
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.legend(
        loc="lower left", bbox_to_anchor=(0, 1), ncols=3, frameon=False, fontsize=8, labelcolor=INK,
        borderaxespad=0.2, handlelength=1.4, handletextpad=0.5, columnspacing=1.1,
    )  # fmt: skip


class Growth(AnyWidget):
    """Bars of what each driver keeps; the reader makes containers, changes a byte, and chooses a driver to read of.

    Each length was measured: the page holds the bytes after each step, so it answers without the kernel.
    """

    _esm = read_script("drivers.js")
    _css = HERE / "drivers.css"
    look = Unicode(STYLE).tag(sync=True)
    trials: List[Any] = List().tag(sync=True)
    containers = Int(0).tag(sync=True)
    changed = Bool(False).tag(sync=True)
    chosen = Unicode().tag(sync=True)
    still = Unicode().tag(sync=True)  # SVG for a page whose kernel has gone

    def __init__(self, trials: Sequence[Trial]) -> None:
        self._trials = list(trials)
        super().__init__(trials=[_as_json(trial) for trial in trials], chosen=trials[0].driver if trials else "")
        self.still = self._draw()
        self.observe(lambda _: setattr(self, "still", self._draw()), ["containers", "changed"])

    def _draw(self) -> str:
        return growth_svg(self._trials, self.containers, changed=self.changed)

    def __repr__(self) -> str:
        return "(bars that grow: make containers, change one byte, choose a driver)"

    def _repr_mimebundle_(self, **options: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        bundle, metadata = super()._repr_mimebundle_(**options) or ({}, {})
        return {**bundle, "image/svg+xml": self._draw(), "text/plain": repr(self)}, metadata


def grow(results: Iterable[Trial | Refusal]) -> Growth:
    """Let the reader make up to ten containers and change one byte, and see the bytes that were measured."""
    return Growth(_trials(results))


def _trials(results: Iterable[Trial | Refusal]) -> list[Trial]:
    return [result for result in results if isinstance(result, Trial)]


def _as_json(trial: Trial) -> dict[str, Any]:
    driver = DRIVERS[trial.driver]
    return {
        "driver": trial.driver,
        "kept": [trial.bytes_after(step) for step in ("build", *CREATED)],
        "change": trial.growth("change"),
        "big": trial.big_bytes,
        "layer": driver.layer,
        "onCreate": driver.on_create,
        "onChange": driver.on_change,
    }
