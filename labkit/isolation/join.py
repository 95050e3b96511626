"""How does one more program come into a container that runs, as with `docker exec`?

setns(2) joins its namespaces, but nothing else: the process must also go into the container's control groups, and give
up the same privileges. A PID namespace is entered by the next child only, so there are two processes: the one in
between waits for the program.
"""

import fcntl
import json
import os
import signal
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple, NoReturn

from labkit.errors import ContainerError
from labkit.isolation import privileges
from labkit.isolation.defences import ALL, Defences
from labkit.isolation.first_process import answer_signals_as_new, check_cwd, execute, tell_error
from labkit.isolation.groups import group_of_process
from labkit.isolation.handle import Container, Finished, is_running
from labkit.isolation.spec import Spec, User
from labkit.isolation.streams import as_file, read_all
from labkit.isolation.users import find_user, home_of
from labkit.linux import syscalls
from labkit.linux.cgroups import Group

__all__ = ["execute_in"]

_KINDS = {
    "mount": syscalls.CLONE_NEWNS,
    "pid": syscalls.CLONE_NEWPID,
    "uts": syscalls.CLONE_NEWUTS,
    "ipc": syscalls.CLONE_NEWIPC,
    "network": syscalls.CLONE_NEWNET,
    "cgroup": syscalls.CLONE_NEWCGROUP,
}


class _Program(NamedTuple):
    """What is to be run where: `tells` is a pipe for one line, if it cannot be, and the status at the end."""

    spec: Spec
    pidfd: int
    group: Group
    streams: tuple[int, int, int]
    tells: int
    defences: Defences


def execute_in(
    container: Container,
    args: Sequence[str],
    *,
    stdin: bytes | int = b"",
    env: Sequence[str] = (),
    cwd: str = "",
    user: User | None = None,
    defences: Defences = ALL,
) -> Finished:
    """Run a program in a container, to its end. What is not given is as in the container: user, environment, directory.

    Raises ContainerError when the container does not run, or the program does not start.
    """
    if not args:
        raise ContainerError('There is no program to run: give one, as ["ls"].')
    if not is_running(container):
        raise ContainerError(f"The container {container.name} does not run.")
    spec = container.spec
    spec = replace(spec, args=tuple(args), env=(*spec.env, *env), cwd=cwd or spec.cwd, user=user or spec.user)
    streams = as_file(stdin), os.memfd_create("stdout"), os.memfd_create("stderr")
    pidfd = syscalls.pidfd_open(container.pid)
    hears, tells = os.pipe2(os.O_CLOEXEC)
    try:
        program = _Program(spec, pidfd, group_of_process(container.pid), streams, tells, defences)
        between = _fork_into(program.group)
        if between == 0:
            _stand_between(program, os.getppid())
        os.close(tells)
        told = b""
        while data := os.read(hears, 65536):
            told += data
        os.waitpid(between, 0)
        if not told:
            raise ContainerError(f"The program was not run in {container.name}: who was to start it was killed.")
        if told.startswith(b"!"):
            words = told.decode().splitlines()[0].partition(": ")[2]
            raise ContainerError(f"The program was not run in {container.name}: {words}")
        return Finished(json.loads(told)["status"], read_all(streams[1]), read_all(streams[2]), ())
    finally:
        for each in (*streams, pidfd, hears):
            os.close(each)


def _fork_into(group: Group) -> int:
    """Fork; in version 2 the child is born in the group."""
    if group.version == 1:
        return syscalls.clone(0)
    directory = os.open(group.directories[""], os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return syscalls.clone3(0, directory)
    finally:
        os.close(directory)


def _stand_between(program: _Program, parent: int) -> NoReturn:
    """Join the namespaces, make the process that becomes the program, and tell how it ended."""
    try:
        syscalls.die_with_parent(parent, signal.SIGKILL)
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        if program.defences.hides_runtime:
            privileges.forbid_peeking()
        if program.group.version == 1:
            program.group.join()
        syscalls.setns(program.pidfd, sum(_KINDS[each] for each in program.spec.namespaces))
        pid = syscalls.clone(0)
        if pid == 0:
            _become(program)
        _, status = os.waitpid(pid, 0)
        code = os.waitstatus_to_exitcode(status)
        os.write(program.tells, json.dumps({"status": code if code >= 0 else 128 - code}).encode())
    except BaseException as error:
        tell_error(program.tells, error)
    finally:
        os._exit(0)


def _become(program: _Program) -> NoReturn:
    tells = program.tells
    try:
        syscalls.prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: with who waits for it
        tells = _keep_streams_alone(program)
        answer_signals_as_new()
        spec = program.spec
        user = find_user(spec.user)
        os.umask(0o022 if spec.umask is None else spec.umask)
        os.chdir(spec.cwd)
        if program.defences.checks_cwd:
            check_cwd(spec.cwd)
        privileges.write_rlimits(spec.rlimits)
        privileges.give_up(spec, user.uid, user.gid, user.more_gids)
        env = {"HOME": home_of(user.uid)} | dict(each.split("=", 1) for each in spec.env if "=" in each)
        execute(spec.args, env, program.defences)
    except BaseException as error:
        tell_error(tells, error)
    finally:
        os._exit(127)


def _keep_streams_alone(program: _Program) -> int:
    """Close what is open besides the streams and the pipe; give the pipe's new number."""
    tells = fcntl.fcntl(program.tells, fcntl.F_DUPFD_CLOEXEC, 10)
    streams = [fcntl.fcntl(each, fcntl.F_DUPFD_CLOEXEC, 10) for each in program.streams]
    for number, each in enumerate(streams):
        os.dup2(each, number)
    os.dup2(tells, 3, inheritable=False)
    if program.defences.closes_descriptors:
        privileges.close_descriptors(4)
    return 3
