"""How does one make a swarm of several engines, and wait until it has done what was asked of it?

    form_swarm(cluster, managers=["one"])             init on the first manager, and join on all other nodes
    look(cluster["one"].engine).running("site")       what a manager says now (`labkit.daemons.swarm_state`)
    wait_for(engine, lambda state: len(state.running("site")) == 3, say=print)

Source: "Swarm" in the Engine API's reference.
"""

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from labkit.api.engine import Engine
from labkit.daemons.swarm_state import SwarmState, read_state
from labkit.errors import LabError

if TYPE_CHECKING:
    from labkit.daemons.cluster import Cluster

__all__ = ["form_swarm", "look", "wait_for"]

PORT = 2377  # of the managers, as docker's manual says
HEARTBEAT_NS = 1_000_000_000  # how often a node says that it lives; docker's own value is 5 s, and one waits longer
PATIENCE_S = 120.0  # where three engines share one processor, whose system calls are traced
NAP_S = 0.2
JOIN_S = 60.0


def form_swarm(cluster: "Cluster", managers: Sequence[str], say: Callable[[str], object] = lambda _: None) -> None:
    """Begin a swarm on the first manager, and have all other nodes join it, as managers or as workers.

    The tokens go from engine to engine, and are shown to nobody. Raises what every call of an Engine raises.
    """
    first = cluster[managers[0]]
    heartbeat = {"Spec": {"Dispatcher": {"HeartbeatPeriod": HEARTBEAT_NS}}}
    first.engine.post("/swarm/init", json=_addresses(first.address) | heartbeat)
    tokens = first.engine.get("/swarm").json()["JoinTokens"]
    for node in cluster:
        if node.name == first.name:
            continue
        say(f"{node.name} joins")
        token = tokens["Manager" if node.name in managers else "Worker"]
        joined = {"RemoteAddrs": [f"{first.address}:{PORT}"], "JoinToken": token}
        node.engine.post("/swarm/join", json=_addresses(node.address) | joined, timeout_s=JOIN_S)


def _addresses(address: str) -> dict[str, object]:
    return {"ListenAddr": f"{address}:{PORT}", "AdvertiseAddr": address}


def look(engine: Engine) -> SwarmState:
    """What a manager says of nodes and tasks now. Raises EngineRefusal where it is none, or knows no leader."""
    return read_state(*(engine.get(path).json() for path in ("/nodes", "/services", "/tasks")))


def wait_for(
    engine: Engine,
    done: Callable[[SwarmState], bool],
    say: Callable[[str], object] = lambda _: None,
    patience_s: float = PATIENCE_S,
) -> SwarmState:
    """Look until it is so, and give what was seen then; `say` is told what has changed meanwhile.

    Raises LabError with the tasks' states when it is not so within `patience_s` seconds; a manager that has no leader
    for a while is asked again.
    """
    deadline = time.monotonic() + patience_s
    told = ""
    while True:
        try:
            state = look(engine)
        except LabError as error:
            words, found = str(error), None
        else:
            words, found = _describe(state), state
        if found is not None and done(found):
            return found
        if time.monotonic() > deadline:
            raise LabError(f"After {patience_s:.0f} s it is not so yet: {words}")
        if words != told:
            say(words)
            told = words
        time.sleep(NAP_S)


def _describe(state: SwarmState) -> str:
    down = [node.name for node in state.nodes if node.state != "ready"]
    tasks = [
        f"{task.name} {task.state} on {task.node or '(no node)'}" for task in state.tasks if task.wanted == "running"
    ]
    return "; ".join(tasks + [f"{name} is down" for name in down]) or "no tasks"
