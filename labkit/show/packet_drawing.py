"""How is the network of a machine drawn, with the way of a packet in it?

Frames are computers. A double line is a cable. A six-sided place is a hook, where rules are asked. The way of a packet
is a solid line, that of its answer a dashed one; each hop has a number, in a disc or in a ring.
"""

from collections.abc import Callable, Mapping, Sequence
from html import escape
from math import atan2, degrees

from labkit.isolation.packet_path import MACHINE, Hop, Station
from labkit.show.packet_route import (
    ASIDE_X,
    CARD,
    EDGE_X,
    HOOK_SHIFT,
    HOOK_X,
    HOOK_Y,
    LEFT_X,
    OUTSIDE_X,
    PROGRAMS_Y,
    RIGHT_X,
    Place,
    Point,
    find_height,
    find_places,
    find_route,
    find_runs,
)
from labkit.show.still import cut, xml_safe

__all__ = ["WIDTH", "draw_parts"]

WIDTH = 960
OFFSET_PX, DISC_PX, ARROW_PX = 5, 8.5, 17
ROLE_OF = {"eth": "container", "program": "engine"}  # all else is an object of the kernel

Ink = Callable[[str], str]  # the colour of a role, or of the page's "ink", "dim", "line", "ground"


def draw_parts(stations: Sequence[Station], hops: Sequence[Hop], ink: Ink) -> list[str]:
    """Frames, then lines, then the ways, then the places, then the numbers."""
    places = find_places(stations)
    shown = [station for station in stations if station.key in places]
    known = {station.key: station for station in stations}
    parts = _frames(shown, places, ink) + _lines(shown, places, ink)
    for is_answer in (False, True):
        parts += _way([hop for hop in hops if hop.is_answer == is_answer], known, places, ink)
    for station in shown:
        met = [(number, hop) for number, hop in enumerate(hops, 1) if hop.station == station.key]
        parts.append(_station(station, places[station.key], met, ink))
    return parts


def _frames(stations: Sequence[Station], places: dict[str, Place], ink: Ink) -> list[str]:
    """A frame around what belongs to a computer, with its name."""
    parts = [_frame(Place(451, find_height(stations) / 2, 558, find_height(stations) - 8), MACHINE, ink("kernel"), ink)]
    for station in stations:
        place = places[station.key]
        if station.kind == "eth":
            around = Place(place.x, place.y - 8, place.width + 20, 78)
            parts.append(_frame(around, station.computer, ink("container" if place.x > HOOK_X else "you"), ink))
        if station.label == CARD:
            parts.append(_frame(Place(OUTSIDE_X, place.y - 8, 152, 78), "outside", ink("you"), ink))
            parts.append(_text("other computers", OUTSIDE_X, place.y + 4, ink("dim"), anchor="middle"))
    return parts


def _frame(around: Place, title: str, colour: str, ink: Ink) -> str:
    x, y = around.x - around.width / 2, around.y - around.height / 2
    return (
        f'<rect x="{x:g}" y="{y:g}" width="{around.width:g}" height="{around.height:g}" rx="8" fill="{colour}" '
        f'fill-opacity="0.06" stroke="{colour}"/>'
        + _text(cut(title, 24), x + around.width - 8, y + 14, ink("ink"), weight=700, anchor="end")
    )


def _lines(stations: Sequence[Station], places: dict[str, Place], ink: Ink) -> list[str]:
    """Cables, which are double lines, and the order in which the kernel asks the hooks."""
    parts = []
    for station in stations:
        if station.kind == "eth" and station.peer in places:
            one, other = places[station.key], places[station.peer]
            for shift in (-2, 2):
                parts.append(_line(one.x, one.y + shift, other.x, other.y + shift, ink("dim")))
        if station.label == CARD:
            parts.append(_line(EDGE_X, places[station.key].y, places[station.key].x, places[station.key].y, ink("dim")))
    for hook, after in (("PREROUTING", "FORWARD"), ("FORWARD", "POSTROUTING"), ("INPUT", ""), ("OUTPUT", "")):
        x = HOOK_X + HOOK_SHIFT.get(hook, 0)
        parts.append(_line(x, HOOK_Y[hook], x, HOOK_Y[after] if after else PROGRAMS_Y, ink("line")))
    x, top, low = HOOK_X + HOOK_SHIFT["OUTPUT"], HOOK_Y["POSTROUTING"], HOOK_Y["OUTPUT"]
    parts.append(_line(x, low, x, top, ink("line")))
    high, to = HOOK_Y["PREROUTING"], HOOK_X + HOOK_SHIFT["INPUT"]
    parts.append(f'<path d="M{HOOK_X} {high}H{ASIDE_X}V{low}H{to}" fill="none" stroke="{ink("line")}"/>')
    return parts


def _line(x1: float, y1: float, x2: float, y2: float, colour: str) -> str:
    return f'<path d="M{x1:g} {y1:g}L{x2:g} {y2:g}" stroke="{colour}" fill="none"/>'


def _way(leg: Sequence[Hop], stations: Mapping[str, Station], places: Mapping[str, Place], ink: Ink) -> list[str]:
    """The line from place to place, with an arrow on each part of it that is long enough."""
    parts = []
    for run in find_runs(leg, stations):
        role, shift = ("answer", OFFSET_PX) if run[0].is_answer else ("request", -OFFSET_PX)
        points = [(x + shift, y + shift) for x, y in find_route(run, stations, places)]
        dash = ' stroke-dasharray="7 4"' if run[0].is_answer else ""
        path = "L".join(f"{x:g} {y:g}" for x, y in points)
        parts.append(
            f'<path d="M{path}" fill="none" stroke="{ink(role)}" stroke-width="3.5"{dash} stroke-linejoin="round"/>'
        )
        parts += [_arrow(one, other, ink(role)) for one, other in zip(points, points[1:], strict=False)]
    return parts


def _arrow(one: Point, other: Point, colour: str) -> str:
    """In the gap between two columns or two hooks, so that no place hides it."""
    (x1, y1), (x2, y2) = one, other
    if abs(x2 - x1) + abs(y2 - y1) < ARROW_PX:
        return ""
    gaps = [gap for gap in (167, LEFT_X - 9, RIGHT_X + 8, 623, 747) if min(x1, x2) < gap < max(x1, x2)]
    x = gaps[0] if gaps else (x1 + x2) / 2
    y = y1 + (y2 - y1) * ((x - x1) / (x2 - x1) if x2 != x1 else 0.5)
    angle = degrees(atan2(y2 - y1, x2 - x1))
    return f'<path d="M6 0 -5 -6 -5 6Z" fill="{colour}" transform="translate({x:.1f} {y:.1f}) rotate({angle:.0f})"/>'


def _station(station: Station, place: Place, met: Sequence[tuple[int, Hop]], ink: Ink) -> str:
    colour = ink("you" if station.kind == "eth" and place.x < HOOK_X else ROLE_OF.get(station.kind, "kernel"))
    left, top = place.x - place.width / 2, place.y - place.height / 2
    if station.kind == "hook":
        flat, half = place.width - 18, place.height / 2
        shape = (
            f'<path class="p-box" d="M{left + 9:g} {top:g}h{flat:g}l9 {half:g}l-9 {half:g}h-{flat:g}l-9 -{half:g}Z" '
            f'fill="{ink("ground")}" stroke="{colour}" stroke-width="1.5"/>'
        )
    else:
        shape = (
            f'<rect class="p-box" x="{left:g}" y="{top:g}" width="{place.width:g}" height="{place.height:g}" rx="5" '
            f'fill="{ink("ground")}" stroke="{colour}" stroke-width="1.5"/>'
        )
    label = station.label.partition(" of ")[0].partition(" to ")[0]  # the frame says whose it is
    line_px = 25 if station.kind == "program" else 16
    words = [_text(cut(label, int(place.width / 7)), place.x, top + line_px, ink("ink"), weight=700, anchor="middle")]
    second = _decision(met) if station.kind == "hook" else station.note
    if second:
        ended = any(hop.is_end for _, hop in met)
        role = "trouble" if ended else "dim"
        words.append(_text(cut(second, int(place.width / 6.6)), place.x, top + 31, ink(role), anchor="middle"))
    if station.kind not in ("hook", "program") and station.packets >= 0:
        y = top + place.height - 4
        words.append(
            f'<g class="p-count" data-count="{escape(xml_safe(station.key))}">'
            f"{_text(_packets(station.packets), place.x, y, ink('dim'), anchor='middle', size=10)}</g>"
        )
    numbers = [_disc(number, hop, place, order, ink) for order, (number, hop) in enumerate(met)]
    about = ""
    if station.packets >= 0:  # a page that one can step through: a still picture holds no name that differs
        hop_numbers = " ".join(str(number) for number, _ in met)
        about = f' data-station="{escape(xml_safe(station.key))}" data-hops="{hop_numbers}"'
    return f'<g class="p-station"{about}>{shape}{"".join(words)}{"".join(numbers)}</g>'


def _packets(count: int) -> str:
    return f"{count} packet{'' if count == 1 else 's'}"


def _decision(met: Sequence[tuple[int, Hop]]) -> str:
    """What the rules of a hook did, in a word."""
    return ", ".join(dict.fromkeys(hop.words.partition(":")[0].removeprefix("policy ") for _, hop in met))


def _disc(number: int, hop: Hop, place: Place, order: int, ink: Ink) -> str:
    """The number of a hop on its place: a full disc, or for an answer a ring."""
    role = "trouble" if hop.is_end else "answer" if hop.is_answer else "request"
    x, y = place.x - place.width / 2 + 8 + order * 19, place.y - place.height / 2 - 5
    fill, text = (ink("ground"), ink(role)) if hop.is_answer else (ink(role), ink("ground"))
    words = _text(str(number), x, y + 4, text, weight=700, anchor="middle", size=11.5)
    return (
        f'<g class="p-disc" data-hop="{number}"><circle cx="{x:g}" cy="{y:g}" r="{DISC_PX}" fill="{fill}" '
        f'stroke="{ink(role)}" stroke-width="1.8"/>{words}</g>'
    )


def _text(
    words: str, x: float, y: float, colour: str, *, weight: int = 400, anchor: str = "start", size: float = 13
) -> str:
    return (
        f'<text x="{x:g}" y="{y:g}" fill="{colour}" font-family="sans-serif" font-size="{size:g}" '
        f'font-weight="{weight}" text-anchor="{anchor}">{escape(xml_safe(words))}</text>'
    )
