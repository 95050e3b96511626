"""May every code cell of a lesson be run again, and in any order?

usage: python -m tests.notebooks.any_order [--seeds N] [--machine native|uml] notebooks/00-start-here.ipynb ...

Each run has a machine of its own: one runs every code cell twice in a row, the others run the set-up cell and then all
other code cells in an order that a seed shuffles. A cell may succeed, or say one sentence (see `labkit.widgets.trouble`
for which errors do). A traceback, or a cell that does not end within 30 s, is a fault.
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

__all__ = ["Fault", "find_faults", "judge", "orders", "run_in_order"]

CELL_S = 30
SEEDS = 5
AT_ONCE = 2  # machines
COLOUR = re.compile(r"\x1b\[[0-9;]*m")


class Fault(NamedTuple):
    """What a run of a cell left that no learner should see; cells are counted from 1, code cells alone."""

    notebook: str
    order: str
    cell: int
    run: int
    words: str

    def __str__(self) -> str:
        again = "" if self.run == 1 else f", run {self.run}"
        return f"{self.notebook}, {self.order}: code cell {self.cell}{again}: {self.words}"


def orders(count: int, seeds: int = SEEDS) -> dict[str, list[int]]:
    """The orders in which `count` code cells are run, by name; 0 is the set-up cell, and first everywhere."""
    twice = {"each cell twice": [number for number in range(count) for _ in range(2)]}
    return twice | {f"seed {seed}": [0, *_shuffled(range(1, count), seed)] for seed in range(seeds)}


def _shuffled(numbers: Sequence[int], seed: int) -> list[int]:
    return random.Random(seed).sample(numbers, len(numbers))


def find_faults(paths: Sequence[Path], seeds: int = SEEDS) -> list[Fault]:
    """Run each notebook in all its orders, two machines at a time."""
    runs = []
    for path in paths:
        notebook = nbformat.read(path, as_version=4)
        notebook.cells = [cell for cell in notebook.cells if cell.cell_type == "code" and cell.source.strip()]
        runs += [(path, notebook, name, order) for name, order in orders(len(notebook.cells), seeds).items()]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = pool.map(lambda run: run_in_order(*run), runs)
    return [fault for faults in found for fault in faults]


def run_in_order(path: Path, notebook: Any, name: str, order: Sequence[int]) -> list[Fault]:
    """Run these code cells of a notebook on a fresh machine, in this order; give what is wrong."""
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
    faults = []
    with client.setup_kernel():
        for place, number in enumerate(order):
            cell = notebook.cells[number]
            began = time.monotonic()
            client.execute_cell(cell, number)
            seconds = time.monotonic() - began
            words = f"did not end in {CELL_S} s" if seconds >= CELL_S else judge(cell)
            if words:
                run = order[: place + 1].count(number)
                faults.append(Fault(path.name, name, number + 1, run, words))
    return faults


def judge(cell: Any) -> str:
    """What is wrong with the outputs of a cell that was run; "": nothing."""
    if "raises-exception" in cell.metadata.get("tags", []):
        return ""
    for output in cell.outputs:
        if output.output_type == "error" and not _is_one_sentence(output.traceback):
            return f"{output.ename}: {COLOUR.sub('', output.evalue)}".splitlines()[0]
    return ""


def _is_one_sentence(traceback: Sequence[str]) -> bool:
    return len(traceback) == 1 and "\n" not in traceback[0]


def main() -> int:
    """Print each fault; the exit status is 1 where there is one."""
    parser = argparse.ArgumentParser(prog="python -m tests.notebooks.any_order", description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=SEEDS, help="orders besides each cell twice (default %(default)s)")
    parser.add_argument("--machine", default="native", help="the kind of machine (default %(default)s)")
    parser.add_argument("notebooks", nargs="+", type=Path)
    chosen = parser.parse_args()
    os.environ["LABKIT_MACHINE"] = chosen.machine
    began = time.monotonic()
    faults = find_faults(chosen.notebooks, chosen.seeds)
    print(*faults, f"{len(faults)} faults, {time.monotonic() - began:.0f} s", sep="\n")
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main())
