"""How does one engine become several, in one network, as if each were a computer of its own?

    with start_cluster(["one", "two", "three"]) as cluster:
        cluster["one"].engine.get("/info").json()["Name"], cluster["one"].address
        cluster.kill("three")

Each node is a dockerd in namespaces of its own (`labkit.daemons.daemon`), with a host name, docker's own bridge and
rules, and an interface at a bridge of the machine, to which all nodes are connected.
"""

import os
import signal
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import NamedTuple, Self

from labkit.api.engine import Engine
from labkit.daemons.daemon import Daemon, run_daemon
from labkit.isolation.network import Network, Wiring, attach

__all__ = ["NODES", "Cluster", "Node", "start_cluster"]

NODES = Network("nodes0", "10.98.0.1/24")
INTERFACE = "eth0"


class Node(NamedTuple):
    """An engine of a cluster: its host name, its address in the network of the nodes, its process, and its client."""

    name: str
    address: str
    daemon: Daemon
    engine: Engine

    @property
    def host(self) -> str:
        """What `docker --host` takes."""
        return self.daemon.host


class Cluster:
    """The nodes that were started, by name; `close` ends all of them, and nothing is left."""

    def __init__(self, nodes: dict[str, Node], held: ExitStack) -> None:
        self._nodes, self._held = nodes, held

    def __getitem__(self, name: str) -> Node:
        return self._nodes[name]

    def __iter__(self) -> Iterator[Node]:
        return iter(self._nodes.values())

    def kill(self, name: str) -> None:
        """End a node at once, as when its power fails: with SIGKILL, and all that runs in it."""
        with suppress(ProcessLookupError):
            os.kill(self._nodes[name].daemon.pid, signal.SIGKILL)

    def close(self) -> None:
        """End all nodes, and remove their network; more than once does no harm."""
        self._held.close()

    stop = close  # a lesson keeps it as it keeps a view

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def start_cluster(
    names: Sequence[str],
    *,
    network: Network = NODES,
    options: Sequence[str] = (),
    images: Sequence[bytes] = (),
    say: Callable[[str], object] = lambda _: None,
    end_s: float = 0.0,
) -> Cluster:
    """Start a node for each name, all at once.

    Their addresses are those of `network` from the second on, in the order of the names. `options` are dockerd's own;
    `images` are archives of `docker save`, which each node loads. `say` is told what is done, in a sentence. `end_s`
    are the seconds in which a node may end in order. Raises MachineError with the last words of a dockerd that does not
    start, and LabError where the kernel refuses an interface.
    """
    with ExitStack() as held:
        wiring = held.enter_context(Wiring())
        with wiring.together():
            wiring.do(f"ip link add {network.bridge} type bridge")
            wiring.do(f"ip addr add {network.address} dev {network.bridge}")
            wiring.do(f"ip link set {network.bridge} up")
        say(f"starting {len(names)} engines: {', '.join(names)}")
        # The threads live as long as the engines: the kernel tells a child of its parent *thread's* end (prctl(2)).
        pool = held.enter_context(ThreadPoolExecutor(len(names)))
        begun = [pool.submit(_start, held, name, options, end_s) for name in names]
        daemons = [one.result() for one in begun]
        nodes = {}
        for place, (name, daemon) in enumerate(zip(names, daemons, strict=True), start=2):
            address = f"{network.gateway.rpartition('.')[0]}.{place}"
            attach(wiring, daemon.pid, network, address, name=INTERFACE, outside=f"{network.bridge}.{place}")
            nodes[name] = Node(name, address, daemon, held.enter_context(Engine(daemon.host)))
        for node in nodes.values():
            for image in images:
                say(f"{node.name} loads an image")
                node.engine.post("/images/load", query={"quiet": True}, body=image)
        return Cluster(nodes, held.pop_all())


def _start(held: ExitStack, name: str, options: Sequence[str], end_s: float) -> Daemon:
    """Start one; whatever it takes is registered for undoing with `held`, by several threads, one append each."""
    place = Path(held.enter_context(tempfile.TemporaryDirectory(prefix="labkit-node-")))
    return held.enter_context(run_daemon(place, options=options, node=name, end_s=end_s))
