"""Do a learner's own docker and the real one give a container the same, and how long does each need to start one?

answers = ask_docker("busybox")           what the kernel shows of containers of the engine
answers = ask_program(path, image)          and of those of the program: the same questions
time_starts(path, image, bundle)            seconds until a container has come to its end
"""

import json
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from labkit.check.runs import Done, box_of, capabilities_of, last_words, run_program, wait_until
from labkit.errors import LabError
from labkit.isolation.interfaces import read_interfaces, read_routes
from labkit.linux.cgroup_limits import read
from labkit.linux.cgroups import find_group

__all__ = ["Start", "ask_docker", "ask_program", "make_bundle", "time_starts"]

NAME = "peer"
PATIENCE_S = 60.0
LOOK = "hostname; echo $$; awk '{print $2, $3}' /proc/mounts; exit 7"
SERVE = ["sh", "-c", "echo one; echo two; exec sleep 600"]
LIMITS = ["--memory", "64m", "--pids-limit", "20"]
SEEN = ("/", "/proc", "/sys", "/dev")  # mounts that both have; Docker adds more
TIMES = 5

Run = Callable[[Sequence[str]], Done]


class Start(NamedTuple):
    """A program that starts containers, and the seconds that each of its starts took."""

    program: str
    seconds: tuple[float, ...]


def ask_docker(image: str) -> dict[str, str]:
    """Ask containers of the engine. Raises LabError where none starts."""

    def find_pid() -> int:
        return int(_docker(["inspect", "--format", "{{.State.Pid}}", NAME]).out.strip() or 0)

    _docker(["rm", "--force", NAME])
    try:
        return _ask(_docker, ["--hostname", NAME, image], find_pid)
    finally:
        _docker(["rm", "--force", NAME])


def ask_program(program: Path, image: str) -> dict[str, str]:
    """Ask containers of the learner's program. What one of its commands fails to do is in the answers, too.

    Raises LabError where no container starts.
    """

    def run(words: Sequence[str]) -> Done:
        return run_program(str(program), words, timeout_s=PATIENCE_S)

    def clean() -> None:
        run(["stop", "--time", "0", NAME])
        run(["rm", NAME])

    clean()
    try:
        return _ask(run, [image], lambda: int(box_of(NAME).get("pid", 0)))
    finally:
        clean()


def _ask(run: Run, image: list[str], find_pid: Callable[[], int]) -> dict[str, str]:
    done = run(["run", "--name", NAME, *image, "sh", "-c", LOOK])
    lines = done.out.splitlines()
    if not lines:
        raise LabError(f"No container was started, and so there is nothing to compare: {last_words(done)}")
    mounts = dict(line.split() for line in lines[2:])
    answers = {
        "host name": lines[0],
        "process number": lines[1] if len(lines) > 1 else "",
        "mounts": ", ".join(f"{point} {mounts.get(point, 'none')}" for point in SEEN),
        "exit status": str(done.status),
    }
    run(["rm", NAME])
    run(["run", "-d", "--name", NAME, *LIMITS, *image, *SERVE])
    pid = find_pid()
    if pid:
        wait_until(lambda: "sleep" in Path(f"/proc/{pid}/cmdline").read_text())
        answers |= _look_from_outside(pid)
    answers["logs"] = " ".join(run(["logs", NAME]).out.split())
    answers["exec"] = f"{run(['exec', NAME, 'hostname']).out.strip()}, status {_exec_status(run)}"
    stop = run(["stop", "--time", "1", NAME])
    answers["stop, rm"] = f"{stop.status}, {run(['rm', NAME]).status}"
    return answers


def _exec_status(run: Run) -> int:
    return run(["exec", NAME, "sh", "-c", "exit 5"]).status


def _look_from_outside(pid: int) -> dict[str, str]:
    group = find_group(pid)
    memory, pids = (read(group, knob).value for knob in ("memory_limit_bytes", "pids_limit"))
    interfaces = sorted(one.name for one in read_interfaces(pid) if one.addresses)
    default = any(route.to == "default" for route in read_routes(pid))
    return {
        "capabilities": str(capabilities_of(pid).bit_count()),
        "limits": f"{memory / 2**20:.0f} MiB, {pids:.0f} processes",
        "network": f"addresses on {' and '.join(interfaces)}; default route: {'yes' if default else 'no'}",
    }


def time_starts(program: Path, image: str, bundle: Path) -> list[Start]:
    """Time `true` in a container of runc, of the program and of docker, in turns. `bundle` is runc's.

    Raises LabError where one of them fails.
    """
    lines: dict[str, list[str]] = {
        "runc run": ["runc", "run", "--bundle", str(bundle), f"{NAME}-runc"],
        "mydocker run": ["python3", str(program), "run", "--name", NAME, image, "true"],
        "docker run": ["docker", "run", "--rm", image, "true"],
    }
    taken: dict[str, list[float]] = {name: [] for name in lines}
    for _ in range(TIMES):
        for name, line in lines.items():
            begun = time.perf_counter()
            done = subprocess.run(line, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
            taken[name].append(time.perf_counter() - begun)
            if name.startswith("my"):
                run_program(str(program), ["rm", NAME])
            if done.returncode:
                raise LabError(f"`{name}` has failed: {(done.stderr.strip() or 'without a word').splitlines()[-1]}")
    return [Start(name, tuple(seconds)) for name, seconds in taken.items()]


def make_bundle(place: Path, image: str) -> Path:
    """Write a bundle for runc, whose program is `true`, out of an image of the engine. Raises LabError."""
    (place / "rootfs").mkdir(parents=True, exist_ok=True)
    files = f"c=$(docker create {image}) && docker export $c | tar -x -C rootfs && docker rm $c"
    line = f"{files} && rm -f config.json && runc spec"
    done = subprocess.run(["sh", "-c", line], cwd=place, capture_output=True, text=True, check=False)
    if done.returncode:
        raise LabError(f"The bundle for runc was not written: {done.stderr.strip()}")
    config = json.loads((place / "config.json").read_text())
    config["process"] |= {"terminal": False, "args": ["true"]}
    (place / "config.json").write_text(json.dumps(config))
    return place


def _docker(words: Sequence[str]) -> Done:
    done = subprocess.run(["docker", *words], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    return Done(done.stdout, done.stderr, done.returncode)
