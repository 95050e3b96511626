"""How does a file come out of a container, or into it, when the container swaps a link meanwhile (`docker cp`)?

A path that was looked at, and then opened by its name, may be another one by then (CVE-2018-15664). Here the kernel
does the lookup in one call, within the container's root directory: openat2(2), RESOLVE_IN_ROOT.
"""

import os
import stat
from collections.abc import Callable

from labkit.errors import ContainerError
from labkit.isolation.defences import ALL, Defences
from labkit.isolation.handle import Container, is_running
from labkit.isolation.targets import open_in_root

__all__ = ["read_file", "write_file"]

LARGEST = 2**28  # bytes of a file that is read


def read_file(
    container: Container, path: str, *, defences: Defences = ALL, between: Callable[[], object] | None = None
) -> bytes:
    """The bytes of a regular file in a running container. Raises ContainerError, and OSError where it cannot be read.

    `between` is called after the path was looked at and before it is opened, where these are two acts.
    """
    file = _open(container, path, os.O_RDONLY | os.O_NONBLOCK, defences, between)
    with open(file, "rb") as opened:
        if not stat.S_ISREG(os.fstat(file).st_mode):
            raise ContainerError(f"{path} in the container {container.name} is no regular file.")
        return opened.read(LARGEST)


def write_file(container: Container, path: str, data: bytes, *, defences: Defences = ALL) -> None:
    """Write a file that is there in a running container. Raises as `read_file`."""
    with open(_open(container, path, os.O_WRONLY | os.O_TRUNC | os.O_NONBLOCK, defences, None), "wb") as opened:
        opened.write(data)


def _open(container: Container, path: str, flags: int, defences: Defences, between: Callable[[], object] | None) -> int:
    if not is_running(container):
        raise ContainerError(f"The container {container.name} does not run.")
    if not defences.copies_in_root:
        joined = f"/proc/{container.pid}/root/{path}"
        if os.path.islink(joined):
            raise ContainerError(f"{path} in the container {container.name} is a symlink.")
        if between is not None:
            between()
        return os.open(joined, flags | os.O_CLOEXEC)
    root = os.open(f"/proc/{container.pid}/root", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if between is not None:
            between()
        return open_in_root(root, path, flags)
    finally:
        os.close(root)
