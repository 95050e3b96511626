"""By which way did a packet go, if interfaces have seen it, and rules have counted it?

trace(sightings, gained, stations)      the hops of a packet, and of its answer, in the order in which it took them

What is seen on interfaces is sure: the kernel has shown the packet there. Which rules it met follows from their
counters. The order of the hooks is netfilter's own: iptables(8).
"""

from collections.abc import Iterator, Sequence

from labkit.isolation.packet_path import HOOKS, MACHINE, PROGRAMS, Hop, Packet, Sighting, Station
from labkit.linux.network import Rule

__all__ = ["trace"]

_DECISIONS = ("ACCEPT", "DROP", "REJECT", "DNAT", "SNAT", "MASQUERADE", "REDIRECT")


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
        return "MASQUERADE: the source becomes this machine"
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
