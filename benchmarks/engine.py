"""How fast is labkit's engine client beside docker-py, the client that everyone uses?"""

import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from statistics import median
from tempfile import TemporaryDirectory

from benchmarks.lab import possible_kinds, start_kernel
from benchmarks.machine import WAIT_UNTIL_READY
from benchmarks.table import Row, bench
from labkit.api.http import build_chunk

IMPORTS = 15

LIST_CONTAINERS = """
import json, socket, time
from statistics import median
import docker
from labkit.api.engine import Engine
engine, peer = Engine(), docker.APIClient(base_url="unix:///run/docker.sock")
request = engine.get("/containers/json").request.raw
kept = socket.socket(socket.AF_UNIX)
kept.connect("/run/docker.sock")
def raw():  # the least that can be done: send the same bytes, read until the body is complete
    kept.sendall(request)
    data = kept.recv(65536)
    while True:
        head, end, body = data.partition(b"\\r\\n\\r\\n")
        if end and len(body) >= int(head.partition(b"Content-Length: ")[2].split(b"\\r\\n")[0]):
            return json.loads(body)
        data += kept.recv(65536)
def took(call):
    began = time.perf_counter()
    call()
    return time.perf_counter() - began
calls = [lambda: engine.get("/containers/json").json(), peer.containers, raw]
turns = [[took(call) for call in calls] for _ in range(400)]  # in turns, so that a noisy moment hits all
print(json.dumps([median(each) for each in zip(*turns)]))
"""

EVENTS = 20_000
EVENT = {  # as dockerd writes it for each container that is created
    "status": "create",
    "id": "4" * 64,
    "from": "busybox",
    "Type": "container",
    "Action": "create",
    "Actor": {"ID": "4" * 64, "Attributes": {"image": "busybox", "name": "eager_lovelace"}},
    "scope": "local",
    "time": 1700000000,
    "timeNano": 1700000000123456789,
}

CONSUME_EVENTS = f"""
import json, sys, time
import docker
from labkit.api.engine import Engine
engine, peer = Engine(sys.argv[1], version="1.41"), docker.APIClient(base_url=sys.argv[1], version="1.41")
def ours():
    with engine.json_lines("GET", "/events") as events:
        return sum(1 for _ in events)
def theirs():
    return sum(1 for _ in peer.events(decode=True))
used = [0.0, 0.0]
for _ in range(5):
    for number, consume in enumerate((ours, theirs)):
        began = time.process_time()
        assert {EVENTS} == consume()
        used[number] += time.process_time() - began
print(json.dumps([each / 5 / {EVENTS} for each in used]))
"""


@bench
def request_row() -> Iterator[Row]:
    """List the containers, over and over, on one kept connection each."""
    for kind in possible_kinds():
        with start_kernel("docker-lab", kind) as kernel:
            kernel.run(WAIT_UNTIL_READY)
            ours, theirs, raw = kernel.run(LIST_CONTAINERS)
        for peer_name, peer, goal in (("docker-py", theirs, 0.5), ("raw socket", raw, 1.6)):
            yield Row(
                name=f"{kind}: GET /containers/json",
                unit="ms",
                ours=ours * 1000,
                peer=peer * 1000,
                peer_name=peer_name,
                goal=goal,
                goal_on="ratio",
            )


@bench
def events_row() -> Iterator[Row]:
    """Consume a burst of events: seconds of CPU for each, from an engine that has them ready."""
    with TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{folder}/s")
        listener.listen()
        server = threading.Thread(target=_tell_events, args=(listener,))
        server.start()
        command = [sys.executable, "-c", CONSUME_EVENTS, f"unix://{folder}/s"]
        try:
            ours, theirs = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            server.join()
    yield Row(
        name="CPU for one event",
        unit="us",
        ours=ours * 1e6,
        peer=theirs * 1e6,
        peer_name="docker-py",
        goal=0.5,
        goal_on="ratio",
    )


def _tell_events(listener: socket.socket) -> None:
    """Answer each request with the same events, one chunk each, as dockerd writes them."""
    answer = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    answer += build_chunk(json.dumps(EVENT, separators=(",", ":")).encode() + b"\n") * EVENTS + build_chunk(b"")
    with suppress(OSError):  # the listener was shut down
        while True:
            threading.Thread(target=_answer_all, args=(listener.accept()[0], answer)).start()


def _answer_all(connection: socket.socket, answer: bytes) -> None:
    with connection:
        while connection.recv(65536):
            connection.sendall(answer)


@bench
def import_row() -> Iterator[Row]:
    """Import each client in a fresh interpreter; the bare interpreter's own time is taken off."""
    codes = ("pass", "import labkit.api.engine", "import docker")
    turns = [[_seconds(code) for code in codes] for _ in range(IMPORTS)]
    bare, ours, theirs = (median(each) for each in zip(*turns, strict=True))
    yield Row(
        name="import of the client",
        unit="ms",
        ours=(ours - bare) * 1000,
        peer=(theirs - bare) * 1000,
        peer_name="docker-py",
        goal=0.35,
        goal_on="ratio",
    )


def _seconds(code: str) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return time.perf_counter() - began
