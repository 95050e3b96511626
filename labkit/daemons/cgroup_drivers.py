"""Which driver for control groups does an engine take, and does it start a container with it?

An engine of its own is started with the driver: a dockerd beside the one that runs, without a network.

    try_cgroup_driver("systemd", busybox)     Answer(driver="systemd", starts=True, runs=False, words="systemd not ...")
"""

import tempfile
from pathlib import Path
from typing import NamedTuple

from labkit.api.engine import Engine
from labkit.daemons.daemon import run_daemon
from labkit.errors import EngineRefusal, MachineError

__all__ = ["Answer", "try_cgroup_driver"]

PROBE = {"Image": "busybox", "Cmd": ["true"], "HostConfig": {"NetworkMode": "none"}}


class Answer(NamedTuple):
    """Does dockerd start with the driver, and does a container run? `words` are those of whoever refused, or ""."""

    driver: str
    starts: bool
    runs: bool
    words: str


def try_cgroup_driver(driver: str, busybox: bytes) -> Answer:
    """Start an engine with a driver ("cgroupfs", "systemd"), and a container in it; `busybox` is the image, as a tar.

    Raises what every call of an Engine raises, but for a refusal to start.
    """
    with tempfile.TemporaryDirectory(prefix="labkit-driver-") as place:
        try:
            with run_daemon(Path(place), cgroup_driver=driver, end_s=0.0) as daemon, Engine(daemon.host) as second:
                second.post("/images/load", query={"quiet": True}, body=busybox)
                made = second.post("/containers/create", json=PROBE).json()["Id"]
                try:
                    second.post(f"/containers/{made}/start")
                except EngineRefusal as refusal:
                    return Answer(driver, True, False, refusal.message)
                second.post(f"/containers/{made}/wait")
                return Answer(driver, True, True, "")
        except MachineError as error:
            return Answer(driver, False, False, str(error))
