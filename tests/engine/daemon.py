"""A private dockerd for tests, in namespaces of its own.

No file, network or container of this machine is in its reach, and when its first process ends, the kernel ends the
rest. Only its socket is outside, in a directory of the test.

It is the installed one, and for a second time that of Debian testing, which keeps its images with containerd.
LABKIT_TEST_DOCKERD=DIR takes dockerd, containerd and docker from another directory, once, with the store that
LABKIT_TEST_IMAGE_STORE names (containerd; default: the engine's own); LABKIT_TEST_HOST=unix:///run/docker.sock takes
an engine that runs already, as that of a lab machine.
"""

import io
import os
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from labkit.api.engine import Engine
from labkit.daemons.certificates import make_certificates
from labkit.daemons.daemon import run_daemon
from tests.newer_engine import fetch_newer_engine

__all__ = ["IMAGE", "PATIENCE_S", "PrivateDaemon", "list_engines", "run_private_daemon"]

PATIENCE_S = 10.0
IMAGE = "busybox:test"
CERTIFICATES = {"cacert": "ca.pem", "cert": "server.pem", "key": "server.key"}


def reason_to_skip() -> str | None:
    if os.geteuid() != 0:
        return "a private dockerd needs root"
    missing = [name for name in ("dockerd", "unshare", "ip", "busybox", "openssl") if not shutil.which(name)]
    if missing:
        return f"not installed: {', '.join(missing)}"
    if subprocess.run(["unshare", "-m", "-n", "-p", "-f", "true"], capture_output=True, check=False).returncode:
        return "this root may not make namespaces"
    return None


class PrivateDaemon(NamedTuple):
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
def run_private_daemon(folder: Path, which: str) -> Iterator[PrivateDaemon]:
    """An engine that answers and has busybox loaded; `which` is one of `list_engines`."""
    if host := os.environ.get("LABKIT_TEST_HOST"):
        with Engine(host) as engine:
            load_busybox(engine)
            yield PrivateDaemon(host)
            engine.delete(f"/images/{IMAGE}")
        return
    if reason := reason_to_skip():
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(reason)
    programs, store = find_programs(which)
    make_certificates(folder)
    settings = {"features": {"containerd-snapshotter": store == "containerd"}} if store else {}
    shown = [f"--tls{name}={folder}/{file}" for name, file in CERTIFICATES.items()]
    options = ["--host=tcp://127.0.0.1:2376", "--tlsverify", *shown]
    with run_daemon(folder, options=options, settings=settings, programs=programs) as daemon:
        with Engine(daemon.host) as engine:
            load_busybox(engine)
        path = f"{programs}:{os.environ['PATH']}" if programs else os.environ["PATH"]
        yield PrivateDaemon(daemon.host, daemon.network, folder, path)


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
