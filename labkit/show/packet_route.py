"""Where does each place of the packet path stand, and where does the way of a packet run between them?

Five columns: other computers, cards, the hooks of the packet filter, bridges with their ports, containers. A packet
passes all hooks on its way, also those where no rule has counted it: the order of hooks is netfilter's own.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from labkit.isolation.packet_path import Hop, Station

__all__ = [
    *("ASIDE_X", "CARD", "EDGE_X", "HOOK_SHIFT", "HOOK_X", "HOOK_Y", "LEFT_X", "OUTSIDE_X", "PROGRAMS_Y", "RIGHT_X"),
    *("Place", "Point", "find_height", "find_places", "find_route", "find_runs"),
]

TOP, STEP = 46, 88
OUTSIDE_X, CARD_X, HOOK_X, BRIDGE_X, PORT_X, BOX_X = 82, 258, 436, 572, 676, 856  # the middles of the columns
LEFT_X, ASIDE_X, RIGHT_X, EDGE_X = 333, 356, 515, 148  # where ways go up and down, and where the outside begins
HOOK_Y = {"PREROUTING": 66, "FORWARD": 128, "POSTROUTING": 190, "INPUT": 250, "OUTPUT": 250}
HOOK_SHIFT = {"INPUT": -38, "OUTPUT": 38}
PROGRAMS_Y, HEIGHT = 312, 350
CARD = "the card"  # the label of the interface that leads to all other computers

Point = tuple[float, float]


class Place(NamedTuple):
    """Where a station stands in the picture: its middle, and its size."""

    x: float
    y: float
    width: float
    height: float


def find_height(stations: Sequence[Station]) -> float:
    """The height of a picture that holds all places, in pixels."""
    return max([HEIGHT, *(place.y + place.height for place in find_places(stations).values())])


def find_places(stations: Sequence[Station]) -> dict[str, Place]:
    """Where each station stands: containers from the top on the right, other computers on the left."""
    places, rights, lefts = {}, 0, 0
    kinds = {station.key: station.kind for station in stations}
    bridges: dict[str, list[float]] = {}
    by_key = {station.key: station for station in stations}
    for station in stations:
        if station.kind == "eth" and kinds.get(station.peer) == "port":
            y = TOP + 34 + STEP * rights
            rights += 1
            places[station.key] = Place(BOX_X, y, 164, 48)
            places[station.peer] = Place(PORT_X, y, 88, 48)
            bridges.setdefault(by_key[station.peer].peer, []).append(y)
        elif station.kind == "eth":
            y = TOP + 34 + STEP * (1 + lefts)
            lefts += 1
            places[station.key] = Place(OUTSIDE_X, y, 132, 48)
            places[station.peer] = Place(CARD_X, y, 112, 48)
        elif station.label == CARD:
            places[station.key] = Place(CARD_X, TOP + 34, 112, 48)
        elif station.kind == "lo":
            places[station.key] = Place(CARD_X, PROGRAMS_Y, 112, 48)
        elif station.kind == "hook":
            x, width = HOOK_X + HOOK_SHIFT.get(station.label, 0), 74 if station.label in HOOK_SHIFT else 128
            places[station.key] = Place(x, HOOK_Y[station.label], width, 42)
        elif station.kind == "program":
            places[station.key] = Place(HOOK_X, PROGRAMS_Y, 172, 40)
    for key, ys in bridges.items():
        places[key] = Place(BRIDGE_X, (min(ys) + max(ys)) / 2, 84, max(ys) - min(ys) + 50)
    return places


def find_runs(leg: Sequence[Hop], stations: Mapping[str, Station]) -> list[list[Hop]]:
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


def find_route(run: Sequence[Hop], stations: Mapping[str, Station], places: Mapping[str, Place]) -> list[Point]:
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
