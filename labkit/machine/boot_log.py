"""How far has a machine's boot come?

/run/labkit/boot.jsonl tells it, one JSON object a line: written inside as the stages pass, read by lessons.
"""

import json
import os
import time
from pathlib import Path
from typing import Any

__all__ = ["BOOT_LOG", "STATE", "log_stage", "read_boot_log"]

STATE = Path("/run/labkit")
BOOT_LOG = STATE / "boot.jsonl"


def log_stage(began: float, stage: str, detail: str) -> None:
    """Note that a stage has passed; `began` is the boot's start, in seconds since the epoch."""
    entry = {"stage": stage, "seconds": round(time.time() - began, 3), "detail": detail}
    log = os.open(BOOT_LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.write(log, json.dumps(entry).encode() + b"\n")
    os.close(log)


def read_boot_log(path: Path = BOOT_LOG) -> list[dict[str, Any]]:
    """The stages that have passed, each {"stage", "seconds", "detail"}; a line still being written is left out."""
    whole, _, _ = path.read_text().rpartition("\n")
    return [json.loads(line) for line in whole.splitlines()]
