"""Has Compose made the containers that were asked for? Has a service been changed, and do its new tasks run?"""

from collections import Counter
from collections.abc import Mapping, Sequence

from labkit.api.engine import Engine
from labkit.check.verdict import Verdict, shorten
from labkit.daemons.swarm import look

__all__ = ["check_scaled", "check_updated"]

PROJECT, SERVICE = "com.docker.compose.project", "com.docker.compose.service"
MADE_BY = "com.docker.compose.version"


def check_scaled(engine: Engine, project: str, wanted: Mapping[str, int]) -> Verdict:
    """Has a project of Compose as many running containers of each service, and has Compose made them?

    Raises what every call of an Engine raises.
    """
    query = {"all": True, "filters": {"label": [f"{PROJECT}={project}"]}}
    found = engine.get("/containers/json", query=query).json()
    if not found:
        others = engine.get("/containers/json", query={"filters": {"label": [PROJECT]}}).json()
        if others:
            return Verdict(True, f"there is a project {others[0]['Labels'][PROJECT]}, but none named {project}")
        return Verdict(attempted=False)
    running = [one for one in found if one["State"] == "running"]
    counted = Counter(one["Labels"].get(SERVICE, "") for one in running)
    by_hand = [one["Names"][0].removeprefix("/") for one in running if not one["Labels"].get(MADE_BY)]
    if by_hand:
        return Verdict(True, f"{by_hand[0]} is a container that Compose has not made: remove it")
    if len(running) < len(found):
        return Verdict(True, f"{len(found) - len(running)} of the {len(found)} containers of {project} do not run")
    for service, number in wanted.items():
        if counted[service] != number:
            return Verdict(counted != Counter(dict.fromkeys(wanted, 1)), _count(service, counted[service], number))
    return Verdict(True)


def _count(service: str, found: int, wanted: int) -> str:
    verb = "container runs" if found == 1 else "containers run"
    return f"{found} {verb} for the service {service}, and not {wanted}"


def check_updated(engine: Engine, name: str, command: Sequence[str], replicas: int) -> Verdict:
    """Do so many tasks of a service run this command, and have others run before that?

    Raises what every call of an Engine raises.
    """
    if engine.get("/info").json()["Swarm"]["LocalNodeState"] != "active":
        return Verdict(attempted=False)
    services = {one["Spec"]["Name"]: one for one in engine.get("/services").json()}
    if name not in services:
        words = f"there is a service {next(iter(services))}, but none named {name}" if services else ""
        return Verdict(True, words or f"this engine is a swarm, but it has no service {name}")
    spec = services[name]["Spec"]
    runs = spec["TaskTemplate"]["ContainerSpec"]
    now = [*runs.get("Command", []), *runs.get("Args", [])]
    tasks = [task for task in look(engine).tasks if task.service == name]
    if now != list(command):
        return Verdict(
            True, f"the tasks of {name} are to run `{shorten(' '.join(now))}`, and not `{' '.join(command)}`"
        )
    wanted = spec["Mode"].get("Replicated", {}).get("Replicas")
    if wanted != replicas:
        return Verdict(True, f"{name} wants {wanted} tasks, and not {replicas}")
    if "PreviousSpec" not in services[name] or not [task for task in tasks if not task.is_wanted]:
        return Verdict(True, f"{name} runs the command, but it was never changed: no task of it has been replaced")
    running = sum(task.runs for task in tasks)
    if running < replicas:
        return Verdict(True, f"{running} of {replicas} tasks of {name} run now: wait, and check again")
    return Verdict(True)
