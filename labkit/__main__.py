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
    interrupt = signal.getsignal(signal.SIGINT)
    if interrupt is not signal.SIG_IGN:  # as in the background of a shell
        signal.signal(signal.SIGINT, lambda *_: os._exit(128 + signal.SIGINT))  # there is nothing to undo yet
    _open_closed_streams()
    from labkit.cli import main as run

    try:
        signal.signal(signal.SIGINT, interrupt)
        return run(client=client)
    except KeyboardInterrupt:  # before there was a command that could get it
        return 128 + signal.SIGINT


def _open_closed_streams() -> None:
    """Have /dev/null in the place of each standard stream that is closed: another file would get its number."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
            setattr(sys, name, os.fdopen(number, "w" if number else "r", closefd=False))


if __name__ == "__main__":
    sys.exit(main())
