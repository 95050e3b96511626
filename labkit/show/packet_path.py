"""By which way does a packet go, hop by hop, from a program to another computer, and its answer back?

A drawing: the machine in the middle, containers on its right, other computers on its left. Between the interfaces of
the machine stand the five hooks of the packet filter, where rules are asked. The way of the packet is a solid line in
the colour of requests, that of its answer a dashed one in the colour of answers; each hop has a number on its place.
"""

from collections.abc import Callable, Sequence
from html import escape
from math import atan2, degrees
from typing import NamedTuple

from labkit.isolation.packet_path import MACHINE, PROGRAMS, Hop, Station
from labkit.show.look import ROLES, figure, read_css
from labkit.show.still import cut, frame_svg, text_svg, words_svg, xml_safe

__all__ = ["MEANINGS", "packet_path_html", "packet_path_svg", "packet_path_text"]

MEANINGS = {
    "eth": "An interface inside {}: one end of a cable. The programs there see no other end, and no other way.",
    "port": "The other end of the cable, in this machine. It is a port of the bridge.",
    "bridge": "The bridge is a switch for the cables, and an interface of this machine, with an address: the gateway.",
    "card": "An interface that leads out of the machine.",
    "lo": "The loopback interface: what a computer sends to itself.",
    "program": "Programs of this machine, which are in no container: curl, dockerd, docker-proxy.",
    "PREROUTING": "Before the kernel chooses the way. Here a rule may change the destination.",
    "FORWARD": "For packets that only pass through this machine. May it pass?",
    "POSTROUTING": "The last place before the packet leaves. Here a rule may change the source.",
    "INPUT": "For packets to a program of this machine. May it come in?",
    "OUTPUT": "For packets from a program of this machine.",
}
CAPTION = (
    "Follow the numbers: the solid line is the packet, the dashed line is its answer. Look where an address changes. "
    "Choose a hop with the mouse, or with the arrow keys."
)
STYLE = f"<style>{read_css('packet_path')}</style>"
WIDTH, TOP, STEP = 960, 44, 78
OUTSIDE_X, CARD_X, HOOK_X, BRIDGE_X, PORT_X, BOX_X = 82, 262, 428, 562, 666, 852  # the middles of the columns
HOOK_Y = {"PREROUTING": 66, "FORWARD": 128, "POSTROUTING": 190, "INPUT": 248, "OUTPUT": 248}
HOOK_SHIFT = {"INPUT": -44, "OUTPUT": 44}
FLOW = (
    *(("PREROUTING", "FORWARD"), ("FORWARD", "POSTROUTING"), ("PREROUTING", "INPUT")),
    *(("INPUT", "programs"), ("programs", "OUTPUT"), ("OUTPUT", "POSTROUTING")),
)
PROGRAMS_Y, HEIGHT = 308, 346
OFFSET_PX, DISC_PX = 6, 8.5
ROLE_OF = {"eth": "container", "program": "engine"}  # all else is an object of the kernel

Ink = Callable[[str], str]


class Place(NamedTuple):
    """Where a station stands in the picture: its middle, and its size."""

    x: float
    y: float
    width: float
    height: float


def packet_path_text(stations: Sequence[Station], hops: Sequence[Hop]) -> str:
    """The hops as text, the same on each machine: names of interfaces that differ are left out."""
    labels = {station.key: station.label for station in stations}
    lines = []
    for is_answer, title in ((False, "the packet"), (True, "its answer")):
        leg = [hop for hop in hops if hop.is_answer == is_answer]
        width = max((len(labels[hop.station]) for hop in leg), default=0)
        lines += [f"{title}:"] if leg else [f"{title}: none was seen"]
        lines += [f"  {number}  {labels[hop.station]:{width}}  {hop.words}" for number, hop in enumerate(leg, 1)]
    return "\n".join(lines)


def packet_path_html(stations: Sequence[Station], hops: Sequence[Hop], *, caption: str = CAPTION) -> str:
    """The drawing, and below it the hops, which can be chosen."""
    drawn = "".join(_parts(stations, hops, lambda role: f"var(--lk-{role})"))
    picture = (
        f'<div class="p-picture"><svg viewBox="0 0 {WIDTH} {_height(stations)}" role="img" '
        f'aria-label="{escape(_summary(stations, hops))}">{drawn}</svg></div>'
    )
    return figure("packet path", picture + _list_html(stations, hops), caption=caption, style=STYLE)


def _summary(stations: Sequence[Station], hops: Sequence[Hop]) -> str:
    computers = ", ".join(dict.fromkeys(station.computer for station in stations))
    return f"{computers}; {len(hops)} hops, which are listed below"


def _list_html(stations: Sequence[Station], hops: Sequence[Hop]) -> str:
    known = {station.key: station for station in stations}
    lists = []
    for is_answer, title, role in ((False, "the packet", "request"), (True, "its answer", "answer")):
        rows = [_row_html(number, hop, known[hop.station]) for number, hop in _numbered(hops) if hop.is_answer == is_answer]
        none = "" if rows or not hops else '<p class="lk-dim">none was seen</p>'
        lists.append(
            f'<div><div class="lk-head lk-ink-{role}">{title}</div>'
            f'<div role="listbox" aria-label="hops of {title}">{"".join(rows)}</div>{none}</div>'
        )
    says = '<p class="p-says" aria-live="polite"></p>' if hops else ""
    return f'<div class="p-lists">{"".join(lists)}</div>{says}' if hops else ""


def _row_html(number: int, hop: Hop, station: Station) -> str:
    role = "trouble" if hop.is_end else "answer" if hop.is_answer else "request"
    return (
        f'<div role="option" aria-selected="false" tabindex="-1" data-hop="{number}" '
        f'data-station="{escape(xml_safe(station.key))}" data-says="{escape(_explain(station))}">'
        f'<b class="lk-ink-{role}">{number}</b> <span>{escape(xml_safe(station.label))}</span> '
        f"<code>{escape(xml_safe(hop.words))}</code></div>"
    )


def _explain(station: Station) -> str:
    return f"{station.label}. " + MEANINGS[station.label if station.kind == "hook" else station.kind].format(
        station.computer
    )


def _numbered(hops: Sequence[Hop]) -> list[tuple[int, Hop]]:
    """From 1 on, through the packet and its answer."""
    return list(enumerate(hops, 1))


def packet_path_svg(stations: Sequence[Station], hops: Sequence[Hop]) -> str:
    """The drawing and the hops as a still picture; how much was counted differs from run to run, and is left out."""
    quiet = [station._replace(packets=-1) for station in stations]
    parts = _parts(quiet, hops, lambda role: "#1f2328" if role == "ink" else "#fff" if role == "ground" else _light(role))
    known = {station.key: station.label for station in stations}
    top, rows = _height(stations) + 20, [0, 0]
    for column, title in enumerate(("the packet", "its answer") if hops else ()):
        parts.append(words_svg(title, 16 + 480 * column, top, 700))
    for number, hop in _numbered(hops):
        column = int(hop.is_answer)
        y = top + 20 + 18 * rows[column]
        rows[column] += 1
        parts.append(text_svg(cut(f"{number} {known[hop.station]}: {hop.words}", 64), 16 + 480 * column, y, columns=64, rows=1))
    return frame_svg(parts, WIDTH, top + 16 + 18 * max(rows))


def _light(role: str) -> str:
    return ROLES[role].light if role in ROLES else {"line": "#c4c9d0", "soft": "#f3f5f8", "dim": "#545c66"}[role]


# --- the drawing ----------------------------------------------------------------------------------------------------


def _height(stations: Sequence[Station]) -> float:
    return max([HEIGHT, *(place.y + place.height for place in _places(stations).values())])


def _places(stations: Sequence[Station]) -> dict[str, Place]:
    """Where each station stands: containers from the top on the right, other computers on the left."""
    places, rights, lefts = {}, 0, 0
    kinds = {station.key: station.kind for station in stations}
    bridges: dict[str, list[float]] = {}
    by_key = {station.key: station for station in stations}
    for station in stations:
        if station.kind == "eth" and kinds.get(station.peer) == "port":
            y = TOP + 34 + STEP * rights
            rights += 1
            places[station.key] = Place(BOX_X, y, 168, 44)
            places[station.peer] = Place(PORT_X, y, 92, 44)
            bridges.setdefault(by_key[station.peer].peer, []).append(y)
        elif station.kind == "eth":
            y = TOP + 34 + STEP * (1 + lefts)
            lefts += 1
            places[station.key] = Place(OUTSIDE_X, y, 132, 44)
            places[station.peer] = Place(CARD_X, y, 118, 44)
        elif station.kind == "card" and station.label == "the card":
            places[station.key] = Place(CARD_X, TOP + 34, 118, 44)
        elif station.kind == "lo":
            places[station.key] = Place(CARD_X, PROGRAMS_Y, 118, 44)
        elif station.kind == "hook":
            x, width = HOOK_X + HOOK_SHIFT.get(station.label, 0), 82 if station.label in HOOK_SHIFT else 128
            places[station.key] = Place(x, HOOK_Y[station.label], width, 42)
        elif station.kind == "program":
            places[station.key] = Place(HOOK_X, PROGRAMS_Y, 172, 40)
    for key, ys in bridges.items():
        places[key] = Place(BRIDGE_X, (min(ys) + max(ys)) / 2, 84, max(ys) - min(ys) + 48)
    return places


def _parts(stations: Sequence[Station], hops: Sequence[Hop], ink: Ink) -> list[str]:
    """Frames, then lines, then the ways, then the places, then the numbers."""
    places = _places(stations)
    shown = [station for station in stations if station.key in places]
    parts = _frames(shown, places, ink) + _lines(shown, places, ink)
    for is_answer in (False, True):
        parts += _way([hop for hop in hops if hop.is_answer == is_answer], places, ink, is_answer)
    for station in shown:
        met = [(number, hop) for number, hop in _numbered(hops) if hop.station == station.key]
        parts.append(_station(station, places[station.key], met, ink))
    return parts


def _frames(stations: Sequence[Station], places: dict[str, Place], ink: Ink) -> list[str]:
    """A frame around what belongs to a computer, with its name."""
    height = _height(stations)
    parts = [_frame(176, 4, 546, height - 8, MACHINE, ink("kernel"), ink)]
    for station in stations:
        if station.kind == "eth":
            place = places[station.key]
            parts.append(
                _frame(
                    place.x - place.width / 2 - 10,
                    place.y - 46 + 4,
                    place.width + 20,
                    72,
                    station.computer,
                    ink("container" if place.x > HOOK_X else "you"),
                    ink,
                )
            )
    card = next((places[one.key] for one in stations if one.kind == "card" and one.label == "the card"), None)
    if card:
        parts.append(_frame(6, card.y - 42, 152, 72, "outside", ink("you"), ink))
        parts.append(_text("all other computers", 16, card.y + 4, ink("dim")))
    return parts


def _frame(x: float, y: float, width: float, height: float, title: str, colour: str, ink: Ink) -> str:
    return (
        f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="8" fill="{colour}" fill-opacity="0.06" '
        f'stroke="{colour}"/>' + _text(cut(title, 24), x + 10, y + 15, ink("ink"), weight=700)
    )


def _lines(stations: Sequence[Station], places: dict[str, Place], ink: Ink) -> list[str]:
    """Cables, which are double lines, and the order in which the kernel asks the hooks."""
    parts = []
    for station in stations:
        if station.kind == "eth" and station.peer in places:
            one, other = places[station.key], places[station.peer]
            for shift in (-2, 2):
                parts.append(_line(one.x, one.y + shift, other.x, other.y + shift, ink("dim")))
        if station.label == "the card":
            place = places[station.key]
            parts.append(_line(150, place.y, place.x, place.y, ink("dim")))
    middle = {**{name: (HOOK_X + HOOK_SHIFT.get(name, 0), y) for name, y in HOOK_Y.items()}}
    middle["programs"] = (HOOK_X, PROGRAMS_Y)
    for one_name, other_name in FLOW:
        (x1, y1), (x2, y2) = middle[one_name], middle[other_name]
        if {one_name, other_name} == {"PREROUTING", "INPUT"}:
            parts.append(f'<path d="M{HOOK_X - 64} {y1}H{HOOK_X - 74}V{y2}H{x2}" fill="none" stroke="{ink("line")}"/>')
        elif "programs" in (one_name, other_name):
            x = x1 if other_name == "programs" else x2
            parts.append(_line(x, y1, x, y2, ink("line")))
        elif one_name == "OUTPUT":
            parts.append(_line(x1, y1, x1, y2, ink("line")))
        else:
            parts.append(_line(x1, y1, x2, y2, ink("line")))
    return parts


def _line(x1: float, y1: float, x2: float, y2: float, colour: str) -> str:
    return f'<path d="M{x1:g} {y1:g}L{x2:g} {y2:g}" stroke="{colour}" fill="none"/>'


def _way(leg: Sequence[Hop], places: dict[str, Place], ink: Ink, is_answer: bool) -> list[str]:
    """The line from place to place, with an arrow in the middle of each step that is long enough to be seen."""
    role, shift = ("answer", OFFSET_PX) if is_answer else ("request", -OFFSET_PX)
    points = [(places[hop.station].x, places[hop.station].y + shift) for hop in leg if hop.station in places]
    if len(points) < 2:
        return []
    dash = ' stroke-dasharray="7 4"' if is_answer else ""
    path = "L".join(f"{x:g} {y:g}" for x, y in points)
    parts = [f'<path d="M{path}" fill="none" stroke="{ink(role)}" stroke-width="3.5"{dash} stroke-linejoin="round"/>']
    for (x1, y1), (x2, y2) in zip(points, points[1:], strict=False):
        if abs(x2 - x1) + abs(y2 - y1) > 20:
            angle = degrees(atan2(y2 - y1, x2 - x1))
            x, y = _gap(x1, x2), 0.0
            y = y1 + (y2 - y1) * ((x - x1) / (x2 - x1) if x2 != x1 else 0.5)
            parts.append(
                f'<path d="M6 0 -5 -6 -5 6Z" fill="{ink(role)}" transform="translate({x:.1f} {y:.1f}) rotate({angle:.0f})"/>'
            )
    return parts


def _gap(x1: float, x2: float) -> float:
    """Where between two columns the line is not hidden by a place."""
    for gap in (168, 342, 508, 613, 738):
        if min(x1, x2) < gap < max(x1, x2):
            return gap
    return (x1 + x2) / 2


def _station(station: Station, place: Place, met: Sequence[tuple[int, Hop]], ink: Ink) -> str:
    colour = ink(ROLE_OF.get(station.kind, "kernel"))
    left, top = place.x - place.width / 2, place.y - place.height / 2
    if station.kind == "hook":
        cut_px = 9
        shape = (
            f'<path class="p-box" d="M{left + cut_px:g} {top:g}h{place.width - 2 * cut_px:g}l{cut_px} {place.height / 2:g}'
            f'l-{cut_px} {place.height / 2:g}h-{place.width - 2 * cut_px:g}l-{cut_px} -{place.height / 2:g}Z" '
            f'fill="{ink("ground")}" stroke="{colour}" stroke-width="1.5"/>'
        )
    else:
        shape = (
            f'<rect class="p-box" x="{left:g}" y="{top:g}" width="{place.width:g}" height="{place.height:g}" rx="5" '
            f'fill="{ink("ground")}" stroke="{colour}" stroke-width="1.5"/>'
        )
    label = station.label if station.kind != "port" else "veth"
    if station.kind == "eth":
        label = station.label.removesuffix(f" of {station.computer}")
    words = [_text(cut(label, int(place.width / 6.4)), place.x, top + 16, ink("ink"), weight=700, anchor="middle")]
    second = _decision(met) if station.kind == "hook" else station.note
    if second:
        ended = any(hop.is_end for _, hop in met)
        role = "trouble" if ended else "dim"
        words.append(_text(cut(second, int(place.width / 6.2)), place.x, top + 30, ink(role), anchor="middle"))
    if station.kind not in ("hook", "program") and station.packets >= 0:
        y = top + place.height - 3
        words.append(
            f'<g class="p-count" data-count="{escape(xml_safe(station.key))}">'
            f"{_text(_packets(station.packets), place.x, y, ink('dim'), anchor='middle', size=10)}</g>"
        )
    numbers = [_disc(number, hop, place, order, ink) for order, (number, hop) in enumerate(met)]
    hop_numbers = " ".join(str(number) for number, _ in met)
    return (
        f'<g class="p-station" data-station="{escape(xml_safe(station.key))}" data-hops="{hop_numbers}">'
        f"{shape}{''.join(words)}{''.join(numbers)}</g>"
    )


def _packets(count: int) -> str:
    return f"{count} packet{'' if count == 1 else 's'}"


def _decision(met: Sequence[tuple[int, Hop]]) -> str:
    """What the rules of a hook did, in a word."""
    return ", ".join(dict.fromkeys(hop.words.partition(":")[0] for _, hop in met))


def _disc(number: int, hop: Hop, place: Place, order: int, ink: Ink) -> str:
    """The number of a hop on its place: a full disc, or for an answer a ring."""
    role = "trouble" if hop.is_end else "answer" if hop.is_answer else "request"
    x, y = place.x - place.width / 2 + 8 + order * 19, place.y - place.height / 2 - 3
    fill, text = (ink("ground"), ink(role)) if hop.is_answer else (ink(role), ink("ground"))
    return (
        f'<g class="p-disc" data-hop="{number}"><circle cx="{x:g}" cy="{y:g}" r="{DISC_PX}" fill="{fill}" '
        f'stroke="{ink(role)}" stroke-width="1.8"/>{_text(str(number), x, y + 4, text, weight=700, anchor="middle", size=11)}</g>'
    )


def _text(
    words: str, x: float, y: float, colour: str, *, weight: int = 400, anchor: str = "start", size: float = 11.5
) -> str:
    return (
        f'<text x="{x:g}" y="{y:g}" fill="{colour}" font-family="sans-serif" font-size="{size:g}" '
        f'font-weight="{weight}" text-anchor="{anchor}">{escape(xml_safe(words))}</text>'
    )
