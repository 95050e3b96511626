"""What do ip(8) and iptables(8) say of a network: interfaces, routes, rules?

The programs' output as values, under the programs' own names; who runs the programs is `labkit.isolation.interfaces`.
"""

import json
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

__all__ = [
    *("Counters", "Interface", "Route", "Rule"),
    *("find_peer", "parse_counts", "parse_interfaces", "parse_routes", "parse_rules"),
]

_RULE = re.compile(r"(?:\[(\d+):(\d+)\] )?-A (\S+) ?(.*)")
_POLICY = re.compile(r":(\S+) (\S+)(?: \[(\d+):(\d+)\])?")


class Counters(NamedTuple):
    """What the kernel has counted on an interface: what the namespace got from it (rx), and what it gave to it (tx)."""

    rx_packets: int = 0
    rx_bytes: int = 0
    tx_packets: int = 0
    tx_bytes: int = 0


class Interface(NamedTuple):
    """An interface as ip(8) tells of it. `addresses` are IPv4, as 10.0.2.100/24.

    `kind` is veth, bridge, tun ... ("": it has none); `bridge` the name of the bridge whose port it is ("": of none).
    `peer_number` is the number of the other end of a veth pair, in the namespace where that end is; 0: it has none.
    """

    number: int
    name: str
    kind: str = ""
    addresses: tuple[str, ...] = ()
    mac: str = ""
    bridge: str = ""
    peer_number: int = 0
    is_up: bool = True
    counters: Counters = Counters()


class Route(NamedTuple):
    """Where packets to a network (`to`, or "default") go: out of `device`, to the computer `via` ("": directly)."""

    to: str
    device: str
    via: str = ""


class Rule(NamedTuple):
    """A rule of iptables, or the policy of a chain, and how many packets and bytes it has matched.

    `words` are the rule without its chain, as iptables-save(8) writes it; of a policy they are "policy ACCEPT".
    """

    table: str
    chain: str
    words: str
    packets: int = 0
    bytes: int = 0

    @property
    def target(self) -> str:
        """What is done with a packet that matches: ACCEPT, DROP, DNAT, the name of a chain ...; "": it only counts."""
        words = self.words.split()
        if words[:1] == ["policy"]:
            return words[1]
        return next((words[place + 1] for place, word in enumerate(words[:-1]) if word in ("-j", "-g")), "")


def parse_interfaces(text: str) -> list[Interface]:
    """Read what `ip -details -statistics -json addr` prints; raises ValueError for another text."""
    told = [one for one in json.loads(text) if one]
    numbers = {one["ifname"]: one["ifindex"] for one in told}
    return sorted(_interface(one, numbers) for one in told)


def _interface(one: dict[str, Any], numbers: dict[str, int]) -> Interface:
    stats = one.get("stats64", {})
    kind = one.get("linkinfo", {}).get("info_kind", "")
    return Interface(
        one["ifindex"],
        one["ifname"],
        kind,
        tuple(f"{a['local']}/{a['prefixlen']}" for a in one.get("addr_info", ()) if a.get("family") == "inet"),
        one.get("address", ""),
        one.get("master", ""),
        # ip(8) tells the other end's name where both ends are in this namespace, and its number where they are not.
        one.get("link_index", numbers.get(one.get("link", ""), 0)) if kind == "veth" else 0,
        "UP" in one.get("flags", ()),
        Counters(*(stats.get(way, {}).get(what, 0) for way in ("rx", "tx") for what in ("packets", "bytes"))),
    )


def find_peer(interface: Interface, others: Sequence[Interface]) -> Interface | None:
    """The other end of a veth pair, among the interfaces of the namespace where it is; None: it is not there.

    Numbers of interfaces are unique in a namespace only: so each end must name the other one.
    """
    ends = (one for one in others if one.kind == "veth" and one.number == interface.peer_number)
    return next((one for one in ends if one.peer_number == interface.number), None)


def parse_counts(text: str) -> dict[str, int]:
    """Read /proc/PID/net/dev: by the name of each interface, the packets of both directions; proc_pid_net(5).

    >>> parse_counts("Inter-| Receive\\n face |bytes packets\\n eth0: 84 1 0 0 0 0 0 0 168 2 0 0 0 0 0 0")
    {'eth0': 3}
    """
    rows = [line.partition(":") for line in text.splitlines()[2:]]  # two lines are heads
    fields = {name.strip(): rest.split() for name, _, rest in rows}
    return {name: int(values[1]) + int(values[9]) for name, values in fields.items()}


def parse_routes(text: str) -> list[Route]:
    """Read what `ip -json route` prints; raises ValueError for another text."""
    return [Route(one["dst"], one.get("dev", ""), one.get("gateway", "")) for one in json.loads(text or "[]")]


def parse_rules(text: str) -> list[Rule]:
    """Read what `iptables-save --counters` prints: policies of chains, and rules, in their order.

    >>> parse_rules("*nat\\n:INPUT ACCEPT [3:180]\\n[1:84] -A POSTROUTING -s 10.0.0.0/8 -j MASQUERADE")[1]
    Rule(table='nat', chain='POSTROUTING', words='-s 10.0.0.0/8 -j MASQUERADE', packets=1, bytes=84)
    """
    rules, table = [], ""
    for line in text.splitlines():
        if line.startswith("*"):
            table = line[1:]
        elif match := _RULE.fullmatch(line):
            rules.append(Rule(table, match[3], match[4], int(match[1] or 0), int(match[2] or 0)))
        elif (match := _POLICY.fullmatch(line)) and match[2] != "-":  # "-": a chain that somebody made has no policy
            rules.append(Rule(table, match[1], f"policy {match[2]}", int(match[3] or 0), int(match[4] or 0)))
    return rules
