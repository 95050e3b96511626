"""Which ports does Jupyter give the kernel of a notebook, and what if somebody else takes one?

Jupyter looks for five ports that are free, and lets them go again: until the kernel opens them, and between its death
and its restart, any program may have one. Then the notebook speaks to that program. Here the ports are held for as long
as the notebook has its kernel, and one that was taken all the same is replaced by another when the kernel restarts.
"""

import asyncio
import socket
import sys
import time
from typing import Any

from jupyter_client.connect import port_names
from jupyter_client.provisioning.local_provisioner import LocalProvisioner

from labkit.errors import MachineError
from labkit.machine.doctor import check_port
from labkit.machine.ports import reserve

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

    async def pre_launch(self, **kwargs: Any) -> dict[str, Any]:
        """Choose and hold the ports, then do what Jupyter does.

        Raises MachineError, in the doctor's words, where no port can be had: nor could a notebook be told there.
        """
        manager: Any = self.parent
        # A port that is held can be bound once more on Linux alone, and elsewhere there is no machine, only a refusal.
        if manager.transport == "tcp" and sys.platform == "linux":
            problems = check_port()
            if problems:
                raise MachineError(" ".join(map(str, problems)))
            await self._hold_ports(manager)
        return await super().pre_launch(**kwargs)

    async def cleanup(self, restart: bool = False) -> None:
        """Let the ports go, unless the kernel is to start again."""
        if not restart:
            while self._held:
                self._held.popitem()[1].close()
        await super().cleanup(restart=restart)

    async def _hold_ports(self, manager: Any) -> None:
        for name in port_names:
            wanted = getattr(manager, name)
            held = await _reserve_soon(wanted)
            if name in self._held:
                self._held[name].close()
            self._held[name] = held
            port = held.getsockname()[1]
            if wanted and port != wanted:
                self.log.warning("Port %d is another program's now: the kernel gets port %d instead.", wanted, port)
            if port != wanted:
                setattr(manager, name, port)
                manager.cleanup_connection_file()  # so that it is written anew
        self.ports_cached = True  # none are left for Jupyter to choose


async def _reserve_soon(wanted: int) -> socket.socket:
    """Hold this port; if another program has it and keeps it, any other."""
    deadline = time.monotonic() + LETTING_GO_S
    while True:
        try:
            return reserve(wanted)
        except OSError:
            if wanted == 0:
                raise
            if time.monotonic() > deadline:
                return reserve(0)
        await asyncio.sleep(0.05)
