"""What does the kernel show of packets, on each interface of several network namespaces?

with Lookout({"hand": "/run/netns/hand"}) as lookout:     one socket in each namespace, and one in this machine's own
    ...
    lookout.take()                                        the packets that passed, where, in which direction
follow({"hand": "/run/netns/hand"}, "nsenter ...")        runs a line, and tells the way that its packets took

A socket of the family AF_PACKET gets a copy of each packet of its namespace: packet(7). It keeps its namespace alive,
so it is open only while somebody looks. A namespace belongs to a thread: setns(2).
"""

import os
import select
import socket
import struct
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Self

from labkit.errors import LabError
from labkit.isolation.interfaces import Namespace, read_interfaces, read_rules
from labkit.isolation.packet_path import (
    MACHINE,
    Computer,
    Hop,
    Sighting,
    Station,
    find_stations,
    parse_packet,
)
from labkit.isolation.packet_trace import trace
from labkit.linux.network import Rule, parse_counts
from labkit.linux.syscalls import CLONE_NEWNET, setns
from labkit.shell import ShellResult, sh

__all__ = ["Journey", "Lookout", "follow", "read_counts", "read_stations", "subtract"]

ETH_P_ALL, ETH_P_IP = 0x0003, 0x0800  # <linux/if_ether.h>; only who asks for all gets what goes out
PACKET_OUTGOING = 4  # <linux/if_packet.h>
SO_TIMESTAMPNS = 35  # <asm-generic/socket.h>: socket(7) has SO_TIMESTAMP, and this one has nanoseconds
LONGEST = 128  # bytes of a packet that are read: the headers
QUIET_S, LONGEST_WAIT_S = 0.15, 1.5
STAMPS_S = 0.05  # until the kernel, which is asked for times, writes them on packets: a task of its own does that


class Lookout:
    """A look at all packets of some network namespaces, by the name of each, and of this machine's own."""

    def __init__(self, namespaces: Mapping[str, Namespace]) -> None:
        self._sockets: dict[socket.socket, str] = {}
        try:
            for name, namespace in {MACHINE: None, **namespaces}.items():
                self._sockets[_open_socket(namespace)] = name
        except BaseException:
            self.close()
            raise
        time.sleep(STAMPS_S)

    def take(self) -> list[Sighting]:
        """What has passed since the last look, once nothing has passed for 0.15 s, or after 1.5 s."""
        found = []
        deadline = time.monotonic() + LONGEST_WAIT_S
        while time.monotonic() < deadline:
            ready, _, _ = select.select(list(self._sockets), [], [], QUIET_S)
            if not ready:
                break
            for one in ready:
                found += self._read(one)
        return found

    def _read(self, one: socket.socket) -> list[Sighting]:
        data, more, _, (interface, protocol, kind, *_) = one.recvmsg(LONGEST, 64)
        packet = parse_packet(data) if protocol == ETH_P_IP else None
        if packet is None:
            return []
        at_ns = next(
            (s * 10**9 + ns for _, sort, stamp in more if sort == SO_TIMESTAMPNS for s, ns in [_unpack(stamp)]), 0
        )
        return [Sighting(at_ns, self._sockets[one], interface, kind != PACKET_OUTGOING, packet)]

    def close(self) -> None:
        """Look no more; more than once does no harm."""
        for one in self._sockets:
            one.close()
        self._sockets.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _unpack(stamp: bytes) -> tuple[int, int]:
    seconds, nanoseconds = struct.unpack("@qq", stamp[:16])
    return seconds, nanoseconds


def _open_socket(namespace: Namespace) -> socket.socket:
    """A packet socket in a network namespace, made by a thread that goes there, and ends."""
    made: list[socket.socket | OSError] = []

    def make() -> None:
        try:
            if namespace is not None:
                file = f"/proc/{namespace}/ns/net" if isinstance(namespace, int) else namespace
                descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
                try:
                    setns(descriptor, CLONE_NEWNET)
                finally:
                    os.close(descriptor)
            one = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_ALL))
            one.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
            made.append(one)
        except OSError as error:
            made.append(error)

    thread = threading.Thread(target=make, name="packet socket")
    thread.start()
    thread.join()
    if isinstance(made[0], OSError):
        raise LabError(f"The packets of {namespace or 'this machine'} cannot be seen: {made[0]}") from made[0]
    return made[0]


class Journey(NamedTuple):
    """What a line has sent: the places, the hops, the rules that have counted, and what the line printed."""

    stations: list[Station]
    hops: list[Hop]
    gained: list[Rule]
    said: ShellResult


def read_stations(namespaces: Mapping[str, Namespace]) -> list[Station]:
    """The places between some network namespaces, with what has been counted there. Raises LabError."""
    machine = Computer(MACHINE, tuple(read_interfaces()))
    others = [Computer(name, tuple(read_interfaces(namespace))) for name, namespace in namespaces.items()]
    return find_stations(machine, others)


def read_counts(stations: Sequence[Station]) -> dict[str, int]:
    """How many packets the kernel has counted at each interface by now, by the key of its station.

    One file is read, and no program is run. In another namespace an end of a cable has the count of its other end.
    """
    counts = {
        f"{MACHINE}/{name}": count for name, count in parse_counts(Path("/proc/self/net/dev").read_text()).items()
    }
    found = {station.key: counts.get(station.peer if station.kind == "eth" else station.key) for station in stations}
    return {key: count for key, count in found.items() if count is not None}


def follow(namespaces: Mapping[str, Namespace], line: str) -> Journey:
    """Run a line of a shell, which sends something, and tell by which way it went, and its answer.

    Raises LabError where a namespace is gone, ShellStopped where the line does not end within 10 s.
    """
    before = read_rules()
    with Lookout(namespaces) as lookout:
        said = sh(line, timeout_s=10)
        sightings = lookout.take()
    gained = subtract(read_rules(), before)
    stations = read_stations(namespaces)
    return Journey(stations, trace(sightings, gained, stations), gained, said)


def subtract(after: Sequence[Rule], before: Sequence[Rule]) -> list[Rule]:
    """The rules that have counted since, with what they have counted since; of equal rules the first is the first."""
    known: dict[tuple[str, str, str], list[Rule]] = {}
    for rule in before:
        known.setdefault(rule[:3], []).append(rule)
    gained = []
    for rule in after:
        old = known.get(rule[:3])
        was = old.pop(0) if old else rule._replace(packets=0, bytes=0)
        if rule.packets > was.packets:
            gained.append(rule._replace(packets=rule.packets - was.packets, bytes=rule.bytes - was.bytes))
    return gained
