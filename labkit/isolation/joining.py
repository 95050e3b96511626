"""Which namespaces of another process may a process join, by the number of its threads?

try_joins(pid)                          a process of one thread
try_joins(pid, threads=2)               one of two threads
try_joins(pid, threads=2, own_fs=True)  one of two threads, whose first thread no longer shares its root directory

setns(2) lets no thread go elsewhere whose process would be torn apart. A mount namespace is refused to a thread that
shares its root and working directory with another one (fs_struct; CLONE_FS of clone(2)), a user namespace and a time
namespace to each process of several threads.

Each try is made by a new child of a program without threads, never by the caller: a notebook's Python has many threads.
"""

import errno
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

from labkit.errors import LabError
from labkit.isolation.namespaces import find_kind
from labkit.isolation.refusals import Joins
from labkit.linux import syscalls

__all__ = ["KINDS", "try_joins"]

# In the order of the table; a kernel may have none for time.
KINDS = {name: find_kind(name).flag for name in ("uts", "ipc", "net", "pid", "cgroup", "mnt", "user", "time")}
PATIENCE_S = 60.0


def try_joins(pid: int, threads: int = 1, *, own_fs: bool = False) -> Joins:
    """Let processes of so many threads try to join each namespace of process `pid`, a new process for each kind.

    Kinds that this kernel does not have are left out. Raises LabError where there is no such process, or where one may
    not look at it.
    """
    here = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join(filter(None, [here, os.environ.get("PYTHONPATH")]))
    done = subprocess.run(
        [sys.executable, "-P", "-m", "labkit.isolation.joining", str(pid), str(threads), str(int(own_fs))],
        env={**os.environ, "PYTHONPATH": path},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    if done.returncode != 0:
        raise LabError(f"No namespaces of process {pid} can be joined: {done.stderr.strip().rpartition(chr(10))[2]}")
    return Joins(threads, own_fs, json.loads(done.stdout))


def _main(pid: int, threads: int, own_fs: bool) -> None:
    here = os.listdir(f"/proc/{pid}/ns")
    doors = {kind: os.open(f"/proc/{pid}/ns/{kind}", os.O_RDONLY) for kind in KINDS if kind in here}
    print(json.dumps({kind: _try(door, KINDS[kind], threads, own_fs) for kind, door in doors.items()}))


def _try(door: int, flag: int, threads: int, own_fs: bool) -> str:
    """What a child is told; its exit status is the errno."""
    pid = os.fork()
    if pid == 0:
        number = 255
        try:
            for _ in range(threads - 1):
                threading.Thread(target=threading.Event().wait, daemon=True).start()
            if own_fs:
                syscalls.unshare(syscalls.CLONE_FS)
            syscalls.setns(door, flag)
            number = 0
        except OSError as error:
            number = error.errno or 255
        finally:
            os._exit(number)
    number = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return errno.errorcode.get(number, str(number)) if number else ""


if __name__ == "__main__":
    _main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3] == "1")
