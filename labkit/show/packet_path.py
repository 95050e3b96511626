"""By which way does a packet go, hop by hop, from a program to another computer, and its answer back?

A drawing: the machine in the middle, containers on its right, other computers on its left. Between the interfaces of
the machine stand the five hooks of the packet filter, where rules are asked. The way of the packet is a solid line in
the colour of requests, that of its answer a dashed one in the colour of answers; each hop has a number on its place.
"""

from collections.abc import Callable, Mapping, Sequence
from html import escape
from math import atan2, degrees
from typing import NamedTuple

from labkit.isolation.packet_path import MACHINE, Hop, Station
from labkit.show.look import GROUNDS, PAGE, ROLES, figure, read_css
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
OUTSIDE_X, CARD_X, HOOK_X, BRIDGE_X, PORT_X, BOX_X = 82, 258, 436, 572, 676, 856  # the middles of the columns
LEFT_X, ASIDE_X, RIGHT_X, EDGE_X = 333, 356, 515, 130  # where ways go up and down, and where the outside begins
HOOK_Y = {"PREROUTING": 66, "FORWARD": 128, "POSTROUTING": 190, "INPUT": 250, "OUTPUT": 250}
HOOK_SHIFT = {"INPUT": -36, "OUTPUT": 36}
PROGRAMS_Y, HEIGHT = 312, 350
OFFSET_PX, DISC_PX, ARROW_PX = 5, 8.5, 17
ROLE_OF = {"eth": "container", "program": "engine"}  # all else is an object of the kernel

CARD = "the card"  # the label of the interface that leads to all other computers

Ink = Callable[[str], str]
Point = tuple[float, float]


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
        mine = [(number, hop) for number, hop in enumerate(hops, 1) if hop.is_answer == is_answer]
        rows = [_row_html(number, hop, known[hop.station]) for number, hop in mine]
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


def packet_path_svg(stations: Sequence[Station], hops: Sequence[Hop]) -> str:
    """The drawing and the hops as a still picture. What was counted differs from run to run, and is left out."""
    quiet = [station._replace(packets=-1) for station in stations]
    parts = _parts(quiet, hops, _on_white)
    known = {station.key: station.label for station in stations}
    top, rows = _height(stations) + 20, [0, 0]
    for column, title in enumerate(("the packet", "its answer") if hops else ()):
        parts.append(words_svg(title, 16 + 480 * column, top, 700))
    for number, hop in enumerate(hops, 1):
        column = int(hop.is_answer)
        words = f"{number} {known[hop.station]}: {hop.words}"
        parts.append(text_svg(words, 16 + 480 * column, top + 20 + 18 * rows[column], columns=64, rows=1))
        rows[column] += 1
    if hops and not rows[1]:
        parts.append(text_svg("none was seen", 16 + 480, top + 20, columns=64, rows=1))
    return frame_svg(parts, WIDTH, top + 16 + 18 * max(rows))


def _on_white(role: str) -> str:
    """A colour of the look on a white page, for a picture that follows no theme."""
    return ROLES[role].light if role in ROLES else {**PAGE, "ground": GROUNDS["light"]}[role][0]


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
            places[station.key] = Place(BOX_X, y, 164, 44)
            places[station.peer] = Place(PORT_X, y, 88, 44)
            bridges.setdefault(by_key[station.peer].peer, []).append(y)
        elif station.kind == "eth":
            y = TOP + 34 + STEP * (1 + lefts)
            lefts += 1
            places[station.key] = Place(OUTSIDE_X, y, 132, 44)
            places[station.peer] = Place(CARD_X, y, 112, 44)
        elif station.label == CARD:
            places[station.key] = Place(CARD_X, TOP + 34, 112, 44)
        elif station.kind == "lo":
            places[station.key] = Place(CARD_X, PROGRAMS_Y, 112, 44)
        elif station.kind == "hook":
            x, width = HOOK_X + HOOK_SHIFT.get(station.label, 0), 70 if station.label in HOOK_SHIFT else 128
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
    parts = [_frame(Place(451, _height(stations) / 2, 558, _height(stations) - 8), MACHINE, ink("kernel"), ink)]
    for station in stations:
        place = places[station.key]
        if station.kind == "eth":
            around = Place(place.x, place.y - 6, place.width + 20, 72)
            parts.append(_frame(around, station.computer, ink("container" if place.x > HOOK_X else "you"), ink))
        if station.label == CARD:
            parts.append(_frame(Place(OUTSIDE_X, place.y - 6, 152, 72), "outside", ink("you"), ink))
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
    high = HOOK_Y["PREROUTING"]
    parts.append(f'<path d="M{HOOK_X} {high}H{ASIDE_X}V{low}H{HOOK_X - 36}" fill="none" stroke="{ink("line")}"/>')
    return parts


def _line(x1: float, y1: float, x2: float, y2: float, colour: str) -> str:
    return f'<path d="M{x1:g} {y1:g}L{x2:g} {y2:g}" stroke="{colour}" fill="none"/>'


def _way(leg: Sequence[Hop], stations: Mapping[str, Station], places: Mapping[str, Place], ink: Ink) -> list[str]:
    """The line from place to place, with an arrow on each part of it that is long enough."""
    parts = []
    for run in _runs(leg, stations):
        role, shift = ("answer", OFFSET_PX) if run[0].is_answer else ("request", -OFFSET_PX)
        points = [(x + shift, y + shift) for x, y in _route(run, stations, places)]
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


def _runs(leg: Sequence[Hop], stations: Mapping[str, Station]) -> list[list[Hop]]:
    """The hops in parts, each of which is one line: where a program or a container has got the packet, a part ends."""
    runs: list[list[Hop]] = []
    for hop in leg:
        before = runs[-1][-1] if runs else None
        if before is not None and _goes_on(before, hop, stations):
            runs[-1].append(hop)
        else:
            runs.append([hop])
    return runs


def _goes_on(before: Hop, hop: Hop, stations: Mapping[str, Station]) -> bool:
    one, other = stations[before.station], stations[hop.station]
    if "eth" in (one.kind, other.kind):  # from or to a container there is no way but its cable
        return other.key == one.peer or one.key == other.peer
    return other.kind != "program" or "sends" not in hop.words if one.kind != "program" else "sends" in before.words


def _route(run: Sequence[Hop], stations: Mapping[str, Station], places: Mapping[str, Place]) -> list[Point]:
    """The corners of a line. A packet passes all hooks on its way, also those where no rule has counted it."""
    known = [stations[hop.station] for hop in run]
    met = [one for one in known if one.kind != "hook"]
    points: list[Point] = []
    for one, other in zip([None, *met], [*met, None], strict=True):
        if one is None:
            if other is not None and other.label == CARD:
                points.append((EDGE_X, places[other.key].y))
        else:
            points.append(_middle(one, places, is_start=not points))
            if other is not None:
                points += _bends(_hooks(one, other), one, other, places)
            elif run[-1].is_end:
                chain = ("OUTPUT",) if one.kind == "program" else ("PREROUTING", known[-1].label)
                points += _bends(chain, one, None, places)
            elif one.label == CARD and len(run) > 1:
                points.append((EDGE_X, places[one.key].y))
    return points


def _middle(station: Station, places: Mapping[str, Place], *, is_start: bool) -> Point:
    """Where a line comes to a place, or begins: what comes to programs comes by INPUT, what goes goes by OUTPUT."""
    place = places[station.key]
    return (place.x + HOOK_SHIFT["OUTPUT" if is_start else "INPUT"] if station.kind == "program" else place.x, place.y)


def _hooks(one: Station, other: Station) -> tuple[str, ...]:
    """The hooks between two places, in the order in which the kernel asks them."""
    routed = ("bridge", "card", "lo")
    if one.kind in routed and other.kind in routed:
        return ("PREROUTING", "FORWARD", "POSTROUTING")
    if one.kind in routed and other.kind == "program":
        return ("PREROUTING", "INPUT")
    return ("OUTPUT", "POSTROUTING") if one.kind == "program" and other.kind in routed else ()


def _bends(hooks: Sequence[str], one: Station, other: Station | None, places: Mapping[str, Place]) -> list[Point]:
    """The corners between two places: beside the hooks up or down, and from hook to hook."""
    points: list[Point] = []
    for hook in hooks:
        y = HOOK_Y[hook]
        if hook == "PREROUTING":
            points += _channel(places[one.key], y)
        if hook == "INPUT":
            points += [(ASIDE_X, HOOK_Y["PREROUTING"]), (ASIDE_X, y)]
        if hook == "POSTROUTING" and "OUTPUT" in hooks:
            points.append((HOOK_X + HOOK_SHIFT["OUTPUT"], y))
        else:
            points.append((HOOK_X + HOOK_SHIFT.get(hook, 0), y))
    if hooks[-1:] == ("POSTROUTING",) and other is not None:
        points += reversed(_channel(places[other.key], HOOK_Y["POSTROUTING"]))
    return points


def _channel(place: Place, y: float) -> list[Point]:
    x = LEFT_X if place.x < HOOK_X else RIGHT_X
    return [(x, place.y), (x, y)]


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
    line_px = 24 if station.kind == "program" else 16
    words = [_text(cut(label, int(place.width / 6.4)), place.x, top + line_px, ink("ink"), weight=700, anchor="middle")]
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
    x, y = place.x - place.width / 2 + 8 + order * 19, place.y - place.height / 2 - 3
    fill, text = (ink("ground"), ink(role)) if hop.is_answer else (ink(role), ink("ground"))
    words = _text(str(number), x, y + 4, text, weight=700, anchor="middle", size=11)
    return (
        f'<g class="p-disc" data-hop="{number}"><circle cx="{x:g}" cy="{y:g}" r="{DISC_PX}" fill="{fill}" '
        f'stroke="{ink(role)}" stroke-width="1.8"/>{words}</g>'
    )


def _text(
    words: str, x: float, y: float, colour: str, *, weight: int = 400, anchor: str = "start", size: float = 11.5
) -> str:
    return (
        f'<text x="{x:g}" y="{y:g}" fill="{colour}" font-family="sans-serif" font-size="{size:g}" '
        f'font-weight="{weight}" text-anchor="{anchor}">{escape(xml_safe(words))}</text>'
    )
