"""Which devices may the processes of a control group open, where the group is of version 2?

Version 1 has files for this (devices.allow). In version 2 it is a small program of extended BPF, which the kernel runs
whenever a process of the group opens a device or makes its node. The rules are written as version 1 writes them:
"c 1:3 rwm" is the character device 1, 3 (null), to be read, written, and made by mknod; * stands for any number.
Sources: bpf(2), BPF_PROG_TYPE_CGROUP_DEVICE of <linux/bpf.h>, the kernel's bpf/standardization/instruction-set.rst.
"""

import ctypes
import os
import struct
from collections.abc import Sequence
from functools import cache

__all__ = ["assemble_rules", "attach_rules"]

# struct bpf_insn of <linux/bpf.h>: code, registers (destination in the lower half), offset, constant
INSTRUCTION = struct.Struct("=BBhi")
LOAD_32, MOVE, MOVE_CONSTANT, AND_32, SHIFT_RIGHT_32, JUMP_IF_NOT_EQUAL, EXIT = 0x61, 0xBF, 0xB7, 0x54, 0x74, 0x55, 0x95
KINDS = {"b": 1, "c": 2}  # BPF_DEVCG_DEV_BLOCK, BPF_DEVCG_DEV_CHAR
ACCESSES = {"m": 1, "r": 2, "w": 4}  # BPF_DEVCG_ACC_MKNOD, _READ, _WRITE

_BPF_PROG_LOAD, _BPF_PROG_ATTACH = 5, 8
_BPF_PROG_TYPE_CGROUP_DEVICE, _BPF_CGROUP_DEVICE, _BPF_F_ALLOW_MULTI = 15, 6, 2
_NR_BPF = {"x86_64": 321, "aarch64": 280}
_libc = ctypes.CDLL(None, use_errno=True)

Instruction = tuple[int, int, int, int]


@cache
def assemble_rules(rules: Sequence[str]) -> bytes:
    """Write the program: what one of the rules allows is allowed, and nothing else. Raises ValueError for another line.

    >>> len(assemble_rules(("c 1:3 rwm",))) // INSTRUCTION.size
    13
    """
    program: list[Instruction] = [
        (LOAD_32, 0x12, 0, 0),  # r2 = what is wanted in the upper half, the kind of device in the lower one
        (LOAD_32, 0x13, 4, 0),  # r3 = major number
        (LOAD_32, 0x14, 8, 0),  # r4 = minor number
        (MOVE, 0x25, 0, 0),
        (AND_32, 0x05, 0, 0xFFFF),  # r5 = kind
        (SHIFT_RIGHT_32, 0x02, 0, 16),  # r2 = what is wanted
    ]
    for rule in rules:
        program += _assemble_rule(rule)
    program += [(MOVE_CONSTANT, 0x00, 0, 0), (EXIT, 0, 0, 0)]
    return b"".join(INSTRUCTION.pack(*each) for each in program)


def _assemble_rule(rule: str) -> list[Instruction]:
    kind, numbers, letters = rule.split()
    major, minor = numbers.split(":")
    refused = 7 & ~sum(ACCESSES[letter] for letter in letters)
    tests: list[Instruction] = [(JUMP_IF_NOT_EQUAL, 0x05, 0, KINDS[kind])]
    if refused:
        tests += [(MOVE, 0x21, 0, 0), (AND_32, 0x01, 0, refused), (JUMP_IF_NOT_EQUAL, 0x01, 0, 0)]
    for register, number in ((0x03, major), (0x04, minor)):
        if number != "*":
            tests.append((JUMP_IF_NOT_EQUAL, register, 0, int(number)))
    block = [*tests, (MOVE_CONSTANT, 0x00, 0, 1), (EXIT, 0, 0, 0)]
    # A test that fails jumps behind the block.
    return [
        (code, registers, len(block) - place - 1 if code == JUMP_IF_NOT_EQUAL else offset, constant)
        for place, (code, registers, offset, constant) in enumerate(block)
    ]


def attach_rules(group: int, rules: Sequence[str]) -> None:
    """Give a group, whose directory is open, this filter, beside those of the groups above it. Raises OSError."""
    code = ctypes.create_string_buffer(assemble_rules(rules))
    license_ = ctypes.create_string_buffer(b"MIT")
    count = (len(code) - 1) // INSTRUCTION.size
    load = struct.pack("=IIQQ", _BPF_PROG_TYPE_CGROUP_DEVICE, count, ctypes.addressof(code), ctypes.addressof(license_))
    program = _bpf(_BPF_PROG_LOAD, load)
    try:
        _bpf(_BPF_PROG_ATTACH, struct.pack("=IIII", group, program, _BPF_CGROUP_DEVICE, _BPF_F_ALLOW_MULTI))
    finally:
        os.close(program)  # the group holds it now


def _bpf(command: int, attributes: bytes) -> int:
    result = int(_libc.syscall(_NR_BPF[os.uname().machine], command, attributes, len(attributes)))
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), "the filter of devices (bpf)")
    return result
