"""May every code cell of a lesson be run again, and in any order?

usage: python -m tests.notebooks.any_order [--seeds N] [--machine native|uml] notebooks/00-start-here.ipynb ...

Each run has a machine of its own: one runs every code cell twice in a row, the others run the set-up cell and then all
other code cells in an order that a seed shuffles. A cell may succeed, or say one sentence (see `labkit.widgets.trouble`
for which errors do). A traceback, or a cell that does not end within 60 s, is a fault.
"""

import argparse
import os
import random
import re
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from pathlib import Path
from typing import Any, NamedTuple

import nbformat
from nbclient import NotebookClient

__all__ = ["Run", "judge", "orders", "run_all", "run_in_order"]

CELL_S = 60  # three managers elect a leader in up to 20 s
SEEDS = 5
AT_ONCE = 3  # machines, which mostly wait
SLOWEST = 10
COLOUR = re.compile(r"\x1b\[[0-9;]*m")


class Run(NamedTuple):
    """One run of a code cell, and the sentence that it said, or its fault; code cells alone are counted, from 1."""

    notebook: str
    order: str
    cell: int
    time: int  # 2: the second time in this order
    seconds: float
    sentence: str
    fault: str

    def __str__(self) -> str:
        again = "" if self.time == 1 else ", again"
        where = f"{self.notebook}, {self.order}: code cell {self.cell}{again} ({self.seconds:.1f} s)"
        return f"{where}: {self.fault or self.sentence}"


def orders(count: int, seeds: int = SEEDS) -> dict[str, list[int]]:
    """The orders in which `count` code cells are run, by name; 0 is the set-up cell, and first everywhere."""
    twice = {"each cell twice": [number for number in range(count) for _ in range(2)]}
    return twice | {f"seed {seed}": [0, *_shuffled(range(1, count), seed)] for seed in range(seeds)}


def _shuffled(numbers: Sequence[int], seed: int) -> list[int]:
    return random.Random(seed).sample(numbers, len(numbers))


def run_all(paths: Sequence[Path], seeds: int = SEEDS) -> list[Run]:
    """Run each notebook in all its orders, three machines at a time."""
    wanted = []
    for path in paths:
        notebook = nbformat.read(path, as_version=4)
        notebook.cells = [cell for cell in notebook.cells if cell.cell_type == "code" and cell.source.strip()]
        wanted += [(path, notebook, name, order) for name, order in orders(len(notebook.cells), seeds).items()]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return [run for runs in pool.map(lambda one: run_in_order(*one), wanted) for run in runs]


def run_in_order(path: Path, notebook: Any, name: str, order: Sequence[int]) -> list[Run]:
    """Run these code cells of a notebook on a fresh machine, in this order."""
    notebook = deepcopy(notebook)
    client = NotebookClient(
        notebook,
        kernel_name="docker-lab",
        timeout=CELL_S,
        interrupt_on_timeout=True,
        allow_errors=True,
        record_timing=False,
        store_widget_state=False,
        resources={"metadata": {"path": str(path.parent)}},
    )
    runs = []
    with client.setup_kernel():
        for place, number in enumerate(order):
            began = time.monotonic()
            cell = client.execute_cell(notebook.cells[number], number)
            seconds = time.monotonic() - began
            sentence, fault = judge(cell)
            if seconds >= CELL_S:
                fault = f"did not end in {CELL_S} s"
            times = order[: place + 1].count(number)
            runs.append(Run(path.name, name, number + 1, times, seconds, sentence, fault))
    return runs


def judge(cell: Any) -> tuple[str, str]:
    """The sentence that a cell that was run has said, or its fault, or neither."""
    for output in cell.outputs:
        if output.output_type == "error" and "raises-exception" not in cell.metadata.get("tags", []):
            if len(output.traceback) == 1 and "\n" not in output.traceback[0]:
                return COLOUR.sub("", output.traceback[0]), ""
            return "", f"{output.ename}: {COLOUR.sub('', output.evalue)}".splitlines()[0]
    return "", ""


def main() -> int:
    """Print each fault; the exit status is 1 where there is one."""
    parser = argparse.ArgumentParser(prog="python -m tests.notebooks.any_order", description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=SEEDS, help="orders besides each cell twice (default %(default)s)")
    parser.add_argument("--machine", default="native", help="the kind of machine (default %(default)s)")
    parser.add_argument("--sentences", action="store_true", help="print the sentences and the slowest cells, too")
    parser.add_argument("notebooks", nargs="+", type=Path)
    chosen = parser.parse_args()
    os.environ["LABKIT_MACHINE"] = chosen.machine
    began = time.monotonic()
    runs = run_all(chosen.notebooks, chosen.seeds)
    faults, said = [run for run in runs if run.fault], [run for run in runs if run.sentence]
    if chosen.sentences:
        print("one sentence:", *said, sep="\n")
        print("slowest:", *sorted(runs, key=lambda run: -run.seconds)[:SLOWEST], sep="\n")
    print(*faults, sep="\n", end="\n" if faults else "")
    print(f"{len(runs)} runs, {len(said)} said one sentence, {len(faults)} faults, {time.monotonic() - began:.0f} s")
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main())
