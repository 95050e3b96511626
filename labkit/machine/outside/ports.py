"""Who may have a port of a notebook's kernel while nobody serves it, and from when on may a client connect?"""

import errno
import socket
from collections.abc import Iterable

from labkit.errors import PortTaken

__all__ = ["listen", "reserve"]


def reserve(port: int) -> socket.socket:
    """Hold a port on 127.0.0.1, for 0 any that is free: no program that asks for a free port is given it.

    Another that sets SO_REUSEADDR, as slirp4netns does, may bind it still, and then listen: tcp(7), socket(7).
    While one listens, OSError is raised; also where there is no port to be had.
    """
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        held.bind(("127.0.0.1", port))
    except OSError:
        held.close()
        raise
    return held


def listen(reserved: Iterable[socket.socket]) -> None:
    """Let clients connect to these ports: who comes before the kernel is there waits. Raises PortTaken."""
    for held in reserved:
        try:
            held.listen()
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            raise PortTaken(held.getsockname()[1], str(error.strerror)) from error
