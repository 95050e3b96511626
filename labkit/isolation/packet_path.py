"""By which way did a packet go: what was seen on each interface, and which rules have counted it?

parse_packet(data)                            an IPv4 packet as a value, if it begins or answers something
find_stations(machine, others)                the places of a picture: interfaces, hooks of the packet filter, programs
trace(sightings, gained, stations)            the hops of a packet and of its answer, in the order in which it took them

What is seen on interfaces is sure: the kernel has shown the packet there. Which rules it met follows from their
counters. The order of the hooks is netfilter's own. See packet(7), ip(7), iptables(8), bridge(8).
"""

import struct
from collections.abc import Iterator, Sequence
from ipaddress import IPv4Address
from typing import NamedTuple

from labkit.linux.network import Interface, Rule, find_peer

__all__ = [
    *("HOOKS", "MACHINE", "PROGRAMS"),
    *("Computer", "Hop", "Packet", "Sighting", "Station", "find_stations", "parse_packet", "trace"),
]

MACHINE = "this machine"
HOOKS = ("PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING")
PROGRAMS = f"{MACHINE}/programs"

_ICMP, _TCP, _UDP = 1, 6, 17
_FIN, _SYN, _RST, _ACK = 1, 2, 4, 16
_ICMP_WORDS = {0: "echo reply", 3: "unreachable", 8: "echo request", 11: "time exceeded"}
_DECISIONS = ("ACCEPT", "DROP", "REJECT", "DNAT", "SNAT", "MASQUERADE", "REDIRECT")
_ANSWERS = ("echo reply", "unreachable", "time exceeded", "SYN ACK", "RST", "answer")


class Packet(NamedTuple):
    """A packet that begins something or answers it; ports are 0 where the protocol has none."""

    protocol: str
    source: str
    destination: str
    source_port: int = 0
    destination_port: int = 0
    what: str = ""

    @property
    def is_answer(self) -> bool:
        return self.what in _ANSWERS

    @property
    def words(self) -> str:
        """From where to where. The port that a client was given by chance is left out."""
        source, destination = self.source, self.destination
        if self.is_answer and self.source_port:
            source += f":{self.source_port}"
        elif self.destination_port:
            destination += f":{self.destination_port}"
        return f"{source} → {destination}"


class Sighting(NamedTuple):
    """A packet on an interface of a computer: it came in there, or went out. `at_ns` is the kernel's time."""

    at_ns: int
    computer: str
    interface: str
    came_in: bool
    packet: Packet


class Computer(NamedTuple):
    """A network namespace, which is a computer to its network: this machine, a container, somebody's computer."""

    name: str
    interfaces: tuple[Interface, ...]


class Station(NamedTuple):
    """A place that a packet may pass. `kind` is eth, port, bridge, card, lo, hook or program.

    `key` is its computer and its name; `label` what a reader calls it, the same on each machine; `peer` is the key of
    what it has a line to: the other end of a veth pair, or the bridge of a port.
    """

    key: str
    computer: str
    label: str
    kind: str
    note: str = ""
    peer: str = ""
    packets: int = 0


class Hop(NamedTuple):
    """A step of a packet: the key of its station, and what was seen there, or what a rule did to it."""

    station: str
    words: str
    is_answer: bool = False
    is_end: bool = False  # it was dropped here


def parse_packet(data: bytes) -> Packet | None:
    """Read an IPv4 packet; None for one that neither begins something nor answers it, and for what is no IPv4."""
    if len(data) < 20 or data[0] >> 4 != 4:
        return None
    rest = data[(data[0] & 15) * 4 :]
    addresses = str(IPv4Address(data[12:16])), str(IPv4Address(data[16:20]))
    if data[9] == _ICMP and len(rest) >= 8:
        return Packet("ICMP", *addresses, what=_ICMP_WORDS[rest[0]]) if rest[0] in _ICMP_WORDS else None
    if len(rest) < 8:
        return None
    ports: tuple[int, int] = struct.unpack_from("!HH", rest)
    if data[9] == _UDP:
        return Packet("UDP", *addresses, *ports, "answer" if ports[0] < ports[1] else "question")
    if data[9] == _TCP and len(rest) >= 20 and rest[13] & (_SYN | _RST):
        what = "RST" if rest[13] & _RST else "SYN ACK" if rest[13] & _ACK else "SYN"
        return Packet("TCP", *addresses, *ports, what)
    return None


def find_stations(machine: Computer, others: Sequence[Computer]) -> list[Station]:
    """The places between these computers: interfaces of each, and of the machine what leads to them.

    A computer whose line ends at a port of a bridge is a container; another one is somewhere else, as a colleague's.
    """
    stations = [Station(f"{MACHINE}/{hook}", MACHINE, hook, "hook") for hook in HOOKS]
    stations.append(Station(PROGRAMS, MACHINE, "programs", "program"))
    bridges = set()
    for computer in others:
        for one in computer.interfaces:
            peer = find_peer(one, machine.interfaces)
            if one.kind == "veth" and peer is not None:
                stations += _pair(computer.name, one, peer)
                bridges.add(peer.bridge)
    for one in machine.interfaces:
        key = f"{MACHINE}/{one.name}"
        if one.name == "lo":
            stations.append(Station(key, MACHINE, "lo", "lo", "127.0.0.1", "", _count(one)))
        elif one.name in bridges:
            stations.append(Station(key, MACHINE, one.name, "bridge", _address(one), "", _count(one)))
        elif one.kind not in ("veth", "bridge") and one.addresses:
            stations.append(Station(key, MACHINE, "the card", "card", _address(one), "", _count(one)))
    return stations


def _pair(computer: str, inside: Interface, outside: Interface) -> Iterator[Station]:
    there, here = f"{computer}/{inside.name}", f"{MACHINE}/{outside.name}"
    yield Station(there, computer, f"{inside.name} of {computer}", "eth", _address(inside), here, _count(inside))
    kind, label = ("port", f"veth of {computer}") if outside.bridge else ("card", f"veth to {computer}")
    peer = f"{MACHINE}/{outside.bridge}" if outside.bridge else ""
    yield Station(here, MACHINE, label, kind, _address(outside), peer, _count(outside))


def _address(interface: Interface) -> str:
    return interface.addresses[0].partition("/")[0] if interface.addresses else ""


def _count(interface: Interface) -> int:
    return interface.counters.rx_packets + interface.counters.tx_packets


def trace(sightings: Sequence[Sighting], gained: Sequence[Rule], stations: Sequence[Station]) -> list[Hop]:
    """The hops of a packet, and then those of its answer.

    `gained` are the rules that have counted meanwhile, with what they have counted. A packet that was sent again, as
    nobody answered, is told once.
    """
    known = {station.key: station for station in stations}
    hops = []
    ordered = sorted(sightings, key=lambda one: one.at_ns)  # stable: what has one time stays as it came
    for is_answer in (False, True):
        leg = _once([one for one in ordered if one.packet.is_answer == is_answer and _key(one) in known])
        _put_causes_first(leg, known)
        hops += list(_follow(leg, _reachable(gained), known, is_answer))
    return hops


def _key(sighting: Sighting) -> str:
    return f"{sighting.computer}/{sighting.interface}"


def _once(leg: Sequence[Sighting]) -> list[Sighting]:
    seen, kept = set(), []
    for one in leg:
        if one[1:] not in seen:
            seen.add(one[1:])
            kept.append(one)
    return kept


def _put_causes_first(leg: list[Sighting], known: dict[str, Station]) -> None:
    """What comes out of a veth pair went into its other end before, also where the kernel gave both one time."""
    ends = {station.peer: key for key, station in known.items() if station.kind == "eth"}
    ends |= {key: peer for peer, key in ends.items()}
    for cause in [one for one in leg if not one.came_in and _key(one) in ends]:
        effect = (ends[_key(cause)], cause.packet)
        places = [place for place, one in enumerate(leg) if one.came_in and (_key(one), one.packet) == effect]
        if places and places[0] < leg.index(cause):
            leg.remove(cause)
            leg.insert(places[0], cause)


def _reachable(gained: Sequence[Rule]) -> list[tuple[str, Rule]]:
    """Each rule that decides something, with each hook that leads to it: chains of one's own are passed through."""
    jumps: dict[tuple[str, str], set[str]] = {}
    for rule in gained:
        jumps.setdefault((rule.table, rule.chain), set()).add(rule.target)
    found = []
    for rule in gained:
        is_policy = rule.words.startswith("policy") and rule.target == "ACCEPT"  # all that nobody has decided on
        if rule.target not in _DECISIONS or is_policy:
            continue
        hooks, chains = set(), {rule.chain}
        while chains:
            hooks |= chains
            chains = {chain for (table, chain), to in jumps.items() if table == rule.table and to & chains} - hooks
        found += [(hook, rule) for hook in HOOKS if hook in hooks]
    return found


def _follow(
    leg: Sequence[Sighting], rules: Sequence[tuple[str, Rule]], known: dict[str, Station], is_answer: bool
) -> Iterator[Hop]:
    """The hops of one direction: between two sightings in the machine lies what the kernel did with the packet."""
    inside = ""  # the interface by which the packet has come into the machine, as long as it has not gone on
    for number, one in enumerate(leg):
        station = known[_key(one)]
        is_ours = one.computer == MACHINE and station.kind != "port"
        if is_ours and not one.came_in:
            here, inside = inside, ""
            hooks = ("PREROUTING", "FORWARD", "POSTROUTING") if here else ("OUTPUT", "POSTROUTING")
            if not here:
                yield Hop(PROGRAMS, "a program sends it", is_answer)
            yield from _decide(hooks, rules, here, one.interface, is_answer)
        last = leg[number - 1] if number else None
        if last is None or (_key(last), last.packet.words) != (_key(one), one.packet.words):
            yield Hop(station.key, f"{one.packet.words} ({one.packet.what})", is_answer)
        if is_ours and one.came_in:
            inside = one.interface
            after = [later for later in leg[number + 1 :] if later.computer == MACHINE]
            if not after or _client_port(after[0].packet) != _client_port(one.packet):  # it goes no further
                inside = ""
                yield from _arrive(rules, one, is_answer)


def _client_port(packet: Packet) -> int:
    """The port by which packets of one connection are told from others; NAT leaves it as it is."""
    return packet.destination_port if packet.is_answer else packet.source_port


def _arrive(rules: Sequence[tuple[str, Rule]], one: Sighting, is_answer: bool) -> Iterator[Hop]:
    """What becomes of a packet that is not seen again: it was dropped, or it was for this machine."""
    yield from _decide(("PREROUTING",), rules, one.interface, "", is_answer)
    for hook in ("FORWARD", "INPUT"):
        if any(rule.target in ("DROP", "REJECT") for at, rule in rules if at == hook):
            yield from _decide((hook,), rules, one.interface, "", is_answer)
            return
    yield from _decide(("INPUT",), rules, one.interface, "", is_answer)
    yield Hop(PROGRAMS, "a program gets it", is_answer)


def _decide(
    hooks: Sequence[str], rules: Sequence[tuple[str, Rule]], came_by: str, goes_by: str, is_answer: bool
) -> Iterator[Hop]:
    for hook in hooks:
        met = [rule for at, rule in rules if at == hook and _fits(rule, came_by, goes_by, is_answer)]
        for target in dict.fromkeys(rule.target for rule in met):  # each once, in their order
            words = next(rule.words for rule in met if rule.target == target)
            yield Hop(f"{MACHINE}/{hook}", _rule_words(target, words), is_answer, target in ("DROP", "REJECT"))


def _rule_words(target: str, words: str) -> str:
    _, _, to = words.partition("--to-destination ")
    if target == "DNAT" and to:
        return f"DNAT: the destination becomes {to}"
    if target == "MASQUERADE":
        return "MASQUERADE: the source becomes this machine's address"
    return f"{words if words.startswith('policy') else target}"


def _fits(rule: Rule, came_by: str, goes_by: str, is_answer: bool) -> bool:
    """May this rule have met the packet of this direction? Rules of NAT see the first packet of a connection only."""
    if rule.table == "nat" and (is_answer or rule.words.startswith("policy")):
        return False
    if "ESTABLISHED" in rule.words and "NEW" not in rule.words and not is_answer:
        return False
    words = rule.words.split()
    for option, name in (("-i", came_by), ("-o", goes_by)):
        if option in words[:-1] and name:
            place = words.index(option)
            is_not = place > 0 and words[place - 1] == "!"
            if (words[place + 1] == name) == is_not:
                return False
    return True
