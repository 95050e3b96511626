"""Which line undoes a line of ip or iptables?"""

import shlex
from collections.abc import Sequence

from labkit.isolation.interfaces import read_rules

__all__ = ["find_inverse"]


def find_inverse(line: str) -> str | None:
    """The line that undoes a line of ip(8) or iptables(8); "" where there is nothing to undo, None: nobody knows it.

    A policy (`iptables -P`) is undone to what it is now. Settings of an interface go with the interface.

    >>> find_inverse("ip link add hand0 type bridge"), find_inverse("iptables -t nat -I POSTROUTING 1 -j ACCEPT")
    ('ip link del hand0', 'iptables -t nat -D POSTROUTING -j ACCEPT')
    """
    words = shlex.split(line)
    program = words.index("nsenter") + 2 if "nsenter" in words[:1] else 0
    before, rest = words[:program], words[program:]
    if rest[:1] == ["iptables"]:
        return _inverse_of_rule(before, rest)
    if rest[:1] == ["ip"]:
        return _inverse_of_ip(before, rest)
    return None


def _inverse_of_ip(before: Sequence[str], words: Sequence[str]) -> str | None:
    place = 3 if words[1:2] in (["-n"], ["-netns"]) else 1
    begin, rest = [*before, *words[:place]], words[place:]
    match list(rest[:2]):
        case ["link", "add"]:
            name = rest[3] if rest[2] in ("name", "dev") else rest[2]
            return shlex.join([*begin, "link", "del", name])
        case ["netns", "add"]:
            return shlex.join([*begin, "netns", "del", rest[2]])
        case [("addr" | "address" | "route" | "rule") as what, "add"]:
            return shlex.join([*begin, what, "del", *rest[2:]])
        case ["link", "set"] if "down" not in rest:
            return ""
    return None


def _inverse_of_rule(before: Sequence[str], words: Sequence[str]) -> str | None:
    for place, word in enumerate(words[:-1]):
        chain, rest = words[place + 1], list(words[place + 2 :])
        begin = [*before, *words[:place]]
        if word in ("-A", "--append"):
            return shlex.join([*begin, "-D", chain, *rest])
        if word in ("-I", "--insert"):
            return shlex.join([*begin, "-D", chain, *(rest[1:] if rest[:1] and rest[0].isdigit() else rest)])
        if word in ("-N", "--new-chain"):
            return shlex.join([*begin, "-X", chain])
        if word in ("-P", "--policy"):
            table = words[words.index("-t") + 1] if "-t" in words else "filter"
            policy = _find_policy(table, chain, before)
            return shlex.join([*begin, "-P", chain, policy])
    return None


def _find_policy(table: str, chain: str, before: Sequence[str]) -> str:
    """What the policy of a chain is now: ACCEPT where iptables-save does not list the table, which is not in use."""
    file = before[1].removeprefix("--net=") if before else None
    policies = [rule for rule in read_rules(file) if rule.words.startswith("policy ")]
    return next((rule.target for rule in policies if (rule.table, rule.chain) == (table, chain)), "ACCEPT")
