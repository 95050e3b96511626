"""When is this machine ready, and what does its learner see until then?"""

import time
from typing import Any

from IPython.display import display

from labkit.errors import MachineError
from labkit.machine.boot_log import BOOT_LOG, read_boot_log
from labkit.show.boot import boot_html, boot_svg
from labkit.widgets.view import View

__all__ = ["require_lab_machine", "wait_for_boot"]

PATIENCE_S = 240.0  # where a whole class boots at once; the view shows that it goes on


def require_lab_machine() -> None:
    """Raise MachineError where no lab machine has booted."""
    if not BOOT_LOG.exists():
        raise MachineError('This is not a lab machine: choose the kernel "Docker Lab" (Kernel > Change Kernel).')


def wait_for_boot() -> tuple[View, list[dict[str, Any]]]:
    """Show the machine's boot, and wait until its engine is ready; give the view, and the stages that it shows.

    Raises MachineError when the boot failed or takes more than 240 s, and where its log is none any more.
    """
    view = View("", "the boot of this machine")
    display(view)  # type: ignore[no-untyped-call]
    deadline = time.monotonic() + PATIENCE_S
    stages: list[dict[str, Any]] = []
    while True:
        try:
            before, stages = stages, read_boot_log()
            if before != stages or not view.html:  # a picture for each stage, and no more
                view.html = boot_html(stages)
            passed = {line["stage"]: line["detail"] for line in stages}
        except (OSError, ValueError, LookupError, TypeError) as error:
            words = f"{BOOT_LOG} has been overwritten: it does not tell any more how the machine booted."
            raise MachineError(f"{words} Restart the kernel (Kernel > Restart).") from error
        if "failed" in passed:  # not always the last: the notebook's Python starts beside the engine
            words = passed["failed"].rstrip(".")
            raise MachineError(f"The engine did not come up: {words}. Restart the kernel to try again.")
        if "ready" in passed:
            view.still = boot_svg(stages)
            return view, stages
        if time.monotonic() > deadline:
            view.html = boot_html([*stages, {"stage": "failed", "detail": f"No end after {PATIENCE_S:.0f} s."}])
            raise MachineError(f"The boot takes too long; it has passed: {', '.join(passed)}. Restart the kernel.")
        time.sleep(0.1)
