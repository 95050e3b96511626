"""Is what labkit finds in an image what an engine makes of it?

The image has what layers can do to paths (tests/hostile/test_forms.py); the engine loads it, makes a container of it,
and exports the container's files. Which engine it is says tests/engine/daemon.py.
"""

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from labkit.api.engine import Engine
from labkit.daemons.daemon import run_daemon
from labkit.images.archives import analyse_file
from tests.engine.daemon import PATIENCE_S, PrivateDaemon, reason_to_skip
from tests.hostile.images import NAME, Image, write_form
from tests.hostile.reference import KINDS, Place, describe
from tests.hostile.tars import header, member, tar
from tests.hostile.test_forms import FOR_ENGINES

# What an engine puts into each container that it creates.
OF_THE_ENGINE = {".dockerenv", "dev", "dev/console", "dev/pts", "dev/shm", "etc", "proc", "run", "sys"} | {
    f"etc/{name}" for name in ("hostname", "hosts", "mtab", "resolv.conf")
}


@pytest.fixture
def engine(daemon: PrivateDaemon) -> Iterator[Engine]:
    """A client that has patience with an engine that unpacks."""
    with Engine(daemon.host, timeout_s=6 * PATIENCE_S) as engine:
        yield engine


@pytest.fixture(params=["old docker save", "new docker save", "containerd's save"])
def saved(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The image as a file that engines load."""
    return write_form(request.param, FOR_ENGINES, tmp_path / "image.tar")


def export(engine: Engine, archive: bytes) -> dict[str, tarfile.TarInfo]:
    """Load an image, and give the files of a container of it by their paths."""
    said = engine.post("/images/load", body=archive).answer.body
    assert b"errorDetail" not in said, said
    container = engine.post("/containers/create", json={"Image": NAME, "Cmd": ["none"]}).json()["Id"]
    try:
        exported = engine.get(f"/containers/{container}/export").answer.body
    finally:
        engine.delete(f"/containers/{container}")
        engine.delete(f"/images/{NAME}")
    with tarfile.open(fileobj=io.BytesIO(exported), errors="surrogateescape") as tar:
        return {member.name.strip("/"): member for member in tar}


def test_the_tree_is_what_the_engine_exports(engine: Engine, saved: Path) -> None:
    """Every path with its kind, size, mode, owner and target, and no other."""
    found = analyse_file(saved)
    tree = found.tree(len(found.layers) - 1)

    exported = export(engine, saved.read_bytes())

    assert not exported.keys() - tree.keys() - OF_THE_ENGINE
    ours = {path: Place(*node[1:7], layer=0) for path, node in tree.items() if path not in OF_THE_ENGINE}
    theirs = {path: place(member) for path, member in exported.items() if path in ours}
    assert describe(ours) == describe(theirs)


def test_a_hard_link_outlives_the_name_that_it_was_made_of(tmp_path: Path) -> None:
    """Only a driver whose layers are whole copies takes a link to a file of a lower layer; later it is the file."""
    if reason := reason_to_skip():
        pytest.skip(reason)
    linked = Image(tar(member("d/a", b"hello")), tar(header("b", kind=b"1", link="d/a")), tar(member(".wh.d")))
    archive = write_form("old docker save", linked, tmp_path / "image.tar")

    with (
        run_daemon(tmp_path, options=["--storage-driver=vfs"]) as running,
        Engine(running.host, timeout_s=6 * PATIENCE_S) as engine,
    ):
        exported = export(engine, archive.read_bytes())

    tree = analyse_file(archive).tree(2)
    assert {"b"} == tree.keys() == exported.keys() - OF_THE_ENGINE
    assert place(exported["b"]) == Place(*tree["b"][1:7], layer=0)


def place(member: tarfile.TarInfo) -> Place:
    """Give what the reference says of a path, of a member of a tar."""
    kind = KINDS[member.type]
    size = member.size if kind == "file" else 0
    target = member.linkname if kind in ("symlink", "hardlink") else ""
    return Place(kind, size, member.mode & 0o7777, member.uid, member.gid, target, 0)
