"""Does a machine's guard say how the machine ended, whatever its parts wrote?"""

import socket

import pytest

from labkit.machine.outside import guard


@pytest.mark.parametrize("words", ["ended", "\ufffd" * 20_000, "\x1b" * 20_000, "\U0001f40b" * 20_000])
def test_the_end_is_heard_whole(words: str) -> None:
    """Bytes that are no text, and signs that JSON makes twelve bytes of, fit into the one message all the same."""
    owner, ours = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with owner, ours:
        guard.tell_end(ours, words)

        heard = guard.hear_end(owner)

    assert words.startswith(heard) and len(heard) >= min(len(words), 4096)


def test_a_guard_that_says_nothing_was_killed() -> None:
    """What is heard then comes from the owner's side."""
    owner, ours = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with owner:
        ours.close()

        assert "its guard was killed" == guard.hear_end(owner)
