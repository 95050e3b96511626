"""What do the tests share with the host? As little as can be: their files lie in one directory, which goes with them,
and their mounts are in a list of their own.
"""

import os
import shutil
import signal
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import pytest

from labkit.linux import syscalls

GUARD_S = 10.0
MS_SHARED = 1 << 20  # <linux/mount.h>
PLACE = pytest.StashKey[Path]()


@pytest.hookimpl(tryfirst=True)  # pytest settles where `tmp_path` lies in a hook of this name
def pytest_configure(config: pytest.Config) -> None:
    """Have everybody, the programs that tests start too, take that directory for temporary files.

    With --basetemp=DIR the files of `tmp_path` are kept there, as always. A worker of pytest-xdist uses its parent's.
    """
    if hasattr(config, "workerinput"):
        return
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends the run as Ctrl-C does: tidily
    place = Path(tempfile.mkdtemp(prefix="lab"))
    place.chmod(0o1777)  # as /tmp: some tests run as another user
    config.stash[PLACE] = place
    config.option.basetemp = config.option.basetemp or str(place / "t")
    os.environ["TMPDIR"] = tempfile.tempdir = str(place)


def pytest_sessionstart() -> None:
    """Give root's tests a list of mounts of their own: on a busy host those of others come and go.

    It is shared, as a host's is, so that a machine whose mounts got out would be seen.
    """
    if os.geteuid() == 0:
        with suppress(OSError):  # in a container without privileges
            syscalls.unshare(syscalls.CLONE_NEWNS)
            syscalls.mount("", "/", "", syscalls.MS_REC | syscalls.MS_PRIVATE)
            syscalls.mount("", "/", "", syscalls.MS_REC | MS_SHARED)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove it, whatever the tests have left there; a guard may still be removing its machine's directory."""
    if PLACE in config.stash:
        place, deadline = config.stash[PLACE], time.monotonic() + GUARD_S
        while place.exists() and time.monotonic() < deadline:
            shutil.rmtree(place, ignore_errors=True)
        assert not place.exists(), f"{place} cannot be removed"
