"""What does a notebook get from the kernel Docker Lab? Runs one cell through a real Jupyter client; prints JSON.

python ask.py CODE      {"status", "evalue", "text", "seconds"}: the reply's, what the cell printed, since the start
"""

import json
import sys
import time
from typing import Any

from jupyter_client.manager import KernelManager

PATIENCE_S = 60


def start() -> KernelManager:
    """Start the kernel Docker Lab, without waiting for it."""
    manager = KernelManager(kernel_name="docker-lab")
    manager.start_kernel()
    return manager


def launcher_of(manager: KernelManager) -> int:
    """The process that Jupyter started as the kernel."""
    provisioner: Any = manager.provisioner
    return int(provisioner.process.pid)


def run_cell(manager: KernelManager, code: str, patience_s: float = PATIENCE_S) -> dict[str, Any]:
    """Run one cell, which may take `patience_s`, and shut the kernel down."""
    began = time.monotonic()
    client = manager.client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=PATIENCE_S)
        text: list[str] = []
        reply = client.execute_interactive(code, timeout=patience_s, output_hook=lambda message: hear(message, text))
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    content = reply["content"]
    return {
        "status": content["status"],
        "evalue": content.get("evalue", ""),
        "text": "".join(text),
        "seconds": time.monotonic() - began,
    }


def hear(message: dict[str, Any], text: list[str]) -> None:
    if message["msg_type"] == "stream":
        text.append(message["content"]["text"])
    elif message["msg_type"] == "error":
        text.append("\n".join(message["content"]["traceback"]))


if __name__ == "__main__":
    print(json.dumps(run_cell(start(), sys.argv[1])))
