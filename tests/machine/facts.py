"""What are the facts about a machine, and what does a test hear of those that are none?

A fact is a function that runs in a machine and asserts. The modules `*_facts` have them, each in FACTS, with a `main`.
"""

import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

from tests.machine.host import run, wait_until

__all__ = ["Facts", "find_troubles", "main", "named"]

PROGRAM = "import sys; sys.path.insert(0, {project!r}); import {module} as m; m.main(m.FACTS)"
TIMEOUT_S = 280.0  # of a machine, with all facts of a module
PATIENCE_S = 10.0  # within which what a fact has used is gone

Facts = dict[str, Callable[[], None]]


def named(*facts: Callable[[], None]) -> Facts:
    """Facts under the names of their functions."""
    return {fact.__name__: fact for fact in facts}


def main(facts: Facts, inventory: Callable[[], set[str]] = set) -> None:
    """Check each, and print a line "NAME<tab>trouble": no trouble is an empty one.

    The names after the program's choose some. Nothing may be left of a fact in the inventory.
    """
    for name, fact in facts.items():
        if sys.argv[1:] and name not in sys.argv[1:]:
            continue
        before, trouble = inventory(), ""
        try:
            fact()
        except Exception:
            trouble = traceback.format_exc().replace("\n", " | ").replace("\t", " ")
        if not wait_until(lambda before=before: inventory() <= before, PATIENCE_S):  # type: ignore[misc]
            trouble += f" left: {sorted(inventory() - before)}"
        print(f"{name}\t{trouble}", flush=True)


def find_troubles(kind: str, module: ModuleType, timeout_s: float = TIMEOUT_S) -> dict[str, str]:
    """What each fact of a module said on a machine of this environment, if it had trouble; one machine is asked all."""
    program = PROGRAM.format(project=str(Path(__file__).parents[2]), module=module.__name__)
    done = run(kind, sys.executable, "-P", "-c", program, timeout=timeout_s)
    told = dict(line.split("\t", 1) for line in done.stdout.decode().splitlines())
    assert list(module.FACTS) == list(told), done.stderr.decode()
    return {name: trouble for name, trouble in told.items() if trouble}
