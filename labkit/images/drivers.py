"""Which storage drivers are there, of what is each made, and what was measured on one?

A driver has one task: to give a container a root directory in which the layers of an image lie on top of each other,
and which can be written. Sources: "Storage drivers" of Docker's manual, the packages daemon/graphdriver of moby,
"Snapshotters" of containerd's documentation.
"""

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["DRIVERS", "Driver", "Refusal", "Step", "Trial"]


@dataclass(frozen=True, slots=True)
class Driver:
    """A driver: the name that dockerd knows, and what it does.

    `layer`: what a layer is for it; `kernel_object`: what it takes of the kernel; `on_create` and `on_change`: what it
    does for a new container, and when one byte of a file of the image is changed. `file_system`: what its data root has
    to lie on, "" where any will do. `in_containerd`: it is a snapshotter of containerd's, which an engine uses that
    keeps its images there. `shares_blocks`: two layers may hold the same block of a file, without being the same file.
    """

    name: str
    layer: str
    kernel_object: str
    on_create: str = ""
    on_change: str = ""
    file_system: str = ""
    in_containerd: bool = False
    shares_blocks: bool = False

    @property
    def title(self) -> str:
        return f"{self.name} (containerd)" if self.in_containerd else self.name


DIRECTORIES = "two directories of the container's own, and a few small files; the image's files are not copied"
COPIES = "two whole copies of the image's files: one for the start of the container, one for what it writes"
SNAPSHOTS = "two snapshots, which share every block with the image"
WHOLE_FILE = "the whole file is copied into the container's directory, and then the byte is changed"
NOTHING = "nothing is copied: the container already has a file of its own"
ONE_BLOCK = "the blocks with the byte are written in a new place; the rest of the file stays shared"
OVERLAY, SUBVOLUMES = "a mount of type overlay", "subvolumes and snapshots of the file system btrfs"

DRIVERS: Mapping[str, Driver] = {
    driver.title: driver
    for driver in (
        Driver("overlay2", "one directory, with what the layer changes", OVERLAY, DIRECTORIES, WHOLE_FILE),
        Driver("vfs", "a whole copy of all files up to this layer", "nothing but directories", COPIES, NOTHING),
        Driver(
            "btrfs",
            "a subvolume: a snapshot of the layer below; the two share blocks",
            SUBVOLUMES,
            SNAPSHOTS,
            ONE_BLOCK,
            file_system="btrfs",
            shares_blocks=True,
        ),
        Driver(
            "fuse-overlayfs",
            "one directory, as for overlay2",
            "a mount of type fuse: an ordinary program does the work of a file system",
            DIRECTORIES,
            WHOLE_FILE,
        ),
        Driver("overlay", "one directory, full of hard links to the layer below", OVERLAY, DIRECTORIES, WHOLE_FILE),
        Driver(
            "devicemapper",
            "a disk: a snapshot of the layer below; the two share blocks",
            "thin volumes of the device mapper, with a file system on each",
            SNAPSHOTS,
            ONE_BLOCK,
            shares_blocks=True,
        ),
        Driver("overlayfs", "one directory, as for overlay2", OVERLAY, DIRECTORIES, WHOLE_FILE, in_containerd=True),
        Driver("native", "a whole copy, as for vfs", "nothing but directories", COPIES, NOTHING, in_containerd=True),
        Driver(
            "btrfs",
            "a subvolume, as for the engine's own btrfs",
            SUBVOLUMES,
            SNAPSHOTS,
            ONE_BLOCK,
            file_system="btrfs",
            in_containerd=True,
            shares_blocks=True,
        ),
        Driver(
            "zfs",
            "a dataset: ZFS's own copy of the layer below; the two share blocks",
            "the file system ZFS: a module that is no part of Linux, because of its licence",
            file_system="zfs",
        ),
        Driver(
            "aufs",
            "one directory; AUFS shows several of them as one",
            "a mount of type aufs, which was never part of Linux",
        ),
    )
}


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the workload: what was done, the seconds that it took, and the bytes that the data root keeps."""

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

    @property
    def runs(self) -> bool:
        return True

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

    @property
    def runs(self) -> bool:
        return False
