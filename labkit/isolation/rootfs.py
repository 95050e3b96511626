"""How does a directory become the root of a container, with what the kernel shows in it and nothing of the host?

    make_private()                  what is mounted from here on is seen by nobody else
    root = mount_root(spec.root)    the layers as an overlay, under a layer in memory
    mount_all(root, spec, ...)      /proc, /dev, /sys, and what the spec names
    make_devices(root, spec)
    hide(root, spec)                masked and read-only paths
    enter(root, spec)               pivot_root

These run in the container's first process, in its new namespaces. All of its mounts vanish with it, and the layer in
memory too. Paths in the container are never looked up from outside: `labkit.isolation.targets` opens them.
Sources: pivot_root(2), overlayfs.rst, mount_namespaces(7); OCI runtime specification, config-linux.md.
"""

import errno
import os
import stat
from contextlib import suppress

from labkit.isolation.defences import Defences
from labkit.isolation.kernel_mounts import clone_source, is_bind, make_mount
from labkit.isolation.spec import Device, Mount, Root, Spec
from labkit.isolation.targets import open_in_root, open_target
from labkit.linux import mounts, syscalls

__all__ = [
    "STAGING",
    "enter",
    "hide",
    "make_devices",
    "make_private",
    "mount_all",
    "mount_root",
    "open_sources",
    "write_sysctl",
]

STAGING = "/run"  # every host has this directory; in the container's mount namespace something else lies there
MOST_OPTIONS = 4000  # bytes: mount(2) takes a page of them
NULL = os.makedev(1, 3)


def make_private() -> None:
    """Take all mounts out of the groups in which they are shared with the host."""
    syscalls.mount("", "/", "", syscalls.MS_REC | syscalls.MS_PRIVATE)


def mount_root(root: Root) -> int:
    """Mount the root directory below /run, where only this mount namespace sees it; give its descriptor."""
    if root.directory:
        tree = mounts.clone_tree(root.directory, recursive=True)
        point = STAGING
        _attach_to_path(tree, point)
    else:
        point = _mount_overlay(root)
    return os.open(point, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)


def _mount_overlay(root: Root) -> str:
    # What may lie in /run is opened by name before /run is covered.
    layers = [os.open(layer, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC) for layer in root.layers]
    upper = os.open(root.upper, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC) if root.upper else None
    archive = os.open(root.archive, os.O_RDONLY | os.O_CLOEXEC) if root.archive else None
    _attach_to_path(mounts.make_file_system("tmpfs", [("mode", "755")]), STAGING)
    os.mkdir(f"{STAGING}/merged")
    above = STAGING if upper is None else f"/proc/self/fd/{upper}"
    for name in ("diff", "work"):
        with suppress(FileExistsError):
            os.mkdir(f"{above}/{name}")
    lower = ":".join(_escape(layer) for layer in root.layers)
    if len(lower) > MOST_OPTIONS or any(layer.startswith(f"{STAGING}/") for layer in root.layers):
        lower = ":".join(f"/proc/self/fd/{layer}" for layer in layers)
    if archive is not None and root.unpack is not None:
        lower = ":".join(root.unpack(archive, STAGING))
    options = f"lowerdir={lower},upperdir={above}/diff,workdir={above}/work"
    syscalls.mount("overlay", f"{STAGING}/merged", "overlay", 0, options)
    for each in (*layers, upper, archive):
        if each is not None:
            os.close(each)
    return f"{STAGING}/merged"


def _escape(path: str) -> str:
    for character in "\\:,":
        path = path.replace(character, f"\\{character}")
    return path


def _attach_to_path(tree: int, path: str) -> None:
    target = os.open(path, os.O_PATH | os.O_CLOEXEC)
    mounts.attach(tree, target)
    os.close(target)
    os.close(tree)


def open_sources(spec: Spec) -> dict[int, int]:
    """Copy the mounts of the host that the container will see, as long as they can be reached by their paths.

    Gives a descriptor for each, by its place among the mounts.
    """
    found = {}
    for place, mount in enumerate(spec.mounts):
        if is_bind(mount):
            with _naming(mount):
                found[place] = clone_source(mount)
    return found


def mount_all(root: int, spec: Spec, groups: dict[str, str], sources: dict[int, int], defences: Defences) -> None:
    """Mount what the spec names, in its order. `groups` are those of its `Group`, `sources` is from `open_sources`."""
    for place, mount in enumerate(spec.mounts):
        with _naming(mount):
            made = make_mount(mount, spec, groups, sources.get(place))
            is_directory = stat.S_ISDIR(os.fstat(made.tree).st_mode)
            target = open_target(root, mount.destination, defences, is_directory=is_directory, may_be_link=made.is_bind)
            mounts.attach(made.tree, target)
            made.fill()
            os.close(target)
            os.close(made.tree)


class _naming:
    """Has an error say which mount it is about."""

    def __init__(self, mount: Mount) -> None:
        self._mount = mount

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, OSError):
            what = f"{self._mount.fstype} at {self._mount.destination}"
            named = f"{what} ({error.filename})" if error.filename else what
            raise OSError(error.errno, error.strerror, named) from None


def make_devices(root: int, spec: Spec, defences: Defences) -> None:
    """Make the device nodes, and the links in /dev that programs expect."""
    for device in spec.devices:
        _make_device(root, device, defences)
    if not any(mount.destination == "/dev" for mount in spec.mounts):
        return
    directory = open_target(root, "/dev", defences, is_directory=True)
    links = {"fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1"}
    links |= {"stderr": "/proc/self/fd/2", "ptmx": "pts/ptmx"}
    if os.path.exists("/proc/kcore"):
        links["core"] = "/proc/kcore"
    for name, to in links.items():
        with suppress(FileExistsError):
            os.symlink(to, name, dir_fd=directory)
    os.close(directory)


def _make_device(root: int, device: Device, defences: Defences) -> None:
    parent, _, name = device.path.rpartition("/")
    directory = open_target(root, parent or "/", defences, is_directory=True)
    number = os.makedev(device.major, device.minor)
    kind = stat.S_IFBLK if device.kind == "b" else stat.S_IFCHR
    try:
        os.mknod(name, kind | device.mode, number, dir_fd=directory)
        os.chmod(name, device.mode, dir_fd=directory)
        if device.uid or device.gid:
            os.chown(name, device.uid, device.gid, dir_fd=directory)
    except FileExistsError:
        found = os.stat(name, dir_fd=directory, follow_symlinks=False)
        if (stat.S_IFMT(found.st_mode), found.st_rdev) != (kind, number):
            raise
    finally:
        os.close(directory)


def hide(root: int, spec: Spec, defences: Defences) -> None:
    """Lay nothing over the masked paths, and make others read-only; what is not there need not be hidden."""
    for path in spec.readonly_paths:
        with suppress(FileNotFoundError):
            target = open_target(root, path, defences, makes=False)
            tree = mounts.clone_tree("", target, recursive=True)
            mounts.set_attributes(tree, mounts.MOUNT_ATTR_RDONLY, recursive=True)
            mounts.attach(tree, target)
            os.close(tree)
            os.close(target)
    for path in spec.masked_paths:
        try:
            target = open_target(root, path, defences, makes=False)
        except FileNotFoundError:
            continue
        if stat.S_ISDIR(os.fstat(target).st_mode):
            cover = mounts.make_file_system("tmpfs", [("size", "0")], mounts.MOUNT_ATTR_RDONLY)
        else:
            cover = _open_null(root, defences)
        mounts.attach(cover, target)
        os.close(cover)
        os.close(target)


def _open_null(root: int, defences: Defences) -> int:
    """A copy of the container's /dev/null, if it is one: whoever made the image may have laid something else there."""
    if not defences.checks_null:
        named = os.open(f"/proc/self/fd/{root}/dev/null", os.O_PATH | os.O_CLOEXEC)  # whatever lies there
        return mounts.clone_tree("", named)
    null = open_in_root(root, "/dev/null", os.O_PATH, may_be_link=False)
    found = os.fstat(null)
    if not stat.S_ISCHR(found.st_mode) or found.st_rdev != NULL:
        raise OSError(errno.EINVAL, "this is not the device null (character device 1, 3)", "/dev/null")
    tree = mounts.clone_tree("", null)
    os.close(null)
    return tree


def write_sysctl(root: int, spec: Spec, defences: Defences) -> None:
    """Set knobs of the new namespaces, in a /proc that was made for this and lies nowhere."""
    if not spec.sysctl:
        return
    if defences.writes_to_own_proc:
        proc = mounts.make_file_system("proc")
    else:
        proc = os.open(f"/proc/self/fd/{root}/proc", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    for name, value in spec.sysctl.items():
        path = f"sys/{name.replace('.', '/')}"
        resolve = mounts.RESOLVE_BENEATH | mounts.RESOLVE_NO_SYMLINKS if defences.writes_to_own_proc else 0
        knob = mounts.openat2(proc, path, os.O_WRONLY, resolve)
        os.write(knob, value.encode())
        os.close(knob)
    os.close(proc)


def enter(root: int, spec: Spec, defences: Defences) -> None:
    """Make it the root directory of this mount namespace, and let the old one go."""
    if spec.root.is_read_only:
        mounts.set_attributes(root, mounts.MOUNT_ATTR_RDONLY)
    os.fchdir(root)
    if defences.pivots_root:
        syscalls.pivot_root(".", ".")  # the old root now lies on the new one: pivot_root(2), "pivot_root(".", ".")"
        syscalls.umount2(".", syscalls.MNT_DETACH)
    else:
        os.chroot(".")
    os.chdir("/")
    os.close(root)
