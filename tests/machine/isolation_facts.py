"""What does a machine's kernel do with namespaces? Run in a machine; prints a line "NAME<tab>trouble" for each fact.

Each function is a fact that the isolation wing and lesson 09 stand on: it asserts. No trouble is an empty one.
"""

import errno
import os
import threading
from collections.abc import Callable

from labkit.isolation.helper import Source, run_source
from labkit.isolation.namespaces import KINDS, join, read_process
from labkit.isolation.running import Outcome
from labkit.linux import syscalls
from labkit.shell import sh
from tests.machine.facts import main, named

__all__ = ["FACTS", "main"]

HAS_TIME = os.path.exists("/proc/self/ns/time")

CALLS = "import os\nfrom labkit.linux.syscalls import *\nfrom labkit.isolation.namespaces import *\n"


def run(text: str, *wanted: str, **values: object) -> Outcome:
    return run_source(Source(CALLS + text, values, wanted=wanted))


def errno_of(call: Callable[[], object]) -> int:
    try:
        call()
    except OSError as error:
        return error.errno or 0
    return 0


def a_container_is_joined() -> None:
    """All of its namespaces at once; a command there sees its host name, its files and its process numbers."""
    sh("docker rm -f joined; docker run -d --name joined -h inside --network none busybox sleep 300")
    pid = int(sh("docker inspect -f {{.State.Pid}} joined").out)
    text = (
        "joined = join(pid)\nif os.fork() == 0:\n"
        "    os.execvp('sh', ['sh', '-c', 'hostname; echo $$; ls /etc/hosts'])\nos.wait()"
    )
    done = run(text, "joined", pid=pid)
    lines = done.out.decode().split()
    assert (lines[0], lines[2]) == ("inside", "/etc/hosts") and int(lines[1]) < 50, done
    assert {"mnt", "uts", "ipc", "net", "pid"} <= set(done.value["joined"]), done
    own, theirs = read_process("self"), read_process(pid)
    assert own is not None and theirs is not None and theirs.pids[-1] == 1
    differ = {kind for kind in own.namespaces if own.namespaces[kind] != theirs.namespaces[kind]}
    assert differ == set(done.value["joined"]), differ
    sh("docker rm -f joined")
    assert errno_of(lambda: join(pid)) == errno.ESRCH


def two_threads_are_refused_what_one_may() -> None:
    """A new user namespace, and another's mounts: EINVAL here, and granted alone."""
    waiting = threading.Event()
    thread = threading.Thread(target=waiting.wait)
    thread.start()
    mounts = os.open("/proc/self/ns/mnt", os.O_RDONLY)
    refused = [
        errno_of(lambda: syscalls.unshare(syscalls.CLONE_NEWUSER)),
        errno_of(lambda: syscalls.setns(mounts, syscalls.CLONE_NEWNS)),
    ]
    os.close(mounts)
    waiting.set()
    thread.join()
    assert refused == [errno.EINVAL] * 2, refused
    run("unshare(CLONE_NEWUSER)\nos.system('true')")
    run("setns(os.open('/proc/self/ns/mnt', os.O_RDONLY), CLONE_NEWNS)")


def every_kind_can_be_made() -> None:
    """By unshare; PID and time for the children to come. A kernel need not know time (Debian's for UML does not)."""
    text = (
        "made = []\nfor kind in KINDS:\n    if not os.path.exists(f'/proc/self/ns/{kind.name}'):\n        continue\n"
        "    pid = os.fork()\n    if pid == 0:\n"
        "        before = read_process('self')\n        unshare(kind.flag)\n        after = read_process('self')\n"
        "        same = before.namespaces == after.namespaces and not after.children_in\n        os._exit(same)\n"
        "    made.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0)"
    )
    assert run(text, "made").value["made"] == [True] * (len(KINDS) - 1 + HAS_TIME)


def the_first_child_is_init() -> None:
    """It is process 1; while it lives, others come; when it has died, fork says ENOMEM."""
    text = (
        "unshare(CLONE_NEWPID)\nfirst = os.fork()\nif first == 0:\n    os._exit(os.getpid())\n"
        "number = os.waitstatus_to_exitcode(os.waitpid(first, 0)[1])\n"
        "refusal = 0\ntry:\n    if os.fork() == 0:\n        os._exit(0)\n"
        "except OSError as error:\n    refusal = error.errno"
    )
    assert run(text, "number", "refusal").value == {"number": 1, "refusal": errno.ENOMEM}


def old_clone_makes_no_time_namespace() -> None:
    """0x80 lies in the bits of the signal: the child is made without it, or (Linux 7) refused; clone3 makes one."""
    text = (
        "import ctypes\nlibc, before = ctypes.CDLL(None), read_namespace('self', 'time')\n"
        "def ask(pid):\n    if pid == 0:\n        os._exit(read_namespace('self', 'time') != before)\n"
        "    return pid > 0 and os.waitstatus_to_exitcode(os.waitpid(pid, 0x40000000)[1]) == 1\n"
        "made = [ask(libc.syscall(56, CLONE_NEWTIME, 0, 0, 0, 0))]\ntry:\n    made.append(ask(clone3(CLONE_NEWTIME)))\n"
        "except OSError:\n    made.append(False)"
    )
    assert run(text, "made").value["made"] == [False, HAS_TIME]


def nothing_is_left() -> None:
    """No process of an experiment, though it has left its session and its namespaces."""
    text = (
        "unshare(CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWNET)\nif os.fork() == 0:\n    os.setsid()\n    os.fork()\n"
        "    os.execvp('sleep', ['sleep', '4242'])"
    )
    run(text)
    left = sh("ps | grep '[s]leep 4242'").out
    assert left == "", left


FACTS = named(
    a_container_is_joined,
    two_threads_are_refused_what_one_may,
    every_kind_can_be_made,
    the_first_child_is_init,
    old_clone_makes_no_time_namespace,
    nothing_is_left,
)

if __name__ == "__main__":
    main(FACTS)
