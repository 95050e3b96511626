"""How does one have the engine of a lab machine keep its images the other way?

An engine has one of two stores: its own, which works through a graph driver ("graphdriver"), or that of containerd
("containerd"). Since Docker 24 the setting `containerd-snapshotter` chooses; older engines have only the first one.
Each store keeps what it has while the other one is in use, so the images are carried over as an archive.
Source: "containerd image store" of Docker's manual.
"""

import json
import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from labkit.api.engine import Engine
from labkit.errors import MachineError
from labkit.machine.inside.engine_process import PIDFILE, SETTINGS, engine_answers, start_engine

__all__ = ["choose_image_store", "image_store_of"]

CONTAINERD, GRAPHDRIVER = "containerd", "graphdriver"
END_S = 60.0
NAP_S = 0.05
FORCE = {"force": True, "v": True}
NO_NAME = "<none>:<none>"


def image_store_of(engine: Engine) -> str:
    """Give "containerd" or "graphdriver"."""
    status = engine.get("/info").json().get("DriverStatus") or []
    kinds = [value for key, value in status if key == "driver-type"]
    return CONTAINERD if any(kind.startswith("io.containerd.snapshotter") for kind in kinds) else GRAPHDRIVER


def choose_image_store(engine: Engine, store: str) -> Callable[[], None]:
    """Have the machine's engine keep its images in a store, and give what undoes this.

    The engine is started anew if it has the other store; its containers end. The images that have a name are there
    again. Undoing removes the containers and images that were made meanwhile.
    Raises MachineError when the engine does not come up, or has the other store all the same.
    """
    if image_store_of(engine) == store:
        return lambda: None
    settings = SETTINGS.read_text()
    images = _save_images(engine)
    chosen = json.loads(settings)
    features = {**chosen.get("features", {}), "containerd-snapshotter": store == CONTAINERD}
    _restart_engine(json.dumps(chosen | {"features": features}))
    if image_store_of(engine) != store:
        _restart_engine(settings)
        raise MachineError(f"This engine cannot keep its images with {store}: it has no such setting.")
    for archive in images:
        engine.post("/images/load", body=archive)

    def undo() -> None:
        _remove_all(engine)
        _restart_engine(settings)

    return undo


def _save_images(engine: Engine) -> list[bytes]:
    """Give an archive of each name that an image has."""
    names = [name for image in engine.get("/images/json").json() for name in image["RepoTags"] or []]
    return [engine.get(f"/images/{name}/get").answer.body for name in names if name != NO_NAME]


def _remove_all(engine: Engine) -> None:
    for kind, query in (("containers", {"all": True}), ("images", {})):
        for one in engine.get(f"/{kind}/json", query=query).json():
            engine.delete(f"/{kind}/{one['Id']}", query=FORCE, check=False)


def _restart_engine(settings: str) -> None:
    """End the engine, write what its daemon.json is to hold, and start it. Raises MachineError if it does not end."""
    deadline = time.monotonic() + END_S
    with suppress(FileNotFoundError, ProcessLookupError, ValueError):  # it has ended already
        pid = int(PIDFILE.read_text())
        os.kill(pid, signal.SIGTERM)
        while Path(f"/proc/{pid}").exists() or engine_answers():
            if time.monotonic() > deadline:
                raise MachineError(f"dockerd has not ended after {END_S:.0f} s. Restart the kernel to try again.")
            time.sleep(NAP_S)
    SETTINGS.write_text(settings)
    start_engine()
