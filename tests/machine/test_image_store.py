"""Does a machine's engine keep its images the other way when it is told to, and as before afterwards?"""

import sys
from pathlib import Path

import pytest

from tests.machine.host import KINDS, run
from tests.newer_engine import fetch_newer_engine

PATIENCE_S = 300  # for an engine that starts three times, on a busy computer
CHOOSE = """
import subprocess
from pathlib import Path
from labkit.api.engine import Engine
from labkit.daemons.image_store import choose_image_store, image_store_of
from labkit.images.store import list_drivers

engine, settings = Engine(), Path("/etc/docker/daemon.json")

def look(*words):
    names = sorted(name for image in engine.get("/images/json").json() for name in image["RepoTags"])
    print(*words, image_store_of(engine), names, list_drivers(Path("/var/lib/docker")))

before = settings.read_text()
look("before")
undo = choose_image_store(engine, "graphdriver")
look("chosen")
subprocess.run("docker run -d --name web busybox sleep 600; docker commit web mine", shell=True, capture_output=True)
undo()
print("as before:", settings.read_text() == before, engine.get("/containers/json", query={"all": True}).json())
look("after")
"""


@pytest.mark.parametrize("kind", KINDS)
def test_a_store_is_chosen_and_given_back(kind: str, state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Named images are in both stores; what was made meanwhile is gone; the settings are as they were."""
    monkeypatch.setenv("LABKIT_ENGINE", str(fetch_newer_engine()))
    monkeypatch.setenv("LABKIT_IMAGE_STORE", "containerd")

    done = run(kind, sys.executable, "-c", CHOOSE, timeout=PATIENCE_S)

    assert [
        "before containerd ['busybox:latest'] []",
        "chosen graphdriver ['busybox:latest'] ['overlay2']",
        "as before: True []",
        "after containerd ['busybox:latest'] ['overlay2']",
    ] == done.stdout.decode().splitlines(), done.stderr.decode()


OLDER = """
from labkit.api.engine import Engine
from labkit.daemons.image_store import choose_image_store
from labkit.errors import MachineError

engine = Engine()
pid = open("/run/docker.pid").read()
choose_image_store(engine, "graphdriver")()
print("left as it is:", open("/run/docker.pid").read() == pid)
try:
    choose_image_store(engine, "containerd")
    print("it has both stores")
except MachineError as error:
    print(error)
print(engine.get("/_ping", versioned=False).answer.status)
"""


@pytest.mark.parametrize("kind", ["native"])
def test_an_engine_that_has_one_store_only(kind: str, state: Path) -> None:
    """Its own store is no reason to start it again; for the other one there is a sentence, and it goes on as before."""
    done = run(kind, sys.executable, "-c", OLDER, timeout=PATIENCE_S)

    lines = done.stdout.decode().splitlines()
    if "it has both stores" in lines:
        pytest.skip("the installed engine has both stores")
    assert [
        "left as it is: True",
        "This engine cannot keep its images with containerd: it has no such setting.",
        "200",
    ] == lines
