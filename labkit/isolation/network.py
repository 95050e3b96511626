"""How does a container get a network: veth, bridge, addresses, routes, NAT, a published port?

wiring = Wiring()                                 what is made, line by line, and how each line is undone
wiring.do("ip link add hand0 type bridge")        runs the line, and registers `ip link del hand0`
make_bridge(wiring, HAND)                         a bridge with an address, and the way out for its network
attach(wiring, pid, HAND, "10.200.0.2")           a veth pair from a network namespace to the bridge
publish(wiring, 8080, "10.200.0.2", 80)           a port of this machine that leads to one of a container
wiring.close()                                    undoes all lines, the newest first

Each line is one that may be typed into a shell: ip(8), ip-link(8), ip-netns(8), bridge(8), iptables(8), veth(4).
"""

import ipaddress
import re
import secrets
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, Self

from labkit.errors import LabError
from labkit.isolation.interfaces import Namespace, read_rules, run_program, within
from labkit.isolation.inverse import find_inverse
from labkit.linux.proc import read_stat

__all__ = ["HAND", "Network", "Wiring", "attach", "make_bridge", "publish", "remove_named"]

LONGEST_NAME = 15  # characters of an interface's name: IFNAMSIZ of <linux/if.h>, with a zero at its end
# What the programs say of a thing that has gone already, with its namespace or by somebody else's hand.
GONE = re.compile(
    r"Cannot find device|No such|does not exist|does a matching rule exist|Cannot assign requested address"
    r"|Cannot open network namespace|by that name|couldn't load|No chain"
)


class Network(NamedTuple):
    """A network of containers: the name of its bridge, and the bridge's own address with the length of the prefix."""

    bridge: str
    address: str

    @property
    def subnet(self) -> str:
        """The addresses of the network, as 10.200.0.0/24."""
        return str(ipaddress.IPv4Interface(self.address).network)

    @property
    def gateway(self) -> str:
        """The bridge's address, to which containers send what is for other networks."""
        return str(ipaddress.IPv4Interface(self.address).ip)


HAND = Network("hand0", "10.200.0.1/24")


class Wiring:
    """What is made of a network, line by line; each line is registered for undoing in the act that runs it."""

    def __init__(self) -> None:
        self._done: dict[str, str] = {}  # in the order of doing: the line, and the line that undoes it

    @property
    def lines(self) -> list[str]:
        """The lines that are done, in their order."""
        return list(self._done)

    def do(self, line: str, undo: str | None = None) -> str:
        """Run a line, and give what it prints; a line that is done already is not run again.

        `undo` is the line that undoes it, "" where there is nothing to undo; None: it is found by `find_inverse`.
        Raises LabError when the program refuses, ValueError where nobody knows how to undo the line.
        """
        if line in self._done:
            return ""
        inverse = find_inverse(line) if undo is None else undo
        if inverse is None:
            raise ValueError(f"how is `{line}` undone? Say it: do(line, undo='...'), or undo='' for nothing")
        said = run_program(shlex.split(line))
        self._done[line] = inverse
        return said

    def undo(self, line: str) -> None:
        """Undo one line that was done. Raises LabError where it was not, or where the program refuses."""
        if line not in self._done:
            raise LabError(f"`{line}` is not done: there is nothing to undo.")
        self._run_inverse(self._done.pop(line))

    def close(self) -> None:
        """Undo all lines, the newest first; more than once does no harm. What has gone already is no error.

        Raises LabError at the end, where something could not be undone: it says what.
        """
        problems = []
        while self._done:
            _, inverse = self._done.popitem()
            try:
                self._run_inverse(inverse)
            except LabError as error:
                problems.append(str(error))
        if problems:
            raise LabError(" ".join(problems))

    stop = close  # a lesson keeps it as it keeps a view

    @contextmanager
    def together(self) -> Iterator[None]:
        """Have the lines of a block done all together, or none of them: where one is refused, the others are undone."""
        before = len(self._done)
        try:
            yield
        except BaseException:
            for line in reversed(self.lines[before:]):
                self._run_inverse(self._done.pop(line))
            raise

    def _run_inverse(self, inverse: str) -> None:
        if inverse:
            _tolerate(inverse)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def make_bridge(wiring: Wiring, network: Network = HAND) -> None:
    """Make a bridge with its address, and let what comes from its network out by this machine's address (NAT).

    Raises LabError where the kernel refuses, as for a name that is taken.
    """
    bridge, subnet = network.bridge, network.subnet
    with wiring.together():
        wiring.do(f"ip link add {bridge} type bridge")
        wiring.do(f"ip addr add {network.address} dev {bridge}")
        wiring.do(f"ip link set {bridge} up")
        wiring.do(f"iptables -t nat -A POSTROUTING -s {subnet} ! -o {bridge} -j MASQUERADE")
        # In front of the engine's rules: its policy may be to drop what is not its own.
        wiring.do(f"iptables -I FORWARD -i {bridge} -j ACCEPT")
        wiring.do(f"iptables -I FORWARD -o {bridge} -j ACCEPT")


def attach(
    wiring: Wiring, namespace: Namespace, network: Network, address: str, *, name: str = "eth0", outside: str = ""
) -> str:
    """Give a network namespace an interface with this address, whose other end is a port of the network's bridge.

    `namespace` is the number of a process in it, or its file. `outside` is the name of the end at the bridge; where it
    is left out, one is chosen. Returns that name. Raises LabError where the kernel refuses, ValueError for an address
    that is none of the network's.
    """
    subnet = ipaddress.IPv4Network(network.subnet)
    if ipaddress.IPv4Address(address) not in subnet:
        raise ValueError(f"{address} is no address of the network {subnet}")
    outside = outside or f"veth{secrets.token_hex(4)}"
    if len(outside) > LONGEST_NAME:
        raise ValueError(f"{outside!r} has more than {LONGEST_NAME} characters: no name of an interface")
    if isinstance(namespace, int) and read_stat(namespace) is None:
        raise LabError(f"There is no process {namespace}: a network namespace lasts as long as a process is in it.")
    file = f"/proc/{namespace}/ns/net" if isinstance(namespace, int) else Path(str(namespace))
    inside = shlex.join(within(namespace))
    with wiring.together():
        wiring.do(f"ip link add {outside} type veth peer name {name} netns {file}")
        wiring.do(f"ip link set {outside} master {network.bridge} up")
        # The interface goes with its end at the bridge, and its address and its route go with the interface.
        wiring.do(f"{inside} ip addr add {address}/{subnet.prefixlen} dev {name}", undo="")
        wiring.do(f"{inside} ip link set {name} up", undo="")
        wiring.do(f"{inside} ip link set lo up", undo="")
        wiring.do(f"{inside} ip route add default via {network.gateway}", undo="")
    return outside


def publish(wiring: Wiring, port: int, address: str, to_port: int) -> None:
    """Have what comes to a TCP port of this machine's addresses go to a port of a container (NAT).

    It holds for packets from elsewhere, and for this machine's own to its own addresses, but not to 127.0.0.1.
    Raises LabError where the kernel refuses.
    """
    rule = f"! -d 127.0.0.0/8 -p tcp -m addrtype --dst-type LOCAL -m tcp --dport {port}"
    with wiring.together():
        for chain in ("PREROUTING", "OUTPUT"):
            wiring.do(f"iptables -t nat -A {chain} {rule} -j DNAT --to-destination {address}:{to_port}")


def remove_named(*names: str) -> None:
    """Remove what somebody has made by hand: namespaces and interfaces of these names, and rules with such a word.

    What is not there is no error. Raises LabError where the kernel refuses.
    """
    for name in names:
        for line in (f"ip netns del {name}", f"ip link del {name}"):
            if "/" not in name:  # an address is in rules only
                _tolerate(line)
    for rule in read_rules():
        if set(names) & set(rule.words.split()):
            run_program(["iptables", "-t", rule.table, "-D", rule.chain, *shlex.split(rule.words)])


def _tolerate(line: str) -> None:
    """Run a line that undoes something; that it has gone already is no error."""
    try:
        run_program(shlex.split(line))
    except LabError as error:
        if not GONE.search(str(error)):
            raise
