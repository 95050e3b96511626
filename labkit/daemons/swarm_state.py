"""What does a manager of a swarm say of its nodes and tasks?

    state = read_state(engine.get("/nodes").json(), engine.get("/services").json(), engine.get("/tasks").json())
    state.leader, state.running("site"), state.on("two")

Values of the Engine API's "List nodes", "List services" and "List tasks". None of them is believed: what is missing or
of another type is "".
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

__all__ = ["NodeState", "SwarmState", "TaskState", "read_state"]

# What a manager wants of a task that it has not given up; "ready" is a new one that waits before it may start.
WANTED = frozenset({"new", "pending", "assigned", "accepted", "preparing", "ready", "starting", "running"})


class NodeState(NamedTuple):
    """A node: its host name, "manager" or "worker", "ready" or "down", "active", "pause" or "drain", and its vote.

    `vote` is "leader", "reachable", "unreachable", or "" for a worker.
    """

    identity: str
    name: str
    role: str
    state: str
    availability: str
    vote: str


class TaskState(NamedTuple):
    """A task: one container that a service wants, on one node.

    `slot` is its number in the service. `state` says what it does ("pending", "running", "failed" ...). `wanted` is
    what the manager wants of it: "running", "ready" before that, or "shutdown" for one that was replaced. `error` has
    the engine's words.
    """

    identity: str
    service: str
    slot: int
    node: str
    state: str
    wanted: str
    error: str
    image: str

    @property
    def name(self) -> str:
        """As `docker service ps` calls it: site.2."""
        return f"{self.service}.{self.slot}"

    @property
    def container(self) -> str:
        """The name of its container, on its node: site.2.xxxx."""
        return f"{self.name}.{self.identity}"

    @property
    def is_wanted(self) -> bool:
        """Is it to run, now or soon? One that was replaced is not."""
        return self.wanted in WANTED

    @property
    def runs(self) -> bool:
        """Does it run, and is it to run?"""
        return self.state == self.wanted == "running"


class SwarmState(NamedTuple):
    """Nodes in the order in which they came, and tasks by service and slot; the newest task of a slot comes last."""

    nodes: Sequence[NodeState]
    tasks: Sequence[TaskState]

    @property
    def leader(self) -> str:
        """The host name of the leader; "" where there is none."""
        return next((node.name for node in self.nodes if node.vote == "leader"), "")

    def on(self, node: str) -> list[TaskState]:
        """The tasks on a node that are to run, now or soon."""
        return [task for task in self.tasks if task.node == node and task.is_wanted]

    def before(self, task: TaskState) -> TaskState | None:
        """The task that this one has replaced; None where it is the first of its slot."""
        slot = [one for one in self.tasks if one.name == task.name]
        older = slot[: slot.index(task)] if task in slot else []
        return older[-1] if older else None

    def running(self, service: str = "") -> list[TaskState]:
        """The tasks of a service, or of all, that run on a node which answers."""
        up = {node.name for node in self.nodes if node.state == "ready"}
        return [task for task in self.tasks if task.runs and task.node in up and service in ("", task.service)]


def read_state(nodes: Iterable[Any], services: Iterable[Any], tasks: Iterable[Any]) -> SwarmState:
    """Put the three lists together."""
    read_nodes = [_node(one) for one in sorted(nodes, key=lambda one: (_word(one, "CreatedAt"), _word(one, "ID")))]
    names = {_word(one, "ID"): _word(one, "Spec", "Name") for one in services}
    hosts = {node.identity: node.name for node in read_nodes}
    dated = sorted(tasks, key=lambda one: (_word(one, "CreatedAt"), _word(one, "ID")))
    found = [_task(one, names, hosts) for one in dated]
    return SwarmState(read_nodes, sorted(found, key=lambda task: (task.service, task.slot)))


def _node(one: Any) -> NodeState:
    manager = _part(one, "ManagerStatus")
    vote = "leader" if manager.get("Leader") is True else _word(manager, "Reachability")
    return NodeState(
        _word(one, "ID"),
        _word(one, "Description", "Hostname"),
        _word(one, "Spec", "Role"),
        _word(one, "Status", "State"),
        _word(one, "Spec", "Availability"),
        vote,
    )


def _task(one: Any, services: dict[str, str], nodes: dict[str, str]) -> TaskState:
    slot = one.get("Slot") if isinstance(one, dict) else None
    return TaskState(
        _word(one, "ID"),
        services.get(_word(one, "ServiceID"), ""),
        slot if isinstance(slot, int) else 0,
        nodes.get(_word(one, "NodeID"), ""),
        _word(one, "Status", "State"),
        _word(one, "DesiredState"),
        _word(one, "Status", "Err"),
        _word(one, "Spec", "ContainerSpec", "Image").partition("@")[0],
    )


def _part(one: Any, name: str) -> dict[str, Any]:
    part = one.get(name) if isinstance(one, dict) else None
    return part if isinstance(part, dict) else {}


def _word(one: Any, *names: str) -> str:
    for name in names[:-1]:
        one = _part(one, name)
    word = one.get(names[-1]) if isinstance(one, dict) else None
    return word if isinstance(word, str) else ""
