"""Who may have a port of a notebook's kernel while nobody serves it?"""

import socket

__all__ = ["reserve"]


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
