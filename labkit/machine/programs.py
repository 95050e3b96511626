"""Which programs does a machine need, and which Debian package has each?"""

import os
import platform
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from labkit.machine.inside.busybox import BUSYBOX, is_static
from labkit.machine.outside.kernel import PROGRAM, find_program
from labkit.machine.problem import Problem
from labkit.machine.request import PATHS, read_engine_dir

__all__ = ["PACKAGES", "check_busybox", "check_headers", "check_programs"]

PACKAGES = {  # program: Debian package
    "dockerd": "docker.io",
    "containerd": "containerd",
    "runc": "runc",
    "docker": "docker.io",
    str(BUSYBOX): "busybox-static",
    "iptables": "iptables",
    "ip": "iproute2",
    "modprobe": "kmod",
    "slirp4netns": "slirp4netns",
    # what the lessons use besides
    "curl": "curl",
    "strace": "strace",
    "gcc": "gcc",
    "docker-registry": "docker-registry",
    "mkfs.btrfs": "btrfs-progs",
    "fuse-overlayfs": "fuse-overlayfs",
    "mke2fs": "e2fsprogs",
    "openssl": "openssl",
    "docker-compose": "docker-compose",
    "rootlesskit": "rootlesskit",
    "newuidmap": "uidmap",
    "nsenter": "util-linux",
}


def check_programs(kind: str) -> Iterator[Problem]:
    packages = {**PACKAGES, "docker": _package_of_docker()}
    if kind == "uml" and find_program() is None:
        packages[PROGRAM] = "user-mode-linux"
    path = ":".join([read_engine_dir(), os.environ.get("PATH", ""), PATHS])
    missing = {program: package for program, package in packages.items() if shutil.which(program, path=path) is None}
    if missing:
        *others, last = missing
        names = f"programs {', '.join(others)} and {last} are" if others else f"program {last} is"
        wanted = " ".join(dict.fromkeys(missing.values()))
        yield Problem(f"The {names} missing.", f"Run: apt-get install {wanted} (or `make setup`), as root.")


def _package_of_docker() -> str:
    """Debian 12 and its relatives have the docker command in docker.io, Debian from 13 on in docker-cli."""
    with suppress(OSError):  # a system that does not say which one it is
        release = platform.freedesktop_os_release()
        if release["ID"] == "debian" and release.get("VERSION_ID") != "12":
            return "docker-cli"
    return "docker.io"


def check_busybox(program: Path) -> Iterator[Problem]:
    if program.exists() and not is_static(program):
        yield Problem(
            f"{program} is the dynamic one: in an image, where its libraries are not, it does not run.",
            "Run: apt-get install busybox-static (or `make setup`), as root: it replaces the package busybox.",
        )


def check_headers() -> Iterator[Problem]:
    """gcc alone compiles no program. That it is missing is told with the other programs."""
    if shutil.which("gcc") is None:
        return
    done = subprocess.run(
        ["gcc", "-fsyntax-only", "-x", "c", "-"], input=b"#include <stdio.h>\n", capture_output=True, check=False
    )
    if done.returncode != 0:
        yield Problem(
            "gcc is here, but it finds no stdio.h: the lesson that compiles C needs the headers of libc.",
            "Run: apt-get install libc6-dev (or `make setup`), as root.",
        )
