"""Which engine will a machine run, and which program makes its containers?

The programs in the directory LABKIT_ENGINE go before the installed ones: dockerd, containerd, docker, and its runc or
crun, if there is one. A runtime may be too old for the engine; the versions tell. Source: Docker's release notes; the
version that dockerd writes into a container's configuration, "ociVersion" of the OCI runtime specification.
"""

import os
import re
import shutil
import subprocess
from contextlib import suppress
from functools import cache
from pathlib import Path

from labkit.errors import EngineUnfit

__all__ = ["PATHS", "ask_versions", "choose_runtime", "describe_engine", "read_engine_dir", "require_engine"]

PATHS = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
IMAGE_STORES = ("containerd", "graphdriver")

Version = tuple[int, ...]

WRITES_OCI_1_2: Version = (26,)  # dockerd, from this version on
TAKES_OCI_1_2: Version = (1, 14, 3)  # crun; those before take 1.0 and 1.1
WANTS_TIME_NAMESPACES: Version = (29,)  # dockerd: it names one in the configuration of each container
KNOWS_TIME_NAMESPACES: Version = (1, 2)  # runc
OFFERS_CONTAINERD_STORE: Version = (24,)  # dockerd: it can keep its images with containerd
PREFERS_CONTAINERD_STORE: Version = (29,)  # and does so unasked

_VERSION = re.compile(r"version v?([0-9]+(?:\.[0-9]+)*[^\s,]*)")


def read_engine_dir() -> str:
    """LABKIT_ENGINE as an absolute path; "" where it is not set."""
    named = os.environ.get("LABKIT_ENGINE")
    return os.path.abspath(named) if named else ""


def ask_versions(kind: str) -> None:
    """Start the programs whose versions `choose_runtime` will want, so that it need not wait for them."""
    with suppress(EngineUnfit, OSError):  # a program that is missing, or does not run, is told later
        if not (_may_use_crun(kind) and _takes_all(_find("crun"))):
            _start_asking(_find("dockerd"))


def require_engine(kind: str) -> None:
    """Raise EngineUnfit when no machine of this kind can run the engine that the environment asks for."""
    _require_names()
    choose_runtime(kind)


def choose_runtime(kind: str) -> str:
    """The program that makes the containers of a machine of this kind: "crun" where it can, else "runc".

    crun is quicker, and refuses a mix of both versions of control groups. Raises EngineUnfit when neither takes what
    the engine writes, or when one of the programs does not run.
    """
    crun = _find("crun") if _may_use_crun(kind) else ""
    if crun and _takes_all(crun):
        return "crun"
    dockerd, runc = _find("dockerd"), _find("runc")
    engine = _read_version(dockerd)
    if crun and engine < WRITES_OCI_1_2:
        return "crun"
    if engine >= WANTS_TIME_NAMESPACES and _read_version(runc) < KNOWS_TIME_NAMESPACES:
        needed = ".".join(map(str, KNOWS_TIME_NAMESPACES))
        raise EngineUnfit(
            f"Docker {_ask(dockerd)} needs runc {needed} or newer, and {runc} is {_ask(runc)}.",
            "Put a newer runc into the directory that LABKIT_ENGINE names, or name an older engine there.",
        )
    return "runc"


def describe_engine() -> dict[str, str]:
    """What `labkit doctor` says of the engine: {"program", "version", "image_store"}.

    Raises EngineUnfit when the environment asks for what is not there, and when the engine does not run.
    """
    _require_names()
    dockerd = _find("dockerd")
    preferred = "containerd" if _read_version(dockerd) >= PREFERS_CONTAINERD_STORE else "graphdriver"
    store = os.environ.get("LABKIT_IMAGE_STORE") or preferred
    return {"program": dockerd, "version": _ask(dockerd), "image_store": store}


def _require_names() -> None:
    named, store = read_engine_dir(), os.environ.get("LABKIT_IMAGE_STORE", "")
    if ":" in named:  # it becomes a part of PATH
        raise EngineUnfit(f"LABKIT_ENGINE is {named}: a colon parts directories.", "Name a directory without one.")
    if named and not shutil.which("dockerd", path=named):
        raise EngineUnfit(
            f"LABKIT_ENGINE is {named}, and there is no program dockerd in it.",
            "Name a directory that `tools/newer-engine DIR` has filled, or unset LABKIT_ENGINE.",
        )
    if store not in ("", *IMAGE_STORES):
        cure = "Set it to containerd or graphdriver, or unset it."
        raise EngineUnfit(f"LABKIT_IMAGE_STORE is {store!r}.", cure)
    if store == "containerd" and _read_version(_find("dockerd")) < OFFERS_CONTAINERD_STORE:
        raise EngineUnfit(
            f"LABKIT_IMAGE_STORE is containerd, and Docker {_ask(_find('dockerd'))} keeps no images there.",
            "Unset it, or name a newer engine in LABKIT_ENGINE (tools/newer-engine fetches one).",
        )


def _read_version(program: str) -> Version:
    """The numbers of the version that a program tells: 20.10.24 of 20.10.24+dfsg1. Raises EngineUnfit if none."""
    numbers = re.match(r"[0-9.]*[0-9]", _ask(program))
    assert numbers is not None  # as _VERSION has it
    return tuple(map(int, numbers[0].split(".")))


def _find(name: str) -> str:
    """The program as a machine will find it; "" if it will not."""
    named = read_engine_dir()
    return shutil.which(name, path=f"{named}:{PATHS}" if named else PATHS) or ""


def _may_use_crun(kind: str) -> bool:
    """A user-mode kernel has control groups of version 2 alone; a native machine has what its host has."""
    return kind == "uml" or Path("/sys/fs/cgroup/cgroup.controllers").exists()


def _takes_all(crun: str) -> bool:
    return bool(crun) and _read_version(crun) >= TAKES_OCI_1_2


def _ask(program: str) -> str:
    """The version that a program tells, as it says it. Raises EngineUnfit if it tells none."""
    words = _hear(program)
    found = _VERSION.search(words)
    if found is None:
        *_, last = ["", *filter(None, words.split("\n"))]
        raise EngineUnfit(f"{program} does not tell its version: {last!r}.", "Install one that runs on this system.")
    return found[1]


@cache
def _hear(program: str) -> str:
    try:
        return _start_asking(program).communicate()[0].decode(errors="replace")
    except OSError as error:
        return str(error)


@cache
def _start_asking(program: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [program, "--version"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
