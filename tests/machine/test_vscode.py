"""Does the kernel Docker Lab start where no Jupyter server starts it?

VS Code has a launcher of its own: it reads kernel.json, writes a connection file on ports that it found free, and
starts argv itself, with the program found by PATH or replaced by the interpreter that the kernelspec belongs to.
"""

import json
import os
import secrets
import subprocess
import sys
from pathlib import Path

import pytest
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.connect import write_connection_file
from jupyter_client.kernelspec import KernelSpecManager

from tests.machine.host import KINDS, descendants, is_alive, snapshot, wait_until

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"
PATIENCE_S = 60


@pytest.mark.parametrize("resolve", ["by PATH", "by the interpreter"])
@pytest.mark.parametrize("kind", KINDS)
def test_argv_alone_is_a_kernel(kind: str, resolve: str, state: Path, tmp_path: Path) -> None:
    """A cell runs as root in the notebook's directory; a shutdown request ends everything that argv started."""
    before = snapshot(state)
    folder = Path(KernelSpecManager().get_kernel_spec("docker-lab").resource_dir)
    argv = json.loads((folder / "kernel.json").read_text())["argv"]
    connection, _ = write_connection_file(str(tmp_path / "kernel.json"), key=secrets.token_hex(16).encode())
    argv = [word.replace("{connection_file}", connection) for word in argv]
    path = os.environ["PATH"]
    if resolve == "by PATH":
        path = f"{Path(sys.executable).parent}:{path}"
    else:
        argv[0] = sys.executable
    launcher = subprocess.Popen(argv, cwd=NOTEBOOKS, env={**os.environ, "PATH": path, "LABKIT_MACHINE": kind})
    client = BlockingKernelClient(connection_file=connection)
    client.load_connection_file()
    client.start_channels(hb=False)  # its beat would be missed while the machine boots
    try:
        client.kernel_info(reply=True, timeout=PATIENCE_S)
        wanted = {"value": "(__import__('os').getuid(), __import__('os').getcwd())"}
        reply = client.execute("", user_expressions=wanted, reply=True, timeout=PATIENCE_S)
        shown = reply["content"]["user_expressions"]["value"]["data"]["text/plain"]
        family = descendants(launcher.pid)
        client.shutdown(reply=True, timeout=PATIENCE_S)
        launcher.wait(PATIENCE_S)
    finally:
        client.stop_channels()
        launcher.kill()
        launcher.wait()

    assert str((0, str(NOTEBOOKS))) == shown
    assert family and wait_until(lambda: not any(map(is_alive, family)), 10)
    assert wait_until(lambda: before == snapshot(state), 2), snapshot(state)
