"""Where on the way from you to a container is this lesson?

One drawing for the whole course, the same in each lesson, with the parts filled that the lesson takes apart. On a live
page it follows the theme, and a part that is pointed at, or has the focus, says what it is; `map_svg` is the same
drawing as a picture file, which needs no kernel: notebooks/pictures/map-01.svg. What a lesson takes apart stands in
`labkit.show.course`.

    python -m labkit.show.course_map notebooks/pictures      draws the picture of each lesson
"""

import sys
from collections.abc import Collection, Iterator
from html import escape
from pathlib import Path

from labkit.show.course import COURSE, PARTS, lesson_number, lessons_on, topic_of
from labkit.show.look import PAGE, ROLES, figure

__all__ = ["map_html", "map_svg", "map_text"]

WIDTH, HEIGHT = 760, 336
WORDS = {"kernel": "what makes it a container"}
# The left edge, the top edge, the width and the height of each part.
FRAMES = {
    "computer": (4, 12, 752, 318),
    "machine": (92, 38, 652, 282),
    "kernel": (106, 216, 624, 92),
}
CHAIN_Y, CHAIN_H = 72, 54
CHAIN = {
    "docker": (106, 70),
    "socket": (194, 64),
    "dockerd": (276, 80),
    "containerd": (374, 98),
    "shim": (490, 58),
    "runc": (566, 58),
    "process": (642, 88),
}
IMAGES = (286, 152, 166, 44)
HEXAGONS = {
    "namespaces": (116, "what it sees"),
    "cgroups": (271, "what it may use"),
    "mounts": (426, "its files"),
    "network": (581, "whom it reaches"),
}
HEXAGON_Y, HEXAGON_W, HEXAGON_H = 240, 139, 54

ROLE_NAMES = sorted({part.role for part in PARTS.values()})
# The same rules for both pictures; only where the colours come from differs.
RULES = (
    ".lk-map text{font-family:var(--lk-words,system-ui,'Segoe UI',Roboto,Helvetica,Arial,sans-serif);font-size:15px;"
    "fill:var(--lk-ink)}"
    ".lk-map .small{font-size:12.5px;fill:var(--lk-dim)}"
    ".lk-map .wire{fill:none;stroke:var(--lk-dim);stroke-width:1.6}"
    ".lk-map .part .shape{fill:var(--lk-ground);stroke:var(--ink);stroke-width:1.5}"
    ".lk-map .lid{fill:none;stroke:var(--ink);stroke-width:1.5}"
    ".lk-map .frame .shape{fill:none;stroke:var(--lk-line);stroke-width:1.5}"
    ".lk-map .frame .tab{fill:var(--lk-ground);stroke:var(--lk-line);stroke-width:1.5}"
    ".lk-map .on-machine .shape{fill:var(--lk-soft)}"
    ".lk-map .on-kernel .shape{fill:var(--ink);fill-opacity:.1}"
    ".lk-map .lit .shape{fill:var(--ink);stroke:var(--ink);stroke-width:3}"
    ".lk-map .lit.on-process .inner,.lk-map .lit .lid{stroke:var(--lk-ground);stroke-width:1.5}"
    ".lk-map .lit.on-machine .shape{fill:var(--lk-soft)}"
    ".lk-map .lit.frame .tab{fill:var(--ink);stroke:var(--ink)}"
    ".lk-map .lit text,.lk-map .lit .small{fill:var(--lk-ground);font-weight:700}"
    ".lk-map .lit .small{font-weight:400}"
    ".lk-map .lit .halo{fill:none;stroke:var(--ink);stroke-width:9;opacity:.22}"
    + "".join(f".lk-map .of-{role}{{--ink:var(--lk-{role})}}" for role in ROLE_NAMES)
)
LIVE_RULES = (
    f"<style>{RULES}"
    ".lk .lk-map-fold>summary{cursor:pointer;font-weight:600;padding:4px 0}"
    ".lk .lk-map-scroll{overflow-x:auto}"
    ".lk .lk-map{display:block;width:100%;min-width:600px;max-width:900px;height:auto}"
    ".lk-map .part{cursor:help;outline:none}"
    ".lk-map .part:is(:hover,:focus-visible) .shape{stroke-width:3;stroke:var(--ink)}"
    ".lk-map .part:focus-visible .halo{fill:none;stroke:var(--ink);stroke-width:9;opacity:.35}"
    ".lk .lk-map-words{display:grid;max-width:900px;margin:8px 0 0;padding:8px 12px;min-height:3.6em;"
    "border-left:4px solid var(--lk-line);background:var(--lk-soft)}"
    ".lk .lk-map-words>*{grid-area:1/1;visibility:hidden;margin:0}"
    ".lk figure:not(:has(.part:is(:hover,:focus-visible))) .now,"
    ".lk:not(:has(.part:is(:hover,:focus-visible))) .now{visibility:visible}"
    + "".join(
        f".lk:has(.on-{part}:hover) .says-{part},"
        f".lk:not(:has(.part:hover)):has(.on-{part}:focus-visible) .says-{part}{{visibility:visible}}"
        for part in PARTS
    )
    + "</style>"
)


def map_text(lesson: str) -> str:
    """Name the parts that a lesson takes apart.

    >>> map_text("08-namespaces")
    'the map: your process, namespaces'
    """
    topic = topic_of(lesson)
    return "the map" + (": " + ", ".join(PARTS[part].name for part in topic.parts) if topic else "")


def map_html(lesson: str) -> str:
    """Draw the map on a live page, with a line below that says what the part is that is pointed at.

    It is folded: the same map, as a picture, stands at the top of the lesson.
    """
    topic = topic_of(lesson)
    lit = topic.parts if topic else ()
    today = f"This lesson takes apart what is filled: <b>{_names(lit)}</b>. " if lit else ""
    says = "".join(f'<p class="says-{part}">{_say(part)}</p>' for part in PARTS)
    words = f"{today}Point at a part, or press Tab, to read what it is."
    drawing = f'<div class="lk-map-scroll">{_svg(lit, _live_head(lesson))}</div>'
    return figure(
        "the map of the course",
        f'<details class="lk-map-fold"><summary>The map of the course: open it and point at a part</summary>{drawing}'
        f'<div class="lk-map-words"><p class="now">{words}</p>{says}</div>'
        f"<figcaption>{_caption()}</figcaption></details>",
        style=LIVE_RULES,
    )


def map_svg(lesson: str) -> str:
    """Draw the map as a picture file, on a ground of its own; it follows the browser's theme, light or dark."""
    topic = topic_of(lesson)
    return _svg(topic.parts if topic else (), _still_head(lesson)) + "\n"


def _caption() -> str:
    return (
        "The map of the course. Above: who passes your request on, from left to right. "
        "Below: the parts of the kernel. They turn a process into a container."
    )


def _names(parts: Collection[str]) -> str:
    return ", ".join(escape(PARTS[part].name) for part in parts)


def _say(part: str) -> str:
    lessons = lessons_on(part)
    word = "lesson" if len(lessons) == 1 else "lessons"
    where = f" <span class='lk-dim'>Taken apart in {word} {_listed(lessons)}.</span>" if lessons else ""
    return f"<b>{escape(PARTS[part].name)}</b>. {escape(PARTS[part].what)}{where}"


def _listed(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _live_head(lesson: str) -> str:
    return f'<svg class="lk-map" viewBox="0 0 {WIDTH} {HEIGHT}" role="group" aria-label="{escape(map_text(lesson))}">'


def _still_head(lesson: str) -> str:
    light, dark = (
        "".join(f"--lk-{name}:{inks[theme]};" for name, inks in {**PAGE, **_inks()}.items()) for theme in (0, 1)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="lk-map" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" '
        f'height="{HEIGHT}" role="img"><title>{escape(map_text(lesson))}</title><style>'
        f".lk-map{{{light}--lk-ground:#fff}}"
        f"@media (prefers-color-scheme:dark){{.lk-map{{{dark}--lk-ground:#161a1f}}}}"
        f"{RULES}.ground{{fill:var(--lk-ground)}}</style>"
        f'<rect class="ground" width="{WIDTH}" height="{HEIGHT}" rx="12"/>'
    )


def _inks() -> dict[str, tuple[str, str]]:
    return {role: (ROLES[role].light, ROLES[role].dark) for role in ROLE_NAMES}


def _svg(lit: Collection[str], head: str) -> str:
    """Frames first, then wires, so that the parts lie above both."""
    frames = (_group(part, shape, part in lit, "frame ") for part, shape in _frames())
    parts = (_group(part, shape, part in lit) for part, shape in _parts())
    return f"{head}{''.join([*frames, *_wires(), *parts])}</svg>"


def _group(part: str, shape: str, is_lit: bool, kind: str = "") -> str:
    name = f"part {kind}{'lit ' if is_lit else ''}of-{PARTS[part].role} on-{part}"
    return f'<g class="{name}" tabindex="0" role="img" aria-label="{_spoken(part, is_lit)}">{shape}</g>'


def _spoken(part: str, is_lit: bool) -> str:
    today = ", taken apart in this lesson" if is_lit else ""
    return escape(f"{PARTS[part].name}{today}. {PARTS[part].what}")


def _frames() -> Iterator[tuple[str, str]]:
    for part, (x, y, width, height) in FRAMES.items():
        name = PARTS[part].name
        tab = 20 + 8 * len(name)
        yield (
            part,
            (
                f'<rect class="shape" x="{x}" y="{y}" width="{width}" height="{height}" rx="12"/>'
                f'<rect class="tab" x="{x + 14}" y="{y - 11}" width="{tab:g}" height="22" rx="6"/>'
                f'<text x="{x + 14 + tab / 2:g}" y="{y + 5}" text-anchor="middle">{name}</text>'
            ),
        )


def _parts() -> Iterator[tuple[str, str]]:
    yield "you", _person()
    for part, (x, width) in CHAIN.items():
        yield part, _box(part, x, CHAIN_Y, width, CHAIN_H)
    yield "images", _drum(*IMAGES)
    for part, (x, words) in HEXAGONS.items():
        yield part, _hexagon(PARTS[part].name, words, x, HEXAGON_Y, HEXAGON_W, HEXAGON_H)


def _person() -> str:
    x, y = 48, CHAIN_Y + 2
    return (
        f'<path class="shape" d="M{x} {y + 24}a13 13 0 1 1 .1 0M{x - 26} {y + 52}c2 -30 50 -30 52 0z"/>'
        f'<text class="name" x="{x}" y="{y + 70}" text-anchor="middle" style="fill:var(--lk-ink)">you</text>'
    )


def _box(part: str, x: int, y: int, width: int, height: int) -> str:
    radius = {"socket": height / 2, "process": 2}.get(part, 10)
    rect = f'x="{x}" y="{y}" width="{width}" height="{height}" rx="{radius:g}"'
    # A container is a box in a box, as its mark in the legend.
    inner = (
        f'<rect class="shape inner" x="{x + 4}" y="{y + 4}" width="{width - 8}" height="{height - 8}"/>'
        if part == "process"
        else ""
    )
    lines = PARTS[part].name.split(" ")
    first = y + height / 2 + 5 - 9 * (len(lines) - 1)
    words = "".join(
        f'<text x="{x + width / 2:g}" y="{first + 18 * number:g}" text-anchor="middle">{line}</text>'
        for number, line in enumerate(lines)
    )
    return f'<rect class="halo" fill="none" {rect}/><rect class="shape" {rect}/>{inner}{words}'


def _drum(x: int, y: int, width: int, height: int) -> str:
    """Draw a disk: what lies on it stays."""
    half, bend = width / 2, 7
    body = f"M{x} {y + bend}a{half:g} {bend} 0 0 1 {width} 0v{height - 2 * bend}a{half:g} {bend} 0 0 1 {-width} 0z"
    lid = f"M{x} {y + bend}a{half:g} {bend} 0 0 0 {width} 0"
    return (
        f'<path class="halo" fill="none" d="{body}"/><path class="shape" d="{body}"/>'
        f'<path class="lid" d="{lid}"/>'
        f'<text x="{x + half:g}" y="{y + height / 2 + 9:g}" text-anchor="middle">{PARTS["images"].name}</text>'
    )


def _hexagon(name: str, words: str, x: int, y: int, width: int, height: int) -> str:
    cut, half = 14, height / 2
    path = (
        f"M{x + cut} {y}H{x + width - cut}L{x + width} {y + half:g}L{x + width - cut} {y + height}"
        f"H{x + cut}L{x} {y + half:g}Z"
    )
    middle = x + width / 2
    return (
        f'<path class="halo" fill="none" d="{path}"/><path class="shape" d="{path}" stroke-linejoin="round"/>'
        f'<text x="{middle:g}" y="{y + 24}" text-anchor="middle">{name}</text>'
        f'<text class="small" x="{middle:g}" y="{y + 42}" text-anchor="middle">{words}</text>'
    )


def _wires() -> Iterator[str]:
    middle = CHAIN_Y + CHAIN_H / 2
    ends = [(80, 80), *((x, x + width) for x, width in CHAIN.values())]
    for (_, begin), (end, _) in zip(ends, ends[1:], strict=False):
        yield _arrow(f"M{begin + 2} {middle:g}H{end - 3}", "m-6 -4.5l6 4.5l-6 4.5")
    bottom, (x, y, width, _) = CHAIN_Y + CHAIN_H, IMAGES
    for place in (x + 30, x + width - 30):  # dockerd and containerd
        yield f'<path class="wire" d="M{place} {bottom + 1}V{y + 6}"/>'
    left, width = CHAIN["process"]
    down = left + width / 2
    yield _arrow(f"M{down:g} {bottom + 1}V{FRAMES['kernel'][1] - 3}", "m-4.5 -6l4.5 6l4.5 -6")
    yield f'<text class="small" x="{down - 10:g}" y="{y + 26}" text-anchor="end">{WORDS["kernel"]}</text>'


def _arrow(line: str, head: str) -> str:
    return f'<path class="wire" d="{line}{head}"/>'


if __name__ == "__main__":
    for number in COURSE:
        Path(sys.argv[1], f"map-{lesson_number(number)}.svg").write_text(map_svg(number))
