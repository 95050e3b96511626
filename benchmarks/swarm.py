"""How long does a swarm of three engines take to serve, and to serve again when a worker was killed?

Each round begins with no engine, and ends with two. A task serves when its page comes over HTTP.
"""

from collections.abc import Iterator
from pathlib import Path

from benchmarks.lab import possible_kinds, start_kernel
from benchmarks.machine import WAIT_UNTIL_READY
from benchmarks.table import Row, bench

ROUNDS = 3
PROJECT = Path(__file__).parents[1]
GOALS_S = {"native": {"serving": 15.0, "moved": 30.0}}
NAMES = {
    "serving": "swarm of three, formed and serving",
    "moved": "a killed worker's tasks serve elsewhere",
}
FORM_SWARMS = """
import json, sys
sys.path.insert(0, {project!r})
from benchmarks import swarm_inside
print(json.dumps(swarm_inside.measure({rounds})))
"""


@bench
def swarm_rows() -> Iterator[Row]:
    """Form a swarm of three engines with a service of three tasks, and kill a worker."""
    for kind in possible_kinds():
        with start_kernel("docker-lab", kind) as kernel:
            kernel.run(WAIT_UNTIL_READY)
            seconds = kernel.run(FORM_SWARMS.format(project=str(PROJECT), rounds=ROUNDS))
        for name, words in NAMES.items():
            yield Row(name=f"{kind}: {words}", unit="s", ours=seconds[name], goal=GOALS_S.get(kind, {}).get(name))
