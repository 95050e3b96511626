"""Which file does a user-mode machine execute as dockerd?

The installed one, or what `make kernel` has made of it, with its relocations done (labkit.machine.outside.relocation).
That one is of no use to `native`: a page that a process writes costs little there.

It lies in ~/.cache/labkit/dockerd/PATH/SIZE-TIME: a digest of the path, the size and the time of the file that it was
made of. So after an update of Docker machines take the installed one again, until `make kernel` has been run anew.
"""

import fcntl
import os
import subprocess
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from labkit.machine.outside.kernel import cache_dir
from labkit.machine.outside.relocation import NotRelocatable, relocate

__all__ = ["DockerdUnfit", "find_relocated", "keep_relocated", "shelf"]

PATIENCE_S = 60


class DockerdUnfit(Exception):
    """Why there is no relocated dockerd: machines take the installed one."""


def shelf() -> Path:
    """The directory of what was made: below XDG_CACHE_HOME, or ~/.cache."""
    return cache_dir().with_name("dockerd")


def find_relocated(dockerd: Path) -> Path | None:
    """What was made of this dockerd, as it is now; None where nothing was."""
    try:
        made = _place(dockerd)
        return made if made.is_file() else None
    except OSError:  # there is no such dockerd, or HOME is another user's
        return None


def keep_relocated(dockerd: Path) -> Path:
    """Make it, unless it is there; give its file. It is there whole or not at all, and once it has told the version.

    Raises DockerdUnfit where it cannot be made or kept.
    """
    try:
        made = _place(dockerd)
        made.parent.mkdir(parents=True, exist_ok=True)
        with _alone_in(made.parent):
            for other in set(made.parent.iterdir()) - {made}:  # of before an update, or of a run that was killed
                other.unlink()
            if not made.is_file():
                _make(dockerd, made)
        return made
    except (NotRelocatable, OSError) as error:
        raise DockerdUnfit(f"{dockerd} cannot be relocated beforehand: {error}") from error


def _make(dockerd: Path, made: Path) -> None:
    half_made = made.with_name("half-made")
    try:
        half_made.write_bytes(relocate(dockerd.read_bytes()))
        half_made.chmod(0o755)
        if _ask(half_made) != (words := _ask(dockerd)):
            raise DockerdUnfit(f"what was made of {dockerd} does not say {words!r}, as it does")
        half_made.replace(made)
    finally:
        half_made.unlink(missing_ok=True)


@contextmanager
def _alone_in(directory: Path) -> Iterator[None]:
    lock = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _place(dockerd: Path) -> Path:
    path = dockerd.resolve(strict=True)
    status = path.stat()
    return shelf() / f"{zlib.crc32(os.fsencode(path)):08x}" / f"{status.st_size}-{status.st_mtime_ns}"


def _ask(program: Path) -> str:
    try:
        done = subprocess.run(
            [program, "--version"], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE_S
        )
    except subprocess.SubprocessError as error:
        raise DockerdUnfit(f"{program} --version: {error}") from error
    return done.stdout.strip() if done.returncode == 0 else f"status {done.returncode}"
