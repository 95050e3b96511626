"""What does one hold of a container that runs, or that has ended?"""

from contextlib import suppress
from typing import NamedTuple

from labkit.errors import ContainerError
from labkit.isolation.spec import Spec
from labkit.linux.proc import read_stat

__all__ = ["STOP_PATIENCE_S", "Container", "Finished", "Step", "is_running", "read_of_shim"]

STOP_PATIENCE_S = 10.0  # as `docker stop`


class Step(NamedTuple):
    """Something that was done to make the container, and how long it took."""

    name: str
    seconds: float


class Finished(NamedTuple):
    """How a container ended. `status` is 128 and the signal's number where a signal ended it, as a shell says it."""

    status: int
    stdout: bytes
    stderr: bytes
    steps: tuple[Step, ...]
    ran_out_of_memory: bool = False


class Container(NamedTuple):
    """A container that was started. `pid` is its first process as seen from here, `shim` the process that made it."""

    name: str
    pid: int
    shim: int
    shim_start: int  # when the shim began, in ticks: a later process with its number is another one
    spec: Spec
    descriptors: tuple[int, int, int]  # of the shim: what the program writes to stdout and stderr, and how it ended
    steps: tuple[Step, ...]


def is_running(container: Container) -> bool:
    """Has its first process not ended yet?"""
    with suppress(ContainerError):
        return not read_of_shim(container, container.descriptors[2])
    return False


def _shim_lives(container: Container) -> bool:
    stat = read_stat(container.shim)
    return stat is not None and stat.start_time == container.shim_start and stat.state != "Z"


def read_of_shim(container: Container, descriptor: int) -> bytes:
    """What a file in memory holds that the shim has open. Raises ContainerError when the container was removed."""
    with suppress(OSError):  # between the look and the reading, the shim may end
        if _shim_lives(container):
            with open(f"/proc/{container.shim}/fd/{descriptor}", "rb") as file:
                return file.read()
    raise ContainerError(f"The container {container.name} was removed.")
