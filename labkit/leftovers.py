"""What has a lesson left in its machine, and how is that removed?

Containers, networks, volumes, images; a swarm; and what the docker command has written down, its contexts above all.
"""

import json
import shutil
import time
from collections.abc import Callable, Iterator
from functools import partial

from labkit.api.engine import Engine
from labkit.machine.boot_log import STATE

__all__ = ["FORCE", "Leftovers", "attempt"]

FORCE = {"force": True, "v": True}  # v: with its anonymous volumes; what is no container does not know the word
NO_NAME = "<none>:<none>"
BUILT_IN_NETWORKS = ("bridge", "host", "none")  # a daemon makes them itself, with a new identity after its death
DOCKER_CLI = STATE / "docker-cli"  # a lab machine's DOCKER_CONFIG, which is not there at the boot
SWARM_PATIENCE_S = 15.0  # what the containers of its services may take to go


class Leftovers:
    """What was not there when this was made. Its methods raise what every call of an Engine raises."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        # By its identity too: an image that loses its name in the lesson is not the lesson's.
        identities = (f"/images/{image['Id']}" for image in engine.get("/images/json").json())
        self._before = {*self._inventory(), *identities}

    def find(self) -> list[str]:
        """The paths of what is left in the engine, what uses others first."""
        return [path for path in self._inventory() if path not in self._before]

    def remove(self) -> tuple[list[str], list[str]]:
        """Remove it; give a sentence for each thing that a learner may not expect, and one for each refusal."""
        said, deadline = [], time.monotonic()
        if self._leave_swarm():
            said.append("This engine was in a swarm, and has left it.")
            deadline += SWARM_PATIENCE_S
        if _forget_docker_cli():
            said.append("The docker command used another context, and uses its own again.")
        refusals: list[str] = []
        seen: list[str] = []
        while left := self.find():
            refusals = [words for path in left for words in attempt(partial(self._delete, path))]
            if left == seen:  # containerd's store shows what an image was built on only when the image is gone
                if time.monotonic() >= deadline:
                    break
                time.sleep(0.1)
            seen = left
        return said, refusals

    def _delete(self, path: str) -> None:
        self._engine.delete(path, query=FORCE)

    def _leave_swarm(self) -> bool:
        state = self._engine.get("/info").json()["Swarm"]["LocalNodeState"]
        if state in ("", "inactive"):
            return False
        self._engine.post("/swarm/leave", query={"force": True})
        return True

    def _inventory(self) -> Iterator[str]:
        for container in self._engine.get("/containers/json", query={"all": True}).json():
            yield f"/containers/{container['Id']}"
        for network in self._engine.get("/networks").json():
            if network["Name"] not in BUILT_IN_NETWORKS:
                yield f"/networks/{network['Id']}"
        for volume in self._engine.get("/volumes").json()["Volumes"] or []:
            yield f"/volumes/{volume['Name']}"
        for image in self._engine.get("/images/json").json():
            names = [name for name in image["RepoTags"] or [] if name != NO_NAME]
            yield from (f"/images/{name}" for name in names or [image["Id"]])


def attempt(step: Callable[[], object]) -> list[str]:
    """Call it; give what went wrong, so that the others are still called."""
    try:
        step()
    except Exception as error:
        return [f"{type(error).__name__}: {error}"]
    return []


def _forget_docker_cli() -> bool:
    """Remove what the docker command has written down; give whether another context was in use."""
    try:
        settings = json.loads((DOCKER_CLI / "config.json").read_bytes())
    except (OSError, ValueError):
        settings = {}
    shutil.rmtree(DOCKER_CLI, ignore_errors=True)
    return isinstance(settings, dict) and bool(settings.get("currentContext"))
