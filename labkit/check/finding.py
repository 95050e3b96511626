"""Is there a container, or an image, of that name? And if not, is there one that comes near?

A refusal other than 404 is no answer to the question: it is raised, and reaches the learner in the daemon's words.
"""

from collections.abc import Callable, Iterable
from difflib import get_close_matches
from typing import Any

from labkit.api.engine import Engine
from labkit.check.verdict import Verdict
from labkit.errors import EngineRefusal

__all__ = ["Container", "find_container", "find_image", "judge_image", "judge_running"]

Container = dict[str, Any]  # the answer of "Inspect a container"

LIKENESS = 0.7  # of two names, as difflib counts it
NO_NAME = "<none>:<none>"


def find_container(
    engine: Engine, name: str, alike: Callable[[Container], bool] = lambda _: False, what: str = ""
) -> Container | Verdict:
    """The container of that name, or the verdict that there is none; it names one that comes near.

    That is one whose name differs little; one whose command is the flag that should have named it; or one that is
    `alike`, in which `what` says how ("its host name is rex").
    Other containers are those of the lesson's own cells. Raises EngineRefusal, for any status but 404.
    """
    found = _look(engine, f"/containers/{name}/json")
    if isinstance(found, dict):
        return found
    others = engine.get("/containers/json", query={"all": True}).json()
    names = [other.removeprefix("/") for one in others for other in one["Names"]]
    if near := _near(name, names):
        return Verdict(True, f"there is a container {near}, but none named {name}")
    for other in names:
        one = _look(engine, f"/containers/{other}/json")
        if not isinstance(one, dict):
            continue
        command = [one["Path"], *one["Args"]]
        if "--name" in command and name in command:
            words = " ".join(command)
            return Verdict(
                True, f"docker took `{words}` for the command of a container: its flags come before the image"
            )
        if alike(one):
            return Verdict(True, f"there is a container with what was asked for ({what}), but its name is {other}")
    return Verdict(attempted=False)


def find_image(engine: Engine, name: str) -> str | Verdict:
    """The identity of the image of that name, or the verdict that there is none; it names one that comes near.

    That is another tag of the same repository, or a name that differs little.
    Raises EngineRefusal, for any status but 404.
    """
    found = _look(engine, f"/images/{name}/json")
    if isinstance(found, dict):
        return str(found["Id"])
    tags = [tag for image in engine.get("/images/json").json() for tag in image["RepoTags"] or [] if tag != NO_NAME]
    repository = name.partition(":")[0]
    near = [tag for tag in tags if tag.rpartition(":")[0] == repository] or [_near(name, tags)]
    return Verdict(True, f"there is {near[0]}, but no {name}") if near[0] else Verdict(attempted=False)


def judge_image(engine: Engine, container: Container, image: str) -> str:
    """What is wrong with the image from which a container was made; "": nothing. Raises EngineRefusal."""
    identity = find_image(engine, image)
    if isinstance(identity, Verdict):
        return f"there is no image {image} here any more, so nobody can tell what it was made from"
    return (
        "" if container["Image"] == identity else f"it was made from {container['Config']['Image']}, not from {image}"
    )


def judge_running(container: Container) -> str:
    """What is wrong with a container that is to run, as it was found; "": nothing."""
    state = container["State"]
    match state["Status"]:
        case "running":
            return ""
        case "created":
            return "it was made, but never started"
        case "exited":
            command = " ".join([container["Path"], *container["Args"]])
            return f"it has ended: its command, `{command}`, is over (exit status {state['ExitCode']})"
        case other:
            return f"its state is {other}"


def _look(engine: Engine, path: str) -> Any:
    """The JSON of an answer; None for 404."""
    try:
        return engine.get(path).json()
    except EngineRefusal as error:
        if error.status == 404:
            return None
        raise


def _near(name: str, names: Iterable[str]) -> str:
    by_lower = {other.lower(): other for other in names}
    found = get_close_matches(name.lower(), by_lower, n=1, cutoff=LIKENESS)
    return by_lower[found[0]] if found else ""
