"""Which system calls may a container make, and how is the kernel told?

A filter is a small program of classic BPF, which the kernel runs at each system call. It sees the number of the call,
the processor's architecture and the arguments as numbers, and answers: allow, or refuse with an errno.
Docker's default profile lists what is allowed. This table lists what is not, which is shorter and says why.

    >>> len(assemble(DOCKER, "x86_64")) // INSTRUCTION.size
    128

Sources: seccomp(2), Documentation/userspace-api/seccomp_filter.rst of the kernel, moby's profiles/seccomp/default.json.
"""

import errno
import os
import struct
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

__all__ = ["DOCKER", "INSTRUCTION", "NUMBERS", "Rule", "assemble", "disassemble"]

# struct sock_filter of <linux/filter.h>: code, jump if true, jump if false, and a constant
INSTRUCTION = struct.Struct("=HBBI")
LOAD, JUMP_IF_EQUAL, JUMP_IF_GREATER, JUMP_IF_ANY_BIT, RETURN = 0x20, 0x15, 0x25, 0x45, 0x06
SECCOMP_RET_ALLOW, SECCOMP_RET_ERRNO, SECCOMP_RET_KILL_PROCESS = 0x7FFF0000, 0x00050000, 0x80000000
# struct seccomp_data of <linux/seccomp.h>: where its fields lie
NR, ARCH, ARGUMENTS = 0, 4, 16

MACHINES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}  # AUDIT_ARCH_... of <linux/audit.h>
X32 = 0x40000000  # in the number of a call: x86_64 with pointers of 32 bits
HIGHEST = 462  # mseal of Linux 6.10: later calls are not known here, and are refused as a kernel without them would
NEW_NAMESPACES = 0x7E020000  # CLONE_NEW... of <linux/sched.h>


class Rule(NamedTuple):
    """A refused call, and why. Where `any_bit` is not 0, only if one of these bits is set in the first argument."""

    call: str
    why: str
    any_bit: int = 0
    error: int = errno.EPERM


_MOUNTS = "mounting is for who sets the container up"
_MODULES = "the kernel's code belongs to all containers"
_CLOCK = "there is one clock"
_KEYS = "keyrings belong to no namespace"
_MEMORY = "memory nodes are the administrator's"
_SPACES = "new namespaces open parts of the kernel that are otherwise root's"
_RING = "its work is done where no filter sees it"

DOCKER: tuple[Rule, ...] = (
    *(Rule(call, _MOUNTS) for call in ("mount", "umount2", "pivot_root", "open_tree", "move_mount", "mount_setattr")),
    *(Rule(call, _MOUNTS) for call in ("fsopen", "fsconfig", "fsmount", "fspick")),
    Rule("unshare", _SPACES),
    Rule("setns", "it leads into other containers"),
    Rule("clone", _SPACES, NEW_NAMESPACES),
    Rule("clone3", "its flags lie in memory, where no filter sees them: libc takes clone instead", 0, errno.ENOSYS),
    *(Rule(call, _MODULES) for call in ("init_module", "finit_module", "delete_module", "create_module")),
    *(Rule(call, _MODULES) for call in ("query_module", "get_kernel_syms")),
    *(Rule(call, "another kernel would be started") for call in ("kexec_load", "kexec_file_load", "reboot")),
    *(Rule(call, _CLOCK) for call in ("settimeofday", "clock_settime")),
    *(Rule(call, _KEYS) for call in ("add_key", "request_key", "keyctl")),
    *(Rule(call, _MEMORY) for call in ("mbind", "set_mempolicy", "get_mempolicy", "move_pages")),
    *(Rule(call, "names are set by who sets the container up") for call in ("sethostname", "setdomainname")),
    Rule("open_by_handle_at", "it opens files by number, also outside the root directory"),
    Rule("bpf", "programs in the kernel see all containers"),
    Rule("perf_event_open", "it measures, and so sees, other programs"),
    Rule("userfaultfd", "it holds the kernel up at a chosen moment, which exploits need"),
    Rule("fanotify_init", "it watches all files"),
    Rule("lookup_dcookie", "it tells of files of others"),
    Rule("kcmp", "it compares processes"),
    *(Rule(call, _RING) for call in ("io_uring_setup", "io_uring_enter", "io_uring_register")),
    *(Rule(call, "ports of the hardware") for call in ("iopl", "ioperm")),
    *(Rule(call, "swap space is the host's") for call in ("swapon", "swapoff")),
    *(Rule(call, "disk quotas are the host's") for call in ("quotactl", "quotactl_fd")),
    Rule("acct", "the host's accounts of processes"),
    Rule("syslog", "the kernel's messages tell of the host"),
    Rule("vhangup", "it ends the sessions of a terminal"),
    *(Rule(call, "old, and long without use") for call in ("uselib", "ustat", "sysfs", "_sysctl", "nfsservctl")),
)

# <asm/unistd.h>: the number on x86_64 and on aarch64; None where there is no such call
NUMBERS: dict[str, tuple[int | None, int | None]] = {
    "_sysctl": (156, None),
    "acct": (163, 89),
    "add_key": (248, 217),
    "bpf": (321, 280),
    "chmod": (90, None),
    "clock_settime": (227, 112),
    "clone": (56, 220),
    "clone3": (435, 435),
    "create_module": (174, None),
    "delete_module": (176, 106),
    "fanotify_init": (300, 262),
    "fchmodat": (268, 53),
    "finit_module": (313, 273),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fsopen": (430, 430),
    "fspick": (433, 433),
    "get_kernel_syms": (177, None),
    "get_mempolicy": (239, 236),
    "getcwd": (79, 17),
    "init_module": (175, 105),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "io_uring_setup": (425, 425),
    "ioperm": (173, None),
    "iopl": (172, None),
    "kcmp": (312, 272),
    "kexec_file_load": (320, 294),
    "kexec_load": (246, 104),
    "keyctl": (250, 219),
    "lookup_dcookie": (212, 18),
    "mbind": (237, 235),
    "mkdir": (83, None),
    "mkdirat": (258, 34),
    "mknod": (133, None),
    "mknodat": (259, 33),
    "mount": (165, 40),
    "mount_setattr": (442, 442),
    "move_mount": (429, 429),
    "move_pages": (279, 239),
    "nfsservctl": (180, 42),
    "open_by_handle_at": (304, 265),
    "open_tree": (428, 428),
    "perf_event_open": (298, 241),
    "pivot_root": (155, 41),
    "ptrace": (101, 117),
    "query_module": (178, None),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    "reboot": (169, 142),
    "request_key": (249, 218),
    "set_mempolicy": (238, 237),
    "setdomainname": (171, 162),
    "sethostname": (170, 161),
    "setns": (308, 268),
    "settimeofday": (164, 170),
    "swapoff": (168, 225),
    "swapon": (167, 224),
    "symlink": (88, None),
    "symlinkat": (266, 36),
    "sysfs": (139, None),
    "syslog": (103, 116),
    "umount2": (166, 39),
    "unshare": (272, 97),
    "uselib": (134, None),
    "userfaultfd": (323, 282),
    "ustat": (136, None),
    "vhangup": (153, 58),
}


@cache
def assemble(rules: Sequence[Rule], machine: str = os.uname().machine) -> bytes:
    """Write the filter's program: all calls are allowed but those of the rules, in their order.

    Raises ValueError for a call that is not in NUMBERS, and for a machine whose numbers are not known.
    """
    if machine not in MACHINES:
        raise ValueError(f"the numbers of the system calls of {machine} are not known here: {', '.join(MACHINES)} are")
    unknown = sorted({rule.call for rule in rules} - NUMBERS.keys())
    if unknown:
        raise ValueError(f"these calls are not in the table of seccomp filters: {', '.join(unknown)}")
    program = [
        (LOAD, 0, 0, ARCH),
        (JUMP_IF_EQUAL, 1, 0, MACHINES[machine]),
        # Programs of another architecture, as 32 bits on x86_64, have other numbers for the same calls.
        (RETURN, 0, 0, SECCOMP_RET_KILL_PROCESS),
        (LOAD, 0, 0, NR),
    ]
    if machine == "x86_64":
        program += [(JUMP_IF_ANY_BIT, 0, 1, X32), _refuse(errno.ENOSYS)]
    program += [(JUMP_IF_GREATER, 0, 1, HIGHEST), _refuse(errno.ENOSYS)]
    for rule in rules:
        number = NUMBERS[rule.call][list(MACHINES).index(machine)]
        if number is not None:
            program += _refusal(rule, number)
    program.append((RETURN, 0, 0, SECCOMP_RET_ALLOW))
    return b"".join(INSTRUCTION.pack(*each) for each in program)


def _refusal(rule: Rule, number: int) -> list[tuple[int, int, int, int]]:
    """The instructions of one rule: they leave the number of the call loaded for those that follow."""
    if not rule.any_bit:
        return [(JUMP_IF_EQUAL, 0, 1, number), _refuse(rule.error)]
    return [
        (JUMP_IF_EQUAL, 0, 4, number),
        (LOAD, 0, 0, ARGUMENTS),  # the lower half of the first argument: both machines are little-endian
        (JUMP_IF_ANY_BIT, 0, 1, rule.any_bit),
        _refuse(rule.error),
        (LOAD, 0, 0, NR),
    ]


def _refuse(error: int) -> tuple[int, int, int, int]:
    return RETURN, 0, 0, SECCOMP_RET_ERRNO | error


def disassemble(program: bytes) -> list[str]:
    """Show a program, one instruction a line.

    >>> disassemble(assemble((Rule("mount", "only an example"),), "aarch64"))[-3:]
    ['6: if A == 40 go on, else 8', '7: refuse with EPERM', '8: allow']
    """
    return [f"{line}: {_words(line, *each)}" for line, each in enumerate(INSTRUCTION.iter_unpack(program))]


def _words(line: int, code: int, if_true: int, if_false: int, constant: int) -> str:
    if code == LOAD:
        return {NR: "A = number of the call", ARCH: "A = architecture"}.get(constant, "A = first argument")
    if code == RETURN:
        return _answer(constant)
    test = {JUMP_IF_EQUAL: "A == {}", JUMP_IF_GREATER: "A > {}", JUMP_IF_ANY_BIT: "A has a bit of {:#x}"}[code]
    places = [f"{line + 1 + jump}" if jump else "go on" for jump in (if_true, if_false)]
    return f"if {test.format(constant)} {places[0]}, else {places[1]}"


def _answer(constant: int) -> str:
    if constant & SECCOMP_RET_ERRNO == SECCOMP_RET_ERRNO and constant < SECCOMP_RET_ALLOW:
        return f"refuse with {errno.errorcode[constant & 0xFFFF]}"
    return "allow" if constant == SECCOMP_RET_ALLOW else "kill the process"
