"""Which system calls does this process get refused? Prints {name: errno} of those that a container has to go without.

Each call is made so that it does no harm where it is permitted: with arguments that the kernel rejects for another
reason than EPERM, or in a child. Run as root, it shows what a seccomp filter refuses, and not what a user may not do.
"""

import ctypes
import errno
import json
import os
import platform

NEW_USER = 0x10000000  # CLONE_NEWUSER of <linux/sched.h>
CHILD_SIGNAL = 17
CALLS: dict[str, tuple[int, int, tuple[int, ...]]] = {  # name: (number on x86-64, on arm64, arguments)
    "mount": (165, 40, (0, 0, 0, 0, 0)),
    "umount2": (166, 39, (0, 0)),
    "pivot_root": (155, 41, (0, 0)),
    "unshare": (272, 97, (NEW_USER,)),
    "clone": (56, 220, (NEW_USER | CHILD_SIGNAL, 0, 0, 0, 0)),
    "clone3": (435, 435, (0, 0)),
    "setns": (308, 268, (-1, 0)),
    "bpf": (321, 280, (-1, 0, 0)),
    "perf_event_open": (298, 241, (0, 0, 0, 0, 0)),
    "keyctl": (250, 219, (0, 0, 0)),
    "add_key": (248, 217, (0, 0, 0, 0, 0)),
    "request_key": (249, 218, (0, 0, 0, 0)),
    "kexec_load": (246, 104, (0, 1, 0, 0)),
    "init_module": (175, 105, (0, 0, 0)),
    "finit_module": (313, 273, (-1, 0, 0)),
    "delete_module": (176, 106, (0, 0)),
    "reboot": (169, 142, (0, 0, 0, 0)),
    "swapon": (167, 224, (0, 0)),
    "swapoff": (168, 225, (0,)),
    "settimeofday": (164, 170, (0, 1)),
    "userfaultfd": (323, 282, (-1,)),
    "ptrace": (101, 117, (0, 0, 0, 0)),  # PTRACE_TRACEME
}


def answer(number: int, arguments: tuple[int, ...]) -> int:
    """Make a call in a child; give its errno, 0 for success."""
    pid = os.fork()
    if pid == 0:
        libc = ctypes.CDLL(None, use_errno=True)
        result = libc.syscall(ctypes.c_long(number), *map(ctypes.c_long, arguments))
        os._exit(ctypes.get_errno() if result < 0 else 0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


if __name__ == "__main__":
    is_arm = {"x86_64": False, "aarch64": True}[platform.machine()]
    answers = {name: answer(arm if is_arm else x86, given) for name, (x86, arm, given) in CALLS.items()}
    print(json.dumps({name: errno.errorcode[n] for name, n in answers.items() if n in (errno.EPERM, errno.ENOSYS)}))
