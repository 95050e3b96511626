"""How does the engine that runs read its settings again, without a restart?

dockerd reads its daemon.json again when it gets SIGHUP, and tells an event of the type `daemon` when it has done so.
Source: "Configuration reload behavior" of dockerd(8), "Monitor events" of the Engine API.
"""

import json
import os
import signal
import time
from collections.abc import Mapping
from pathlib import Path

from labkit.api.engine import Engine
from labkit.errors import EngineTimeout, LabError

__all__ = ["PIDFILE", "SETTINGS", "reload_engine"]

SETTINGS = Path("/etc/docker/daemon.json")
PIDFILE = Path("/run/docker.pid")
PATIENCE_S = 10.0


def reload_engine(engine: Engine, settings: Mapping[str, object]) -> None:
    """Write the settings of this machine's engine, have it read them, and wait until it says that it has.

    Raises LabError when it does not say so within 10 s: it has not liked them, and its log says why. Raises what a
    call of an Engine raises, and OSError when there is no dockerd.
    """
    query = {"filters": {"type": ["daemon"], "event": ["reload"]}, "since": f"{time.time():.9f}"}
    with engine.json_lines("GET", "/events", query=query, idle_s=PATIENCE_S) as events:
        SETTINGS.write_text(json.dumps(settings, indent=2) + "\n")
        os.kill(int(PIDFILE.read_text()), signal.SIGHUP)
        try:
            next(events)
        except (EngineTimeout, StopIteration) as error:
            raise LabError(f"The engine did not take its new settings within {PATIENCE_S:.0f} s.") from error
