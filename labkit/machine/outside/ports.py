"""Who may have a port of a notebook's kernel while nobody serves it, and from when on may a client connect?"""

import errno
import socket
from collections.abc import Iterable

from labkit.errors import PortTaken
from labkit.machine.problem import Problem

__all__ = ["check_port", "listen", "name_port_problem", "reserve"]


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


def check_port() -> list[Problem]:
    """What keeps a notebook's kernel from having a port on 127.0.0.1, and its client from reaching it."""
    try:
        with reserve(0) as port, socket.socket() as client:
            port.listen()
            client.settimeout(1)
            client.connect(port.getsockname())
    except OSError as error:
        return [name_port_problem(error)]
    return []


def name_port_problem(error: OSError) -> Problem:
    """What is said of a port that cannot be had."""
    if error.errno in (errno.EMFILE, errno.ENFILE):
        return Problem(
            f"No more files can be opened ({error.strerror}), and a kernel needs ports.",
            "Shut down kernels that you are not using (Kernel > Shut Down), or raise the limit: ulimit -n.",
        )
    return Problem(
        f"No port on 127.0.0.1 can be had and reached ({error.strerror or error}).",
        "If the interface lo is down (ip link show lo), run as root: ip link set lo up. If it is up, all ports "
        "of net.ipv4.ip_local_port_range are taken: end a program that holds many (ss -tanp).",
    )
