"""Which ports does Jupyter give the kernel of a notebook, and what if somebody else takes one?

Jupyter looks for five ports that are free, and lets them go again: until the kernel opens them, and between its death
and its restart, any program may have one. Then the notebook speaks to that program. Here the ports are held for as long
as the notebook has its kernel; if one was taken all the same, the kernel restarts on five others.
"""

import asyncio
import errno
import socket
import sys
import time
from typing import Any

from jupyter_client.connect import port_names
from jupyter_client.provisioning.local_provisioner import LocalProvisioner

from labkit.errors import MachineError
from labkit.machine.outside.ports import check_port, name_port_problem, reserve

__all__ = ["Provisioner"]

LETTING_GO_S = 3.0  # what a machine that was killed may take to end; until then its ports are taken


class Provisioner(LocalProvisioner):
    """Jupyter's own way to start a kernel, on ports that are held.

    kernel.json names it, and the package registers it, as jupyter_client's "Customizing the kernel's runtime
    environment" has it. A client that starts argv itself, as VS Code does, goes without.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._held: dict[str, socket.socket] = {}
        self._moved = False  # to other ports, under a client that knew the old ones

    async def pre_launch(self, **kwargs: Any) -> dict[str, Any]:
        """Choose and hold the ports, then do what Jupyter does.

        Raises MachineError, in the doctor's words, where no port can be had: nor could a notebook be told there.
        """
        manager: Any = self.parent
        # A port that is held can be bound once more on Linux alone, and elsewhere there is no machine, only a refusal.
        if manager.transport == "tcp" and sys.platform == "linux":
            try:
                await self._hold_ports(manager)
            except OSError as error:
                self._let_go()
                raise MachineError(str(name_port_problem(error))) from error
        return await super().pre_launch(**kwargs)

    async def post_launch(self, **kwargs: Any) -> None:
        """Have a Jupyter server that watches for activity, to end idle kernels, watch the new ports."""
        await super().post_launch(**kwargs)
        server: Any = getattr(self.parent, "parent", None)
        if self._moved and hasattr(server, "stop_watching_activity"):
            server.stop_watching_activity(self.kernel_id)
            server.start_watching_activity(self.kernel_id)
        self._moved = False

    async def cleanup(self, restart: bool = False) -> None:
        """Let the ports go, unless the kernel is to start again."""
        if not restart:
            self._let_go()
        await super().cleanup(restart=restart)

    async def _hold_ports(self, manager: Any) -> None:
        first = not self._held
        if first:
            for problem in check_port():
                raise MachineError(str(problem))
        wanted = {name: getattr(manager, name) for name in port_names}
        deadline = time.monotonic() + LETTING_GO_S
        for name, port in wanted.items():
            self._hold(name, await _reserve_soon(port, deadline))
        taken = [name for name, port in wanted.items() if port not in (0, self._port(name))]
        if taken and not first:
            # All of them move. On a port that stayed, what Jupyter had still to say to the dead kernel would come to
            # the new one, from a connection by the name of the present one, which would be cut off by it.
            for name in port_names:
                self._hold(name, reserve(0))
            self._moved = True
        for name in taken:
            words = "Port %d is another program's now: the kernel gets port %d instead."
            self.log.warning(words, wanted[name], self._port(name))
        ports = {name: self._port(name) for name in port_names}
        if ports != wanted:
            for name, port in ports.items():
                setattr(manager, name, port)
            manager.cleanup_connection_file()  # so that it is written anew
        self.ports_cached = True  # none are left for Jupyter to choose

    def _hold(self, name: str, held: socket.socket) -> None:
        if name in self._held:
            self._held[name].close()
        self._held[name] = held

    def _port(self, name: str) -> int:
        port: int = self._held[name].getsockname()[1]
        return port

    def _let_go(self) -> None:
        while self._held:
            self._held.popitem()[1].close()


async def _reserve_soon(wanted: int, deadline: float) -> socket.socket:
    """Hold this port; if another program has it and keeps it, any other. Raises OSError where none can be had."""
    while True:
        try:
            return reserve(wanted)
        except OSError as error:
            if wanted == 0 or error.errno != errno.EADDRINUSE:
                raise
            if time.monotonic() > deadline:
                return reserve(0)
        await asyncio.sleep(0.05)
