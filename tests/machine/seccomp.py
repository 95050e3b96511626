"""How is a command put under a seccomp filter? `python seccomp.py PROFILE CMD ...` loads it, and becomes CMD.

A profile has the form that Docker and the OCI runtime specification use ("linux.seccomp"), so the one that an
engine really applies can be taken from the configuration of one of its containers.
Source: seccomp_init(3), seccomp_rule_add(3) of libseccomp, which Debian's runc depends on.
"""

import ctypes
import errno
import json
import os
import sys
from typing import Any

__all__ = ["Profile", "refuse"]

Profile = dict[str, Any]

ALLOW, ERRNO = 0x7FFF0000, 0x00050000  # <seccomp.h>
OPERATORS = ("NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ")
COMPARISONS = {f"SCMP_CMP_{name}": number for number, name in enumerate(OPERATORS, start=1)}  # enum scmp_compare
UNKNOWN = -1  # no such system call on this processor


class Comparison(ctypes.Structure):
    """struct scmp_arg_cmp: argument number, operator, and its one or two operands."""

    _fields_ = [("arg", ctypes.c_uint), ("op", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64)]


def refuse(*names: str) -> Profile:
    """A profile that answers these system calls with EPERM and permits all others."""
    rule = {"names": names, "action": "SCMP_ACT_ERRNO"}
    return {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule]}


def load(profile: Profile) -> None:
    """Put this process, and all that come of it, under a profile for good."""
    lib = ctypes.CDLL("libseccomp.so.2")
    lib.seccomp_init.restype = ctypes.c_void_p
    default = action(profile["defaultAction"], profile.get("defaultErrnoRet"))
    context = ctypes.c_void_p(lib.seccomp_init(default))
    for rule in profile["syscalls"]:
        verdict = action(rule["action"], rule.get("errnoRet"))
        conditions = [comparison(argument) for argument in rule.get("args") or ()]
        array = (Comparison * len(conditions))(*conditions)
        for name in rule["names"]:
            number = lib.seccomp_syscall_resolve_name(name.encode())
            if number != UNKNOWN and verdict != default:
                check(lib.seccomp_rule_add_array(context, verdict, number, len(conditions), array), name)
    check(lib.seccomp_load(context), "seccomp_load")


def action(name: str, number: int | None) -> int:
    return ALLOW if name == "SCMP_ACT_ALLOW" else ERRNO | (number or errno.EPERM)


def comparison(argument: dict[str, Any]) -> Comparison:
    first, second = argument["value"], argument.get("valueTwo", 0)
    return Comparison(argument["index"], COMPARISONS[argument["op"]], first, second)


def check(result: int, what: str) -> None:
    if result != 0:
        raise OSError(-result, os.strerror(-result), what)


if __name__ == "__main__":
    load(json.loads(sys.argv[1]))
    os.execvp(sys.argv[2], sys.argv[2:])
