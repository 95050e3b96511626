"""Who goes when a machine's memory runs out, and how does the notebook learn of it?

The kernel kills the process that holds the most memory, by a score that each process can be given a handicap in:
/proc/PID/oom_score_adj of proc(5), in thousandths of the memory, inherited by children. The machine's own processes
(PID 1, the notebook's Python, dockerd, containerd) have one; those of containers have none, as dockerd sets theirs.
"""

from contextlib import suppress
from pathlib import Path

__all__ = ["count_own_kills", "spare", "spare_not"]

# Docker's own number for dockerd. Under the host's kernel the host's processes would go before ours, too, so it is
# just what the notebook's Python needs: a tenth of the memory.
HANDICAP = {"uml": -500, "native": -100}
COUNTERS = (
    "/sys/fs/cgroup/init/memory.events",  # version 2: the group of the machine's own processes
    "/sys/fs/cgroup/memory/memory.oom_control",  # version 1: the machine's group, without those of the containers
)


def spare(kind: str) -> None:
    """Have the kernel kill processes of containers before this one and its children to come.

    Under the host's kernel it takes CAP_SYS_RESOURCE; a root who lacks it does without.
    """
    with suppress(PermissionError):
        Path("/proc/self/oom_score_adj").write_text(str(HANDICAP[kind]))


def spare_not() -> None:
    """Have the kernel take this process for what it is: a guest, as those of containers are."""
    Path("/proc/self/oom_score_adj").write_text("0")


def count_own_kills() -> int:
    """How many of the machine's own processes, none of a container, the kernel has killed because memory ran out.

    0 where the host lets the machine have no control group for memory, and so nothing counts.
    """
    for counter in COUNTERS:
        with suppress(OSError):  # the other version's
            counts = dict(line.split() for line in Path(counter).read_text().splitlines())
            return int(counts["oom_kill"])
    return 0
