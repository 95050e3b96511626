"""How does a notebook reach its Python kernel, whatever a learner does to the machine's network?

Jupyter has five channels to a kernel, each a port. The sockets that listen there are made outside of the machine's
network, and handed to the kernel, as systemd hands sockets over. A socket stays in the network namespace in which it
was made, and so do the connections that it accepts, also in a process of another namespace: an address, a route, a
firewall rule or a link that is taken down in the machine does not reach them. For `native`, the launcher makes them on
127.0.0.1 of the host. For `uml`, PID 1 makes them in a network namespace with a network card and a slirp4netns of its
own, in which nothing else is.
Source: network_namespaces(7), netdevice(7), ZMQ_USE_FD of zmq_setsockopt(3).
"""

import fcntl
import os
import socket
import struct
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from labkit.linux import syscalls
from labkit.machine.request import GUEST_IP

__all__ = ["CARD", "bind_to", "listen_apart", "make_network", "read_tcp_queues"]

CARD = "vec1"
NAMESPACE = "/proc/self/ns/net"
SIOCSIFADDR, SIOCSIFNETMASK, SIOCSIFFLAGS = 0x8916, 0x891C, 0x8914  # <linux/sockios.h>
IFF_UP = 1


def make_network() -> int:
    """Make a network namespace with nothing in it; give its descriptor. The caller has one thread, and stays outside.

    Raises OSError.
    """
    with _leave_network():
        syscalls.unshare(syscalls.CLONE_NEWNET)
        return os.open(NAMESPACE, os.O_RDONLY)


def listen_apart(namespace: int, ports: Iterable[int]) -> list[int]:
    """In a network namespace that has got the card, listen on these ports; give the sockets' descriptors.

    Raises OSError.
    """
    with _leave_network():
        syscalls.setns(namespace, syscalls.CLONE_NEWNET)
        with socket.socket() as any_socket:
            for request, value in (
                (SIOCSIFADDR, _internet_address(GUEST_IP)),
                (SIOCSIFNETMASK, _internet_address("255.255.255.0")),
                (SIOCSIFFLAGS, struct.pack("h", IFF_UP)),
            ):
                fcntl.ioctl(any_socket, request, struct.pack("16s16s", CARD.encode(), value))
        return [socket.create_server((GUEST_IP, port)).detach() for port in ports]


def _internet_address(address: str) -> bytes:
    """A struct sockaddr_in of ip(7), with no port."""
    return struct.pack("=HH4s", socket.AF_INET, 0, socket.inet_aton(address))


def read_tcp_queues(namespace: int) -> list[str]:
    """The field tx_queue:rx_queue of each TCP socket of a network namespace: proc_pid_net(5). Raises OSError."""
    with _leave_network():
        syscalls.setns(namespace, syscalls.CLONE_NEWNET)
        return [line.split()[4] for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]


def bind_to(listening: Iterable[int]) -> None:
    """Have the ZMQ sockets that are about to be bound to the ports of these sockets take the sockets themselves."""
    import zmq

    handed = {_port_of(fd): fd for fd in listening}
    bind = zmq.Socket.bind

    def take(self: Any, address: str) -> Any:
        port = address.rpartition(":")[2]
        if not port.isdecimal() or int(port) not in handed:
            return bind(self, address)
        self.setsockopt(zmq.USE_FD, handed.pop(int(port)))
        if not handed:
            zmq.Socket.bind = bind  # type: ignore[method-assign]
        bound = bind(self, address)
        # ipykernel connects a socket of its debugger to where its shell socket was bound last. By the port's address
        # it would try for ever: in the machine's network nobody listens there.
        bind(self, f"inproc://port-{port}")
        return bound

    zmq.Socket.bind = take  # type: ignore[assignment, method-assign]


@contextmanager
def _leave_network() -> Iterator[None]:
    """Be in the present network namespace again at the end."""
    home = os.open(NAMESPACE, os.O_RDONLY)
    try:
        yield
    finally:
        syscalls.setns(home, syscalls.CLONE_NEWNET)
        os.close(home)


def _port_of(fd: int) -> int:
    with socket.socket(fileno=os.dup(fd)) as listening:
        port: int = listening.getsockname()[1]
        return port
