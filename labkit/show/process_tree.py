"""Which process started which, from the engine to a container, and which namespaces hold them?

Each process stands in the one that is its parent. A frame is a set of namespaces that the parent is not in; it holds
the processes that are in them, and has the letter, the colour and the pattern that the namespace map gives them. Who
opens a process reads the proof in /proc: its parent, its numbers and the numbers of its namespaces.

Values in (`namespace_look.Process`), HTML, text and SVG out.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from html import escape

from labkit.show.course import PARTS
from labkit.show.look import ROLES, figure, mark, mark_svg, read_css
from labkit.show.namespace_look import INKS, KINDS, SHIM, Process, ink_of, is_engine
from labkit.show.namespace_look import STYLE as SHARED_STYLE
from labkit.show.process_outline import Fold, Frame, Node, outline
from labkit.show.still import frame_svg, text_svg, xml_safe

__all__ = ["process_tree_html", "process_tree_svg", "process_tree_text"]

STYLE = SHARED_STYLE + f"<style>{read_css('process_tree')}</style>"
CAPTION = (
    "Each process stands below its parent. A coloured frame is a set of namespaces, and holds the processes that are in"
    " them. Outside of all frames is the machine itself. Choose a process (click, or Tab and Enter), and see the proof"
    " in /proc."
)
STILL_ROWS = 60
LINKS = 3  # in a line: a frame in a frame is narrow
ROW_PX, INDENT_PX, WIDTH_PX = 28, 22, 760

ENDS: Mapping[type, str] = {Frame: "</section>", Fold: "</details>"}
PROCESS_END = "</div></div>"

Labels = Mapping[int, str]  # of a process, by its pid: the name of its container, or what it is


def process_tree_text(processes: Sequence[Process], labels: Labels | None = None, kinds: Sequence[str] = ()) -> str:
    """The tree as an outline, without any number but those that a process has in a PID namespace of its own."""
    return "\n".join("  " * node.depth + _words(node, labels or {}) for node in outline(processes, kinds))


def _words(node: Node, labels: Labels) -> str:
    what = node.what
    if isinstance(what, Frame):
        return f"[{_frame_words(what)}]"
    if isinstance(what, Fold):
        return f"{len(what.members)} more {xml_safe(what.members[0].comm)}"
    inside = f", number {what.pids[-1]} inside" if len(what.pids) > 1 else ""
    label = f"{labels[what.pid]}: " if what.pid in labels else ""
    return f"{label}{xml_safe(what.comm)}{inside}"


def _frame_words(frame: Frame) -> str:
    """Its letters and kinds: "B: uts ipc pid net mnt", and what is shared with an earlier one.

    The machine's own namespaces have the letter A, so a frame in which one of them is "joined" is one that shares it.
    """
    words = []
    for letter, kinds in frame.kinds.items():
        listed = " ".join(kinds)
        words.append(f"{listed} of {letter}" if letter in frame.joined else f"{letter}: {listed}")
    return ", ".join(words)


def process_tree_html(
    processes: Sequence[Process],
    labels: Labels | None = None,
    kinds: Sequence[str] = (),
    *,
    new: Collection[int] = (),
    caption: str = CAPTION,
) -> str:
    """The tree for a live page. `kinds` make frames (none: all that there are), `new` are the pids that have come."""
    parts: list[str] = []
    ends: list[tuple[int, str]] = []
    for node in outline(processes, kinds):
        while ends and ends[-1][0] >= node.depth:
            parts.append(ends.pop()[1])
        parts.append(_begin_html(node, labels or {}, new))
        ends.append((node.depth, ENDS.get(type(node.what), PROCESS_END)))
    parts += [end for _, end in reversed(ends)]
    body = f'<div class="pt-scroll lk-card"><div class="pt-all">{"".join(parts)}</div></div>'
    return figure("process tree", body, caption=caption, keys=("engine", "container"), style=STYLE)


def _begin_html(node: Node, labels: Labels, new: Collection[int]) -> str:
    what = node.what
    if isinstance(what, Frame):
        letter = next(iter(what.kinds))
        words = escape(_frame_words(what))
        return (
            f'<section class="pt-frame ns-of ns-{ink_of(letter)}" aria-label="namespaces {words}">'
            f"<header><b>{letter}</b> {words.removeprefix(f'{letter}: ')}</header>"
        )
    if isinstance(what, Fold):
        first = what.members[0]
        members = "".join(_process_html(one, labels, new) + PROCESS_END for one in what.members)
        words = f"{len(what.members)} more <b>{escape(xml_safe(first.comm))}</b>"
        return f'<details class="pt-fold" data-id="fold-{first.pid}"><summary>{words}</summary>{members}'
    return _process_html(what, labels, new)


def _process_html(process: Process, labels: Labels, new: Collection[int]) -> str:
    label = labels.get(process.pid, "")
    role = _role(process, label)
    chip = f' <span class="lk-chip lk-ink-{role}">{escape(xml_safe(label))}</span>' if label else ""
    inside = f", {process.pids[-1]} inside" if len(process.pids) > 1 else ""
    sign = mark(role) + " " if role else ""
    lines = "".join(f"{escape(line)}\n" for line in _proof(process))
    about = f"<p>{escape(_about(process, label))}</p>" if _about(process, label) else ""
    return (
        f'<div class="pt-node{" pt-new" if process.pid in new else ""}"><details data-id="{process.pid}">'
        f"<summary>{sign}<b>{escape(xml_safe(process.comm))}</b> "
        f'<span class="lk-dim">{process.pid}{inside}</span>{chip}</summary>'
        f'<div class="pt-proof">{about}<pre>{lines}</pre></div></details><div class="pt-below">'
    )


def _role(process: Process, label: str) -> str:
    if is_engine(process.comm):
        return "engine"
    if label:
        return "container" if len(process.pids) > 1 else "you"
    return ""


def _about(process: Process, label: str) -> str:
    """What a part of the engine is, in the words of the course's map."""
    part = "shim" if process.comm.startswith(SHIM) else process.comm
    if part in ("dockerd", "containerd", "shim", "runc"):
        return PARTS[part].what
    return f"A process of the container {label}." if label and len(process.pids) > 1 else ""


def _proof(process: Process) -> Iterator[str]:
    """What the files of /proc say: the parent, the numbers from outside inwards, the namespaces."""
    yield f"$ grep -E '^(PPid|NSpid)' /proc/{process.pid}/status"
    yield f"PPid:  {process.ppid}"
    yield f"NSpid: {'  '.join(map(str, process.pids))}"
    yield f"$ readlink /proc/{process.pid}/ns/*"
    own = process.namespaces
    links = [f"{kind}:[{own[kind].inode}]".ljust(21) for kind in KINDS if kind in own]
    yield from ("".join(links[at : at + LINKS]).rstrip() for at in range(0, len(links), LINKS))


def process_tree_svg(
    processes: Sequence[Process], labels: Labels | None = None, kinds: Sequence[str] = (), *, differs: bool = False
) -> str:
    """The tree as a still picture, without numbers; `differs` where the processes are not the same in each run."""
    nodes = outline(processes, kinds)
    shown = nodes[:STILL_ROWS]
    parts = []
    for place, node in enumerate(shown):
        x, y = 8 + node.depth * INDENT_PX, 8 + place * ROW_PX
        if isinstance(node.what, Frame):
            rows = next(
                (n for n, other in enumerate(shown[place + 1 :], 1) if other.depth <= node.depth), len(shown) - place
            )
            parts.append(_frame_svg(node.what, x, y, WIDTH_PX - 8 - x - 4 * node.depth, rows * ROW_PX - 2))
        role = "" if isinstance(node.what, Frame | Fold) else _role(node.what, (labels or {}).get(node.what.pid, ""))
        parts += [mark_svg(role, x + 12, y + 14)] if role else []
        parts.append(
            text_svg(_words(node, labels or {}).strip("[]"), x + (24 if role else 8), y + 19, columns=80, rows=1)
        )
    if len(nodes) > len(shown):
        parts.append(
            text_svg(f"and {len(nodes) - len(shown)} more", 16, 8 + len(shown) * ROW_PX + 19, columns=40, rows=1)
        )
    return frame_svg(parts, WIDTH_PX, 16 + (len(shown) + (len(nodes) > len(shown))) * ROW_PX, differs=differs)


def _frame_svg(frame: Frame, x: float, y: float, width: float, height: float) -> str:
    ink = ROLES[INKS[ink_of(next(iter(frame.kinds)))]].light
    return (
        f'<rect x="{x:g}" y="{y + 1:g}" width="{width:g}" height="{height:g}" rx="6" fill="{ink}" fill-opacity="0.08" '
        f'stroke="{ink}" stroke-width="2"/>'
    )
