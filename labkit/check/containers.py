"""Is there the container that was asked for, and does it do what was asked for?"""

import io
import subprocess
import tarfile
import time

from labkit.api.engine import Engine
from labkit.api.frames import STDERR, STDOUT
from labkit.check.finding import Container, find_container, judge_image, judge_running
from labkit.check.log import read_log
from labkit.check.verdict import Verdict, shorten
from labkit.errors import EngineRefusal

__all__ = [
    "check_container_limits",
    "check_container_ran",
    "check_container_runs",
    "check_note_in_container",
    "check_revived",
]

START_BYTES = 64 * 1024  # of a tar: its first header, and more text than any exercise asks for
SECOND_LOOK_S = 0.5
REVIVAL_S = 10.0  # on a slow machine a container needs two seconds to start


def check_container_runs(engine: Engine, name: str, hostname: str, image: str = "busybox") -> Verdict:
    """Is there a container of that name, from that image, that keeps running, and does it call itself `hostname`?"""
    container = find_container(
        engine, name, lambda one: one["Config"]["Hostname"] == hostname, f"its host name is {hostname}"
    )
    if isinstance(container, Verdict):
        return container
    if trouble := judge_running(container):
        return Verdict(True, f"{name} exists, but {trouble}")
    if restarts := container["RestartCount"]:
        return Verdict(True, f"{name} does not keep running: its restart count is {restarts}")
    if trouble := judge_image(engine, container, image):
        return Verdict(True, f"{name} runs, but {trouble}")
    inside = _read_hostname(container["State"]["Pid"])
    time.sleep(SECOND_LOOK_S)  # a command that is soon over may just have begun
    container = find_container(engine, name)
    if isinstance(container, Verdict):
        return Verdict(True, f"{name} was removed while it was looked at")
    if trouble := judge_running(container):
        return Verdict(True, f"{name} exists, but {trouble}")
    return Verdict(True, "" if inside == hostname else f"{name} runs, but its host name is {inside}, not {hostname}")


def _read_hostname(pid: int) -> str:
    """What the kernel answers in a process's UTS namespace, and no file that could say anything; "": it ended."""
    done = subprocess.run(
        ["nsenter", f"--target={pid}", "--uts", "uname", "-n"], stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    return "" if done.returncode else done.stdout.strip()


def check_note_in_container(engine: Engine, name: str, path: str, text: str, image: str = "busybox") -> Verdict:
    """Does a container from that image, never started, hold a file with that text (less white space at its ends)?"""
    container = find_container(engine, name)
    if isinstance(container, Verdict):
        return container
    with engine.stream("GET", f"/containers/{name}/archive", query={"path": path}, check=False) as pieces:
        start = bytearray()
        for piece in pieces:
            start += piece
            if len(start) >= START_BYTES:
                break  # a huge file, or a directory: nobody needs the rest of it
    if pieces.answer.status == 404:
        return Verdict(
            True, f"{name} has no {path} (did you send a tar, and name its type? Else `curl` calls it a form)"
        )
    if pieces.answer.status != 200:
        return Verdict(True, f"the engine does not give {path} of {name}: {start.decode(errors='replace').strip()}")

    words = _text_of_file(bytes(start))
    if words is None:
        return Verdict(True, f"{path} in {name} is no ordinary file")
    if words != text:
        return Verdict(True, f"{path} in {name} says {shorten(words)!r}, not {text!r}")
    if trouble := judge_image(engine, container, image):
        return Verdict(True, f"{path} is in {name}, but {trouble}")
    if any(_is_below(path, mount["Destination"]) for mount in container["Mounts"]):
        return Verdict(True, f"{path} lies on something that is mounted there, and not in {name} itself")
    state = container["State"]["Status"]
    return Verdict(True, "" if state == "created" else f"{name} was started: its state is {state}, not created")


def _is_below(path: str, directory: str) -> bool:
    return f"{path}/".startswith(f"{directory.rstrip('/')}/")


def _text_of_file(start: bytes) -> str | None:
    """The text of the file that a tar begins with, with … for what is cut off; None: it begins with something else."""
    try:
        with tarfile.open(fileobj=io.BytesIO(start), mode="r:") as tar:
            member = tar.next()
    except tarfile.TarError:
        return None
    if member is None or not member.isreg():
        return None
    content = start[member.offset_data : member.offset_data + member.size]
    text = content.decode(errors="replace").strip()
    return text if len(content) == member.size else f"{text}…"


def check_container_limits(engine: Engine, name: str, *, image: str = "busybox", **limits: object) -> Verdict:
    """Has a container from that image these values in its HostConfig?

    By field: Memory=32 << 20 (bytes), PidsLimit=20, ...
    """
    container = find_container(engine, name, lambda one: not _differences(one, limits), "its limits are right")
    if isinstance(container, Verdict):
        return container
    if trouble := judge_image(engine, container, image):
        return Verdict(True, f"{name} exists, but {trouble}")
    wrong = _differences(container, limits)
    return Verdict(True, f"{name}: {'; '.join(wrong)}" if wrong else "")


def _differences(container: Container, limits: dict[str, object]) -> list[str]:
    config = container["HostConfig"]
    return [
        f"{field} is {_size(config.get(field))}, not {_size(wanted)}"
        for field, wanted in limits.items()
        if config.get(field) != wanted
    ]


def _size(value: object) -> str:
    """A value as the API has it; a large number also in MiB, as docker's options have it."""
    if isinstance(value, int) and value >= 1 << 20:
        return f"{value} ({value / (1 << 20):g} MiB)"
    return str(value)


def check_container_ran(engine: Engine, name: str, status: int, stdout: str = "", stderr: str = "") -> Verdict:
    """Has a container ended with that status, after it wrote these texts, and nothing else?"""
    container = find_container(engine, name)
    if isinstance(container, Verdict):
        return container
    state = container["State"]
    if state["Status"] == "created":
        return Verdict(True, f"{name} was made, but never started")
    if state["Status"] != "exited":
        return Verdict(True, f"{name} has not run to its end: its state is {state['Status']}")
    if state["ExitCode"] != status:
        return Verdict(True, f"{name} ended with {state['ExitCode']}, not with {status}")
    if container["Config"]["Tty"]:
        return Verdict(True, f"{name} has a terminal, where stdout and stderr are one")
    try:
        written = read_log(engine, name)
    except EngineRefusal as error:
        return Verdict(True, f"what {name} wrote cannot be read: {error}")
    for stream, title, wanted in ((STDOUT, "stdout", stdout), (STDERR, "stderr", stderr)):
        said = written[stream]
        if said == wanted:
            continue
        if wanted and said == wanted * (len(said) // len(wanted)) != "":
            return Verdict(True, f"{name} wrote {wanted!r} to {title} more than once: remove it, and begin again")
        return Verdict(True, f"{name} wrote {_quote(said)} to {title}, and should write {_quote(wanted)}")
    return Verdict(True)


def _quote(said: str) -> str:
    return repr(shorten(said)) if said else "nothing"


def check_revived(engine: Engine, name: str) -> Verdict:
    """Kill a container, twice: does somebody other than the engine have it run again, within 10 s each time?

    It may also be replaced by another of its name.
    """
    before = find_container(engine, name)
    if isinstance(before, Verdict):
        return before
    if before["HostConfig"]["RestartPolicy"]["Name"] not in ("", "no"):
        return Verdict(True, f"{name} has a restart policy: here somebody else is to start it again")
    if trouble := judge_running(before):
        return Verdict(True, f"{name} exists, but {trouble}")
    started = before["State"]["StartedAt"]
    for when in ("", " again"):
        try:
            engine.post(f"/containers/{name}/kill")
        except EngineRefusal as error:
            return Verdict(True, f"{name} could not be killed{when}: {error}")
        later = _wait_for_start(engine, f"/containers/{name}/json", started)
        if later is None:
            return Verdict(True, f"{name} was killed{when}, and {REVIVAL_S:.0f} s later nobody had started it again")
        started = later
    return Verdict(True)


def _wait_for_start(engine: Engine, path: str, before: str) -> str | None:
    """When a container was started that runs now, and did not at that time; None: 10 s have passed."""
    deadline = time.monotonic() + REVIVAL_S
    while time.monotonic() < deadline:
        found = engine.get(path, check=False)
        if found.answer.status == 200:  # not while it is being replaced
            state = found.json()["State"]
            if state["Status"] == "running" and state["StartedAt"] != before:
                return str(state["StartedAt"])
        time.sleep(0.05)
    return None
