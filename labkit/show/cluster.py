"""Which nodes has a cluster, which tasks run where, and who leads?

Nodes are boxes beside each other, and tasks are cards in the box of their node. A new task has the name of the one that
it replaces, and says on which node that one was: so one sees where it comes up when a node dies.
"""

from collections.abc import Sequence
from html import escape

from labkit.daemons.swarm_state import NodeState, SwarmState, TaskState
from labkit.show.look import ROLES, figure, mark
from labkit.show.still import frame_svg, text_svg

__all__ = ["cluster_html", "cluster_svg", "cluster_text"]

CAPTION = (
    "Each box is a node, and each card in it is a task: one container of a service. A crown marks the manager that "
    "leads. A dashed box is a node from which the leader hears nothing. A card whose name is struck through has been "
    "replaced by a new task of the same name: look where the new one is."
)
CROWN, CROWN_WORDS = "\N{BLACK CHESS QUEEN}", "leader"
FORMER = 4  # tasks of a node that have ended, the newest
STYLE = (
    "<style>"
    ".lk .lkc-nodes{display:flex;flex-wrap:wrap;gap:14px}"
    ".lk .lkc-node{flex:1 1 14em;min-width:0;border:1.5px solid var(--lk-engine);border-radius:12px;"
    "padding:8px 12px 12px;background:color-mix(in srgb,var(--lk-engine) 8%,var(--lk-ground))}"
    ".lk .lkc-down{border:2.5px dashed var(--lk-trouble);background:var(--lk-soft)}"
    ".lk .lkc-node h4{margin:0;font-size:1.05em;overflow-wrap:anywhere;display:flex;gap:8px;align-items:baseline;"
    "flex-wrap:wrap}"
    ".lk .lkc-node h4 small{font-weight:400;color:var(--lk-dim)}"
    ".lk .lkc-crown{color:var(--lk-changed)}"
    ".lk .lkc-tasks{list-style:none;margin:8px 0 0;padding:0;display:grid;gap:6px;min-height:2.4em}"
    ".lk .lkc-task{border:1.5px solid var(--lk-container);border-radius:6px;padding:2px 8px;"
    "background:var(--lk-ground);display:flex;gap:0 8px;align-items:baseline;flex-wrap:wrap}"
    ".lk .lkc-task b{font-weight:600;overflow-wrap:anywhere}.lk .lkc-task span{color:var(--lk-dim)}"
    ".lk .lkc-coming{border-style:dashed}.lk .lkc-ended{border-color:var(--lk-line);color:var(--lk-dim)}"
    ".lk .lkc-ended b{font-weight:400;text-decoration:line-through}.lk .lkc-lost{border-color:var(--lk-trouble)}"
    ".lk .lkc-task em{flex-basis:100%;font-style:normal;color:var(--lk-trouble);overflow-wrap:anywhere}"
    "</style>"
)
BOX_PX, ROW_PX, GAP_PX = 300, 24, 16


def cluster_html(state: SwarmState) -> str:
    """Draw nodes and tasks in the colours of the page's theme."""
    boxes = "".join(_node_html(state, node) for node in state.nodes)
    waiting = [task for task in state.tasks if task.is_wanted and not task.node]
    if waiting:
        cards = "".join(_task_html(state, task, is_up=True) for task in waiting)
        boxes += f'<div class="lkc-node lkc-down"><h4>no node</h4><ul class="lkc-tasks">{cards}</ul></div>'
    keys = ("engine", "container")
    body = f'<div class="lkc-nodes">{boxes}</div>' if boxes else "<em>no nodes</em>"
    return figure("the nodes and their tasks", body, caption=CAPTION, keys=keys, style=STYLE)


def cluster_text(state: SwarmState) -> str:
    """How many tasks of each service run, which is the same in every run; where they run is not."""
    services = dict.fromkeys(task.service for task in state.tasks)
    counted = [f"{name}: {len(state.running(name))} running" for name in services]
    up = sum(node.state == "ready" for node in state.nodes)
    return "\n".join([f"{up} of {len(state.nodes)} nodes are ready", *counted])


def cluster_svg(state: SwarmState) -> str:
    """The same as a still picture; it differs from run to run."""
    parts, height = [], 60.0
    for number, node in enumerate(state.nodes):
        tasks = _shown(state, node)
        x, up = number * (BOX_PX + GAP_PX) + 4, node.state == "ready"
        box_px = 44 + ROW_PX * max(1, len(tasks))
        height = max(height, box_px + 12)
        ink = ROLES["engine" if up else "trouble"].light
        dashes = "" if up else ' stroke-dasharray="6 4"'
        parts.append(
            f'<rect x="{x}" y="4" width="{BOX_PX}" height="{box_px}" rx="10" fill="{ink}" fill-opacity="0.07" '
            f'stroke="{ink}" stroke-width="1.5"{dashes}/>'
        )
        parts.append(text_svg(f"{node.name}  {_describe(node)}", x + 12, 26, columns=36, rows=1))
        for row, task in enumerate(tasks):
            words = f"{task.name}  {_words(state, task, is_up=up)}"
            parts.append(text_svg(words, x + 24, 50 + row * ROW_PX, columns=38, rows=1))
    return frame_svg(parts, max(1, len(state.nodes)) * (BOX_PX + GAP_PX) + 8, height, differs=True)


def _shown(state: SwarmState, node: NodeState) -> Sequence[TaskState]:
    """What is to run there, and the newest of what has ended there."""
    ended = [task for task in state.tasks if task.node == node.name and not task.is_wanted]
    return [*state.on(node.name), *ended[-FORMER:]]


def _describe(node: NodeState) -> str:
    words = [node.role, CROWN_WORDS if node.vote == "leader" else ""]
    words += [node.state if node.state != "ready" else "", node.availability if node.availability != "active" else ""]
    return ", ".join(filter(None, words))


def _words(state: SwarmState, task: TaskState, *, is_up: bool) -> str:
    if not task.is_wanted:  # a node that is down has not told what became of it
        return f"{task.state}, replaced" if is_up else f"last heard: {task.state}, replaced"
    if not is_up:
        return "not heard from"
    before = state.before(task)
    moved = before is not None and before.node not in ("", task.node)
    return f"{task.state}, was on {before.node}" if before and moved else task.state


def _node_html(state: SwarmState, node: NodeState) -> str:
    is_up = node.state == "ready"
    crown = f'<span class="lkc-crown" title="{CROWN_WORDS}">{CROWN}</span>' if node.vote == "leader" else ""
    trouble = mark("trouble") if node.state == "down" else ""
    head = f"<h4>{trouble}{crown}{escape(node.name)} <small>{escape(_describe(node))}</small></h4>"
    cards = "".join(_task_html(state, task, is_up=is_up) for task in _shown(state, node))
    look = "lkc-node" if is_up else "lkc-node lkc-down"
    return f'<div class="{look}">{head}<ul class="lkc-tasks">{cards}</ul></div>'


def _task_html(state: SwarmState, task: TaskState, *, is_up: bool) -> str:
    look = "" if task.runs else "lkc-coming"
    if not task.is_wanted:
        look = "lkc-ended"
    elif not is_up:
        look = "lkc-lost"
    words = escape(_words(state, task, is_up=is_up))
    error = f"<em>{escape(task.error)}</em>" if task.error else ""
    return f'<li class="lkc-task {look}"><b>{escape(task.name)}</b><span>{words}</span>{error}</li>'
