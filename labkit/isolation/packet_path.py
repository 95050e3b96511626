"""What is a packet, where may it pass, and where was it seen?

parse_packet(data)                            an IPv4 packet as a value, if it begins or answers something
find_stations(machine, others)                the places of a picture: interfaces, hooks of the packet filter, programs

`labkit.isolation.packet_trace` makes hops of sightings. See packet(7), ip(7), iptables(8), bridge(8).
"""

import struct
from collections.abc import Iterator, Sequence
from ipaddress import IPv4Address
from typing import NamedTuple

from labkit.linux.network import Interface, find_peer

__all__ = [
    *("HOOKS", "MACHINE", "PROGRAMS"),
    *("Computer", "Hop", "Packet", "Sighting", "Station", "find_stations", "parse_packet"),
]

MACHINE = "this machine"
HOOKS = ("PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING")
PROGRAMS = f"{MACHINE}/programs"

_ICMP, _TCP, _UDP = 1, 6, 17
_FIN, _SYN, _RST, _ACK = 1, 2, 4, 16
_ICMP_WORDS = {0: "echo reply", 3: "unreachable", 8: "echo request", 11: "time exceeded"}
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
