"""What can anybody check of the parts that this machine consists of?

Each proof is a line to type, after a $ or in a cell, and what it says; it is read here from where that line reads it.
"""

import os
from pathlib import Path

from labkit.api.engine import Engine

__all__ = ["read_proofs"]

MOUNTS, FIRST_COMMAND, DOCKERD_PID = Path("/proc/mounts"), Path("/proc/1/cmdline"), Path("/run/docker.pid")
KERNELS = {
    "native": "A native machine: it shares the Linux kernel of your computer.",
    "uml": "A uml machine: a Linux kernel of its own, which runs as a program on your computer.",
}


def read_proofs(engine: Engine) -> dict[str, str]:
    """Give for the name of each box of `labkit.show.boot` what to check. Raises EngineError when the engine is dead."""
    server = engine.head("/_ping", versioned=False).answer.headers.get("server", "")
    return {
        "your computer": f"{KERNELS[os.environ['LABKIT_MACHINE_KIND']]}\n$ uname -sr\nLinux {os.uname().release}",
        "lab machine": f"$ head -1 /proc/mounts\n{_first_mount()}",
        "process 1": f"$ tr '\\0' ' ' < /proc/1/cmdline\n{_first_command()}",
        "Python": f"In a cell: os.getpid(), os.getppid()\n{os.getpid(), os.getppid()}",
        "dockerd": (
            f"$ cat /run/docker.pid\n{_read(DOCKERD_PID)}\n"
            f"$ curl -sI localhost:5678/_ping | grep Server\nServer: {server}"
        ),
        "busybox": f"$ docker images --format '{{{{.Repository}}}}:{{{{.Tag}}}}'\n{_images(engine)}",
    }


def _first_mount() -> str:
    with MOUNTS.open() as lines:
        return next(lines).rstrip()


def _first_command() -> str:
    return _read(FIRST_COMMAND).replace("\0", " ").rstrip()


def _read(path: Path) -> str:
    """Give the text of a file; one that a learner has removed before the lesson opened proves nothing."""
    try:
        return path.read_text(errors="replace")
    except OSError as error:
        return f"({path}: {error.strerror})"


def _images(engine: Engine) -> str:
    images = engine.get("/images/json", versioned=False).json()
    return "\n".join(name for image in images for name in image["RepoTags"] or [])
