"""Is what a manager says read without being believed, and are nodes and tasks drawn where they are?"""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit.daemons.swarm_state import SwarmState, read_state
from labkit.show.cluster import cluster_html, cluster_svg, cluster_text

HOSTILE = "<script>alert(1)</script>"
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["ID", "Spec", "Status", "ManagerStatus", "Slot", "Name"]), inner)
    ),
    max_leaves=10,
)


def node(name: str, *, state: str = "ready", day: int = 1, **manager: object) -> dict[str, Any]:
    """A node, as "List nodes" of the Engine API has it."""
    return {
        "ID": f"id-{name}",
        "CreatedAt": f"2024-05-0{day}",
        "Spec": {"Role": "manager", "Availability": "active"},
        "Description": {"Hostname": name},
        "Status": {"State": state},
        "ManagerStatus": manager,
    }


def task(
    on: str, *, slot: int = 1, state: str = "running", wanted: str = "running", day: int = 1, error: str = ""
) -> dict[str, Any]:
    """A task of the service `site`, as "List tasks" of the Engine API has it."""
    return {
        "ID": f"task-{slot}-{day}",
        "CreatedAt": f"2024-05-0{day}",
        "ServiceID": "s",
        "Slot": slot,
        "NodeID": f"id-{on}",
        "Status": {"State": state, "Err": error},
        "DesiredState": wanted,
        "Spec": {"ContainerSpec": {"Image": "busybox@sha256:0"}},
    }


def read(nodes: list[Any], *tasks: Any, service: str = "site") -> SwarmState:
    return read_state(nodes, [{"ID": "s", "Spec": {"Name": service}}], tasks)


@pytest.fixture
def moved() -> SwarmState:
    """The node `one` has died, and its task has been replaced on `three`."""
    nodes = [node("three", day=3, Leader=True), node("one", state="down"), node("two", day=2, Reachability="reachable")]
    return read(nodes, task("three", day=2), task("one", wanted="shutdown"), task("two", slot=2))


def test_nodes_come_in_the_order_in_which_they_joined(moved: SwarmState) -> None:
    """With their votes; the leader is the one that says so."""
    assert [(one.name, one.vote) for one in moved.nodes] == [("one", ""), ("two", "reachable"), ("three", "leader")]
    assert moved.leader == "three"
    assert read([node("one", Leader="yes")]).leader == ""


def test_a_task_on_a_node_that_is_down_does_not_run() -> None:
    """Though the manager still tells that it does."""
    state = read([node("one", state="down"), node("two")], task("one"), task("two", slot=2))

    assert [one.name for one in state.running("site")] == ["site.2"]
    assert [(one.name, one.container) for one in state.on("one")] == [("site.1", "site.1.task-1-1")]
    assert state.running("other") == []
    assert cluster_text(state) == "1 of 2 nodes are ready\nsite: 1 running"


def test_a_task_knows_which_one_it_has_replaced(moved: SwarmState) -> None:
    """The one before it in its slot, whatever the order in which the manager tells them."""
    (new,) = moved.on("three")
    before = moved.before(new)

    assert before is not None and (before.node, before.wanted) == ("one", "shutdown")
    assert moved.before(before) is None
    assert read([]).before(new) is None


def test_a_task_that_moved_says_where_it_was(moved: SwarmState) -> None:
    """In both pictures; of the old one only that is said which was heard last."""
    for picture in (cluster_html(moved), cluster_svg(moved)):
        assert picture.count("running, was on one") == 1
        assert picture.count("last heard: running, replaced") == 1
    assert cluster_html(moved).count("lkc-node lkc-down") == 1
    assert cluster_svg(moved).count("stroke-dasharray") == 1


def test_a_task_that_was_replaced_on_its_own_node_has_not_moved() -> None:
    """Its error is to be read without a mouse."""
    old = task("one", state="failed", wanted="shutdown", error="task: non-zero exit (137)")
    page = cluster_html(read([node("one")], task("one", day=2), old))

    assert "failed, replaced" in page and "was on" not in page
    assert "<em>task: non-zero exit (137)</em>" in page


def test_a_new_task_is_wanted_before_it_may_start() -> None:
    """A manager wants it to be ready at first: it is no task that was replaced."""
    state = read([node("one")], task("one", state="ready", wanted="ready"))

    assert state.on("one") and not state.running()
    assert '"lkc-task lkc-coming"' in cluster_html(state) and ", replaced" not in cluster_html(state)


def test_a_node_that_was_not_heard_from_is_not_down() -> None:
    """A new leader does not know yet: dashed, and without the cross of a node that is down."""
    unknown, down = (cluster_html(read([node("one", state=state)], task("one"))) for state in ("unknown", "down"))

    assert "not heard from" in unknown and "not heard from" in down
    assert unknown.count("lkc-node lkc-down") == down.count("lkc-node lkc-down") == 1
    assert unknown.count("<svg") + 1 == down.count("<svg")


def test_a_task_without_a_node_is_drawn_apart() -> None:
    """It waits for one; a task that nobody wants any more does not."""
    assert ">no node<" in cluster_html(read([node("one")], task("gone", state="pending")))
    assert ">no node<" not in cluster_html(read([node("one")], task("gone", wanted="shutdown")))


def test_markup_in_names_stays_text() -> None:
    """Of nodes, services and errors."""
    state = read([node(HOSTILE)], task(HOSTILE, error=HOSTILE), service=HOSTILE)

    assert cluster_html(state).count("&lt;script&gt;") == 3
    assert "<script" not in cluster_html(state) + cluster_svg(state)


@pytest.mark.parametrize("junk", [None, 7, "x", [], {}, {"Spec": None, "Status": [], "ManagerStatus": "Leader"}])
def test_what_is_missing_or_of_another_type_is_empty(junk: object) -> None:
    """A node and a task without anything, and nothing of it is up."""
    state = read_state([junk], [junk], [junk])

    assert set(state.nodes[0]) == {""}
    assert (state.tasks[0].name, state.tasks[0].node, state.tasks[0].runs) == (".0", "", False)
    assert state.leader == "" and state.running() == []


@given(st.lists(JUNK, max_size=3), st.lists(JUNK, max_size=3), st.lists(JUNK, max_size=3))
def test_anything_is_read_and_drawn(nodes: list[Any], services: list[Any], tasks: list[Any]) -> None:
    """Without an error."""
    state = read_state(nodes, services, tasks)

    assert len(state.nodes) == len(nodes) and len(state.tasks) == len(tasks)
    assert cluster_html(state) and cluster_svg(state) and cluster_text(state)


def test_a_cluster_without_nodes() -> None:
    """Says so."""
    assert "no nodes" in cluster_html(read([]))
    assert cluster_text(read([])) == "0 of 0 nodes are ready"
