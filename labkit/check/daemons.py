"""Does the engine that runs know a setting without a restart? Has a container outlived the engine?"""

import json
import os
import time
from pathlib import Path

from labkit.api.engine import Engine
from labkit.check.finding import find_container, judge_image, judge_running
from labkit.check.verdict import Verdict, shorten
from labkit.linux.orphans import ticks
from labkit.linux.proc import Stat, read_stat

__all__ = ["check_label_reloaded", "check_survived"]

SETTINGS = Path("/etc/docker/daemon.json")
PIDFILE = Path("/run/docker.pid")


def check_label_reloaded(engine: Engine, label: str, settings: Path = SETTINGS, pidfile: Path = PIDFILE) -> Verdict:
    """Is a label in the settings file and in the engine, and did the engine run before the file was written?

    Raises what every call of an Engine raises.
    """
    known = engine.get("/info").json()["Labels"] or []
    try:
        text = settings.read_text(errors="replace")
    except OSError as error:
        return Verdict(True, f"{settings} cannot be read: {error.strerror}")
    try:
        written = json.loads(text)
    except ValueError as error:
        return Verdict(True, f"{settings} is no JSON: {error}")
    labels = written.get("labels", []) if isinstance(written, dict) else []
    if label not in labels:
        return _judge_label_missing(label, written, labels, known)
    if label not in known:
        return Verdict(
            True, f"{settings} has the label, but the engine does not know it: it has not read the file again"
        )
    dockerd = _running(pidfile)
    if dockerd is None:
        return Verdict(True, f"no process has the number that {pidfile} names")
    if _age_s(dockerd) < time.time() - settings.stat().st_mtime:
        return Verdict(True, "the engine was started after the label was written: it was restarted, not told to reload")
    return Verdict(True)


def _judge_label_missing(label: str, written: object, labels: object, known: list[str]) -> Verdict:
    if label in known:
        return Verdict(True, f"the engine has the label, but {SETTINGS} has not: the next start would lose it")
    name = label.partition("=")[0]
    if near := [one for one in labels if name in str(one)] if isinstance(labels, list) else [labels]:
        return Verdict(
            True, f"{SETTINGS} has {shorten(json.dumps(near[0]))} under `labels`, and not {json.dumps(label)} in a list"
        )
    if isinstance(written, dict) and (other := next((key for key in written if "label" in key.lower()), "")):
        return Verdict(True, f"{SETTINGS} has the key `{other}`: the key is `labels`, and its value is a list")
    return Verdict(attempted=False)


def check_survived(engine: Engine, name: str, pidfile: Path = PIDFILE) -> Verdict:
    """Does a container of busybox run that is older than the engine that runs?

    Raises what every call of an Engine raises.
    """
    found = find_container(engine, name)
    if isinstance(found, Verdict):
        return found
    if not found["State"]["Running"] and not engine.get("/info").json()["LiveRestoreEnabled"]:
        return Verdict(
            True, f"{name} has ended, and the engine has no `live-restore`: an engine without it ends what it finds"
        )
    if problem := judge_image(engine, found, "busybox") or judge_running(found):
        return Verdict(True, problem)
    process, dockerd = read_stat(found["State"]["Pid"]), _running(pidfile)
    if process is None or dockerd is None:
        return Verdict(True, f"the process of {name}, or dockerd, is gone at this moment: check again")
    if process.start_time >= dockerd.start_time:
        return Verdict(True, f"{name} runs, but it is younger than dockerd: the engine has not died since")
    return Verdict(True)


def _running(pidfile: Path) -> Stat | None:
    try:
        return read_stat(int(pidfile.read_text()))
    except (OSError, ValueError):
        return None


def _age_s(process: Stat) -> float:
    return (ticks() - process.start_time) / os.sysconf("SC_CLK_TCK")
