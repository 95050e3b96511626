"""A private dockerd for tests, in namespaces of its own.

No file, network or container of this machine is in its reach, and when its first process ends, the kernel ends the
rest. Only its socket is outside, in a directory of the test.

It is the installed one, and for a second time that of Debian testing, which keeps its images with containerd.
LABKIT_TEST_DOCKERD=DIR takes dockerd, containerd and docker from another directory, once, with the store that
LABKIT_TEST_IMAGE_STORE names (containerd; default: the engine's own); LABKIT_TEST_HOST=unix:///run/docker.sock takes
an engine that runs already, as that of a lab machine.
"""

import io
import json
import os
import shutil
import signal
import subprocess
import tarfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import pytest

from labkit.api.engine import Engine
from labkit.errors import EngineError
from tests.engine.certificates import make_certificates
from tests.newer_engine import fetch_newer_engine

__all__ = ["IMAGE", "PATIENCE_S", "Daemon", "list_engines", "run_daemon"]

UP_S = 30.0  # for the daemon; it needs about a second
PATIENCE_S = 10.0
IMAGE = "busybox:test"

START = """
ip link set lo up
mount -t tmpfs tmpfs /run
echo "$4" > /run/daemon.json
exec dockerd --config-file=/run/daemon.json --host="unix://$1" --cgroup-parent="$2" \
    --host=tcp://127.0.0.1:2376 --tlsverify --tlscacert="$3/ca.pem" --tlscert="$3/server.pem" --tlskey="$3/server.key" \
    --data-root=/run/data --exec-root=/run/docker --pidfile=/run/dockerd.pid --bridge=none --iptables=false
"""


def reason_to_skip() -> str | None:
    if os.geteuid() != 0:
        return "a private dockerd needs root"
    missing = [name for name in ("dockerd", "unshare", "ip", "busybox", "openssl") if not shutil.which(name)]
    if missing:
        return f"not installed: {', '.join(missing)}"
    if subprocess.run(["unshare", "-m", "-n", "-p", "-f", "true"], capture_output=True, check=False).returncode:
        return "this root may not make namespaces"
    return None


class Daemon(NamedTuple):
    """Where the engine listens, and the network that its tcp address is in (none if the engine is not ours)."""

    host: str
    network: Path | None = None
    certificates: Path = Path()
    path: str = os.environ["PATH"]  # where its own docker command comes first


def list_engines() -> list[str]:
    """The engines that the tests meet: one if the environment names it, else the installed one and a newer one."""
    named = {"LABKIT_TEST_DOCKERD", "LABKIT_TEST_HOST"} & os.environ.keys()
    return ["named"] if named else ["installed", "newer"]


def find_programs(which: str) -> tuple[str, str]:
    """The directory of an engine's programs, "" if they are installed, and its image store."""
    if which == "named":
        return os.environ.get("LABKIT_TEST_DOCKERD", ""), os.environ.get("LABKIT_TEST_IMAGE_STORE", "")
    if which == "installed":
        return "", ""
    return str(fetch_newer_engine()), "containerd"


@contextmanager
def run_daemon(folder: Path, which: str) -> Iterator[Daemon]:
    """An engine that answers and has busybox loaded; `which` is one of `list_engines`."""
    if host := os.environ.get("LABKIT_TEST_HOST"):
        with Engine(host) as engine:
            load_busybox(engine)
            yield Daemon(host)
            engine.delete(f"/images/{IMAGE}")
        return
    if reason := reason_to_skip():
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(reason)
    programs, store = find_programs(which)
    path = f"{programs}:{os.environ['PATH']}" if programs else os.environ["PATH"]
    settings = json.dumps({"features": {"containerd-snapshotter": store == "containerd"}} if store else {})
    make_certificates(folder)
    cgroup = f"engine-test-{os.getpid()}"
    namespaces = ["unshare", "-m", "-n", "-i", "-u", "-p", "-f", "--kill-child", "--mount-proc"]
    with (folder / "log").open("wb") as log:
        unshare = subprocess.Popen(
            [*namespaces, "sh", "-ec", START, "sh", str(folder / "s"), f"/{cgroup}", str(folder), settings],
            env=os.environ | {"PATH": path},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        wait_until_up(folder, unshare)
        with Engine(f"unix://{folder}/s") as engine:
            load_busybox(engine)
        pid = Path(f"/proc/{unshare.pid}/task/{unshare.pid}/children").read_text().split()[0]
        yield Daemon(f"unix://{folder}/s", Path(f"/proc/{pid}/ns/net"), folder, path)
    finally:
        end_all(unshare)
        remove_cgroups(cgroup)


def end_all(unshare: subprocess.Popen[bytes]) -> None:
    """End dockerd, PID 1 of its namespace, and so all in there; then unshare, its parent, ends by itself."""
    with suppress(OSError):  # it ended already
        for pid in Path(f"/proc/{unshare.pid}/task/{unshare.pid}/children").read_text().split():
            os.kill(int(pid), signal.SIGKILL)
    try:
        unshare.wait(PATIENCE_S)
    except subprocess.TimeoutExpired:
        unshare.kill()
        unshare.wait()


def wait_until_up(folder: Path, daemon: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + UP_S
    while time.monotonic() < end and daemon.poll() is None:
        with suppress(EngineError), Engine(f"unix://{folder}/s", timeout_s=1) as engine:
            engine.get("/_ping", versioned=False)
            return
        time.sleep(0.02)
    tail = (folder / "log").read_text(errors="replace")[-2000:]
    pytest.fail(f"dockerd (status {daemon.poll()}) did not answer within {UP_S:.0f} s:\n{tail}")


def load_busybox(engine: Engine) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        tar.add(Path(str(shutil.which("busybox"))).resolve(), "bin/busybox")
        for name in ("sh", "echo", "sleep", "cat", "tty", "stty"):
            link = tarfile.TarInfo(f"bin/{name}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)
    repo, _, tag = IMAGE.partition(":")
    query = {"fromSrc": "-", "repo": repo, "tag": tag}
    engine.post("/images/create", query=query, body=packed.getvalue())


def remove_cgroups(name: str) -> None:
    """Remove the groups that the daemon made, deepest first, once the kernel has emptied them."""
    end = time.monotonic() + PATIENCE_S
    root = Path("/sys/fs/cgroup")
    while left := [top for top in (*root.glob(name), *root.glob(f"*/{name}")) if top.is_dir()]:
        for folder in (folder for top in left for folder, _, _ in os.walk(top, topdown=False)):
            with suppress(OSError):
                os.rmdir(folder)
        assert time.monotonic() < end, f"control groups are left: {left}"
        time.sleep(0.01)
