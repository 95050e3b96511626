"""Does a running JupyterLab serve the lessons, as a browser would ask it to? Runs beside the server, in its container.

    python rehearse.py run 00 01        run lessons one after the other, each on a machine of its own
    python rehearse.py crowd 3          run that many lessons and keep all of them open; then open one more
    python rehearse.py cull 30          close the page of one of two lessons; see for so many seconds which kernels stay

Sessions are opened through the server's REST interface, cells run through its websocket, and what they give is compared
with what is stored in the notebook. The findings are printed as one JSON object.
"""

import ast
import configparser
import itertools
import json
import re
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from jupyter_server.serverapp import list_running_servers
from websocket import WebSocket, create_connection

PATIENCE_S = 240
PICTURES = configparser.RawConfigParser()
BOOT = "[__import__('json').loads(line) for line in open('/run/labkit/boot.jsonl')]"
COMPARED = ("text/plain", "text/html")
CGROUP = Path("/sys/fs/cgroup")
REPOSITORY = Path.home()


class Server:
    """The one Jupyter server that runs here."""

    def __init__(self) -> None:
        (self.info,) = list_running_servers()
        self.url = f"http://127.0.0.1:{self.info['port']}{self.info['base_url']}"

    def ask(self, method: str, path: str, data: Any = None) -> Any:
        headers = {"Authorization": f"token {self.info['token']}"}
        body = None if data is None else json.dumps(data).encode()
        with urlopen(Request(self.url + path, method=method, data=body, headers=headers), timeout=60) as answer:
            return json.loads(answer.read() or "null")

    @contextmanager
    def kernel(self, path: str) -> Iterator["Kernel"]:
        """The kernel of a notebook, as JupyterLab has it started when the notebook is opened."""
        wanted = {"path": path, "name": path, "type": "notebook", "kernel": {"name": "docker-lab"}}
        session = self.ask("POST", "api/sessions", wanted)
        url = f"{self.url.replace('http', 'ws', 1)}api/kernels/{session['kernel']['id']}/channels"
        socket = create_connection(f"{url}?token={self.info['token']}", timeout=PATIENCE_S)
        try:
            yield Kernel(socket)
        finally:
            socket.close()
            if any(one["id"] == session["id"] for one in self.ask("GET", "api/sessions")):  # it was not culled
                self.ask("DELETE", f"api/sessions/{session['id']}")


class Kernel:
    """A client on the websocket of one kernel."""

    def __init__(self, socket: WebSocket) -> None:
        self.socket = socket
        self.numbers = itertools.count()

    def execute(self, code: str, value: str = "") -> tuple[list[dict[str, Any]], Any]:
        """Run a cell; give its outputs, and the value of a Python expression in the kernel after it."""
        number = f"cell-{next(self.numbers)}"
        content = {"code": code, "silent": not code, "store_history": bool(code), "allow_stdin": False}
        content["user_expressions"] = {"value": value} if value else {}
        header = {"msg_id": number, "msg_type": "execute_request", "username": "", "session": "r", "version": "5.3"}
        message = {"header": header, "parent_header": {}, "metadata": {}, "content": content, "channel": "shell"}
        self.socket.send(json.dumps(message))
        outputs: list[dict[str, Any]] = []
        reply, idle, result = False, False, None
        while not (reply and idle):
            answer = read_message(self.socket.recv())
            if answer["parent_header"].get("msg_id") != number:
                continue
            kind, content = answer["msg_type"], answer["content"]
            if kind in ("stream", "display_data", "execute_result", "error"):
                outputs.append({"output_type": kind, **content})
            idle = idle or (kind == "status" and content["execution_state"] == "idle")
            if kind == "execute_reply":
                reply = True
                shown = content.get("user_expressions", {}).get("value", {}).get("data", {}).get("text/plain")
                result = None if shown is None else ast.literal_eval(shown)
        return outputs, result


def read_message(frame: str | bytes) -> dict[str, Any]:
    """Read a message of a kernel; in a frame of bytes those of a view follow it, after a table of where each begins.

    Source: "The default WebSocket wire protocol" of Jupyter Server's manual.
    """
    if isinstance(frame, str):
        return json.loads(frame)  # type: ignore[no-any-return]
    count = struct.unpack_from(">I", frame)[0]
    places = [*struct.unpack_from(f">{count}I", frame, 4), len(frame)]
    return json.loads(frame[places[0] : places[1]])  # type: ignore[no-any-return]


def texts(outputs: list[dict[str, Any]]) -> list[tuple[str, ...]]:
    """What is compared of a cell's outputs: texts, and errors; pieces of one stream are joined."""
    found: list[tuple[str, ...]] = []
    for output in outputs:
        match output:
            case {"output_type": "stream", "name": name, "text": text}:
                text = "".join(text)
                if found and found[-1][0] == name:
                    text = found.pop()[1] + text
                found.append((name, text))
            case {"output_type": "error", "ename": name, "evalue": words}:
                found.append(("error", name, words))
            case {"data": data}:
                found += [(kind, "".join(data[kind])) for kind in COMPARED if kind in data]
    return [tuple(_sanitize(word) for word in entry) for entry in found]


def _sanitize(text: str) -> str:
    for section in PICTURES.sections():
        text = re.sub(PICTURES[section]["regex"], PICTURES[section]["replace"], text, flags=re.DOTALL)
    return text


def run_lesson(kernel: Kernel, path: Path) -> dict[str, Any]:
    """Run every cell; give the seconds, the boot, and the cells whose texts are not the stored ones."""
    began = time.time()
    differences = []
    cells = [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == "code"]
    for cell in cells:
        outputs, _ = kernel.execute("".join(cell["source"]))
        stored, seen = texts(cell["outputs"]), texts(outputs)
        if stored != seen:
            differences.append({"cell": cell["id"], "stored": stored, "seen": seen})
    _, boot = kernel.execute("", BOOT)
    return {
        "lesson": path.stem,
        "cells": len(cells),
        "seconds": round(time.time() - began, 1),
        "boot": {stage["stage"]: stage["seconds"] for stage in boot or []},
        "differences": differences,
    }


def run(server: Server, *names: str) -> dict[str, Any]:
    """Run these lessons one after the other."""
    lessons = []
    for path in find(*names):
        with server.kernel(path.name) as kernel:
            lessons.append(run_lesson(kernel, path))
    return {"lessons": lessons}


def crowd(server: Server, number: str) -> dict[str, Any]:
    """Run that many lessons and keep them open, see that each answers still, and open one more."""
    paths = find("00", "01")
    lessons, answers = [], []

    def open_next(left: int) -> list[tuple[str, ...]]:
        with server.kernel(f"open-{left}.ipynb") as kernel:
            if left == 0:
                return texts(kernel.execute("1 + 1")[0])
            lessons.append(run_lesson(kernel, paths[left % len(paths)]))
            more = open_next(left - 1)
            answers.append(texts(kernel.execute("!docker run --rm busybox echo still here")[0]))
            return more

    return {"one more": open_next(int(number)), "lessons": lessons, "answers": answers}


def cull(server: Server, patience: str) -> dict[str, Any]:
    """Close the page of a lesson, without shutting it down, beside one whose page stays open; count who is left."""
    with server.kernel("open.ipynb") as opened, server.kernel("closed.ipynb") as closed:
        for kernel in (opened, closed):
            kernel.execute("1 + 1")
        before = len(server.ask("GET", "api/kernels"))
        closed.socket.close()
        deadline = time.monotonic() + float(patience)
        while len(server.ask("GET", "api/kernels")) == before and time.monotonic() < deadline:
            time.sleep(0.5)
        time.sleep(2)
        return {"kernels": [before, len(server.ask("GET", "api/kernels"))], "answer": texts(opened.execute("1 + 1")[0])}


def find(*names: str) -> list[Path]:
    """The notebooks whose names begin so, with their stored outputs, which a learner's folder has not."""
    return [next((REPOSITORY / "notebooks").glob(f"{name}*.ipynb")) for name in names]


class Memory(threading.Thread):
    """Looks at the container's memory four times a second: cgroups of version 1 or 2."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.is_version_1 = (CGROUP / "memory").is_dir()
        self.peak_bytes = 0
        self.start()

    def run(self) -> None:
        while True:
            self.peak_bytes = max(self.peak_bytes, self.held_bytes())
            time.sleep(0.25)

    def held_bytes(self) -> int:
        """What is in use: all but the files in the page cache that no process has mapped."""
        if self.is_version_1:
            stat = self._table("memory/memory.stat")
            used = int((CGROUP / "memory/memory.usage_in_bytes").read_text())
            return used - stat["total_cache"] + max(stat["total_mapped_file"], stat["total_shmem"])
        stat = self._table("memory.stat")
        used = int((CGROUP / "memory.current").read_text())
        return used - stat["file"] + max(stat["file_mapped"], stat["shmem"])

    def report(self) -> dict[str, int]:
        table = self._table("memory/memory.oom_control" if self.is_version_1 else "memory.events")
        return {"peak_mib": self.peak_bytes >> 20, "oom_kills": table["oom_kill"]}

    def _table(self, name: str) -> dict[str, int]:
        return {key: int(value) for key, value in map(str.split, (CGROUP / name).open())}


if __name__ == "__main__":
    server, memory = Server(), Memory()
    PICTURES.read(REPOSITORY / "tests/notebooks/sanitize.cfg")
    verbs: dict[str, Callable[..., dict[str, Any]]] = {"run": run, "crowd": crowd, "cull": cull}
    findings = verbs[sys.argv[1]](server, *sys.argv[2:])
    print(json.dumps(findings | memory.report()))
