"""Does `make lab` open the lab, and does Ctrl-C close it?"""

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest
from websocket import create_connection

from tests.machine.host import KINDS, descendants, is_alive, listening, snapshot, wait_until

ROOT = Path(__file__).resolve().parents[2]
CELL = """
import subprocess
subprocess.run("until docker image inspect busybox; do sleep 0.2; done", shell=True, capture_output=True)
print(subprocess.check_output("docker run --rm busybox echo hi", shell=True, text=True), end="")
"""


@pytest.mark.parametrize("kind", KINDS)
def test_make_lab_opens_and_closes(kind: str, state: Path, tmp_path: Path) -> None:
    """The server asks for its token, knows Docker Lab, a cell runs a container; after Ctrl-C nothing is left."""
    before = snapshot(state)
    own = {name: str(tmp_path / name) for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR")}
    no_browser = {"DISPLAY": "", "WAYLAND_DISPLAY": ""}
    log = tmp_path / "log"
    lab = subprocess.Popen(
        ["make", "lab"],
        cwd=ROOT,
        env={**os.environ, **own, **no_browser, "LABKIT_MACHINE": kind, "LABKIT_DESK": str(tmp_path / "desk")},
        stdin=subprocess.DEVNULL,
        stdout=log.open("wb"),
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        # The server names its address before it has written its file, and says this after that.
        assert wait_until(lambda: "To access the server" in log.read_text(), 60), log.read_text()
        assert "/lab/tree/home.md?token=" in log.read_text()
        (runtime,) = (tmp_path / "JUPYTER_RUNTIME_DIR").glob("jpserver-*.json")
        server = json.loads(runtime.read_text())
        assert wait_until(lambda: int(server["port"]) in listening(), 10)
        with pytest.raises(OSError, match="403"):
            urlopen(f"{server['url']}api/kernels")
        assert "docker-lab" in ask(server, "GET", "api/kernelspecs")["kernelspecs"]
        kernel = ask(server, "POST", "api/kernels", {"name": "docker-lab"})
        assert execute(server, kernel["id"], CELL) == "hi\n"
        family = descendants(lab.pid)
    finally:
        os.killpg(lab.pid, signal.SIGINT)
        lab.wait(30)

    assert wait_until(lambda: not any(map(is_alive, family)), 10)
    assert wait_until(lambda: snapshot(state) == before, 2), snapshot(state)


def ask(server: dict[str, Any], method: str, path: str, data: Any = None) -> Any:
    """Put one question to Jupyter's REST interface."""
    body = None if data is None else json.dumps(data).encode()
    headers = {"Authorization": f"token {server['token']}"}
    with urlopen(Request(server["url"] + path, method=method, data=body, headers=headers), timeout=60) as answer:
        return json.load(answer)


def execute(server: dict[str, Any], kernel: str, code: str) -> str:
    """Run a cell as JupyterLab does; give what it printed, and the error that it ended with."""
    socket = create_connection(
        f"{server['url'].replace('http', 'ws', 1)}api/kernels/{kernel}/channels?token={server['token']}", timeout=120
    )
    content = {"code": code, "silent": False, "store_history": True, "user_expressions": {}, "allow_stdin": False}
    header = {"msg_id": "cell", "msg_type": "execute_request", "username": "", "session": "test", "version": "5.3"}
    message = {"header": header, "parent_header": {}, "metadata": {}, "content": content, "channel": "shell"}
    socket.send(json.dumps(message))
    printed = ""
    try:
        while True:
            answer = json.loads(socket.recv())
            if answer["parent_header"].get("msg_id") == "cell":
                match answer["msg_type"], answer["content"]:
                    case "stream", {"text": text}:
                        printed += text
                    case "error", {"evalue": words}:
                        printed += words
                    case "status", {"execution_state": "idle"}:
                        return printed
    finally:
        socket.close()
