"""Which containers has runc made that were started by hand, and how do they end?

runc keeps a directory for each container below its root, here /run/runc, its default for root. Those of the engine
have another root, so that this module sees none of them. Source: runc(8).
"""

import json
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

from labkit.errors import LabError

__all__ = ["RuncContainer", "delete_containers", "list_containers"]


class RuncContainer(NamedTuple):
    """One container: `status` is "created", "running", "paused" or "stopped"; `pid` is 0 where it has ended."""

    name: str
    pid: int
    status: str
    bundle: Path


def list_containers() -> list[RuncContainer]:
    """The containers of /run/runc, by name. Raises LabError with runc's words."""
    told = json.loads(_runc("list", "--format", "json")) or []
    found = [RuncContainer(one["id"], one["pid"], one["status"], Path(one["bundle"])) for one in told]
    return sorted(found)


def delete_containers(*bundles: Path | str) -> None:
    """End and remove all containers of /run/runc, and the bundles that are named. Raises LabError with runc's words."""
    for container in list_containers():
        _runc("delete", "--force", container.name)
    for bundle in bundles:
        shutil.rmtree(bundle, ignore_errors=True)


def _runc(*words: str) -> str:
    done = subprocess.run(["runc", *words], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise LabError(f"runc {words[0]}: {done.stderr.strip()}")
    return done.stdout
