"""How fast does labkit look into an image beside dive, tarfile and bare hashing?

Each row is the wall time of a whole command, the interpreter's start with it; ours and the peer's are run in turns on
the same archive, which is in the page cache. labkit is compiled before, as pip does when it installs a package: where
PYTHONDONTWRITEBYTECODE is set, each start would do it again. The archive: 11 layers, 60,000 entries, 1.5 GB, as docker
save writes it.
"""

import gzip
import hashlib
import io
import json
import os
import random
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator, Sequence
from compileall import compile_dir
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import labkit
from benchmarks.table import Row, bench

LAYERS, ENTRIES, MEAN_BYTES = 11, 60_000, 25_000
TURNS = 3
BIN = Path(sys.executable).parent
LABKIT, DIVE = [sys.executable, "-m", "labkit", "layers", "--json"], [str(BIN / "dive"), "--json"]
HASH = """
import hashlib, sys
digest = hashlib.sha256()
with open(sys.argv[1], "rb", buffering=0) as file:
    while piece := file.read(1 << 20):
        digest.update(piece)
"""
TARFILE = """
import sys, tarfile
with tarfile.open(sys.argv[1], "r|gz") as tar:
    assert sum(1 for _ in tar)
"""


@bench
def archive_row() -> Iterator[Row]:
    """Analyse an archive of 1.5 GB, with every digest and without; its peak memory, and that for twice the bytes."""
    with TemporaryDirectory(dir=os.environ.get("LABKIT_BENCH_DIR")) as folder:
        image, twice = Path(folder, "image.tar"), Path(folder, "twice.tar")
        write_archive(image, MEAN_BYTES)
        commands = {
            "all": [*LABKIT, str(image)],
            "none": [*LABKIT, "--no-digests", str(image)],
            "dive": [*DIVE, os.devnull, f"docker-archive://{image}"],
            "hash": [sys.executable, "-c", HASH, str(image)],
        }
        took, peak = run_in_turns(commands)
        for name, word, peer, goal in (
            ("every digest verified", "all", "dive", 0.45),
            ("every digest verified", "all", "hash", 1.3),
            ("without digests", "none", "dive", 0.12),
        ):
            yield Row(
                name=f"layers of 1.5 GB, {name}",
                unit="s",
                ours=took[word],
                peer=took[peer],
                peer_name={"dive": "dive --json", "hash": "hashing alone"}[peer],
                goal=goal,
                goal_on="ratio",
            )
        yield Row(
            name="peak memory",
            unit="MB",
            ours=peak["all"],
            peer=peak["dive"],
            peer_name="dive",
            goal=60,
            goal_on="ours",
        )
        image.unlink()
        write_archive(twice, 2 * MEAN_BYTES)
        _, doubled = run_in_turns({"all": [*LABKIT, str(twice)]}, turns=1)
        yield Row(
            name="peak memory, bytes doubled",
            unit="MB",
            ours=doubled["all"],
            peer=peak["all"],
            peer_name="single",
            goal=1.05,
            goal_on="ratio",
        )


@bench
def gzip_layer_row() -> Iterator[Row]:
    """Read the entries of a gzip layer of 300 MB."""
    with TemporaryDirectory(dir=os.environ.get("LABKIT_BENCH_DIR")) as folder:
        blob, image = Path(folder, "layer.tar.gz"), Path(folder, "image.tar")
        write_gzip_image(blob, image)
        commands = {
            "ours": [*LABKIT, "--no-digests", str(image)],
            "tarfile": [sys.executable, "-c", TARFILE, str(blob)],
        }
        took, _ = run_in_turns(commands)
    yield Row(
        name="gzip layer of 300 MB",
        unit="s",
        ours=took["ours"],
        peer=took["tarfile"],
        peer_name="tarfile r|gz",
        goal=0.6,
        goal_on="ratio",
    )


@bench
def live_image_row() -> Iterator[Row]:
    """Analyse an image that a private engine has, as root; dive asks the same engine."""
    from labkit.api.engine import Engine
    from labkit.daemons.daemon import run_daemon

    if os.geteuid() != 0:
        return
    with TemporaryDirectory(dir=os.environ.get("LABKIT_BENCH_DIR")) as folder:
        image, place = Path(folder, "image.tar"), Path(folder, "engine")
        write_archive(image, MEAN_BYTES)
        place.mkdir()
        with run_daemon(place, data=Path(folder, "data")) as daemon:
            environment = {"DOCKER_HOST": daemon.host}
            subprocess.run(
                ["docker", "load", "-qi", image], env=os.environ | environment, check=True, capture_output=True
            )
            commands = {"ours": [*LABKIT, "bench:1"], "dive": [*DIVE, os.devnull, "docker://bench:1"]}
            took, _ = run_in_turns(commands, environment)
            with Engine(daemon.host) as engine:
                engine.delete("/images/bench:1")
    yield Row(
        name="live image of 1.5 GB, as root",
        unit="s",
        ours=took["ours"],
        peer=took["dive"],
        peer_name="dive docker://",
        goal=0.1,
        goal_on="ratio",
    )


def run_in_turns(
    commands: dict[str, list[str]], environment: dict[str, str] | None = None, turns: int = TURNS
) -> tuple[dict[str, float], dict[str, float]]:
    """Give for each command the median of its wall times in s, and its highest memory in MB."""
    compile_dir(Path(labkit.__file__).parent, quiet=1)
    took: dict[str, list[float]] = {name: [] for name in commands}
    peak = dict.fromkeys(commands, 0.0)
    for _ in range(turns):
        for name, command in commands.items():
            began = time.perf_counter()
            nothing = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
            pid = os.posix_spawn(command[0], command, os.environ | (environment or {}), file_actions=nothing)
            _, status, used = os.wait4(pid, 0)
            took[name].append(time.perf_counter() - began)
            assert status == 0, command
            peak[name] = max(peak[name], used.ru_maxrss / 1000)
    return {name: median(each) for name, each in took.items()}, peak


def write_archive(path: Path, mean_bytes: int) -> None:
    """Write an image as docker save of 20.10 does; a tenth of each layer's files replace some of the layer below."""
    chance = random.Random(1)
    noise = chance.randbytes(2**16)
    diff_ids, names = [], []
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as archive:
        for layer in range(LAYERS):
            name = f"{layer:064x}/layer.tar"
            with _member(archive, name) as out:
                digest = _write_layer(out, layer, chance, noise, mean_bytes)
            names.append(name)
            diff_ids.append(f"sha256:{digest}")
        add_documents(archive, diff_ids, names)


def add_documents(archive: tarfile.TarFile, diff_ids: Sequence[str], names: Sequence[str]) -> None:
    """Write the configuration, and manifest.json."""
    config = json.dumps(
        {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": list(diff_ids)}}
    ).encode()
    config_name = f"{hashlib.sha256(config).hexdigest()}.json"
    manifest = json.dumps([{"Config": config_name, "RepoTags": ["bench:1"], "Layers": list(names)}]).encode()
    for name, data in ((config_name, config), ("manifest.json", manifest)):
        about = tarfile.TarInfo(name)
        about.size = len(data)
        archive.addfile(about, io.BytesIO(data))


class _Hashed(io.RawIOBase):
    def __init__(self, out: io.BufferedIOBase) -> None:
        self._out, self.digest, self._written = out, hashlib.sha256(), 0

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]
        self.digest.update(data)
        self._written += len(data)
        return self._out.write(data)

    def tell(self) -> int:
        return self._written


def _write_layer(out: io.BufferedIOBase, layer: int, chance: random.Random, noise: bytes, mean_bytes: int) -> str:
    hashed = _Hashed(out)
    count = ENTRIES // LAYERS
    with tarfile.open(fileobj=hashed, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for number in range(count):
            owner = layer - 1 if layer and number % 10 == 0 else layer
            if number % 50 == 0:
                folder = tarfile.TarInfo(f"usr/lib/part{owner}/{number // 50}")
                folder.type, folder.mode = tarfile.DIRTYPE, 0o755
                tar.addfile(folder)
                continue
            prefix = ".wh." if layer and number % 97 == 0 else ""
            file = tarfile.TarInfo(f"usr/lib/part{owner}/{number // 50}/{prefix}file{number}.so")
            file.size = 0 if prefix else int(chance.expovariate(1 / mean_bytes))
            tar.addfile(file, _Noise(noise, file.size))
    return hashed.digest.hexdigest()


class _Noise(io.RawIOBase):
    """So many bytes, which repeat after 64 KiB."""

    def __init__(self, noise: bytes, size_bytes: int) -> None:
        self._noise, self._left = noise, size_bytes

    def read(self, size: int = -1) -> bytes:
        count = min(self._left, size if size >= 0 else self._left)
        self._left -= count
        return (self._noise * (count // len(self._noise) + 1))[:count]


@contextmanager
def _member(archive: tarfile.TarFile, name: str) -> Iterator[io.BufferedIOBase]:
    """Write a member whose size is known only at its end: its header is written again."""
    out = archive.fileobj
    assert out is not None
    start = out.tell()
    about = tarfile.TarInfo(name)
    archive.addfile(about)
    yield out  # type: ignore[misc]
    end = out.tell()
    about.size = end - start - tarfile.BLOCKSIZE
    out.write(bytes(-about.size % tarfile.BLOCKSIZE))
    archive.offset = out.tell()
    out.seek(start)
    out.write(about.tobuf(tarfile.USTAR_FORMAT))
    out.seek(archive.offset)


def write_gzip_image(blob: Path, image: Path) -> None:
    """Write a layer of 300 MB by gzip, and an image of it."""
    chance = random.Random(2)
    words = b" ".join(chance.randbytes(4).hex().encode() for _ in range(30_000))
    with gzip.open(blob, "wb", compresslevel=1) as packed:
        hashed = _Hashed(packed)
        with tarfile.open(fileobj=hashed, mode="w", format=tarfile.USTAR_FORMAT) as tar:
            for number in range(6000):
                about = tarfile.TarInfo(f"srv/{number // 100}/{number}")
                about.size = 50_000
                tar.addfile(about, _Noise(words, about.size))
        digest = hashed.digest
    with tarfile.open(image, "w", format=tarfile.USTAR_FORMAT) as archive:
        archive.add(blob, "layer/layer.tar")
        add_documents(archive, [f"sha256:{digest.hexdigest()}"], ["layer/layer.tar"])
