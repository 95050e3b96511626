"""Does a machine's outside find slirp4netns, also in the moment before that listens?"""

import socket
import threading
import time
from pathlib import Path

from labkit.machine.outside.machine import Machine
from labkit.machine.outside.uml import CHANNELS_API


def test_a_socket_that_does_not_listen_yet(tmp_path: Path) -> None:
    """Its file is there a moment before it takes connections, which is waited for."""
    owner, _guard = socket.socketpair()
    line, _inside = socket.socketpair()
    with socket.socket(socket.AF_UNIX) as slirp, owner, _guard, line, _inside:
        slirp.bind(str(tmp_path / CHANNELS_API))
        machine = Machine(tmp_path, 0, owner, line)
        orders: list[bytes] = []

        def serve() -> None:
            time.sleep(0.1)
            slirp.listen()
            connection, _ = slirp.accept()
            with connection:
                orders.append(connection.makefile("rb").read())
                connection.sendall(b'{"return": {}}')

        server = threading.Thread(target=serve)
        server.start()
        machine.forward(5678)
        server.join()

    assert b'"host_port": 5678' in orders[0]
