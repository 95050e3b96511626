"""What does PID 1 of a machine start?

The notebook's Python, or a command; and beside it the process that has the engine started.
"""

import json
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import NoReturn

from labkit.linux import syscalls
from labkit.machine.boot_log import STATE, log_stage
from labkit.machine.channels import bind_to
from labkit.machine.inside import oom
from labkit.machine.modules import load_engine_modules, not_searched
from labkit.machine.request import Request

__all__ = ["boot_engine", "run_command", "run_kernel"]

CLOSING_PATIENCE_S = 2
STOPPERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD)
# Of IPython's, and named, not imported: how errors of cells are shown, and how a cell runs in a process of its own.
EXTENSIONS = ("labkit.widgets.trouble", "labkit.widgets.alone")
IGNORED_BY_PYTHON = (signal.SIGPIPE, signal.SIGXFSZ)  # and by what it executes, if nothing is done


def run_kernel(request: Request, announce: int, listening: list[int]) -> None:
    """Be the notebook's Python kernel: as `python -m ipykernel_launcher`, in a process that is already warm.

    `announce` gets a byte when it can answer; `listening` are the sockets of its channels.
    """
    assert request.connection is not None
    log = os.open(STATE / "kernel.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    for fd, target in ((os.open("/dev/null", os.O_RDONLY), 0), (log, 1), (log, 2)):
        os.dup2(fd, target)
    connection = STATE / "kernel.json"
    connection.touch(mode=0o600)
    connection.write_text(json.dumps(request.connection))
    os.chdir(request.cwd)
    sys.argv = ["ipykernel_launcher", "-f", str(connection)]
    # Its debugger, which the kernelspec does without, would be a third of what ipykernel loads.
    sys.modules["debugpy"] = None  # type: ignore[assignment]
    with mapped_whole() if request.kind == "uml" else nullcontext():
        from ipykernel.kernelapp import IPKernelApp

    bind_to(listening)
    app = IPKernelApp.instance()
    app.initialize()  # type: ignore[no-untyped-call]
    del sys.modules["debugpy"]
    assert app.shell is not None
    for extension in EXTENSIONS:
        app.shell.extension_manager.load_extension(extension)
    log_stage(request.began, "kernel", "the notebook's Python answers")
    os.write(announce, b"1")
    os.close(announce)
    app.start()  # type: ignore[no-untyped-call]
    # Closing waits until what it still has to say is sent, its answer to "shut down" first of all. Once in a while
    # two of ipykernel's threads wait for each other there.
    signal.signal(signal.SIGALRM, lambda *_: os._exit(0))
    signal.alarm(CLOSING_PATIENCE_S)
    app.close()  # type: ignore[no-untyped-call]


@contextmanager
def mapped_whole() -> Iterator[None]:
    """Have what this process maps present at once: mlockall(2).

    In a user-mode kernel the first use of a page stops the process, at 15 us and more, and importing ipykernel uses six
    thousand. The pages of a mapping that comes whole cost one stop together. No thread is to begin meanwhile: all 8 MiB
    of its stack would be there.
    """
    syscalls.mlockall(syscalls.MCL_FUTURE)
    try:
        yield
    finally:
        syscalls.munlockall()


def run_command(command: list[str], cwd: str) -> NoReturn:
    """Become the command, with the signals as a shell gives them; 126 and 127 as a shell has them, too."""
    oom.spare_not()
    what = cwd
    try:
        for number in (*STOPPERS, *IGNORED_BY_PYTHON):
            signal.signal(number, signal.SIG_DFL)
        os.chdir(cwd)
        what = command[0]
        os.execvp(command[0], command)
    except OSError as error:
        os.write(2, f"labkit: {what}: {error.strerror}\n".encode())
        os._exit(127 if what is not cwd and isinstance(error, FileNotFoundError) else 126)


def boot_engine(request: Request) -> None:
    """Load what dockerd needs, start it, and give it the image busybox:latest."""
    try:
        from labkit.machine.inside.busybox import import_busybox
        from labkit.machine.inside.engine_process import API_SOCKET, start_engine, write_settings

        if request.kind == "uml":
            load_engine_modules()
        Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
        write_settings(request)
        with not_searched() if request.kind == "uml" else nullcontext():
            start_engine()
        log_stage(request.began, "engine", "dockerd answers")
        import_busybox(API_SOCKET)
        log_stage(request.began, "image", "busybox:latest is loaded")
        log_stage(request.began, "ready", "")
    except Exception as error:  # whatever it is, its own words are told
        log_stage(request.began, "failed", f"{type(error).__name__}: {error}")
        os._exit(1)
