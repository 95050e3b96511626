"""Which interfaces, addresses, routes and rules does a network namespace have?

read_interfaces()                         those of this process, with what the kernel has counted on each
read_interfaces("/proc/123/ns/net")       those of another network namespace, given by its file
read_rules()                              the rules of iptables, with what each has counted

The values come from the programs ip(8) and iptables-save(8), run in the namespace by nsenter(1). /sys/class/net does
not do: it shows the namespace in which /sys was mounted. `ip netns exec` does not do either: it mounts another /sys,
which hides the control groups.
"""

import shlex
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from labkit.errors import LabError
from labkit.linux.network import Interface, Route, Rule, parse_interfaces, parse_routes, parse_rules

__all__ = ["Namespace", "read_interfaces", "read_routes", "read_rules", "run_program", "within"]

PATIENCE_S = 20.0
LOCKED = 4  # exit status of iptables: another program changes the tables; iptables(8)

Namespace = str | int | Path | None  # a file such as /proc/123/ns/net, the number of a process, or this process's own


def within(namespace: Namespace) -> list[str]:
    """The words before a command that have it run in a network namespace: nsenter(1).

    >>> within("/run/netns/hand"), within(123), within(None)
    (['nsenter', '--net=/run/netns/hand'], ['nsenter', '--net=/proc/123/ns/net'], [])
    """
    if namespace is None:
        return []
    file = f"/proc/{namespace}/ns/net" if isinstance(namespace, int) else namespace
    return ["nsenter", f"--net={file}"]


def run_program(argv: Sequence[str]) -> str:
    """Run a program of the network, and give what it prints. Raises LabError, with its words, where it refuses.

    While another program changes iptables' tables, it is tried again, for up to 5 s.
    """
    line = shlex.join(argv)
    for _ in range(50):
        try:
            done = subprocess.run(argv, capture_output=True, text=True, timeout=PATIENCE_S, stdin=subprocess.DEVNULL)
        except FileNotFoundError as error:
            raise LabError(f"`{line}`: there is no program {argv[0]} here.") from error
        except subprocess.TimeoutExpired as error:
            raise LabError(f"`{line}` did not end within {PATIENCE_S:g} s.") from error
        if done.returncode != LOCKED:
            break
        time.sleep(0.1)
    if done.returncode:
        said = [words for words in done.stderr.splitlines() if words.strip() and not words.startswith("#")]
        words = said[0].removeprefix("Error: ") if said else f"exit status {done.returncode}"
        raise LabError(f"`{line}` is refused: {words}")
    return done.stdout


def read_interfaces(namespace: Namespace = None) -> list[Interface]:
    """The interfaces of a network namespace, by their numbers. Raises LabError where there is none such."""
    return parse_interfaces(run_program([*within(namespace), "ip", "-details", "-statistics", "-json", "addr"]))


def read_routes(namespace: Namespace = None) -> list[Route]:
    """The routes of a network namespace (IPv4), in the order in which ip(8) tells them. Raises LabError."""
    return parse_routes(run_program([*within(namespace), "ip", "-json", "route"]))


def read_rules(namespace: Namespace = None) -> list[Rule]:
    """The rules of iptables (IPv4) of a network namespace, table by table. Raises LabError where there is none such.

    The program reads the tables of its own flavour, nf_tables or legacy: the other flavour's rules are not seen.
    """
    return parse_rules(run_program([*within(namespace), "iptables-save", "--counters"]))
