"""Does a network that was built by hand carry packets, and is a port published to those for whom it is meant?"""

import socket
import subprocess
from pathlib import Path

from labkit.api.engine import Engine
from labkit.check.finding import Container, find_container, judge_image, judge_running
from labkit.check.verdict import Verdict
from labkit.errors import LabError
from labkit.isolation.interfaces import read_interfaces, read_routes, within
from labkit.isolation.packet_path import MACHINE, Sighting
from labkit.isolation.packets import Lookout
from labkit.linux.network import Interface, find_peer

__all__ = ["check_attached", "check_published_here"]

GATEWAY = "10.0.2.2"  # slirp4netns, which answers to an echo request
NAMESPACES = Path("/run/netns")
OF_THE_LESSON = {"hand", "colleague"}
PATIENCE_S = 2


def check_attached(namespace: str, bridge: str, address: str) -> Verdict:
    """Does a named network namespace reach other computers, by a veth pair to a port of a bridge, and by NAT?"""
    file = NAMESPACES / namespace
    if not file.exists():
        others = sorted({one.name for one in NAMESPACES.glob("*")} - OF_THE_LESSON)
        words = f"there is a network namespace {others[0]}, but none named {namespace}" if others else ""
        return Verdict(bool(others), words)
    inside, outside = read_interfaces(file), read_interfaces()
    cable = next((one for one in inside if one.kind == "veth"), None)
    if cable is None:
        return Verdict(True, f"in {namespace} there is no end of a veth pair")
    for trouble in (
        _judge_inside(cable, namespace, address),
        _judge_outside(find_peer(cable, outside), outside, namespace, bridge),
        _judge_routes(file, namespace),
        _judge_packets(file, namespace, address),
    ):
        if trouble:
            return Verdict(True, trouble)
    return Verdict(True)


def _judge_inside(cable: Interface, namespace: str, address: str) -> str:
    addresses = [one.partition("/")[0] for one in cable.addresses]
    if address not in addresses:
        has = f"the address {addresses[0]}" if addresses else "no address"
        return f"{cable.name} in {namespace} has {has}, not {address}"
    return "" if cable.is_up else f"{cable.name} in {namespace} is not up"


def _judge_outside(peer: Interface | None, outside: list[Interface], namespace: str, bridge: str) -> str:
    """What is wrong with the other end of the cable, and the bridge; "": nothing."""
    if peer is None:
        return f"the other end of the veth pair of {namespace} is not in this machine's own namespace"
    found = next((one for one in outside if one.name == bridge and one.kind == "bridge"), None)
    if found is None:
        return f"there is no bridge {bridge}"
    if peer.bridge != bridge:
        where = f"a port of {peer.bridge}" if peer.bridge else "no port of a bridge"
        return f"{peer.name}, the other end of the veth pair, is {where}: it is to be one of {bridge}"
    down = [one.name for one in (peer, found) if not one.is_up]
    return f"{down[0]} is not up" if down else "" if found.addresses else f"{bridge} has no address"


def _judge_routes(file: Path, namespace: str) -> str:
    has_default = any(route.to == "default" for route in read_routes(file))
    return "" if has_default else f"{namespace} has no default route, so it knows no way to {GATEWAY}"


def _judge_packets(file: Path, namespace: str, address: str) -> str:
    """Send a real packet, and look where it gets to; "": it came back."""
    try:
        with Lookout({namespace: file}) as lookout:
            answers = _ping(file)
            seen = lookout.take()
    except LabError as error:
        return str(error)
    left = [one for one in seen if _left(one)]
    if answers:
        return ""
    if not left:
        return f"a packet from {namespace} to {GATEWAY} does not leave this machine"
    if left[-1].packet.source == address:
        return f"a packet from {namespace} leaves this machine with the source {address}, to which nobody can answer"
    return f"a packet from {namespace} leaves this machine, but its answer does not come back"


def _left(one: Sighting) -> bool:
    return one.computer == MACHINE and not one.came_in and one.packet.destination == GATEWAY


def _ping(file: Path) -> bool:
    command = [*within(file), "busybox", "ping", "-c", "1", "-W", str(PATIENCE_S), GATEWAY]
    return subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL).returncode == 0


def check_published_here(engine: Engine, name: str, port: int, to_port: int, image: str = "busybox") -> Verdict:
    """Does a port of 127.0.0.1 lead to a container, and no port of this machine's other addresses?

    Raises EngineRefusal where the engine cannot tell.
    """
    container = find_container(engine, name)
    if isinstance(container, Verdict):
        return container
    if trouble := judge_running(container):
        return Verdict(True, f"{name} exists, but {trouble}")
    if trouble := judge_image(engine, container, image):
        return Verdict(True, f"{name} runs, but {trouble}")
    if trouble := _judge_bindings(container, port, to_port):
        return Verdict(True, trouble)
    if not _answers("127.0.0.1", port):
        return Verdict(True, f"nobody answers on 127.0.0.1:{port}: does a program in {name} listen on port {to_port}?")
    return Verdict(True)


def _judge_bindings(container: Container, port: int, to_port: int) -> str:
    """What is wrong with the published ports of a container; "": nothing."""
    name = container["Name"].removeprefix("/")
    ports = container["NetworkSettings"]["Ports"] or {}
    bound = [
        (inner, one["HostIp"], int(one["HostPort"])) for inner, bindings in ports.items() for one in bindings or ()
    ]
    if not bound:
        return f"{name} publishes no port"
    mine = [(ip, outer) for inner, ip, outer in bound if inner == f"{to_port}/tcp"]
    if not mine:
        inner, _, outer = bound[0]
        return f"port {outer} leads to port {inner.partition('/')[0]} of {name}, not to {to_port}"
    open_to_all = [ip for ip, _ in mine if ip != "127.0.0.1"]
    if open_to_all:
        return f"port {mine[0][1]} is open on all addresses of this machine ({open_to_all[0]}), so for everybody"
    outer = mine[0][1]
    return "" if outer == port else f"the port of 127.0.0.1 is {outer}, not {port}"


def _answers(address: str, port: int) -> bool:
    """Does somebody behind the port answer to a request? The proxy alone accepts a connection, and closes it."""
    try:
        with socket.create_connection((address, port), PATIENCE_S) as one:
            one.settimeout(PATIENCE_S)
            one.sendall(b"GET / HTTP/1.0\r\n\r\n")
            return bool(one.recv(1))
    except OSError:
        return False
