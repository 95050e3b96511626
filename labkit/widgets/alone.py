"""How does a cell run in a process of its own?

    %%alone hostname            the values of these names come back into the notebook
    unshare(CLONE_NEWUTS)
    sethostname("box")
    hostname = os.uname().nodename

The cell magic of `labkit.isolation.helper`, as an IPython extension, which a machine's kernel loads when it starts.
What the cell prints appears as it comes. What the cell names in the notebook goes along (`labkit.isolation.cell`).
"""

import signal
import sys
from codecs import getincrementaldecoder
from typing import Any

from labkit.errors import ExperimentError
from labkit.isolation.cell import gather
from labkit.isolation.helper import run_source
from labkit.isolation.running import Outcome

__all__ = ["load_ipython_extension", "run_alone"]


def load_ipython_extension(shell: Any) -> None:
    """Give this kernel's cells the magic %%alone."""
    shell.register_magic_function(lambda line, text: run_alone(line, text, shell.user_ns), "cell", "alone")


def run_alone(line: str, text: str, notebook: dict[str, Any]) -> None:
    """Run a cell's text alone, and put the values of the names in `line` into the notebook.

    Raises what the experiment raised, as `labkit.isolation.helper.run_source` does, and ExperimentError where a name
    that the cell uses cannot leave the notebook.
    """
    wanted = line.replace(",", " ").split()
    decoders = {name: getincrementaldecoder("utf-8")("replace") for name in ("out", "err")}

    def hear(name: str, data: bytes) -> None:
        (sys.stdout if name == "out" else sys.stderr).write(decoders[name].decode(data))

    try:
        outcome = run_source(gather(text, notebook, wanted), hear)
    except NameError as error:
        if error.name not in notebook:
            raise
        raise ExperimentError(
            f"`{error.name}` stays in the notebook's own process: it is {type(notebook[error.name]).__name__}. "
            "Numbers, texts, lists, dicts, functions and imports go along to a cell that runs alone."
        ) from None
    notebook.update(outcome.value or {})
    if words := _explain_end(outcome):
        print(words)


def _explain_end(outcome: Outcome) -> str:
    """How an experiment ended that did not come to the end of its text; "" where it did."""
    if outcome.status < 0:
        return f"(the process was ended by {signal.Signals(-outcome.status).name})"
    return f"(the process ended with status {outcome.status})" if outcome.status else ""
