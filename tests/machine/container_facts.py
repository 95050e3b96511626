"""What is true of containers that are run by hand? Run in a machine; prints a line "NAME<tab>trouble" for each fact.

Each function is a fact: it asserts. After each of them nothing may be left in the machine.
"""

import ctypes
import errno
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from pathlib import Path
from unittest.mock import patch

from labkit.errors import ContainerError
from labkit.isolation import boxes, container, helper
from labkit.isolation.container import run, start
from labkit.isolation.first_process import STEPS
from labkit.isolation.groups import PREFIX
from labkit.isolation.handle import Container
from labkit.isolation.join import execute_in
from labkit.isolation.layers import image_spec, read_image
from labkit.isolation.privileges import install_filter
from labkit.isolation.seccomp import DOCKER, NUMBERS, assemble
from labkit.isolation.spec import Limits, Mount, Root, User
from labkit.linux import syscalls
from labkit.linux.syscalls import prctl
from tests.machine import facts
from tests.machine.container_probes import compare

__all__ = ["FACTS", "main"]

IMAGE = "busybox"
SHIM_STEPS = ("control groups", "namespaces")
ALL_STEPS = (*SHIM_STEPS, *(name for name, _ in STEPS))


def sh(line: str, **options: object) -> container.Finished:
    return run(IMAGE, ["sh", "-c", line], **options)  # type: ignore[arg-type]


def says(line: str, **options: object) -> str:
    return sh(line, **options).stdout.decode().strip()


def refused(act: Callable[[], object]) -> str:
    try:
        act()
    except ContainerError as error:
        return str(error)
    raise AssertionError("it was not refused")


# --- a container like Docker's --------------------------------------------------------------------------------


def only_what_is_named_differs_from_docker() -> None:
    """The table of docs/isolation.md."""
    assert compare() == {}, compare()


def each_refused_call_is_refused() -> None:
    """The filter is asked for each call of its table, with arguments that name nothing."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        libc = ctypes.CDLL(None, use_errno=True)
        prctl(38, 1)
        install_filter(assemble(DOCKER))
        column = {"x86_64": 0, "aarch64": 1}[os.uname().machine]
        for rule in DOCKER:
            number = NUMBERS[rule.call][column]
            if number is not None:
                result = libc.syscall(number, ctypes.c_ulong(rule.any_bit), 0, 0, 0, 0, 0)
                if result != -1 or ctypes.get_errno() != rule.error:
                    os.write(writing, f"{rule.call}: {result} {ctypes.get_errno()}\n".encode())
        if libc.syscall(1_000_000) != -1 or ctypes.get_errno() != errno.ENOSYS:
            os.write(writing, b"a call that does not exist\n")
        if os.getppid() <= 0:
            os.write(writing, b"an allowed call\n")
        os._exit(0)
    os.waitpid(pid, 0)
    os.close(writing)
    with open(reading, "rb") as told:
        assert told.read() == b""


# --- running --------------------------------------------------------------------------------------------------


def status_and_streams_come_back() -> None:
    """The status, stdout and stderr apart, binary stdin byte for byte."""
    done = sh("cat; echo oops >&2; exit 7", stdin=bytes(range(256)) * 1000)
    assert (done.status, done.stdout, done.stderr) == (7, bytes(range(256)) * 1000, b"oops\n")
    assert sh("kill -9 $$; sleep 9 & kill -9 $!; exit 3").status == 3, "process 1 has killed itself"
    assert sh("sh -c 'kill -9 $$'; exit $?").status == 137


def every_step_is_told_with_its_time() -> None:
    done = sh("true")
    assert tuple(step.name for step in done.steps) == ALL_STEPS, done.steps
    assert all(0 < step.seconds < 60 for step in done.steps)
    seen: list[str] = []
    started = start(IMAGE, ["sleep", "60"], on_step=seen.append)
    container.remove(started)
    assert seen == [], "the steps are done by other processes"


def what_is_asked_for_is_there() -> None:
    """User, directory, environment, name, umask, a read-only root, a file and a directory of the host."""
    assert says("id -u; id -g; grep CapEff /proc/self/status", user=User(name="nobody")).split() == [
        *("65534", "65534", "CapEff:", "0000000000000000")
    ]
    assert says("id -u; id -g; id -G; echo $HOME", user=User(1234, 99, (5, 6))).split() == [
        "1234",
        "99",
        "99",
        "5",
        "6",
        "/",
    ]
    assert says("pwd", cwd="/made/for/this") == "/made/for/this"
    assert says("echo $A; hostname", env=("A=b=c",), hostname="other") == "b=c\nother"
    assert says("umask", umask=0o077) == "0077"
    with tempfile.TemporaryDirectory(dir="/run") as folder:
        Path(folder, "file").write_text("of the host")
        mounts = (
            *image_spec(IMAGE, ["true"]).mounts,
            Mount("/some/where", "bind", folder, ("ro",)),
            Mount("/etc/one", "bind", f"{folder}/file"),
        )
        assert says("cat /some/where/file /etc/one; touch /some/where/no || echo ro", mounts=mounts) == (
            "of the hostof the hostro"
        )
    root, _ = read_image(IMAGE)
    frozen = Root(root.layers, is_read_only=True)
    assert b"Read-only" in run(image_spec(IMAGE, ["touch", "/x"], root=frozen)).stderr


def the_writable_layer_may_stay() -> None:
    """In a directory that is named; otherwise it is in memory, and gone with the container."""
    with tempfile.TemporaryDirectory(dir="/run") as folder:
        root, _ = read_image(IMAGE)
        run(image_spec(IMAGE, ["sh", "-c", "echo kept > /new; rm /bin/vi"], root=Root(root.layers, upper=folder)))
        assert Path(folder, "diff/new").read_text() == "kept\n"
        assert not os.path.exists(f"{root.layers[0]}/new")
    assert says("ls /new; echo x > /new") == ""
    assert says("ls /new") == ""


def an_archive_is_run() -> None:
    """As `docker save` writes it, with a file that a layer has removed; no archive, and no image in it, are told."""
    build = "docker run --name saved busybox sh -c 'rm /bin/vi; echo new > /etc/new' && docker commit saved saved:1"
    build += " && docker save -o /run/saved.tar saved:1 && docker rm -f saved && docker rmi saved:1"
    subprocess.run(build, shell=True, check=True, capture_output=True)
    try:
        done = run(Path("/run/saved.tar"), ["sh", "-c", "cat /etc/new; ls /bin/vi; ls /bin | wc -l"])
        assert done.stdout.split()[0] == b"new" and b"No such file" in done.stderr, done
        assert int(done.stdout.split()[1]) > 100
        Path("/run/saved.tar").write_bytes(b"no archive")
        assert "no archive of an image" in refused(lambda: run(Path("/run/saved.tar"), ["true"]))
    finally:
        os.unlink("/run/saved.tar")


def limits_hold() -> None:
    """Memory to the kill, processes, and the processor's time."""
    limited = sh(
        "head -c 50m /dev/zero | tail", limits=Limits(memory_bytes=16 * 2**20, memory_and_swap_bytes=16 * 2**20)
    )
    assert limited.ran_out_of_memory and limited.status != 0, limited
    assert not sh("true", limits=Limits(memory_bytes=16 * 2**20)).ran_out_of_memory
    assert b"can't fork" in sh("for i in 1 2 3 4 5 6 7 8; do sleep 1 & done", limits=Limits(pids=4)).stderr
    quota = says("cat /sys/fs/cgroup/cpu.max /sys/fs/cgroup/cpu/cpu.cfs_quota_us 2>/dev/null", limits=Limits(cpus=0.2))
    assert quota.split()[0] == "20000", quota


def a_container_that_takes_too_long_is_killed() -> None:
    began = time.monotonic()
    assert sh("sleep 60", timeout_s=0.5).status == 137
    assert time.monotonic() - began < 30


def a_network_is_given_by_who_asks() -> None:
    """A hook gets the pid before the program starts, and what it gives back is called at the end."""
    log = tempfile.TemporaryFile()

    def give(pid: int) -> Callable[[], object]:
        os.write(
            log.fileno(), f"given {os.readlink(f'/proc/{pid}/ns/net') != os.readlink('/proc/self/ns/net')};".encode()
        )
        return lambda: os.write(log.fileno(), b"undone")

    with log:
        sh("true", network=give)
        assert os.pread(log.fileno(), 99, 0) == b"given True;undone"

        def fail(pid: int) -> None:
            raise OSError(errno.EADDRINUSE, "the address 10.200.0.2 is taken")

        assert "the address 10.200.0.2 is taken" in refused(lambda: sh("true", network=fail))


def a_container_that_cannot_be_made_leaves_no_descriptor() -> None:
    """Whatever refuses its first process; here the kernel, with the words of `ulimit -u`."""
    before = os.listdir("/proc/self/fd")
    with patch.object(syscalls, "clone3", side_effect=OSError(errno.EAGAIN, "too many processes")):
        assert "too many processes" in refused(lambda: sh("true"))
    assert before == os.listdir("/proc/self/fd")


# --- start, stop, exec ----------------------------------------------------------------------------------------


def loop_until_told() -> Container:
    line = "trap 'echo bye; exit 5' TERM; echo up; echo oops >&2; while :; do sleep 0.1; done"
    started = start(IMAGE, ["sh", "-c", line])
    deadline = time.monotonic() + 20
    while container.logs(started) != (b"up\n", b"oops\n") and time.monotonic() < deadline:
        time.sleep(0.01)
    return started


def logs_come_while_it_runs() -> None:
    started = loop_until_told()
    assert container.logs(started) == (b"up\n", b"oops\n")
    assert container.is_running(started)
    assert container.stop(started) == 5
    assert (container.logs(started)[0], container.is_running(started)) == (b"up\nbye\n", False)
    assert container.wait(started) == 5
    container.remove(started)
    container.remove(started)
    assert "was removed" in refused(lambda: container.logs(started))


def who_ignores_term_is_killed() -> None:
    started = start(IMAGE, ["sleep", "600"])
    assert container.stop(started, 0.2) == 137
    container.remove(started)
    other = start(IMAGE, ["sleep", "600"])
    container.remove(other)
    assert not os.path.exists(f"/proc/{other.pid}")


def another_program_joins() -> None:
    """The same namespaces, groups and privileges; its own status; and errors with the reason."""
    started = loop_until_told()
    line = "cat /proc/self/cgroup; ls -l /proc/self/ns; grep -E 'Cap|NoNew|Seccomp:' /proc/self/status"
    outside = os.readlink("/proc/self/ns/mnt")
    joined = execute_in(started, ["sh", "-c", line + "; cat; exit 4"], stdin=b"\x00\xff")
    assert joined.status == 4 and joined.stdout.endswith(b"\x00\xff"), joined
    assert outside.encode() not in joined.stdout
    first = Path(f"/proc/{started.pid}/cgroup").read_text().splitlines()
    assert joined.stdout.count(f"{PREFIX}{started.name}".encode()) in (0, len([x for x in first if PREFIX in x]))
    theirs = Path(f"/proc/{started.pid}/status").read_text()
    for name in ("CapBnd", "CapEff", "NoNewPrivs", "Seccomp:"):
        wanted = next(line for line in theirs.splitlines() if line.startswith(name))
        assert wanted.encode() in joined.stdout, name
    assert "no such program" in refused(lambda: execute_in(started, ["nothing"]))
    assert execute_in(started, ["id", "-u"], user=User(name="nobody")).stdout == b"65534\n"
    assert execute_in(started, ["pwd"], cwd="/tmp").stdout == b"/tmp\n"
    container.remove(started)
    assert "does not run" in refused(lambda: execute_in(started, ["true"]))


def a_container_ends_with_its_owner() -> None:
    """Also with one that is killed."""
    owner = os.fork()
    if owner == 0:
        time.sleep(60)
        os._exit(0)
    started = start(IMAGE, ["sleep", "600"], owner=owner)
    os.kill(owner, signal.SIGKILL)
    os.waitpid(owner, 0)
    wait_until(lambda: not os.path.exists(f"/proc/{started.pid}"))
    container.remove(started)


def a_notebook_runs_containers_in_the_helper() -> None:
    """From a process of many threads: to their end, and kept, with the same words for what is refused."""
    event = threading.Event()
    other = threading.Thread(target=event.wait)
    other.start()
    try:
        check_boxes()
    finally:
        event.set()
        other.join()
        helper.close()


def check_boxes() -> None:
    assert boxes.run(IMAGE, ["cat"], stdin=b"\x00\xff").stdout == b"\x00\xff"
    done = boxes.run(IMAGE, ["sh", "-c", "id -u; hostname; exit 3"], user="nobody", hostname="mine")
    assert (done.status, done.stdout) == (3, b"65534\nmine\n")
    assert tuple(step.name for step in done.steps) == ALL_STEPS
    assert "no such program" in refused(lambda: boxes.run(IMAGE, ["nothing"]))
    with boxes.start(IMAGE, ["sh", "-c", "echo up; sleep 600"], limits={"pids": 20}) as box:
        wait_until(lambda: box.logs()[0] == b"up\n")
        assert box.is_running() and box.execute(["echo", "in"]).stdout == b"in\n"
        assert "no such program" in refused(lambda: box.execute(["nothing"]))
        assert os.path.exists(f"/proc/{box.pid}")
        assert (box.stop(0.1), box.is_running()) == (137, False)
    assert "was closed" in refused(box.logs)
    assert "no such program" in refused(lambda: boxes.start(IMAGE, ["nothing"]))
    with boxes.start(IMAGE, ["sleep", "600"]) as left:
        pass
    assert not os.path.exists(f"/proc/{left.pid}")


# --- bad input ------------------------------------------------------------------------------------------------


def what_cannot_be_is_told() -> None:
    """A sentence for each, and nothing is left (as after every fact)."""
    with tempfile.TemporaryDirectory(dir="/run") as folder:
        empty = Path(folder, "empty")
        empty.mkdir()
        text = Path(folder, "text")
        text.mkdir()
        (text / "run").write_text("no program")
        (text / "run").chmod(0o755)
        for words, act in (
            ("there is no image nothing", lambda: run("nothing", ["true"])),
            ("no such program", lambda: run(IMAGE, ["nothing"])),
            ("no such program", lambda: run(empty, ["true"])),
            ("may execute: /etc/passwd", lambda: run(IMAGE, ["/etc/passwd"])),
            ("this is no program", lambda: run(text, ["/run"])),
            ("There is no program to run", lambda: run(empty, [])),
            ("too small", lambda: run(IMAGE, ["true"], limits=Limits(memory_bytes=1000))),
            ("cpus=0", lambda: run(IMAGE, ["true"], limits=Limits(cpus=0))),
            ("cpus=9999", lambda: run(IMAGE, ["true"], limits=Limits(cpus=9999))),
            ("pids=0", lambda: run(IMAGE, ["true"], limits=Limits(pids=0))),
            ("no user 'nobody-else'", lambda: run(IMAGE, ["true"], user=User(name="nobody-else"))),
            ("cannot be the name", lambda: run(IMAGE, ["true"], name="../up")),
            ("longer than the kernel takes", lambda: run(IMAGE, ["true"] * 500_000)),
            ("bind at /x", lambda: run(IMAGE, ["true"], mounts=(Mount("/x", "bind", "/not/there"),))),
            ("nofs at /x", lambda: run(IMAGE, ["true"], mounts=(Mount("/x", "nofs"),))),
            ("null byte", lambda: run(IMAGE, ["a\0b"])),
            ("Not a directory", lambda: run(IMAGE, ["true"], cwd="/etc/passwd")),
        ):
            said = refused(act)
            assert words in said, (words, said)
    assert sh("true").status == 0


def a_taken_name_is_refused() -> None:
    started = start(IMAGE, ["sleep", "60"], name="mine")
    assert "The name mine is taken" in refused(lambda: run(IMAGE, ["true"], name="mine"))
    assert container.is_running(started)
    container.remove(started)
    assert run(IMAGE, ["true"], name="mine").status == 0


def ten_thousand_arguments_arrive() -> None:
    done = run(IMAGE, ["echo", *map(str, range(10_000))])
    assert done.stdout.split() == [str(each).encode() for each in range(10_000)]


def a_root_without_directories_is_filled() -> None:
    """A directory that holds one program, without /proc, /dev or /sys."""
    with tempfile.TemporaryDirectory(dir="/run") as folder:
        shutil.copy("/bin/busybox", f"{folder}/busybox")
        done = run(Path(folder), ["/busybox", "ls", "/", "/proc/self"])
        assert done.status == 0 and b"sys" in done.stdout, done
        assert os.listdir(folder) == ["busybox"], "the directory was written to"


# --- who is killed --------------------------------------------------------------------------------------------


def stop_at(step: str) -> Callable[[str], None]:
    """A hook that holds the process up at a step, under a name that is seen in /proc."""

    def hold(name: str) -> None:
        if name == step:
            prctl(15, ctypes.addressof(STOPPED))  # PR_SET_NAME
            parent, until = os.getppid(), time.monotonic() + 60
            while os.getppid() == parent and time.monotonic() < until:
                time.sleep(0.02)

    return hold


STOPPED = ctypes.create_string_buffer(b"stopped")


def run_it(step: str) -> int:
    return run(IMAGE, ["sleep", "60"], on_step=stop_at(step)).status


def start_it(step: str) -> int:
    started = start(IMAGE, ["sleep", "60"], on_step=stop_at(step))
    container.remove(started)
    return 137


def fork_callers(call: Callable[[str], int]) -> dict[int, str]:
    """A caller for each step, and all held up there."""
    callers = {}
    for step in ALL_STEPS:
        pid = os.fork()
        if pid == 0:
            status = 137
            with suppress(ContainerError):
                status = call(step)
            os._exit(0 if status == 137 else 1)
        callers[pid] = step
    wait_until(lambda: all(find_stopped(pid) for pid in callers), 60)
    return callers


def family(pid: int) -> list[int]:
    with suppress(OSError):
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [pid, *(each for child in children for each in family(int(child)))]
    return [pid]


def find_stopped(pid: int) -> bool:
    with suppress(OSError):
        return any(Path(f"/proc/{each}/comm").read_text() == "stopped\n" for each in family(pid))
    return False


def kill_all(call: Callable[[str], int], choose: Callable[[int], list[int]]) -> None:
    """At each step. A caller that lives is told."""
    callers = fork_callers(call)
    killed = {pid: choose(pid) for pid in callers}
    for each in [each for chosen in killed.values() for each in chosen]:
        with suppress(ProcessLookupError):  # it has ended with the one that was killed before it
            os.kill(each, signal.SIGKILL)
    for pid, step in callers.items():
        status = os.waitpid(pid, 0)[1]
        assert pid in killed[pid] or status == 0, step


def nothing_is_left_when_the_caller_of_run_is_killed() -> None:
    kill_all(run_it, lambda caller: [caller])


def nothing_is_left_when_the_caller_of_start_is_killed() -> None:
    kill_all(start_it, lambda caller: [caller])


def nothing_is_left_when_the_shim_is_killed() -> None:
    kill_all(start_it, lambda caller: [family(caller)[1]])


def nothing_is_left_when_the_first_process_is_killed() -> None:
    """At each step that it does itself; else it is the caller."""
    kill_all(run_it, lambda caller: [family(caller)[2] if len(family(caller)) > 2 else caller])


def nothing_is_left_when_a_process_of_the_helper_is_killed() -> None:
    """It has no guard: the helper removes the groups, also of a container that was kept."""
    running = helper.start("labkit.isolation.keeper:run_here", [IMAGE, False, ["sleep", "60"], "", {}])
    kept = boxes.start(IMAGE, ["sleep", "60"])
    wait_until(lambda: len(family(running.pid)) > 1)
    for pid in (running.pid, kept._keeper.pid):
        os.kill(pid, signal.SIGKILL)
    kept.close()
    running.end()
    left = wait_until(lambda: not any(PREFIX in path for path, _, _ in os.walk("/sys/fs/cgroup")), 10)
    helper.close()
    assert left, "groups are left"


def a_guard_is_not_needed_while_the_caller_lives() -> None:
    """Who kills the guard changes nothing: the caller sees the container to its end."""
    pid = os.fork()
    if pid == 0:
        os._exit(run(IMAGE, ["sleep", "1"]).status)
    wait_until(lambda: len(family(pid)) > 2)
    os.kill(family(pid)[1], signal.SIGKILL)
    assert os.waitpid(pid, 0)[1] == 0


def the_next_start_removes_the_groups_of_who_was_killed_with_its_guard() -> None:
    kill_all(run_it, lambda caller: family(caller)[:2])
    time.sleep(2.5)  # what is younger may be somebody's who is just beginning
    assert sh("true").status == 0


FACTS = facts.named(
    only_what_is_named_differs_from_docker,
    each_refused_call_is_refused,
    status_and_streams_come_back,
    every_step_is_told_with_its_time,
    what_is_asked_for_is_there,
    the_writable_layer_may_stay,
    an_archive_is_run,
    limits_hold,
    a_container_that_takes_too_long_is_killed,
    a_network_is_given_by_who_asks,
    a_container_that_cannot_be_made_leaves_no_descriptor,
    logs_come_while_it_runs,
    who_ignores_term_is_killed,
    another_program_joins,
    a_container_ends_with_its_owner,
    a_notebook_runs_containers_in_the_helper,
    what_cannot_be_is_told,
    a_taken_name_is_refused,
    ten_thousand_arguments_arrive,
    a_root_without_directories_is_filled,
    nothing_is_left_when_the_caller_of_run_is_killed,
    nothing_is_left_when_the_caller_of_start_is_killed,
    nothing_is_left_when_the_shim_is_killed,
    nothing_is_left_when_the_first_process_is_killed,
    nothing_is_left_when_a_process_of_the_helper_is_killed,
    a_guard_is_not_needed_while_the_caller_lives,
    the_next_start_removes_the_groups_of_who_was_killed_with_its_guard,
)


# --- what is left ---------------------------------------------------------------------------------------------


def wait_until(condition: Callable[[], object], seconds: float = 20) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def inventory() -> set[str]:
    """What a container could leave: processes, mounts, control groups, files, descriptors of this process."""
    found = {f"group {path}" for path, _, _ in os.walk("/sys/fs/cgroup") if PREFIX in path}
    found |= {
        f"mount {line.split(' - ')[0].split()[4]}" for line in Path("/proc/self/mountinfo").read_text().splitlines()
    }
    found |= {f"file {path}" for path in Path("/run").iterdir() if path.name != "containerd"}
    found |= {f"descriptor {number}" for number in os.listdir("/proc/self/fd")}
    found |= {f"process {name}" for name in of_ours()}
    return found


def of_ours() -> Iterable[str]:
    """The processes that this one has started, and those that have lost their parent since."""
    for name in filter(str.isdigit, os.listdir("/proc")):
        with suppress(OSError):
            command = Path(f"/proc/{name}/cmdline").read_bytes()
            if b"sleep" in command or b"container_" in command:
                yield f"{name} {command[:40]!r}"


main = partial(facts.main, inventory=inventory)

if __name__ == "__main__":
    main(FACTS)
