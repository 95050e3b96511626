"""What runs first when somebody calls `labkit`, or `python -m labkit`?

To load the command line takes a tenth of a second. Who started it, Ctrl-C and the standard streams are seen to before.
"""

import os
import signal
import sys

__all__ = ["main"]


def main() -> int:
    """Run the command line; return the exit status."""
    client = os.getppid()  # noted first: when it has another parent, it is gone
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:  # as it is in the background of a shell
        # Whoever makes something that has to be undone sets a handler of its own.
        signal.signal(signal.SIGINT, lambda *_: os._exit(128 + signal.SIGINT))
    _open_closed_streams()
    from labkit.cli import main as run

    return run(client=client)


def _open_closed_streams() -> None:
    """Have /dev/null in the place of each standard stream that is closed: another file would get its number."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
            setattr(sys, name, os.fdopen(number, "w" if number else "r", closefd=False))


if __name__ == "__main__":
    sys.exit(main())
