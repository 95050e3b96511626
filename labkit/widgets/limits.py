"""In which files of the kernel do the limits and counters of a container stand, and what do they say now?

group = group_of(engine, "box")     the control group of a running container
show_limits(group)                  a table of the files of both versions, with the values that are there
"""

from labkit.api.engine import Engine
from labkit.errors import LabError
from labkit.linux.cgroup_limits import KNOBS, read_all
from labkit.linux.cgroups import Group, find_group
from labkit.show.gauge_samples import GAUGES, amount
from labkit.show.limits import Row, limits_html, limits_svg, limits_text
from labkit.widgets.view import View

__all__ = ["group_of", "show_limits"]

MEMORY, PROCESSOR, _ = GAUGES
# What is shown, in its words, and what `docker run` is told for it. What the kernel does at a limit is not among it: a
# reader is asked that.
SHOWN = {
    "memory_limit_bytes": ("memory, at most", "--memory"),
    "cpu_quota_us": ("processor, at most", "--cpus"),
    "pids_limit": ("processes, at most", "--pids-limit"),
    "memory_bytes": ("memory, now", ""),
    "memory_limit_hits": ("limit reached", ""),
    "cpu_s": ("processor time", ""),
    "pids": ("processes, now", ""),
}


def group_of(engine: Engine, container: str) -> Group:
    """The control group of a running container.

    Raises LabError when it does not run, and what every call of an Engine raises.
    """
    pid = engine.get(f"/containers/{container}/json").json()["State"]["Pid"]
    try:
        return find_group(pid or -1)
    except OSError:
        raise LabError(
            f"The container {container} does not run, so it has no control group. First run the cell that starts it."
        ) from None


def show_limits(group: Group) -> View:
    """A table of the files of both versions, with the values of a container's group.

    Raises LabError when the group is gone.
    """
    values = {name: reading.value for name, reading in read_all(group).items()}
    if "pids" not in values:
        raise LabError("This control group is gone: its container has ended. First run the cell that starts it.")
    if "cpu_quota_us" in values:
        values["cpu_quota_us"] = 100 * values["cpu_quota_us"] / values["cpu_period_us"]
    rows = [
        Row(what, flag, KNOBS[name].v1.file, KNOBS[name].v2.file, _words(name, values[name]) if name in values else "-")
        for name, (what, flag) in SHOWN.items()
    ]
    return View(limits_html(rows, group.version), limits_text(rows), limits_svg(rows, group.version))


def _words(name: str, value: float) -> str:
    match name:
        case "memory_limit_bytes" | "memory_bytes":
            return amount(MEMORY, value)
        case "cpu_quota_us":
            return amount(PROCESSOR, value)
        case "cpu_s":
            return f"{value:.2f} s"
        case "memory_limit_hits":
            return f"{value:.0f} times"
    return "no limit" if value == float("inf") else f"{value:.0f}"
