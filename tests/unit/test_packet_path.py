"""Is the way of a packet told right, from what interfaces have seen and rules have counted?"""

import struct

import pytest

from labkit.isolation.packet_path import (
    MACHINE,
    PROGRAMS,
    Computer,
    Hop,
    Packet,
    Sighting,
    Station,
    find_stations,
    parse_packet,
)
from labkit.isolation.packet_trace import trace
from labkit.isolation.packets import subtract
from labkit.linux.network import Interface, Rule

HERE = Computer(
    MACHINE,
    (
        Interface(1, "lo", addresses=("127.0.0.1/8",)),
        Interface(2, "tap0", "tun", ("10.0.2.100/24",)),
        Interface(3, "docker0", "bridge", ("172.17.0.1/16",)),
        Interface(4, "hand0", "bridge", ("10.200.0.1/24",)),
        Interface(5, "hand1", "veth", (), "", "hand0", 2),
        Interface(6, "far0", "veth", ("192.0.2.1/24",), "", "", 2),
    ),
)
HAND = Computer("hand", (Interface(1, "lo"), Interface(2, "eth0", "veth", ("10.200.0.2/24",), "", "", 5)))
FAR = Computer("far", (Interface(1, "lo"), Interface(2, "eth0", "veth", ("192.0.2.2/24",), "", "", 6)))
STATIONS = find_stations(HERE, [HAND, FAR])
PING = Packet("ICMP", "10.200.0.2", "10.0.2.2", what="echo request")
PONG = Packet("ICMP", "10.0.2.2", "10.200.0.2", what="echo reply")
MASQUERADE = Rule("nat", "POSTROUTING", "-s 10.200.0.0/24 ! -o hand0 -j MASQUERADE", 1)


def seen(*places: tuple[str, str, bool, Packet]) -> list[Sighting]:
    """Sightings, a nanosecond apart."""
    return [Sighting(number, *place) for number, place in enumerate(places)]


def out(packet: Packet = PING, translated: Packet | None = None) -> list[Sighting]:
    """From hand out of the card."""
    return seen(
        ("hand", "eth0", False, packet),
        (MACHINE, "hand1", True, packet),
        (MACHINE, "hand0", True, packet),
        (MACHINE, "tap0", False, translated or packet._replace(source="10.0.2.100")),
    )


def names(hops: list[Hop]) -> list[str]:
    return [hop.station.removeprefix(f"{MACHINE}/") for hop in hops]


def ipv4(protocol: int, rest: bytes, options: bytes = b"") -> bytes:
    head = bytes([0x45 + len(options) // 4]) + bytes(8) + bytes([protocol]) + bytes(2)
    return head + bytes([10, 0, 0, 1]) + bytes([10, 0, 0, 2]) + options + rest


def tcp(flags: int) -> bytes:
    return struct.pack("!HHIIBBHHH", 40000, 80, 0, 0, 0x50, flags, 0, 0, 0)


@pytest.mark.parametrize(
    ("data", "packet"),
    [
        (ipv4(1, bytes([8]) + bytes(7)), Packet("ICMP", "10.0.0.1", "10.0.0.2", what="echo request")),
        (ipv4(1, bytes(8), bytes(8)), Packet("ICMP", "10.0.0.1", "10.0.0.2", what="echo reply")),
        (ipv4(1, bytes([5]) + bytes(7)), None),  # redirect
        (ipv4(6, tcp(0x02)), Packet("TCP", "10.0.0.1", "10.0.0.2", 40000, 80, "SYN")),
        (ipv4(6, tcp(0x12)), Packet("TCP", "10.0.0.1", "10.0.0.2", 40000, 80, "SYN ACK")),
        (ipv4(6, tcp(0x14)), Packet("TCP", "10.0.0.1", "10.0.0.2", 40000, 80, "RST")),
        (ipv4(6, tcp(0x18)), None),  # data
        (ipv4(6, tcp(0x02)[:12]), None),  # cut off
        (ipv4(17, struct.pack("!HHHH", 53, 999, 8, 0)), Packet("UDP", "10.0.0.1", "10.0.0.2", 53, 999, "answer")),
        (ipv4(132, bytes(20)), None),
        (b"\x60" + bytes(40), None),
        (b"", None),
    ],
)
def test_packets_are_read(data: bytes, packet: Packet | None) -> None:
    """Those that begin something or answer it; nothing else, and nothing of other protocols."""
    assert packet == parse_packet(data)


def test_the_port_that_was_given_by_chance_is_left_out() -> None:
    """The words are the same in each run."""
    question = Packet("TCP", "192.0.2.2", "192.0.2.1", 41234, 8080, "SYN")
    answer = Packet("TCP", "192.0.2.1", "192.0.2.2", 8080, 41234, "SYN ACK")

    assert "192.0.2.2 → 192.0.2.1:8080" == question.words
    assert "192.0.2.1:8080 → 192.0.2.2" == answer.words


def test_places_are_found() -> None:
    """A cable to a bridge is a container's, another one somebody else's; a bridge without one of them is left out."""
    kinds = {station.key: (station.kind, station.label, station.peer) for station in STATIONS}

    assert ("eth", "eth0 of hand", f"{MACHINE}/hand1") == kinds["hand/eth0"]
    assert ("port", "veth of hand", f"{MACHINE}/hand0") == kinds[f"{MACHINE}/hand1"]
    assert ("card", "veth to far", "") == kinds[f"{MACHINE}/far0"]
    assert ("card", "the card", "") == kinds[f"{MACHINE}/tap0"]
    assert ("bridge", "hand0", "") == kinds[f"{MACHINE}/hand0"]
    assert f"{MACHINE}/docker0" not in kinds


def test_a_packet_out_and_its_answer() -> None:
    """NAT is told once, for the packet; a rule of the filter for each direction that it fits."""
    back = seen(
        (MACHINE, "tap0", True, PONG._replace(destination="10.0.2.100")),
        (MACHINE, "hand0", False, PONG),
        (MACHINE, "hand1", False, PONG),
        ("hand", "eth0", True, PONG),
    )
    later = [one._replace(at_ns=one.at_ns + 100) for one in back]
    gained = [MASQUERADE, Rule("filter", "FORWARD", "-i hand0 -j ACCEPT", 1)]

    hops = trace([*later, *out()], gained, STATIONS)

    assert ["hand/eth0", "hand1", "hand0", "FORWARD", "POSTROUTING", "tap0"] == names(hops[:6])
    assert ["tap0", "hand0", "hand1", "hand/eth0"] == names(hops[6:])
    assert [False] * 6 + [True] * 4 == [hop.is_answer for hop in hops]
    assert "MASQUERADE: the source becomes this machine" == hops[4].words


def test_causes_come_before_effects() -> None:
    """Where the kernel gave both ends of a pair one time, or none."""
    mixed = [one._replace(at_ns=0) for one in reversed(out()[:2])]

    assert ["hand/eth0", "hand1"] == names(trace(mixed, [], STATIONS))


def test_what_is_sent_again_is_told_once() -> None:
    """As a connection that nobody answers is tried again."""
    again = [one._replace(at_ns=one.at_ns + 1000) for one in out()]

    assert 4 == len(trace([*out(), *again], [], STATIONS))


def test_a_dropped_packet_ends_at_the_hook() -> None:
    """By a policy, or by a rule; what has counted other packets is no end."""
    drop = Rule("filter", "FORWARD", "policy DROP", 1)
    hops = trace(out()[:3], [drop], STATIONS)

    assert ("FORWARD", True) == (names(hops)[-1], hops[-1].is_end)
    others = Rule("filter", "FORWARD", "-i docker0 -j DROP", 1)
    assert not any(hop.is_end for hop in trace(out()[:3], [others], STATIONS))


def test_a_policy_that_accepts_is_no_decision() -> None:
    """It counts all that no rule was for."""
    assert 4 == len(trace(out(), [Rule("filter", "FORWARD", "policy ACCEPT", 1)], STATIONS))


def test_a_chain_of_its_own_is_told_as_the_hook_that_leads_to_it() -> None:
    """For a packet from elsewhere PREROUTING, for one of a program OUTPUT; other hooks that lead there are no way."""
    dnat = Rule("nat", "DOCKER", "! -i docker0 -p tcp --dport 80 -j DNAT --to-destination 10.200.0.2:8", 1)
    jump = Rule("nat", "PREROUTING", "-m addrtype --dst-type LOCAL -j DOCKER", 1)
    syn = Packet("TCP", "192.0.2.2", "192.0.2.1", 40000, 80, "SYN")
    changed = syn._replace(destination="10.200.0.2", destination_port=8)
    way = seen((MACHINE, "far0", True, syn), (MACHINE, "hand0", False, changed))

    hops = trace(way, [jump, dnat], STATIONS)
    assert ["far0", "PREROUTING", "hand0"] == names(hops)
    assert "DNAT: the destination becomes 10.200.0.2:8" == hops[1].words
    mine = trace(way[1:], [jump._replace(chain="OUTPUT"), dnat], STATIONS)
    assert ["programs", "OUTPUT", "hand0"] == names(mine)


def test_a_proxy_is_two_packets() -> None:
    """The first one ends at a program, and a program sends the second one: their ports differ."""
    mine = Packet("TCP", "127.0.0.1", "127.0.0.1", 40000, 8080, "SYN")
    second = Packet("TCP", "10.200.0.1", "10.200.0.2", 50000, 80, "SYN")
    way = seen((MACHINE, "lo", False, mine), (MACHINE, "lo", True, mine), (MACHINE, "hand0", False, second))

    hops = trace(way, [], STATIONS)

    assert ["programs", "lo", "programs", "programs", "hand0"] == names(hops)
    assert ["a program gets it", "a program sends it"] == [hop.words for hop in hops[2:4]]


def test_what_was_counted_meanwhile_is_the_difference() -> None:
    """Of equal rules each has its own; one that is new has counted from nothing."""
    rule = Rule("filter", "INPUT", "-j ACCEPT", 5, 500)
    after = [rule, rule._replace(packets=7, bytes=700), MASQUERADE]

    assert [rule._replace(packets=2, bytes=200), MASQUERADE] == subtract(after, [rule, rule])
    assert [] == subtract([rule], [rule])


def test_unknown_places_are_left_out() -> None:
    """As an interface that nobody asked for."""
    assert [] == trace(seen((MACHINE, "docker0", True, PING)), [], STATIONS)
    assert PROGRAMS in {station.key for station in STATIONS}
    assert isinstance(STATIONS[0], Station)
