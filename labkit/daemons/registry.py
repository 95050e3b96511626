"""How does one start a registry of one's own, empty, and what was asked of it?

Debian's docker-registry as a process of ours: it listens on this computer alone, keeps its files in a directory that
goes with it, and ends with whoever started it, however that ends. Its log holds each request.

    with start_registry() as registry:
        Registry(registry.url).repositories()
"""

import os
import re
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from tempfile import mkdtemp
from typing import NamedTuple

from labkit.errors import MachineError

__all__ = ["Access", "RegistryServer", "start_registry"]

PROGRAM = "docker-registry"
START_S, END_S, NAP_S = 30.0, 5.0, 0.02  # it needs 0.2 s; on a user-mode kernel 2
WITH_US = ["setpriv", "--pdeathsig=KILL"]  # whoever starts it may be killed, and it is not to stay
# A shell removes its files when nobody holds the other end of a pipe any more: neither who started it, nor itself.
SWEEP = 'read -r _; rm -rf "$1"'
SETTINGS = """
version: 0.1
log: {level: info}
storage: {filesystem: {rootdirectory: %(place)s/data}, delete: {enabled: true}}
http: {addr: "127.0.0.1:%(port)d", secret: %(secret)s}
"""
_LISTENS = re.compile(r"msg=\"listening on 127\.0\.0\.1:(\d+)")
_ACCESS = re.compile(r'^\S+ - \S+ \[[^]]+\] "([A-Z]+) (\S+) HTTP/[0-9.]+" (\d{3}) \d+ "[^"]*" "([^"]*)"$', re.M)


class Access(NamedTuple):
    """A request that came to the registry: what was asked, the status it got, and what the client calls itself."""

    method: str
    path: str
    status: int
    client: str


class RegistryServer:
    """A registry that runs: its port, and its directory while it runs."""

    def __init__(self, process: "subprocess.Popen[bytes]", sweeper: "subprocess.Popen[bytes]", place: Path) -> None:
        self.port = 0
        self.place = place
        self._process, self._sweeper = process, sweeper

    @property
    def url(self) -> str:
        """Its address, as labkit.images.registry wants it."""
        return f"http://localhost:{self.port}"

    @property
    def pid(self) -> int:
        return self._process.pid

    def accesses(self) -> list[Access]:
        """Each request that has come, in their order, from its access log; queries are left out."""
        log = (self.place / "log").read_text(errors="replace")
        return [
            Access(method, target.partition("?")[0], int(status), client.partition("/")[0].partition(" ")[0])
            for method, target, status, client in _ACCESS.findall(log)
        ]

    def close(self) -> None:
        """End it, and remove what it has kept; a second time does nothing."""
        with suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._sweeper.stdin is not None:
            self._sweeper.stdin.close()
        self._sweeper.wait()

    def __enter__(self) -> "RegistryServer":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def start_registry(port: int = 0) -> RegistryServer:
    """Start an empty registry on 127.0.0.1, on this port (0: a free one), and wait until it listens.

    Raises MachineError with its last words when it does not come up within 30 s, as when the port is taken, and where
    the program is not installed.
    """
    if shutil.which(PROGRAM) is None:
        raise MachineError(
            f"The program {PROGRAM} is missing. Run: apt-get install {PROGRAM} (or `make setup`), as root."
        )
    place = Path(mkdtemp(prefix="labkit-registry-"))
    settings = SETTINGS % {"place": place, "port": port, "secret": os.urandom(16).hex()}
    (place / "config.yml").write_text(settings)
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "start_new_session": True}
    sweeper = subprocess.Popen(["sh", "-c", SWEEP, "sh", place], stdin=subprocess.PIPE, **quiet)  # type: ignore[call-overload]
    with (place / "log").open("wb") as log:
        process = subprocess.Popen(
            [*WITH_US, PROGRAM, "serve", place / "config.yml"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            pass_fds=[sweeper.stdin.fileno()],
            start_new_session=True,  # an interrupt of the notebook is not meant for it
        )
    server = RegistryServer(process, sweeper, place)
    try:
        server.port = _wait_until_it_listens(process, place / "log")
    except BaseException:
        server.close()
        raise
    return server


def _wait_until_it_listens(process: "subprocess.Popen[bytes]", log: Path) -> int:
    deadline = time.monotonic() + START_S
    while True:
        has_ended = process.poll() is not None
        said = log.read_text(errors="replace")
        if listens := _LISTENS.search(said):
            return int(listens[1])
        if has_ended or time.monotonic() > deadline:
            how = "ended while it started" if has_ended else f"did not listen within {START_S:.0f} s"
            last = (said.strip().splitlines() or ["(none)"])[-1]
            raise MachineError(f"{PROGRAM} {how}. Its last words: {last}")
        time.sleep(NAP_S)
