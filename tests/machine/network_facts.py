"""Does a kernel do what `labkit.isolation.network` is for? Run in a machine; prints "NAME<tab>trouble" for each fact.

Each function is a fact that the packet path view and lesson 12 stand on: it asserts. No trouble is an empty one.
"""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

from labkit.errors import LabError
from labkit.isolation.interfaces import read_interfaces, read_routes, read_rules, run_program, within
from labkit.isolation.network import HAND, Wiring, attach, make_bridge, publish
from labkit.isolation.packets import follow, read_counts
from labkit.linux.network import find_peer
from labkit.shell import sh
from tests.machine.facts import main, named

__all__ = ["FACTS", "main"]

ADDRESS = "10.200.0.2"


@contextmanager
def a_box(*command: str) -> Iterator[int]:
    """A process in a network namespace of its own: its number."""
    process = subprocess.Popen(["unshare", "--net", *(command or ("sleep", "100"))])
    try:
        deadline = time.monotonic() + 10
        while len(sh(f"readlink /proc/{process.pid}/ns/net /proc/self/ns/net | uniq").out.split()) < 2:
            assert time.monotonic() < deadline, "it has no namespace of its own"
        yield process.pid
    finally:
        process.kill()
        process.wait()


def state() -> list[str]:
    """All that a wiring may leave."""
    rules = [f"{rule.table} {rule.chain} {rule.words}" for rule in read_rules()]
    return [one.name for one in read_interfaces()] + [line for line in rules if "hand0" in line or "8081" in line]


def packets_go_out_and_come_in() -> None:
    """Out through the bridge and NAT, in through a published port; the rules and interfaces have counted them."""
    before = state()
    with Wiring() as wiring, a_box() as box:
        make_bridge(wiring)
        outside = attach(wiring, box, HAND, ADDRESS)
        publish(wiring, 8081, ADDRESS, 80)
        run_program([*within(box), "busybox", "ping", "-c", "1", "-W", "2", "10.0.2.2"])
        here, there = read_interfaces(), read_interfaces(box)
        end = next(one for one in here if one.name == outside)
        peer = find_peer(end, there)
        assert peer is not None and (peer.name, peer.addresses) == ("eth0", (f"{ADDRESS}/24",)), there
        assert end.bridge == "hand0" and end.counters.rx_packets and end.counters.tx_packets, end
        assert [("default", HAND.gateway)] == [(one.to, one.via) for one in read_routes(box) if one.via]
        counted = [rule for rule in read_rules() if rule.target == "MASQUERADE" and HAND.subnet in rule.words]
        assert [1] == [rule.packets for rule in counted], counted
        web = subprocess.Popen([*within(box), "busybox", "httpd", "-f", "-p", "80", "-h", "/etc"])
        try:
            said = sh("curl --retry 20 --retry-connrefused --retry-delay 1 -s http://10.0.2.100:8081/hostname")
            assert said.out == "lab\n", said
            assert sh("curl -s http://127.0.0.1:8081/hostname").status != 0, "a NAT rule alone serves 127.0.0.1"
        finally:
            web.kill()
            web.wait()
    assert before == state(), "something is left"


def a_packet_is_followed() -> None:
    """Out of a network that was built by hand, back, and to where a policy drops it; the lookouts hold nothing."""
    out = "nsenter --net=/run/netns/box busybox ping -c 1 -W 2 10.0.2.2"
    with Wiring() as wiring:
        wiring.do("ip netns add box")
        make_bridge(wiring)
        attach(wiring, "/run/netns/box", HAND, ADDRESS)
        run_program([*within("/run/netns/box"), "busybox", "ping", "-c", "3", "-W", "5", "10.0.2.2"])  # all ends are up
        journey = follow({"box": "/run/netns/box"}, out)
        labels = {station.key: station.label for station in journey.stations}
        seen = [(labels[hop.station], hop.is_answer) for hop in journey.hops]
        way = ["eth0 of box", "veth of box", "hand0", "FORWARD", "POSTROUTING", "the card"]
        back = ["the card", "FORWARD", "hand0", "veth of box", "eth0 of box"]
        assert seen == [(name, False) for name in way] + [(name, True) for name in back], seen
        before = sum(counts_of("/run/netns/box", "eth0"))  # others send, too: the kernel looks for neighbours
        count = read_counts(journey.stations)["box/eth0"]
        after = sum(counts_of("/run/netns/box", "eth0"))
        assert 8 <= before <= count <= after, (before, count, after)
        wiring.undo("iptables -I FORWARD -i hand0 -j ACCEPT")
        wiring.do("iptables -P FORWARD DROP")
        dropped = follow({"box": "/run/netns/box"}, out).hops
        assert [hop.is_end for hop in dropped] == [False] * 3 + [True], dropped
    assert "box" not in sh("ip netns").out, "the namespace is left"


def counts_of(namespace: str, name: str) -> tuple[int, int]:
    """What ip(8) says of an interface: packets that came and went."""
    counters = next(one.counters for one in read_interfaces(namespace) if one.name == name)
    return counters.rx_packets, counters.tx_packets


def nothing_is_left_of_what_was_refused() -> None:
    """A bridge whose name is taken, a bridge that is none, an address that the kernel does not take."""
    before = state()
    with Wiring() as wiring, a_box() as box:
        make_bridge(wiring)
        with refused("File exists"):
            make_bridge(Wiring())
        with refused("hand1"):
            attach(wiring, box, HAND._replace(bridge="hand1"), ADDRESS)
        attach(wiring, box, HAND, ADDRESS)
        with refused("File exists"):  # eth0 is there already
            attach(wiring, box, HAND, "10.200.0.3")
    assert before == state(), "something is left"


def what_has_gone_needs_no_undoing() -> None:
    """A pair goes with the last process of its namespace, and a bridge may have been deleted by hand."""
    before = state()
    wiring = Wiring()
    with a_box() as box:
        make_bridge(wiring)
        outside = attach(wiring, box, HAND, ADDRESS)
    deadline = time.monotonic() + 10
    while outside in state():
        assert time.monotonic() < deadline, "the pair has outlived its namespace"
        time.sleep(0.05)
    sh("ip link del hand0")
    wiring.close()
    assert before == state(), "something is left"


def a_policy_comes_back() -> None:
    """And its table is read as it is."""
    with Wiring() as wiring:
        wiring.do("iptables -P INPUT DROP")
        assert ["DROP"] == [one.target for one in read_rules() if one.chain == "INPUT" and one.table == "filter"]
    assert ["ACCEPT"] == [one.target for one in read_rules() if one.chain == "INPUT" and one.table == "filter"]


@contextmanager
def refused(words: str) -> Iterator[None]:
    try:
        yield
    except LabError as error:
        assert words in str(error), error
    else:
        raise AssertionError(f"it was not refused ({words})")


FACTS = named(
    packets_go_out_and_come_in,
    a_packet_is_followed,
    nothing_is_left_of_what_was_refused,
    what_has_gone_needs_no_undoing,
    a_policy_comes_back,
)

if __name__ == "__main__":
    main(FACTS)
