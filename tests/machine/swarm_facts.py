"""Does a swarm of three engines do what lesson 14 says? Run in a machine; prints "NAME<tab>trouble" for each fact.

Each function is a fact that the lesson stands on: it asserts. They share one swarm, whose only manager is "one".
"""

import base64
import json
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from labkit.api.engine import Engine
from labkit.api.tap import Tap
from labkit.daemons.cluster import Cluster, Node, start_cluster
from labkit.daemons.swarm import form_swarm, look, wait_for
from labkit.isolation.capture import Capture, Tunnelled, has_esp
from labkit.shell import sh
from labkit.show.wire import wire_html, wire_svg, wire_text
from tests.machine.facts import main as check

__all__ = ["FACTS"]

BRIDGE = "nodes0"
HTTPD = "sh -c 'mkdir /w; hostname > /w/index.html; exec httpd -f -p 80 -h /w'"
LOG_BYTES = 1 << 20  # more than the log of a swarm has that has just begun
WORD = Path("/run/swarm-word")  # the secret's value, which no line of a shell holds


def docker(node: Node, line: str, *, host: str = "") -> str:
    """What a docker command prints that asks a node; it succeeds."""
    done = sh(f"docker --host {host or node.host} {line}")
    assert done.status == 0, done
    return done.out


def create(cluster: Cluster, name: str, flags: str, replicas: int = 1) -> list[Node]:
    """Make a service, and wait until it runs; give the nodes that run it, in the order of its tasks."""
    first = cluster["one"]
    flags = f"--detach --no-resolve-image --stop-grace-period 1s --name {name} --replicas {replicas} {flags}"
    docker(first, f"service create {flags} busybox {HTTPD}")
    state = wait_for(first.engine, lambda now: len(now.running(name)) == replicas)
    return [cluster[task.node] for task in state.running(name)]


def container_of(node: Node, service: str) -> str:
    """The identity of a task's container on its node."""
    (found,) = node.engine.get("/containers/json", query={"filters": {"name": [f"{service}."]}}).json()
    return str(found["Id"])


def ask(words: Sequence[str], patience_s: float) -> str:
    """What a command prints, once it succeeds, as when the nodes have told each other of a task; "": it never does."""
    deadline = time.monotonic() + patience_s
    while True:
        done = subprocess.run(words, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        if done.returncode == 0 or time.monotonic() > deadline:
            return done.stdout.strip() if done.returncode == 0 else ""
        time.sleep(0.2)


def a_secret_is_a_file_in_memory(cluster: Cluster) -> None:
    """The task reads the value that was given, from a tmpfs, and only from there; another file of it is on a disk."""
    WORD.write_bytes(base64.b64encode(Path("/dev/urandom").open("rb").read(24)) + b"\n")
    WORD.chmod(0o600)
    with Tap(cluster["one"].host) as said:
        docker(cluster["one"], f"secret create word - <{WORD}", host=said.host)
        docker(cluster["one"], "secret inspect word", host=said.host)
        heard = said.exchanges
    (node,) = create(cluster, "safe", "--secret word")
    inside = f"exec {container_of(node, 'safe')} "
    mounts = dict(line.split()[1:3] for line in docker(node, inside + "cat /proc/mounts").splitlines())
    assert ("overlay", "tmpfs") == (mounts["/"], mounts["/run/secrets/word"]), mounts
    assert WORD.read_text() == docker(node, inside + "cat /run/secrets/word")
    assert WORD.read_text().strip() not in docker(node, inside + "env")
    nobody_tells(cluster, node, [heard, wire_html(heard), wire_text(heard), wire_svg(heard)])
    assert heard[0].request.path == "/_ping" and b"(masked)" in [one.request.body for one in heard], heard


def nobody_tells(cluster: Cluster, node: Node, shown: Sequence[object]) -> None:
    """No description, no record, no picture and no manager's disk has the value, as it is or as the API carries it."""
    plain = WORD.read_bytes().strip()
    forms = [plain, base64.b64encode(WORD.read_bytes()).rstrip(b"=")]
    spec = cluster["one"].engine.get("/secrets/word").json()["Spec"]
    assert spec["Name"] == "word" and not spec.get("Data"), spec
    told = [one.engine.get(f"/containers/{container_of(one, 'safe')}/json").json() for one in [node]]
    told += [cluster["one"].engine.get(path).json() for path in ("/secrets", "/services", "/tasks")]
    records = [json.dumps(told), *map(repr, shown), *(repr(one.engine.exchanges) for one in cluster)]
    assert [] == [record[:200] for record in records for form in forms if form.decode() in record]
    raft = Path(f"/proc/{cluster['one'].daemon.pid}/root/run/raft")
    kept = [read_begin(path) for path in raft.rglob("*") if path.is_file()]
    assert sum(map(len, kept)) > 10_000, "the manager has written no log"
    assert [] == [form for data in kept for form in forms if form in data]


def read_begin(path: Path) -> bytes:
    """What was written to a file of the log; behind it, it is empty up to 64 MB, which would be memory once read."""
    with path.open("rb", buffering=0) as file:
        written = file.read(LOG_BYTES).rstrip(b"\0")
    assert len(written) < LOG_BYTES, path
    return written


def a_published_port_answers_on_each_node(cluster: Cluster) -> None:
    """Also on those that run no task of the service, where the kernel has IPVS; on none, where it has not."""
    (home,) = create(cluster, "door", "--publish 8080:80")
    has_ipvs = Path("/proc/net/ip_vs").exists()
    name = container_of(home, "door")[:12]
    asked = {
        node.name: ask(["curl", "-s", "-m", "2", f"http://{node.address}:8080/"], 20 if has_ipvs else 0)
        for node in cluster
    }
    assert asked == dict.fromkeys(asked, name if has_ipvs else ""), (asked, name)
    assert len({node.name for node in cluster} - {home.name}) == 2


def exchange(cluster: Cluster, service: str, patience_s: float) -> tuple[str, str, list[Tunnelled]]:
    """Have the first task of a service ask the second one: what came, what the second says, and what passed between."""
    state = look(cluster["one"].engine)
    asking, asked = (cluster[task.node] for task in state.running(service))
    assert asking.name != asked.name
    inside = ["docker", "--host", asking.host, "exec", container_of(asking, service), "timeout", "2"]
    described = json.loads(docker(asked, f"inspect {container_of(asked, service)}"))[0]
    address = described["NetworkSettings"]["Networks"][service]["IPAddress"]
    with Capture(BRIDGE) as capture:
        came = ask([*inside, "wget", "-q", "-O", "-", f"http://{address}/"], patience_s)
        return came, described["Config"]["Hostname"], capture.take()


def an_overlay_can_be_read_by_who_carries_it(cluster: Cluster) -> None:
    """Its packets travel in those of UDP, as they are."""
    docker(cluster["one"], "network create --driver overlay plain")
    create(cluster, "plain", "--network plain --endpoint-mode dnsrr", replicas=2)
    came, said, passed = exchange(cluster, "plain", 20)
    assert came == said
    assert {"VXLAN"} == {packet.kind for packet in passed}
    assert any(said.encode() in packet.data for packet in passed)


def an_encrypted_one_cannot(cluster: Cluster) -> None:
    """Where the kernel has ESP, the answer comes and nobody reads it; where it has none, no packet leaves the node."""
    docker(cluster["one"], "network create --driver overlay --opt encrypted closed")
    create(cluster, "closed", "--network closed --endpoint-mode dnsrr", replicas=2)
    came, said, passed = exchange(cluster, "closed", 20 if has_esp() else 0)
    assert (came, {packet.kind for packet in passed}) == ((said, {"ESP"}) if has_esp() else ("", set()))
    assert not any(said.encode() in packet.data for packet in passed)


def what_was_removed_is_gone(cluster: Cluster) -> None:
    """No task of a removed service stays in the manager's list, and a secret in use is not removed."""
    refused = sh(f"docker --host {cluster['one'].host} secret rm word")
    assert refused.status and "in use" in refused.err, refused
    docker(cluster["one"], "service rm safe door plain closed")
    wait_for(cluster["one"].engine, lambda now: not now.tasks, patience_s=60)
    docker(cluster["one"], "secret rm word")
    assert [] == cluster["one"].engine.get("/secrets").json()


def tasks_of_a_killed_worker_run_elsewhere(cluster: Cluster) -> None:
    """All three run again, on the two nodes that are left."""
    create(cluster, "site", "", replicas=3)
    cluster.kill("three")
    first = cluster["one"].engine
    state = wait_for(first, lambda now: len(now.running("site")) == 3 and not now.on("three"))
    assert {"one", "two"} == {task.node for task in state.running("site")}
    assert ["three"] == [node.name for node in state.nodes if node.state == "down"]


FACTS: dict[str, Callable[[Cluster], None]] = {
    fact.__name__: fact
    for fact in (
        a_secret_is_a_file_in_memory,
        a_published_port_answers_on_each_node,
        an_overlay_can_be_read_by_who_carries_it,
        an_encrypted_one_cannot,
        what_was_removed_is_gone,
        tasks_of_a_killed_worker_run_elsewhere,
    )
}


def main(facts: Mapping[str, Callable[[Cluster], None]]) -> None:
    """Check each, all with one swarm."""
    busybox = Engine().get("/images/busybox/get").answer.body
    with start_cluster(["one", "two", "three"], images=[busybox]) as cluster:
        form_swarm(cluster, managers=["one"])
        check({name: partial(fact, cluster) for name, fact in facts.items()})


if __name__ == "__main__":
    main(FACTS)
