"""Does a part of the learner's own docker do what it should, on the machine?

The part is tried: the program runs containers of names of its own, and what the kernel shows then is compared with what
was asked for. All of it happens in a process of its own, which ends whatever the program has left running.
"""

from labkit.check.program import MINE, PARTS, Program
from labkit.check.verdict import Verdict
from labkit.errors import ExperimentError
from labkit.isolation.helper import call

__all__ = ["check_part"]

PATIENCE_S = 60.0


def check_part(program: Program, part: str) -> Verdict:
    """Try a part of a program, if the learner has written it. Raises KeyError for a name of no part."""
    if program.owners().get(part) != MINE:
        return Verdict(attempted=False)
    target = f"labkit.check.{'pulling' if part == 'A' else 'trials'}:try_{PARTS[part].replace(' ', '_')}"
    try:
        return Verdict(True, str(call(target, [str(program.path)], timeout_s=PATIENCE_S).value or ""))
    except ExperimentError:
        return Verdict(True, f"the program did not come to an end within {PATIENCE_S:.0f} s")
