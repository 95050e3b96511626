"""Where does the image busybox:latest come from, when there is no network?

From the host's own busybox, a static program: one layer with that program and a link per applet, a tar that
`POST /images/create?fromSrc=-` (docker import) takes. The engine writes the image's configuration.
Source: Docker Image Specification v1.2, "Combined Image JSON + Filesystem Changeset Format", on layers.
"""

import io
import json
import socket
import struct
import subprocess
import tarfile
from pathlib import Path

from labkit.errors import MachineError

__all__ = ["BUSYBOX", "build_layer", "import_busybox", "is_static"]

BUSYBOX = Path("/bin/busybox")
PT_INTERP = 3
IMPORT = b"/images/create?fromSrc=-&repo=busybox&tag=latest&message=busybox&changes=CMD%20%5B%22sh%22%5D"
PATIENCE_S = 60.0  # for each silence of the engine
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


def import_busybox(api_socket: Path) -> None:
    """Give the engine that listens on a unix socket its image busybox:latest, whose command is `sh`.

    Importing a layer takes half as long as loading an archive: the engine starts itself anew, as a process with
    another root, once instead of twice. The request is written by hand: to load the client would take longer than
    the import, in a user-mode kernel. HTTP/1.0 has the engine close at the answer's end.
    Raises MachineError with the engine's words when it does not take the image, and OSError when the program does not
    run or the engine is not there.
    """
    layer = build_layer()
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(PATIENCE_S)
        connection.connect(str(api_socket))
        connection.sendall(b"POST %b HTTP/1.0\r\nContent-Length: %d\r\n\r\n" % (IMPORT, len(layer)) + layer)
        head, _, progress = connection.makefile("rb").read().partition(b"\r\n\r\n")
    status, _, _ = head.partition(b"\r\n")
    *_, last = [b"", *filter(None, progress.splitlines())]
    if b" 200 " not in status or b'"error"' in last:  # what goes wrong after the head is told in the last line
        raise MachineError(f"The engine does not take the image busybox: {_words(last) or status.decode()}")


def _words(line: bytes) -> str:
    """What a line of the answer says: {"error": ...}, {"message": ...}, or text."""
    try:
        said = json.loads(line)
        return str(said.get("error") or said["message"])
    except (ValueError, AttributeError, LookupError):
        return line.decode(errors="replace")


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
