"""Processes as values, for the views that draw them."""

from labkit.isolation.namespaces import Namespace, Process

OWN = {"uts": 1, "ipc": 2, "pid": 3, "net": 4, "mnt": 5, "user": 6, "cgroup": 7, "time": 8}  # the machine's


def process(number: int, comm: str, ppid: int = 1, inside: int = 0, /, **apart: int) -> Process:
    """A process in the machine's namespaces but those that are given; `inside` is its number in its PID namespace."""
    inodes = OWN | apart
    namespaces = {kind: Namespace(kind, 4026530000 + inode) for kind, inode in inodes.items() if inode >= 0}
    pids = (number, inside) if inside else (number,)
    return Process(number, comm, ppid, number, False, pids, namespaces, {})


def container(first: int) -> dict[str, int]:
    """The namespaces that a container of its own has, as docker makes them on cgroup v1."""
    return {kind: first + place for place, kind in enumerate(("uts", "ipc", "pid", "net", "mnt"))}


BOX, POD = container(20), container(30) | {"net": container(20)["net"]}
MACHINE = [
    process(1, "python3", 0),
    process(7, "dockerd"),
    process(9, "containerd", 7),
    process(20, "containerd-shim"),
    process(24, "sleep", 20, 1, **BOX),
    process(29, "sh", 20, 8, **BOX),
    process(40, "containerd-shim"),
    process(44, "sleep", 40, 1, **POD),
]
LABELS = {24: "box", 29: "box", 44: "pod"}
