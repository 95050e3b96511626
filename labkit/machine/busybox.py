"""Where does the image busybox:latest come from, when there is no network?

From the host's own busybox, a static program: one layer with that program and a link per applet, one config, one
manifest, in the archive form that `docker load` reads. Nothing in it depends on the time or the machine, so the
same busybox gives the same image ID everywhere.
Source: Docker Image Specification v1.2, "Combined Image JSON + Filesystem Changeset Format".
"""

import io
import json
import platform
import subprocess
import tarfile
from hashlib import sha256
from pathlib import Path

__all__ = ["BUSYBOX", "build_archive"]

BUSYBOX = Path("/bin/busybox")
EPOCH = "1970-01-01T00:00:00Z"
GO_NAMES = {"x86_64": "amd64", "aarch64": "arm64"}
DIRECTORIES = {
    "bin": 0o755,
    "dev": 0o755,
    "etc": 0o755,
    "home": 0o755,
    "root": 0o700,
    "tmp": 0o1777,
    "var": 0o755,
}
FILES = {
    "etc/passwd": b"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/home:/bin/false\n",
    "etc/group": b"root:x:0:\nnogroup:x:65534:\n",
}


def build_archive(program: Path = BUSYBOX) -> bytes:
    """Give the archive that POST /images/load takes; raises OSError when the program does not run."""
    applets = subprocess.run([program, "--list"], stdout=subprocess.PIPE, check=True, text=True).stdout.split()
    layer = _build_layer(program.read_bytes(), applets)
    config = json.dumps(
        {
            "architecture": GO_NAMES.get(platform.machine(), platform.machine()),
            "os": "linux",
            "created": EPOCH,
            "config": {"Cmd": ["sh"], "Env": ["PATH=/bin"]},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{sha256(layer).hexdigest()}"]},
            "history": [{"created": EPOCH, "created_by": "busybox, and a link per applet"}],
        }
    ).encode()
    name = f"{sha256(config).hexdigest()}.json"
    manifest = json.dumps([{"Config": name, "RepoTags": ["busybox:latest"], "Layers": ["layer.tar"]}]).encode()
    return _tar({name: config, "layer.tar": layer, "manifest.json": manifest})


def _build_layer(program: bytes, applets: list[str]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as layer:
        for name, mode in DIRECTORIES.items():
            layer.addfile(_entry(name, mode, tarfile.DIRTYPE))
        layer.addfile(_entry("bin/busybox", 0o755, size=len(program)), io.BytesIO(program))
        for applet in sorted(set(applets) - {"busybox"}):
            link = _entry(f"bin/{applet}", 0o755, tarfile.LNKTYPE)
            link.linkname = "bin/busybox"
            layer.addfile(link)
        for name, content in FILES.items():
            layer.addfile(_entry(name, 0o644, size=len(content)), io.BytesIO(content))
    return out.getvalue()


def _tar(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, content in files.items():
            archive.addfile(_entry(name, 0o644, size=len(content)), io.BytesIO(content))
    return out.getvalue()


def _entry(name: str, mode: int, kind: bytes = tarfile.REGTYPE, size: int = 0) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.mode, entry.type, entry.size = mode, kind, size
    return entry
