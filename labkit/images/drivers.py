"""Which storage drivers are there, of what is each made, and what was measured on one?

A driver has one task: to give a container a root directory in which the layers of an image lie on top of each other, and
which can be written. Sources: "Storage drivers" of Docker's manual, the packages daemon/graphdriver of moby, "Snapshotters"
of containerd's documentation.
"""

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["DRIVERS", "Driver", "Refusal", "Step", "Trial"]


@dataclass(frozen=True, slots=True)
class Driver:
    """A driver: the name that dockerd knows, what a layer is for it, what it takes of the kernel, and what on the disk.

    `in_containerd`: it is a snapshotter of containerd's, which an engine uses that keeps its images there.
    `file_system`: what its data root has to lie on; "" where any will do.
    """

    name: str
    layer: str
    kernel_object: str
    file_system: str = ""
    in_containerd: bool = False

    @property
    def title(self) -> str:
        return f"{self.name}, containerd's" if self.in_containerd else self.name


DRIVERS: Mapping[str, Driver] = {
    driver.title: driver
    for driver in (
        Driver("overlay2", "one directory, with what the layer changes", "a mount of type overlay"),
        Driver("vfs", "a whole copy of all files up to this layer", "nothing but directories"),
        Driver(
            "btrfs",
            "a subvolume: a snapshot of the one below, which shares its blocks",
            "subvolumes and snapshots of the file system btrfs",
            file_system="btrfs",
        ),
        Driver(
            "fuse-overlayfs",
            "one directory, as for overlay2",
            "a mount of type fuse: a program beside the container answers for the file system",
        ),
        Driver("overlay", "one directory, full of hard links to the layer below", "a mount of type overlay"),
        Driver(
            "devicemapper",
            "a disk: a snapshot of the one below, which shares its blocks",
            "thin volumes of the device mapper, and an ext4 on each",
        ),
        Driver("overlayfs", "one directory, as for overlay2", "a mount of type overlay", in_containerd=True),
        Driver("native", "a whole copy, as for vfs", "nothing but directories", in_containerd=True),
        Driver(
            "btrfs",
            "a subvolume, as for the engine's own btrfs",
            "subvolumes and snapshots of the file system btrfs",
            file_system="btrfs",
            in_containerd=True,
        ),
        Driver(
            "zfs",
            "a dataset: a clone of a snapshot of the one below",
            "the file system ZFS, a module that Linux does not have: its licence keeps it out",
            file_system="zfs",
        ),
        Driver(
            "aufs",
            "one directory, a branch of the union",
            "a mount of type aufs, which was never taken into Linux: Debian and Ubuntu added it in the years of the notes",
        ),
    )
}


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the workload: what was done, the seconds that it took, and the bytes that the data root keeps then."""

    name: str
    seconds: float
    bytes: int


@dataclass(frozen=True, slots=True)
class Trial:
    """What was measured on a driver: the steps in their order, and the bytes of the image's big file.

    Bytes are those of the data root's file system, in which a block that several files share counts once; what an empty
    engine keeps is taken off.
    """

    driver: str
    steps: tuple[Step, ...]
    big_bytes: int

    def bytes_after(self, name: str) -> int:
        """The bytes that were kept after a step. Raises KeyError where there is no such step."""
        return {step.name: step.bytes for step in self.steps}[name]

    def growth(self, name: str) -> int:
        """The bytes that a step added. Raises KeyError where there is no such step."""
        names = [step.name for step in self.steps]
        if name not in names:
            raise KeyError(name)
        place = names.index(name)
        return self.steps[place].bytes - (self.steps[place - 1].bytes if place else 0)

    def seconds(self, *names: str) -> float:
        """The seconds of the steps with these names, together."""
        return sum(step.seconds for step in self.steps if step.name in names)


@dataclass(frozen=True, slots=True)
class Refusal:
    """A driver that does not run here: the words, and who says them ("dockerd", "kernel", "lab")."""

    driver: str
    words: str
    who: str
