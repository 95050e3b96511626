"""Which parts of Debian's user-mode kernel have to be loaded, and when?

It is a kernel for every purpose: most of it lies in modules, in files of its package, and modprobe(8) loads one when it
is asked for by name. A kernel that was built without modules, as the lab's own is, has all of it from the start:
/proc/modules is not there, and these functions do nothing. A `native` machine uses what its host has loaded.
"""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["MODULES", "load_engine_modules", "load_overlay", "not_searched"]

MODULES = Path("/usr/lib/uml/modules")  # where Debian's package user-mode-linux puts them
FOR_THE_ENGINE = "veth bridge br_netfilter iptable_nat iptable_filter xt_conntrack xt_addrtype xt_MASQUERADE xfrm_user"
LOADER = Path("/proc/sys/kernel/modprobe")  # the program that the kernel calls when it lacks a module


def load_overlay(place: Path) -> None:
    """Load the file system that the machine's root is made of; `place` is writable, as the root is not yet.

    Raises OSError and subprocess.CalledProcessError.
    """
    if _has_modules():
        tree = place / "modules/lib/modules"
        tree.mkdir(parents=True)
        _link_below(tree)
        subprocess.run(["/sbin/modprobe", "-d", place / "modules", "overlay"], check=True)


def load_engine_modules() -> None:
    """Load what dockerd needs for its networks; raises OSError and subprocess.CalledProcessError."""
    if _has_modules():
        tree = Path("/lib/modules")
        tree.mkdir(exist_ok=True)
        _link_below(tree)
        subprocess.run(["/sbin/modprobe", "-a", *FOR_THE_ENGINE.split()], check=True)


@contextmanager
def not_searched() -> Iterator[None]:
    """Have the kernel do without the modules that it lacks: kernel/kmod.c, modprobe_path.

    dockerd tries programs of six other processors as it starts. For each the kernel would have a module searched,
    which is not there: 0.5 s.
    """
    if not LOADER.exists():
        yield
        return
    program = LOADER.read_text()
    LOADER.write_text("\n")
    try:
        yield
    finally:
        LOADER.write_text(program)


def _has_modules() -> bool:
    return Path("/proc/modules").exists()


def _link_below(tree: Path) -> None:
    """Have modprobe find the modules of the running kernel in `tree`, where it looks for them."""
    release = os.uname().release
    if not (tree / release).exists():
        (tree / release).symlink_to(MODULES / release)
