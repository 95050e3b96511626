"""What did a part of a machine say before it ended, and which line of it tells why?

The kernel of a `uml` machine ends with a page of addresses, and so does a program in Go. One line is for the learner;
what a part outside has written is kept whole in one file, which the next such end writes anew.
"""

import re
from contextlib import suppress
from pathlib import Path

__all__ = ["FILE", "KEPT_BYTES", "find_reason", "keep", "quote"]

FILE = "last-words.log"  # in the state directory, beside the directories of machines
KEPT_BYTES = 16384  # of each part: the page of addresses has 3 KiB
MAX_REASON = 600  # characters

# What a User-Mode Linux says in every boot.
COMMON = re.compile(
    "SELinux: |mmapper_init |Failed to initialize ubd device 0 |Warning: tempdir |Waiting for connection to |"
    "uml-vector "
)
# Of Linux, of Go, and of dockerd, whose last line but that is a note on its way out.
PANIC = re.compile(r"^(?:Kernel panic - not syncing|fatal error|panic|failed to start daemon): .*", re.MULTILINE)
CURES = {  # what a kernel says before it panics: what that means, and the cure
    "ptrace set fp regs failed": "this User-Mode Linux is older than the processor, and cannot give its processes "
    "their registers back (ptrace set fp regs failed). Run `make kernel`, which builds a newer one",
}


def find_reason(words: str) -> str:
    """Why a program ended, on one line and without the addresses that may follow; "" where it does not say.

    That is what is known of its words, with the cure; or its panic; or else its last two lines.
    """
    for sign, meaning in CURES.items():
        if sign in words:
            return meaning
    if panic := PANIC.search(words):
        return panic[0][:MAX_REASON]
    lines = [" ".join(line.split()) for line in words.splitlines()]
    telling = [line for line in lines if line and not COMMON.match(line)]
    return "; ".join(telling[-2:])[-MAX_REASON:]


def keep(words: str, run_dir: Path) -> Path:
    """Write the whole text to the one file beside `run_dir`, in place of an earlier one. Raises OSError."""
    written = run_dir / FILE
    written.touch(mode=0o600)
    written.write_text(words)
    return written.replace(run_dir.parent / FILE)


def quote(words: str, run_dir: Path) -> str:
    """What to add to a sentence on the end of a part that failed: the reason, and where the whole text is kept."""
    reason = find_reason(words)
    if not reason:
        return ""
    with suppress(OSError):  # a full disk, or the directory is gone: the reason has to do
        reason += f" (all that was written: {keep(words, run_dir)})"
    return f": {reason}"
