"""Does labkit.isolation.namespaces say who is in which namespace, and join another's?"""

import os
import signal
from collections.abc import Iterator

import pytest

from labkit.isolation.namespaces import (
    KINDS,
    Namespace,
    Process,
    find_kind,
    flags_of,
    group,
    join,
    members,
    parse_link,
    read_namespace,
    read_process,
    read_processes,
)
from labkit.linux import syscalls

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="NOT TESTED: new namespaces. Only root may make them.")


def process(pid: int, **inodes: int) -> Process:
    found = {kind: Namespace(kind, inode) for kind, inode in inodes.items()}
    return Process(pid, "sleep", 1, 0, False, (pid,), found, {})


@pytest.fixture
def asleep() -> Iterator[int]:
    """A child that waits to be killed."""
    child = os.fork()
    if child == 0:
        signal.pause()
        os._exit(0)
    yield child
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


@pytest.fixture
def in_new_ones() -> Iterator[int]:
    """A child in new UTS and network namespaces."""
    child = syscalls.clone(syscalls.CLONE_NEWUTS | syscalls.CLONE_NEWNET)
    if child == 0:
        signal.pause()
        os._exit(0)
    yield child
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def status_of_child(body: object) -> int:
    """The exit status of a child that calls `body`: what it returns."""
    child = os.fork()
    if child == 0:
        status = 99
        try:
            status = body()  # type: ignore[operator]
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_the_kinds_are_the_kernels() -> None:
    """Each kind's name is a file of /proc/PID/ns, and no file there is missing."""
    names = {kind.name for kind in KINDS} | {kind.for_children for kind in KINDS if kind.for_children}

    assert set(os.listdir("/proc/self/ns")) <= names


def test_flags_are_put_together() -> None:
    """As unshare and setns take them."""
    assert syscalls.CLONE_NEWUTS | syscalls.CLONE_NEWNS == flags_of(["uts", "mnt"])
    with pytest.raises(ValueError, match="'mount'.*mnt"):
        find_kind("mount")


@pytest.mark.parametrize(
    "text", ["", "uts", "uts:[]", "uts:[x]", "uts:[1", "room:[1]", "uts:[1]\n", "/dev/null", "x" * 999]
)
def test_other_links_are_refused(text: str) -> None:
    """A text that is no link of /proc/PID/ns is an error, and the error is short."""
    with pytest.raises(ValueError) as raised:
        parse_link(text)
    assert len(str(raised.value)) < 150


def test_a_namespace_reads_as_proc_writes_it() -> None:
    """The link's own text comes back."""
    text = os.readlink("/proc/self/ns/uts")

    assert text == str(parse_link(text))


def test_a_child_shares_all_its_namespaces(asleep: int) -> None:
    """A fork makes no namespace."""
    own, child = read_process("self"), read_process(asleep)

    assert own is not None and child is not None
    assert own.namespaces == child.namespaces and child.ppid == os.getpid()
    assert {asleep, os.getpid()} <= {one.pid for one in members(read_processes(), own.namespaces["uts"])}


def test_a_process_that_has_ended_gives_nothing() -> None:
    """Neither does a zombie, which is in no namespace any more."""
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
    assert read_process(child) is None
    with pytest.raises(ProcessLookupError):
        join(child, "uts")
    os.waitpid(child, 0)
    assert read_process(child) is None and read_namespace(child, "uts") is None
    with pytest.raises(ProcessLookupError, match="pidfd_open"):
        join(child)


def test_what_may_not_be_read_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process is there, without namespaces, and with the kernel's words."""

    def refuse(path: str) -> str:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(os, "readlink", refuse)
    found = read_process("self")

    assert found is not None and {} == found.namespaces
    assert "Permission denied" in found.refused and "/ns/" in found.refused


def test_processes_are_grouped_by_what_they_share() -> None:
    """Those whose namespace is not known are in no group."""
    one, two, other, unknown = process(1, uts=7), process(2, uts=7), process(3, uts=8), process(4, net=7)

    assert {Namespace("uts", 7): [one, two], Namespace("uts", 8): [other]} == group([one, two, other, unknown], "uts")
    assert [one, two] == members([one, two, other, unknown], Namespace("uts", 7))
    with pytest.raises(ValueError):
        group([one], "room")


@AS_ROOT
def test_a_new_namespace_of_children_to_come_is_seen() -> None:
    """After unshare(CLONE_NEWPID) the process is where it was; its children will be elsewhere."""

    def body() -> int:
        syscalls.unshare(syscalls.CLONE_NEWPID)
        found = read_process("self")
        assert found is not None
        return 0 if "pid" in found.children_in and found.namespaces["pid"] == read_namespace("self", "pid") else 1

    assert 0 == status_of_child(body)


@AS_ROOT
@pytest.mark.parametrize("version", [(5, 3), (6, 1)])
def test_join_moves_into_what_differs(
    in_new_ones: int, version: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """At once where the kernel can, one at a time where it is old; what is shared is left out."""
    monkeypatch.setattr("labkit.isolation.namespaces._version", lambda: version)

    def body() -> int:
        joined = join(in_new_ones)
        theirs = [read_namespace(in_new_ones, name) for name in ("uts", "net")]
        ours = [read_namespace("self", name) for name in ("uts", "net")]
        return 0 if joined == ["uts", "net"] and theirs == ours and join(in_new_ones) == [] else 1

    assert 0 == status_of_child(body)


@AS_ROOT
def test_a_refusal_names_what_was_attempted(in_new_ones: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The call, and the kinds by the names of their flags."""

    def refuse(_descriptor: int, _flags: int) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("labkit.isolation.namespaces.setns", refuse)
    with pytest.raises(PermissionError, match=r"setns\(.*CLONE_NEWUTS \| CLONE_NEWNET"):
        join(in_new_ones, "net", "uts")
