"""How are digests computed beside the program's other work?

Hashing lets other threads run. Bytes that the program reads anyway are handed to a Digester, piece by piece; stretches
of a file of which it reads only the headers are read once more by Hashing, a thread for each processor.
"""

import hashlib
import os
import threading
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from typing import Protocol

__all__ = ["Digester", "Hashing"]

_HASHED = 2**20  # bytes that are hashed at a time, where nobody looks at them
_WAITING = 4  # pieces that wait to be hashed


class Source(Protocol):
    """An open file, or a stretch of one."""

    def read_into(self, buffer: memoryview, offset: int) -> int:
        """Fill a buffer from an offset; give how many bytes there were."""


class Digester:
    """A digest that is computed beside the program's other work, by a thread of its own: hashing lets others run."""

    def __init__(self, algorithm: str = "sha256") -> None:
        self._hash = hashlib.new(algorithm)
        self._pieces: SimpleQueue[bytes | None] = SimpleQueue()
        self._room = threading.Semaphore(_WAITING)
        self._thread = threading.Thread(target=self._work, daemon=True)
        _start(self._thread)

    def update(self, piece: bytes) -> None:
        self._room.acquire()
        self._pieces.put(piece)

    def close(self) -> str:
        """End the thread; give the digest of all pieces, as "sha256:..."."""
        self._pieces.put(None)
        self._thread.join()
        return f"{self._hash.name}:{self._hash.hexdigest()}"

    def _work(self) -> None:
        while (piece := self._pieces.get()) is not None:
            self._hash.update(piece)
            self._room.release()


class Hashing:
    """The digests of stretches of open files, computed by a thread for each processor; a context, which ends them.

    `jobs` are names, each with an open file, an offset, a number of bytes. `progress(bytes)` is called while `result`
    waits, in the thread that waits.
    """

    def __init__(
        self,
        jobs: Sequence[tuple[str, tuple[Source, int, int]]],
        progress: Callable[[int], None] | None = None,
    ) -> None:
        self._todo = sorted(jobs, key=lambda job: job[1][2])  # the largest is taken first
        self._found: dict[str, str] = {}
        self._names = {name for name, _ in jobs}
        self._progress = progress
        self._done = 0
        self._is_stopped = False
        self._is_short = False  # of memory
        self._changed = threading.Condition()
        buffers = [memoryview(bytearray(_HASHED)) for _ in range(min(len(jobs), os.cpu_count() or 1))]
        self._threads = [threading.Thread(target=self._work, args=(each,), daemon=True) for each in buffers]

    def __enter__(self) -> "Hashing":
        for thread in self._threads:
            _start(thread)
        return self

    def __exit__(self, *_: object) -> None:
        self._is_stopped = True
        for thread in self._threads:
            thread.join()

    def has(self, name: str) -> bool:
        return name in self._names

    def result(self, name: str) -> str:
        """Wait for a digest; give it as "sha256:...", or as "" where the file is cut off or cannot be read.

        Raises MemoryError where a thread had too little.
        """
        with self._changed:
            while name not in self._found:
                self._changed.wait(0.1)
                self._tell()
            self._tell()
        if self._is_short:
            raise MemoryError("a thread that computes digests had too little memory")
        return self._found[name]

    def _tell(self) -> None:
        if self._progress:
            self._progress(self._done)

    def _work(self, buffer: memoryview) -> None:
        while True:
            with self._changed:
                if not self._todo:
                    return
                name, (file, offset, size) = self._todo.pop()
            digest = ""
            try:
                digest = self._digest(file, offset, size, buffer)
            except OSError:
                pass
            except MemoryError:
                self._is_short = True
            with self._changed:
                self._found[name] = digest
                self._changed.notify_all()

    def _digest(self, file: Source, offset: int, size: int, buffer: memoryview) -> str:
        digest = hashlib.sha256()
        end = offset + size
        while offset < end and not self._is_stopped:
            count = file.read_into(buffer[: end - offset], offset)
            if not count:
                return ""
            digest.update(buffer[:count])
            offset += count
            with self._changed:
                self._done += count
        return f"sha256:{digest.hexdigest()}"


def _start(thread: threading.Thread) -> None:
    """Start a thread. Raises MemoryError where there is no room for its stack."""
    try:
        thread.start()
    except RuntimeError as error:
        raise MemoryError(str(error)) from error
