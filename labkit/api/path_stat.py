"""What does the engine tell of a file in a container?

HEAD and GET of /containers/ID/archive describe the path in a header (Engine API, "Get information about files in a
container"): JSON under base64.

    path_stat(engine.head(f"/containers/{name}/archive", query={"path": "/etc/hosts"}).answer)["size"]
"""

from base64 import b64decode
from json import loads
from typing import Any

from labkit.api.http import Answer
from labkit.errors import EngineProtocolError

__all__ = ["path_stat"]

HEADER = "X-Docker-Container-Path-Stat"
FIELDS = {"name": str, "size": int, "mode": int, "mtime": str, "linkTarget": str}


def path_stat(answer: Answer) -> dict[str, Any]:
    """Decode the file's description: `name`, `size` in bytes, `mode` (Go's os.FileMode), `mtime`, `linkTarget`.

    Raises EngineProtocolError if the header is not there, or is anything else.
    """
    text = answer.headers.get(HEADER.lower())
    if text is None:
        raise EngineProtocolError(f"no header {HEADER}: only HEAD and GET of a container's /archive send it")
    try:
        stat = loads(b64decode(text, validate=True))
    except (ValueError, RecursionError) as error:
        raise EngineProtocolError(f"{HEADER}: not JSON under base64: {text[:80]!r}") from error
    if not isinstance(stat, dict) or any(type(stat.get(name)) is not kind for name, kind in FIELDS.items()):
        raise EngineProtocolError(f"{HEADER}: not a file's description: {str(stat)[:80]}")
    return stat
