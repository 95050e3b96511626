"""Which engine will a machine run, and does its runc go with it?

The programs in the directory LABKIT_ENGINE go before the installed ones: dockerd, containerd, docker, and runc, if
there is one. A runc may be too old for the engine; the versions tell. Source: Docker's release notes.
"""

import os
import re
import shutil
import subprocess
from contextlib import suppress
from functools import cache

from labkit.errors import EngineUnfit
from labkit.machine.request import PATHS, read_engine_dir

__all__ = ["ask_versions", "describe_engine", "require_engine"]

IMAGE_STORES = ("containerd", "graphdriver")

Version = tuple[int, ...]

WANTS_TIME_NAMESPACES: Version = (29,)  # dockerd: it names one in the configuration of each container
KNOWS_TIME_NAMESPACES: Version = (1, 2)  # runc
OFFERS_CONTAINERD_STORE: Version = (24,)  # dockerd: it can keep its images with containerd
PREFERS_CONTAINERD_STORE: Version = (29,)  # and does so unasked

_VERSION = re.compile(r"version v?([0-9]+(?:\.[0-9]+)*[^\s,]*)")


def ask_versions() -> None:
    """Start the programs whose versions `require_engine` will want, so that it need not wait for them."""
    for program in ("dockerd", "runc"):
        with suppress(EngineUnfit, OSError):  # one that is missing, or does not run, is told later
            _start_asking(_find(program))


def require_engine() -> None:
    """Raise EngineUnfit when no machine can run the engine that is installed, or that the environment asks for."""
    _require_names()
    dockerd, runc = _find("dockerd"), _find("runc")
    if _read_version(runc) < KNOWS_TIME_NAMESPACES and _read_version(dockerd) >= WANTS_TIME_NAMESPACES:
        needed = ".".join(map(str, KNOWS_TIME_NAMESPACES))
        raise EngineUnfit(
            f"Docker {_ask(dockerd)} needs runc {needed} or newer, and {runc} is {_ask(runc)}.",
            "Put a newer runc into the directory that LABKIT_ENGINE names, or name an older engine there.",
        )


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
