"""How does one line of a container's mounts become a mount that lies nowhere yet?"""

import os
from collections.abc import Callable
from typing import NamedTuple

from labkit.isolation.spec import Mount, Spec
from labkit.linux import mounts

__all__ = ["ATTRIBUTES", "IGNORED", "REFUSED", "MadeMount", "clone_source", "is_bind", "make_mount"]

# mount(8): options of a mount, and not of its file system
ATTRIBUTES = {
    "ro": mounts.MOUNT_ATTR_RDONLY,
    "nosuid": mounts.MOUNT_ATTR_NOSUID,
    "nodev": mounts.MOUNT_ATTR_NODEV,
    "noexec": mounts.MOUNT_ATTR_NOEXEC,
    "noatime": mounts.MOUNT_ATTR_NOATIME,
    "strictatime": mounts.MOUNT_ATTR_STRICTATIME,
    "relatime": 0,
    "rw": 0,
    "suid": 0,
    "dev": 0,
    "exec": 0,
}
IGNORED = ("bind", "rbind", "private", "rprivate", "defaults")  # said by the type, or true of each mount here
REFUSED = ("shared", "rshared", "slave", "rslave", "unbindable", "runbindable", "tmpcopyup", "idmap", "ridmap")


class MadeMount(NamedTuple):
    """`tree` is the descriptor of the mount; `fill` is called when it lies in the container."""

    tree: int
    is_bind: bool = False
    fill: Callable[[], None] = lambda: None


def is_bind(mount: Mount) -> bool:
    """Does it show a file or directory of the host?"""
    return mount.fstype == "bind" or "bind" in mount.options or "rbind" in mount.options


def clone_source(mount: Mount) -> int:
    """Copy the mount in which the source lies, from there on; a symlink of the host is followed. Raises OSError."""
    return mounts.clone_tree(os.path.realpath(mount.source), recursive="bind" not in mount.options)


def make_mount(mount: Mount, spec: Spec, groups: dict[str, str], source: int | None) -> MadeMount:
    """Make it. `groups` are the directories of the container's control group, `source` an open copy of what is bound.

    Raises OSError.
    """
    attributes = 0
    options: list[tuple[str, str | None]] = []
    for option in mount.options:
        name, equals, value = option.partition("=")
        if option in ATTRIBUTES:
            attributes |= ATTRIBUTES[option]
        elif option not in IGNORED:
            options.append((name, value if equals else None))
    if source is not None:
        tree = source
        if attributes:
            mounts.set_attributes(tree, attributes)
        return MadeMount(tree, is_bind=True)
    if mount.fstype == "cgroup":
        return _make_cgroup(attributes, spec, groups)
    return MadeMount(mounts.make_file_system(mount.fstype, options, attributes, mount.source))


def _make_cgroup(attributes: int, spec: Spec, groups: dict[str, str]) -> MadeMount:
    """The container's own control group. In version 1 each hierarchy is a mount, in a directory in memory."""
    if "" in groups:  # version 2
        if "cgroup" in spec.namespaces:
            return MadeMount(mounts.make_file_system("cgroup2", [], attributes, "cgroup"))
        tree = mounts.clone_tree(groups[""])
        mounts.set_attributes(tree, attributes)
        return MadeMount(tree)
    trees = {}
    for controllers, directory in groups.items():
        tree = trees[controllers] = mounts.clone_tree(directory)
        mounts.set_attributes(tree, attributes)
    top = mounts.make_file_system("tmpfs", [("mode", "755")], attributes & ~mounts.MOUNT_ATTR_RDONLY)
    return MadeMount(top, fill=lambda: _fill(top, trees, attributes))


def _fill(top: int, trees: dict[str, int], attributes: int) -> None:
    for name, tree in trees.items():
        os.mkdir(name, 0o755, dir_fd=top)
        target = os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=top)
        mounts.attach(tree, target)
        os.close(target)
        os.close(tree)
        for single in name.split(",") if "," in name else ():
            os.symlink(name, single, dir_fd=top)
    mounts.set_attributes(top, attributes)
