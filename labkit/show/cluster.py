"""Which nodes has a cluster, which tasks run where, and who leads?

Nodes are boxes beside each other, and tasks are cards in the box of their node. A task keeps its colour and its name
wherever it goes, so that one sees it come up elsewhere when its node dies.
"""

from collections.abc import Sequence
from html import escape

from labkit.daemons.swarm_state import NodeState, SwarmState, TaskState
from labkit.show.look import ROLES, figure, mark
from labkit.show.still import frame_svg, text_svg

__all__ = ["cluster_html", "cluster_svg", "cluster_text"]

CAPTION = (
    "Each box is a node, and each card in it is a task: one container of a service. Look where a card is after "
    "something has happened to a node. A crown marks the manager that leads."
)
CROWN, CROWN_WORDS = "\N{BLACK CHESS QUEEN}", "leader"
FORMER = 4  # tasks of a node that have ended, the newest
STYLE = (
    "<style>"
    ".lk .lkc-nodes{display:flex;flex-wrap:wrap;gap:14px}"
    ".lk .lkc-node{flex:1 1 14em;min-width:0;border:1.5px solid var(--lk-engine);border-radius:12px;"
    "padding:8px 12px 12px;background:color-mix(in srgb,var(--lk-engine) 8%,var(--lk-ground))}"
    ".lk .lkc-down{border:2.5px dashed var(--lk-trouble);background:var(--lk-soft)}"
    ".lk .lkc-node h4{margin:0;font-size:1.05em;display:flex;gap:8px;align-items:baseline;flex-wrap:wrap}"
    ".lk .lkc-node h4 small{font-weight:400;color:var(--lk-dim)}"
    ".lk .lkc-crown{color:var(--lk-changed)}"
    ".lk .lkc-tasks{list-style:none;margin:8px 0 0;padding:0;display:grid;gap:6px;min-height:2.4em}"
    ".lk .lkc-task{border:1.5px solid var(--lk-container);border-radius:6px;padding:2px 8px;"
    "background:var(--lk-ground);display:flex;gap:8px;align-items:baseline;flex-wrap:wrap}"
    ".lk .lkc-task b{font-weight:600}.lk .lkc-task span{color:var(--lk-dim)}"
    ".lk .lkc-coming{border-style:dashed}.lk .lkc-ended{border-color:var(--lk-line);color:var(--lk-dim)}"
    ".lk .lkc-ended b{font-weight:400;text-decoration:line-through}.lk .lkc-lost{border-color:var(--lk-trouble)}"
    "</style>"
)
BOX_PX, ROW_PX, GAP_PX = 280, 24, 16


def cluster_html(state: SwarmState) -> str:
    """Draw nodes and tasks in the colours of the page's theme."""
    boxes = "".join(_node_html(node, _shown(state, node)) for node in state.nodes)
    waiting = [task for task in state.tasks if task.wanted == "running" and not task.node]
    if waiting:
        cards = "".join(_task_html(task, is_up=True) for task in waiting)
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
            words = f"{task.name}  {_words(task, is_up=up)}"
            parts.append(text_svg(words, x + 24, 50 + row * ROW_PX, columns=34, rows=1))
    return frame_svg(parts, max(1, len(state.nodes)) * (BOX_PX + GAP_PX) + 8, height, differs=True)


def _shown(state: SwarmState, node: NodeState) -> Sequence[TaskState]:
    """What is to run there, and the newest of what has ended there."""
    there = [task for task in state.tasks if task.node == node.name]
    ended = [task for task in there if task.wanted != "running"]
    return [*(task for task in there if task.wanted == "running"), *ended[-FORMER:]]


def _describe(node: NodeState) -> str:
    words = [node.role, CROWN_WORDS if node.vote == "leader" else ""]
    words += [node.state if node.state != "ready" else "", node.availability if node.availability != "active" else ""]
    return ", ".join(filter(None, words))


def _words(task: TaskState, *, is_up: bool) -> str:
    if not is_up and task.wanted == "running":
        return "not heard of"
    return task.state if task.wanted == "running" else f"{task.state}, replaced"


def _node_html(node: NodeState, tasks: Sequence[TaskState]) -> str:
    is_up = node.state == "ready"
    crown = f'<span class="lkc-crown" title="{CROWN_WORDS}">{CROWN}</span>' if node.vote == "leader" else ""
    trouble = "" if is_up else mark("trouble")
    head = f"<h4>{trouble}{crown}{escape(node.name)} <small>{escape(_describe(node))}</small></h4>"
    cards = "".join(_task_html(task, is_up=is_up) for task in tasks)
    look = "lkc-node" if is_up else "lkc-node lkc-down"
    return f'<div class="{look}">{head}<ul class="lkc-tasks">{cards}</ul></div>'


def _task_html(task: TaskState, *, is_up: bool) -> str:
    look = "" if task.runs else "lkc-coming"
    if task.wanted != "running":
        look = "lkc-ended"
    elif not is_up:
        look = "lkc-lost"
    words = escape(_words(task, is_up=is_up))
    title = f' title="{escape(task.error)}"' if task.error else ""
    return f'<li class="lkc-task {look}"{title}><b>{escape(task.name)}</b><span>{words}</span></li>'
