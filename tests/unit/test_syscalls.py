"""Do the functions of labkit.linux.syscalls do what the kernel's pages say?"""

import os
import signal
from collections.abc import Callable

import pytest

from labkit.linux import syscalls


def in_child(body: Callable[[], bool], fork: Callable[[], int] = os.fork) -> bool:
    """Run `body` in a child; did it return True?"""
    child = fork()
    if child == 0:
        said = False
        try:
            said = body()
        finally:
            os._exit(0 if said else 1)
    return os.waitpid(child, 0)[1] == 0


def test_clone_takes_no_flag_for_a_signal() -> None:
    """CLONE_NEWTIME lies in the bits of the signal: the kernel would not say that it does nothing."""
    with pytest.raises(ValueError, match="0x80"):
        syscalls.clone(syscalls.CLONE_NEWTIME)


def test_raw_clone_takes_the_lowest_bits_for_a_signal() -> None:
    """The parent gets it when the child ends."""

    def body() -> bool:
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
        if syscalls.raw_clone(signal.SIGUSR1) == 0:
            os._exit(0)
        return signal.sigtimedwait([signal.SIGUSR1], 10) is not None

    assert in_child(body)


def test_clone_gives_the_pid_and_zero() -> None:
    """As fork does."""
    assert in_child(lambda: True, lambda: syscalls.clone(0))
    assert in_child(lambda: True, lambda: syscalls.clone3(0))


@pytest.mark.skipif(os.geteuid() != 0, reason="NOT TESTED: new namespaces. Only root may make them.")
def test_clone3_makes_a_time_namespace() -> None:
    """What clone cannot."""
    before = os.readlink("/proc/self/ns/time")

    assert in_child(
        lambda: os.readlink("/proc/self/ns/time") != before, lambda: syscalls.clone3(syscalls.CLONE_NEWTIME)
    )
    assert os.readlink("/proc/self/ns/time") == before


def test_pidfd_open_says_who_is_not_there() -> None:
    """OSError with the kernel's errno."""
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)

    with pytest.raises(ProcessLookupError):
        syscalls.pidfd_open(child)


def test_prctl_returns_what_the_option_returns() -> None:
    """PR_GET_NO_NEW_PRIVS is 39: 0 before PR_SET_NO_NEW_PRIVS, 38, and 1 after."""

    def body() -> bool:
        before = syscalls.prctl(39)
        syscalls.prctl(38, 1)
        return (before, syscalls.prctl(39)) == (0, 1)

    assert in_child(body)
    with pytest.raises(OSError):
        syscalls.prctl(-1)
