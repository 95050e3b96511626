"""What does a machine's kernel say to those who join namespaces? Run in a machine; "NAME<tab>trouble" for each fact.

Each function is a fact that lesson 10 stands on: it asserts. No trouble is an empty one.
"""

import os
import subprocess
import threading
from pathlib import Path

from labkit.api.engine import Engine
from labkit.errors import LabError
from labkit.isolation.containers import container_pid, read_bundle, runc_root
from labkit.isolation.joining import KINDS, try_joins
from labkit.isolation.runc import delete_containers, list_containers
from labkit.linux.syscalls import CLONE_NEWNS, CLONE_NEWUTS, pidfd_open, setns
from labkit.shell import sh
from tests.machine.facts import main, named

__all__ = ["FACTS", "main"]

engine = Engine()


def start() -> int:
    """A container whose process has every kind of namespace for itself; its number."""
    sh("docker rm -f own")
    options = "--hostname own --cgroupns private --security-opt seccomp=unconfined"
    assert sh(f"docker run -d --name own {options} busybox unshare -U -r sleep 600").status == 0
    return container_pid(engine, "own", own="user")


def one_thread_is_let_in_everywhere() -> None:
    """For each kind that the kernel has; these are mnt, uts, ipc, net, pid, user and cgroup at least."""
    said = try_joins(start()).refusals
    assert set(said) >= set(KINDS) - {"time"}, said
    assert not any(said.values()), said


def two_threads_are_refused_in_some() -> None:
    """mnt and user by EINVAL, time by EUSERS; the rest lets in."""
    said = try_joins(start(), 2).refusals
    assert {"mnt": "EINVAL", "user": "EINVAL", "time": "EUSERS"}.items() >= {k: v for k, v in said.items() if v}.items()
    assert said["mnt"] and said["user"] and not said["uts"], said


def who_shares_no_root_is_let_into_mnt() -> None:
    """unshare(CLONE_FS) in a process of several threads; user stays shut."""
    said = try_joins(start(), 8, own_fs=True).refusals
    assert (said["mnt"], said["user"]) == ("", "EINVAL"), said


def joining_by_a_process_moves_the_root_of_all_threads() -> None:
    """What the fine print says: several kinds at once, by a pidfd, from a process of two threads."""
    pid = start()
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        threading.Thread(target=threading.Event().wait, daemon=True).start()
        door = pidfd_open(pid)
        joined = threading.Thread(target=setns, args=(door, CLONE_NEWNS | CLONE_NEWUTS))
        joined.start()
        joined.join()
        is_inside = os.path.exists("/bin/busybox") and not os.path.exists("/run/labkit")  # as the first thread sees it
        os.write(writer, str(is_inside).encode())
        os._exit(0)
    os.waitpid(child, 0)
    said = os.read(reader, 1000).decode()
    assert said == "True", f"the first thread is inside: {said}"


def the_caller_is_never_moved() -> None:
    """Tries are made by children of another program."""
    before = [os.readlink(f"/proc/self/ns/{kind}") for kind in os.listdir("/proc/self/ns")]
    try_joins(start(), 3, own_fs=True)
    assert before == [os.readlink(f"/proc/self/ns/{kind}") for kind in os.listdir("/proc/self/ns")]


def who_is_gone_is_named() -> None:
    """A process that does not exist, a container that does not run."""
    for act, words in (
        (lambda: try_joins(4_000_000), "No namespaces of process 4000000"),
        (lambda: container_pid(engine, "nobody"), "No container nobody runs"),
        (lambda: runc_root(engine, "nobody"), "No container nobody runs"),
    ):
        try:
            act()
        except LabError as error:
            assert words in str(error), error
        else:
            raise AssertionError(f"no error with {words!r}")


def the_engines_bundle_is_found() -> None:
    """runc knows the container under the root that is found, and its bundle has the container's command."""
    start()
    identity = engine.get("/containers/own/json").json()["Id"]
    assert identity in sh(f"runc --root {runc_root(engine, 'own')} list --quiet").out
    assert read_bundle(engine, "own")["process"]["args"][0] == "unshare"
    assert list_containers() == []


def a_bundle_by_hand_is_run_and_deleted() -> None:
    """Its container is listed, and nothing of it is left."""
    line = "mkdir -p /run/b/rootfs && docker export own | tar -x -C /run/b/rootfs && cd /run/b && runc spec"
    start()
    assert (
        sh(f'{line} && sed -i \'s/"sh"/"sleep","600"/;s/"terminal": true/"terminal": false/\' config.json').status == 0
    )
    run = ["runc", "run", "--detach", "--bundle", "/run/b", "mine"]
    subprocess.run(run, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    (found,) = list_containers()
    assert (found.name, found.status, found.bundle) == ("mine", "running", Path("/run/b"))
    delete_containers("/run/b")
    assert list_containers() == [] and not os.path.exists("/run/b") and not os.path.exists(f"/proc/{found.pid}/ns/uts")


FACTS = named(
    one_thread_is_let_in_everywhere,
    two_threads_are_refused_in_some,
    who_shares_no_root_is_let_into_mnt,
    joining_by_a_process_moves_the_root_of_all_threads,
    the_caller_is_never_moved,
    who_is_gone_is_named,
    the_engines_bundle_is_found,
    a_bundle_by_hand_is_run_and_deleted,
)

if __name__ == "__main__":
    main(FACTS)
