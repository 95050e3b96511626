"""What can this host do, and what is the cure for what it cannot?

Each check gives the problems that it found: one sentence on what was found, one on what to do. The same checks run
before a machine boots, so the notebook and `labkit doctor` say the same. They are quick, and look for known reasons;
`labkit doctor` besides boots a machine of each kind in which they find nothing, before it says "ok".
"""

import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from labkit.errors import EngineUnfit, MachineError
from labkit.machine import KINDS
from labkit.machine.abilities import may_administrate, may_trace, room_for_processes, try_namespaces
from labkit.machine.engine_programs import describe_engine, require_engine
from labkit.machine.inside.busybox import BUSYBOX
from labkit.machine.outside.kernel import Kernel, NoKernel, find_kernel
from labkit.machine.outside.memory import NEEDED_MIB, UML_MEMORY_MIB, group_memory_mib, host_memory_mib
from labkit.machine.outside.ports import check_port
from labkit.machine.places import find_memory_dir, find_state_dir
from labkit.machine.problem import Problem
from labkit.machine.programs import check_busybox, check_headers, check_programs

__all__ = [
    "KINDS",
    "boot_once",
    "check",
    "choose_kind",
    "describe_kernel",
    "examine",
    "require",
    "require_kernel",
    "require_memory",
]

NEEDED_PROCESSES = 100  # threads count, too: a machine with its engine and a few containers, and what is beside it
MAX_WORDS = 1000  # of a machine that failed


def examine() -> dict[str, Any]:
    """What `labkit doctor --json` prints: {"machine": the kind to be used or None, "kinds": {kind: {"ok",
    "problems": [{"found", "cure"}]}}, "host": [...] problems with the surroundings: HOME, ports, "kernel": that of
    `uml` machines, as describe_kernel gives it, "engine": {"program", "version", "image_store"}}. A kind is ok when a
    machine of it has just run a command: that takes as long as its boot.
    """
    kinds = {kind: check(kind) or [*_check_engine()] or boot_once(kind) for kind in KINDS}
    host = [*_check_home(), *check_headers(), *check_port()]
    chosen = None
    try:
        chosen = choose_kind()
    except MachineError as error:
        host.append(Problem(str(error), "Set LABKIT_MACHINE to one of them, or unset it."))
    possible = [kind for kind in KINDS if not kinds[kind]]
    if chosen == os.environ.get("LABKIT_MACHINE") and possible and chosen not in possible:
        host.append(Problem(f"LABKIT_MACHINE={chosen} cannot boot here.", f"Set it to {possible[0]}, or unset it."))
    elif chosen and possible and chosen not in possible:
        host.append(Problem(f"The kind used here, {chosen}, does not boot.", f"Set LABKIT_MACHINE={possible[0]}."))
    return {
        "machine": chosen if chosen and not kinds[chosen] else None,
        "kinds": {
            kind: {"ok": not problems, "problems": [asdict(problem) for problem in problems]}
            for kind, problems in kinds.items()
        },
        "engine": _describe_engine(),
        "host": [asdict(problem) for problem in host],
        "kernel": describe_kernel(),
    }


def describe_kernel() -> dict[str, Any] | None:
    """The kernel of user-mode machines here: {"program", "release", "own", "processes": "by seccomp" or "by ptrace",
    "quicker": what would make it quicker, or ""}. None where there is none that runs.
    """
    kernel = _find_kernel() if platform.system() == "Linux" else None
    if kernel is None or isinstance(kernel, Problem):
        return None
    if not kernel.is_own:
        quicker = "`make kernel` builds the lab's own, with which a machine is two to three times as fast."
    elif kernel.needs_ptrace:
        quicker = "This host forbids seccomp(2) to a process, with which this kernel would be twice as fast."
    else:
        quicker = ""
    return {
        "program": str(kernel.program),
        "release": kernel.release,
        "own": kernel.is_own,
        "processes": "by ptrace" if kernel.needs_ptrace else "by seccomp",
        "quicker": quicker,
    }


def choose_kind(wanted: str | None = None) -> str:
    """The kind asked for, or else by LABKIT_MACHINE, or else what fits: native for root, uml for everybody else.

    Where root is let have no namespaces, and so no native machine, uml fits if it can boot.
    Raises MachineError for a kind that does not exist.
    """
    kind = wanted or os.environ.get("LABKIT_MACHINE") or "auto"
    if kind == "auto":
        if not may_administrate():
            return "uml"
        return "uml" if check("native") and not check("uml") else "native"
    if kind not in KINDS:
        raise MachineError(f"LABKIT_MACHINE is {kind!r}: the kinds of machine are native, uml and auto.")
    return kind


def check(kind: str) -> list[Problem]:
    """What keeps a machine of this kind from booting here and now; nothing means it can."""
    found = list(_check_system(kind))
    if not found:
        found += check_programs(kind)
        found += check_busybox(BUSYBOX)
        found += _problem(find_state_dir())
        found += _check_memory(kind)
        found += _check_processes()
        found += _check_uml() if kind == "uml" else _check_native()
    return found


def boot_once(kind: str) -> list[Problem]:
    """What `labkit run -- true` says when it fails; nothing means that a machine and its engine came up, and ended.

    One kind after the other: two machines at once need more memory than one.
    """
    if sys.stderr.isatty():
        print(f"labkit: booting a {kind} machine, to be sure ...", file=sys.stderr)
    here = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join(filter(None, [here, os.environ.get("PYTHONPATH")]))
    done = subprocess.run(
        [sys.executable, "-P", "-m", "labkit.cli", "run", "--machine", kind, "--", "true"],
        env={**os.environ, "PYTHONPATH": path},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode == 0:
        return []
    words = " ".join(done.stderr.split())[-MAX_WORDS:].removeprefix("labkit: ") or f"status {done.returncode}"
    return [Problem(f"A machine was booted, and failed: {words}", f"Try again: labkit run --machine {kind} -- true")]


def require(kind: str) -> None:
    """Raise MachineError, with what was found and the cure, when this host cannot carry a machine of this kind."""
    problems = check(kind)
    if problems:
        words = " ".join(str(problem).strip() for problem in problems)
        raise MachineError(f"{words} (`labkit doctor` says the same in a terminal.)")


def require_memory(kind: str) -> None:
    """Raise MachineError when there is no memory for another machine of this kind."""
    for problem in _check_memory(kind):
        raise MachineError(str(problem))


def require_kernel() -> Kernel:
    """The kernel of a user-mode machine. Raises MachineError, with the cure, where there is none that runs."""
    found = find_kernel()
    if found is None:
        raise MachineError("There is no User-Mode Linux. Run: apt-get install user-mode-linux, or `make kernel`.")
    return found


def _problem(found: Path | Problem) -> list[Problem]:
    return [found] if isinstance(found, Problem) else []


def _check_system(kind: str) -> Iterator[Problem]:
    system, processor = platform.system(), platform.machine()
    if system != "Linux":
        yield Problem(
            f"This is {system}, and a lab machine needs Linux.",
            "Work in a Linux virtual machine, or on Binder.",
        )
    elif processor not in ("x86_64", "aarch64"):
        yield Problem(
            f"A lab machine runs on x86-64 and arm64, and this processor is {processor}.",
            "Use another computer, or Binder.",
        )
    elif kind == "uml" and processor != "x86_64":
        yield Problem(
            f"User-Mode Linux exists for x86-64, and this processor is {processor}.",
            "Use the native kind as root: LABKIT_MACHINE=native.",
        )


def _check_engine() -> Iterator[Problem]:
    try:
        require_engine()
    except EngineUnfit as error:
        yield Problem(error.found, error.cure)


def _describe_engine() -> dict[str, str]:
    with suppress(EngineUnfit):  # it is told with the kinds
        return describe_engine()
    return {}


def _check_memory(kind: str) -> Iterator[Problem]:
    free, where = min(
        (host_memory_mib(NEEDED_MIB["uml"]), "on this host"),
        (group_memory_mib(NEEDED_MIB["uml"]), "within this container's limit"),
    )
    needed = NEEDED_MIB[kind]
    if free < needed:
        yield Problem(
            f"There is no memory for another machine: {max(0, free)} MiB are free {where}, and it takes {needed}.",
            "Shut down the kernel of a lesson that you are not using (Kernel > Shut Down), then start this one again.",
        )


def _check_processes() -> Iterator[Problem]:
    room = room_for_processes(NEEDED_PROCESSES)
    if room < NEEDED_PROCESSES:
        yield Problem(
            f"Only {room} more processes can be started here, and a machine takes {NEEDED_PROCESSES}.",
            "Raise the limit: `ulimit -u` shows that of a user, pids.max of a control group that of a container "
            "(docker run --pids-limit). Or shut down kernels that you are not using (Kernel > Shut Down).",
        )


def _check_native() -> Iterator[Problem]:
    if not may_administrate():
        yield Problem(
            "The native kind needs root with CAP_SYS_ADMIN.",
            "Use the uml kind: LABKIT_MACHINE=uml (or leave it to auto).",
        )
        return
    refusal = try_namespaces()
    if refusal:
        yield Problem(
            f"This host lets root have no namespaces and mounts ({refusal}).",
            "Use the uml kind: LABKIT_MACHINE=uml. In a container, --privileged lifts it.",
        )
    if not Path("/dev/net/tun").exists():
        yield Problem(
            "/dev/net/tun is missing, which a machine's network needs.",
            "Load it (modprobe tun), or pass it to this container (--device /dev/net/tun).",
        )


def _check_uml() -> Iterator[Problem]:
    kernel = _find_kernel()
    if isinstance(kernel, Problem):
        yield kernel
    elif kernel is not None:
        yield from _check_kernel(kernel)
    yield from _problem(find_memory_dir(UML_MEMORY_MIB))


def _check_kernel(kernel: Kernel) -> Iterator[Problem]:
    if kernel.needs_ptrace and not may_trace():
        yield Problem(
            "This host forbids ptrace(2), by which User-Mode Linux runs its processes.",
            "Set kernel.yama.ptrace_scope to 2 or less, or start this container with a profile that permits ptrace.",
        )
    # Of a kernel that somebody names, nobody knows whether it was built with any: its boot tells.
    if not kernel.is_own and not os.environ.get("LABKIT_KERNEL") and not kernel.modules.is_dir():
        yield Problem(
            f"The modules of {kernel.program}, Linux {kernel.release}, are missing: {kernel.modules} is not there.",
            "Install them: apt-get install --reinstall user-mode-linux.",
        )


def _find_kernel() -> Kernel | Problem | None:
    try:
        return find_kernel()
    except NoKernel as error:
        return Problem(error.found, error.cure)


def _check_home() -> Iterator[Problem]:
    home = os.path.expanduser("~")  # "~" itself for a user without HOME that no list of users has
    if not os.access(home, os.W_OK):
        yield Problem(
            f"The home directory {home} is not writable, and JupyterLab keeps its settings there.",
            "Set HOME to a directory that is.",
        )
