"""Does a learner's `run` isolate, limit and connect a program, and do `ps`, `logs`, `exec`, `stop` and `rm` work?

Each function runs the program with containers of its own, and gives a sentence on what is missing; "" when nothing is.
"""

import os
import signal
import socket
from contextlib import suppress
from pathlib import Path

from labkit.check.preparing import prepared
from labkit.check.runs import IMAGE, ROOT, Done, box_of, capabilities_of, last_words, run_program, wait_until
from labkit.isolation.interfaces import read_interfaces
from labkit.isolation.namespaces import read_process
from labkit.linux.cgroup_limits import NO_LIMIT, read
from labkit.linux.cgroups import find_group, hierarchies
from labkit.linux.proc import read_stat

__all__ = ["CAPABILITIES", "try_life", "try_limits_and_rights", "try_network", "try_run"]

CAPABILITIES = 0xA80425FB  # what Docker leaves: fourteen of them, bit by bit, as in /proc/PID/status
KINDS = {"pid": "processes", "mnt": "mounts", "uts": "host name", "ipc": "shared memory", "net": "network"}
LOOK = "hostname; echo $$; head -1 /proc/mounts; cat /bin/vi; echo mine > /mine; echo to stderr >&2; exit 7"
MEMORY = 64 * 2**20
PIDS = 20
SLEEP = ["sleep", "600"]


def try_run(program: str) -> str:
    """Part B: a container in front, one that is killed, and one in the background."""
    with prepared():
        done = run_program(program, ["run", "--name", "check-b", IMAGE, "sh", "-c", LOOK])
        lines = done.out.splitlines()
        if len(lines) < 4:
            return f"the program in the container did not come to its end: {last_words(done)}"
        if lines[0] != "check-b":
            return "the host name in the container is not the container's name"
        if lines[1] != "1":
            return "the program is not process 1 of its own PID namespace"
        if not lines[2].startswith("overlay / "):
            return "the first line of /proc/mounts in the container is not an overlay at /"
        if lines[3] != "above":
            return "a file of a lower layer is seen where a higher layer has one of the same name: check lowerdir"
        if done.status != 7:
            return f"the program has ended with 7, and mydocker run with {done.status}"
        place = Path(ROOT) / "containers/check-b"
        if not (place / "upper/mine").exists():
            return "what the program has written is not in `upper` of the container's directory"
        if box_of("check-b").get("status") != 7 or "to stderr" not in (place / "log").read_text():
            return "box.json has not the exit status, or the file log not all that the program has written"
        return _try_behind(program)


def _try_behind(program: str) -> str:
    done = run_program(program, ["run", "-d", "--name", "check-d", IMAGE, *SLEEP])
    if done.status == 124:
        return "`run -d` does not come back while the program runs"
    pid = _pid_of("check-d")
    theirs, ours = (read_process(one) for one in (pid or 0, "self"))
    if pid is None or theirs is None or ours is None:
        return f"`run -d` has left no running process with the pid in box.json: {last_words(done)}"
    same = [words for kind, words in KINDS.items() if theirs.namespaces[kind] == ours.namespaces[kind]]
    if same:
        return f"the container shares a namespace with the machine: {', '.join(same)}"
    if any("/run/mydocker" in line for line in Path("/proc/mounts").read_text().splitlines()):
        return "the container's root is mounted in the machine: make all mounts private, after clone and before mount"
    stat = read_stat(pid)
    if stat is not None:
        os.kill(stat.ppid, signal.SIGKILL)
    if not wait_until(lambda: _has_ended(pid)):
        return "the process that looks after the container was killed, and the container runs on: die_with_parent"
    return ""


def try_limits_and_rights(program: str) -> str:
    """Part C: what the kernel has for a container with limits, and for one without."""
    with prepared():
        limits = ["--memory", "64m", "--pids-limit", str(PIDS)]
        done = run_program(program, ["run", "-d", "--name", "check-c", *limits, IMAGE, *SLEEP])
        pid = _pid_of("check-c")
        if pid is None:
            return f"a container with limits does not start: {_why(program, done)}"
        group = find_group(pid)
        if group.directory("memory") == find_group().directory("memory"):
            return "the first process is in no control group of its own: write its number into cgroup.procs"
        for knob, wanted in (("memory_limit_bytes", MEMORY), ("pids_limit", PIDS)):
            if read(group, knob).value != wanted:
                value = read(group, knob).value
                is_not = "no limit" if value == NO_LIMIT else f"{value:.0f}"
                return f"{read(group, knob).file} of the container has {is_not}, and not {wanted}"
        held = capabilities_of(pid)
        if held & ~CAPABILITIES:
            return f"the program has {held.bit_count()} capabilities, and not Docker's {CAPABILITIES.bit_count()}"
        if held != CAPABILITIES:
            return "the program lacks capabilities that Docker leaves: see KEPT in hint 3"
        done = run_program(program, ["run", "--name", "check-free", IMAGE, "true"])
        if done.status != 0:
            return f"a container without limits does not run: {last_words(done)}"
        if any(list(top.glob("mydocker/check-free")) for top in hierarchies()):
            return "the program has ended, and its control group is still there: AFTER is the place for rmdir"
        return ""


def try_network(program: str) -> str:
    """Part D: two containers on one bridge."""
    with prepared():
        serve = ["sh", "-c", "echo hello > /index.html; httpd -f -p 80 -h /"]
        addresses = []
        for name in ("check-one", "check-two"):
            done = run_program(program, ["run", "-d", "--name", name, IMAGE, *serve])
            pid = _pid_of(name)
            if pid is None:
                return f"a container with a network does not start: {_why(program, done)}"
            found = [one for one in read_interfaces(pid) if one.name == "eth0"]
            if not found:
                return "the network namespace of the container has no interface eth0"
            address = next((one.partition("/")[0] for one in found[0].addresses if ":" not in one), "")
            if not address:
                return "eth0 in the container has no address"
            if box_of(name).get("address") != address:
                return f"eth0 has an address, and box.json of {name} does not say which: box['address']"
            if address in addresses:
                return "two containers have the same address"
            addresses.append(address)
        for address in addresses:
            if not wait_until(lambda address=address: _answers(address), 5.0):  # type: ignore[misc]
                return "a server in the container does not answer this machine: are eth0 and the end at the bridge up?"
        run_program(program, ["run", "--name", "check-three", IMAGE, "true"])
        third = box_of("check-three").get("address")
        run_program(program, ["run", "--name", "check-four", IMAGE, "true"])
        if box_of("check-four").get("address") != third:
            return "the address of a container that has ended is not given to the next one: AFTER"
        return ""


def try_life(program: str) -> str:
    """Part E: what can be asked of a container from its start to its end."""
    with prepared():
        write = "echo one; echo two >&2; exec sleep 600"
        run_program(program, ["run", "-d", "--name", "check-e", "--memory", "64m", IMAGE, "sh", "-c", write])
        pid = _pid_of("check-e")
        if pid is None:
            return "`run -d` has not started a container"
        if not _says(program, "ps", "check-e", "running"):
            return "ps does not say of a container that it is running"
        if not wait_until(lambda: run_program(program, ["logs", "check-e"]).out.split() == ["one", "two"]):
            return "logs does not print what the program has written"
        if missing := _try_exec(program, pid):
            return missing
        if run_program(program, ["rm", "check-e"]).status == 0:
            return "rm has removed a container that is running"
        done = run_program(program, ["stop", "--time", "0.3", "check-e"], timeout_s=8)
        if not wait_until(lambda: _has_ended(pid), 1):
            return f"after stop the program runs on: {last_words(done)}"
        if not wait_until(lambda: box_of("check-e").get("status") == 137, 1):
            return "the program was ended by SIGKILL, and its exit status is not 137"
        if not _says(program, "ps", "check-e", "exited") or _says(program, "ps", "check-e", "running"):
            return "ps does not say of a container that it has exited"
        done = run_program(program, ["rm", "check-e"])
        if done.status != 0 or (Path(ROOT) / "containers/check-e").exists():
            return f"rm has left the directory of a container that has ended: {last_words(done)}"
        return ""


def _try_exec(program: str, pid: int) -> str:
    look = "hostname; grep CapEff /proc/self/status; cat /proc/self/cgroup; exit 5"
    done = run_program(program, ["exec", "check-e", "sh", "-c", look])
    lines = done.out.splitlines()
    if len(lines) < 3 or lines[0] != "check-e":
        return f"exec does not run its program in the container: {last_words(done)}"
    own = run_program(program, ["exec", "check-e", "readlink", "/proc/self/ns/pid"])  # of the program, not of its child
    if own.out.strip() != os.readlink(f"/proc/{pid}/ns/pid"):
        return "the program of exec is not in the PID namespace of the container: fork after setns"
    if int(lines[1].split()[-1], 16) != capabilities_of(pid):
        return "the program of exec has other capabilities than the container"
    if "mydocker/check-e" not in done.out:
        return "the program of exec is not in the control group of the container"
    return "" if done.status == 5 else f"the program of exec has ended with 5, and exec with {done.status}"


def _says(program: str, action: str, name: str, word: str) -> bool:
    return any(name in line and word in line for line in run_program(program, [action]).out.splitlines())


def _why(program: str, done: Done) -> str:
    """Why a container was not started in the background: what the program says in front, if it fails there, too."""
    in_front = run_program(program, ["run", "--name", "check-why", IMAGE, "true"])
    return last_words(done if in_front.status == 0 else in_front)


def _pid_of(name: str) -> int | None:
    """The first process of a container, when it has become its program; None when it does not run."""
    pid = box_of(name).get("pid")
    if not isinstance(pid, int) or not wait_until(lambda: _is_program(pid)):
        return None
    return pid


def _is_program(pid: int) -> bool:
    with suppress(OSError):
        return "mydocker" not in Path(f"/proc/{pid}/cmdline").read_text() and not _has_ended(pid)
    return False


def _has_ended(pid: int) -> bool:
    stat = read_stat(pid)
    return stat is None or stat.state in "ZX"


def _answers(address: str) -> bool:
    with suppress(OSError), socket.create_connection((address, 80), 1):
        return True
    return False
