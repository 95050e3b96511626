"""How far has this machine's boot come, and what does the machine consist of?

Boxes within boxes, from your computer to an image in the engine, which light up one by one as the stages of
`labkit.machine.boot_log` pass. A box opens on a click, or on Enter, and shows the proof: what anybody can check of it.
The outer boxes are those of the course's map. Once the machine is ready, all is folded into one line.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from labkit.show.box import box_svg
from labkit.show.look import figure, mark

__all__ = ["BOXES", "Box", "boot_html", "boot_svg"]

NAME = "the boot of this machine"
CURE = "Kernel > Restart Kernel boots a new machine."


@dataclass(frozen=True, slots=True)
class Box:
    """A part of the machine: the stage of the boot that makes it, what it is, its role in `look`, what is in it."""

    stage: str
    name: str
    what: str
    role: str
    holds: tuple["Box", ...] = ()


BUSYBOX = Box("image", "busybox", "an image", "container")
DOCKERD = Box("engine", "dockerd", "the Docker Engine", "engine", (BUSYBOX,))
PYTHON = Box("kernel", "Python", "runs your cells", "you")
PROCESS_1 = Box("network", "process 1", "makes the network, starts the others", "kernel", (PYTHON, DOCKERD))
MACHINE = Box("root", "lab machine", "files of its own", "you", (PROCESS_1,))
COMPUTER = Box("", "your computer", "", "you", (MACHINE,))  # it has been there before
BOXES = (COMPUTER, MACHINE, PROCESS_1, PYTHON, DOCKERD, BUSYBOX)

STYLE = (
    "<style>"
    ".lk .lk-box-computer{max-width:900px}"
    ".lk .lk-boot>summary{cursor:pointer;font-weight:600;padding:4px 0}"
    ".lk .lk-box{flex:1 1 14em;min-width:0;margin:20px 0 0;padding:0 12px 12px;border:1.5px solid var(--lk-line);"
    "border-radius:12px;background:var(--lk-ground);transition:border-color .3s,background .3s}"
    ".lk .lk-box-root{background:var(--lk-soft)}"
    ".lk .lk-holds{display:flex;flex-wrap:wrap;gap:0 12px;align-items:flex-start}"
    ".lk .lk-box>.lk-tab{margin:-12px 0 0}"
    ".lk .lk-box>.lk-still{display:table;border-spacing:0}.lk .lk-still>span{margin-right:8px}"
    ".lk .lk-box summary,.lk .lk-still{display:inline-flex;flex-wrap:wrap;gap:0 8px;align-items:baseline;"
    "border:1.5px solid var(--lk-line);border-radius:6px;padding:0 8px;background:var(--lk-ground);list-style:none}"
    ".lk .lk-box summary::-webkit-details-marker{display:none}"
    ".lk .lk-box summary{cursor:pointer}.lk .lk-box summary:hover{border-color:var(--ink)}"
    ".lk .lk-box summary::after{content:'+';font-family:var(--lk-code);color:var(--lk-dim)}"
    ".lk .lk-box details[open]>summary::after{content:'\u2212'}"
    ".lk .lk-box .lk-what{margin:4px 0 0;color:var(--lk-dim)}"
    ".lk .lk-box pre{margin:8px 0 0;padding:8px 12px;overflow-x:auto;white-space:pre-wrap;overflow-wrap:anywhere;"
    "background:var(--lk-soft);border-left:4px solid var(--ink)}"
    ".lk .lk-box-root>details>pre{background:var(--lk-ground)}"
    ".lk .lk-passed{border-color:var(--ink)}.lk .lk-passed>.lk-tab>summary,.lk .lk-passed>.lk-tab.lk-still"
    "{border-color:var(--ink)}.lk .lk-passed .lk-name{font-weight:600}"
    + "".join(
        f".lk .lk-box-{stage}.lk-passed{{background:color-mix(in srgb,var(--ink) 12%,var(--lk-ground))}}"
        for stage in ("kernel", "engine", "image")
    )
    + ".lk .lk-to-come{border-style:dashed;color:var(--lk-dim)}"
    ".lk .lk-now{border-color:var(--lk-request);animation:lk-beat 1.2s ease-in-out infinite alternate}"
    "@keyframes lk-beat{to{border-color:var(--lk-line)}}"
    ".lk .lk-failed{border:2.5px solid var(--lk-trouble)}"
    ".lk .lk-why{margin:8px 0 0;padding:8px 12px;border-left:4px solid var(--lk-trouble);background:var(--lk-soft)}"
    ".lk .lk-why p{margin:0}"
    + "".join(f".lk .lk-in-{role}{{--ink:var(--lk-{role})}}" for role in sorted({box.role for box in BOXES}))
    + "</style>"
)


def boot_html(passed: Sequence[Mapping[str, Any]], proofs: Mapping[str, str] | None = None) -> str:
    """Draw the machine as far as it has come.

    `passed` holds the lines of the boot log, each with `stage`, `seconds` since the start, and `detail`; a `failed`
    stage is drawn on the box that did not come, with its detail and the cure. `proofs` has, for names of boxes, what
    to check, and what it said.
    """
    seen = {str(line["stage"]): line for line in passed}
    ready, failed = seen.get("ready"), seen.get("failed")
    state = _State(seen, proofs or {}, _next_stages(seen))
    boxes = _box_html(COMPUTER, state)
    if failed is not None:
        return figure(NAME, f"<p><b>The machine did not come up.</b></p>{boxes}", style=STYLE)
    if ready is None:
        title = "<p><b>The machine is booting &hellip;</b></p>"
        return figure(NAME, title + boxes, caption=_caption(), style=STYLE)
    title = _ready_words(ready)
    return figure(
        NAME,
        f'<details class="lk-boot"><summary>{title}</summary>{boxes}<figcaption>{_caption()}</figcaption></details>',
        style=STYLE,
    )


def boot_svg(passed: Sequence[Mapping[str, Any]]) -> str:
    """Draw the line of a machine that is ready, for whoever comes back to the page."""
    return box_svg("kernel", [_ready_words(next(line for line in passed if line["stage"] == "ready"))])


def _ready_words(ready: Mapping[str, Any]) -> str:
    return f"The machine was ready after {float(ready['seconds']):.1f} s"


def _caption() -> str:
    return (
        "The picture shows which part is inside which. The seconds count from the moment when you opened the lesson. "
        "Click on a name, or press Enter on it: a box opens, with commands that prove it."
    )


@dataclass(frozen=True, slots=True)
class _State:
    seen: Mapping[str, Mapping[str, Any]]
    proofs: Mapping[str, str]
    awaited: frozenset[str]  # the stages that are being worked on, or at which the boot failed


def _next_stages(seen: Mapping[str, object]) -> frozenset[str]:
    """Python and the engine start side by side; a boot that failed did so in the engine, or with its image."""
    order = [box.stage for box in BOXES[1:] if box.stage not in seen]
    if "failed" in seen:
        order = [stage for stage in order if stage != PYTHON.stage]
    first = order[:1]
    return frozenset(first + (order[1:2] if first == [PYTHON.stage] else []))


def _box_html(box: Box, state: _State) -> str:
    line = state.seen.get(box.stage)
    has_passed = line is not None or box is COMPUTER
    failed = state.seen.get("failed") if box.stage in state.awaited else None
    look = "lk-passed" if has_passed else "lk-failed" if failed else "lk-to-come"
    look += " lk-now" if box.stage in state.awaited and not failed else ""
    seconds = f"{float(line['seconds']):.1f} s" if line else ""
    sign = f"{mark('trouble')} " if failed else ""
    waits = "" if has_passed or "failed" in state.seen else "&hellip;"
    words = (f"{sign}{escape(box.name)}", escape(box.what), f"{seconds}{waits}")
    looks = ("lk-name", "lk-dim", "lk-seconds")
    tab = "".join(f'<span class="{name}">{word}</span>' for name, word in zip(looks, words, strict=True) if word)
    proof = state.proofs.get(box.name, "")
    opens = f'<details class="lk-tab"><summary>{tab}</summary><pre tabindex="0">{escape(proof)}</pre></details>'
    head = opens if proof else f'<div class="lk-tab lk-still">{tab}</div>'
    why = _why_html(str(failed["detail"])) if failed else ""
    inner = "".join(_box_html(one, state) for one in box.holds)
    held = f'<div class="lk-holds">{inner}</div>' if inner else ""
    look = f"lk-box-{box.stage or 'computer'} lk-in-{box.role} {look}"
    return f'<div class="lk-box {look}" data-box="{box.name}">{head}{why}{held}</div>'


def _why_html(words: str) -> str:
    end = "" if words.endswith((".", "!", "?")) else "."
    return f'<div class="lk-why" role="alert"><p>{escape(words)}{end}</p><p><b>{escape(CURE)}</b></p></div>'
