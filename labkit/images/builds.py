"""How does one have an image built from files that are in memory?"""

import io
import tarfile
from collections.abc import Mapping
from typing import NamedTuple

from labkit.api.engine import Engine
from labkit.images.build_log import Step, parse_steps

__all__ = ["Build", "build_files"]


class Build(NamedTuple):
    """The steps of a build, and the engine's words where it failed."""

    steps: list[Step]
    error: str


def build_files(engine: Engine, files: Mapping[str, bytes], name: str) -> Build:
    """Send these files as a tar, have an image built from their Dockerfile, and name it.

    A build that fails is no error here: its words are in the answer. Raises what every call of an Engine raises.
    """
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for path, content in files.items():
            entry = tarfile.TarInfo(path)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    said, error = "", ""
    with engine.json_lines("POST", "/build", query={"t": name}, body=packed.getvalue()) as lines:
        for line in lines:
            said += str(line.get("stream", ""))
            error = str(line.get("error", error))
    return Build(parse_steps(said), error)
