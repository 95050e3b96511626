"""Are digests right that threads compute, and what is said where a thread cannot?"""

import hashlib
import threading

import pytest

from labkit.images.hashing import Digester, Hashing


class Bytes:
    """A source that is held in memory; `error` is raised in place of its bytes."""

    def __init__(self, data: bytes, error: Exception | None = None) -> None:
        self._data, self._error = data, error

    def read_into(self, buffer: memoryview, offset: int) -> int:
        if self._error is not None:
            raise self._error
        piece = self._data[offset : offset + len(buffer)]
        buffer[: len(piece)] = piece
        return len(piece)


DATA = bytes(range(256)) * 20_000


def digest_of(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def test_stretches_of_files() -> None:
    """A digest for each name; none where the file is cut off, or cannot be read."""
    whole, cut, bad = Bytes(DATA), Bytes(DATA[:100]), Bytes(DATA, OSError("no disk"))
    jobs = [("all", (whole, 0, len(DATA))), ("part", (whole, 7, 99)), ("cut", (cut, 0, 101)), ("bad", (bad, 0, 9))]
    with Hashing(jobs) as hashing:
        found = {name: hashing.result(name) for name, _ in jobs}

    assert {"all": digest_of(DATA), "part": digest_of(DATA[7:106]), "cut": "", "bad": ""} == found


def test_a_thread_with_too_little_memory_is_told_of() -> None:
    """Where a digest is asked for; nobody waits for ever."""
    with Hashing([("x", (Bytes(DATA, MemoryError()), 0, 9))]) as hashing, pytest.raises(MemoryError):
        hashing.result("x")


def test_a_thread_that_has_no_room_for_its_stack(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python says RuntimeError; for the caller it is a lack of memory."""

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with pytest.raises(MemoryError, match="new thread"):
        Digester()
