"""Where does the image busybox:latest come from, when there is no network?

From the host's own busybox, a static program: one layer with that program and a link per applet, a tar that
`POST /images/create?fromSrc=-` (docker import) takes. The engine writes the image's configuration.
Source: Docker Image Specification v1.2, "Combined Image JSON + Filesystem Changeset Format", on layers.
"""

import io
import struct
import subprocess
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

from labkit.errors import MachineError

if TYPE_CHECKING:
    from labkit.api.engine import Engine  # the doctor, who asks for is_static at each boot, does without

__all__ = ["BUSYBOX", "build_layer", "import_busybox", "is_static"]

BUSYBOX = Path("/bin/busybox")
PT_INTERP = 3
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


def import_busybox(engine: "Engine") -> None:
    """Give the engine its image busybox:latest, whose command is `sh`.

    Importing a layer takes half as long as loading an archive: the engine starts itself anew, as a process with
    another root, once instead of twice. Raises MachineError with the engine's words when it does not take it, and
    OSError when the program does not run.
    """
    wanted = {"fromSrc": "-", "repo": "busybox", "tag": "latest", "changes": 'CMD ["sh"]', "message": "busybox"}
    with engine.json_lines("POST", "/images/create", query=wanted, body=build_layer()) as progress:
        for line in progress:
            if "error" in line:  # the status was 200 already
                raise MachineError(f"The engine does not take the image busybox: {line['error']}")


def build_layer(program: Path = BUSYBOX) -> bytes:
    """Give the layer as a tar; the same program gives the same bytes. Raises OSError when it does not run."""
    applets = subprocess.run([program, "--list"], stdout=subprocess.PIPE, check=True, text=True).stdout.split()
    content = program.read_bytes()
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as layer:
        for name, mode in DIRECTORIES.items():
            layer.addfile(_entry(name, mode, tarfile.DIRTYPE))
        layer.addfile(_entry("bin/busybox", 0o755, size=len(content)), io.BytesIO(content))
        for applet in sorted(set(applets) - {"busybox"}):
            link = _entry(f"bin/{applet}", 0o755, tarfile.LNKTYPE)
            link.linkname = "bin/busybox"
            layer.addfile(link)
        for name, text in FILES.items():
            layer.addfile(_entry(name, 0o644, size=len(text)), io.BytesIO(text))
    return out.getvalue()


def is_static(program: Path) -> bool:
    """Does it run without an interpreter, the dynamic linker? PT_INTERP of elf(5), for 64 bits, little-endian.

    Raises OSError when it cannot be read.
    """
    with program.open("rb") as file:
        head = file.read(64)
        if not head.startswith(b"\x7fELF"):
            return False  # a script
        (start,), (size, count) = struct.unpack_from("<Q", head, 32), struct.unpack_from("<HH", head, 54)
        file.seek(start)
        table = file.read(size * count)
    return all(struct.unpack_from("<I", table, number * size) != (PT_INTERP,) for number in range(count))


def _entry(name: str, mode: int, kind: bytes = tarfile.REGTYPE, size: int = 0) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.mode, entry.type, entry.size = mode, kind, size
    return entry
