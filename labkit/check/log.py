"""What did a container without a terminal write?"""

from contextlib import suppress

from labkit.api.engine import Engine
from labkit.api.frames import STDERR, STDOUT, parse_frames
from labkit.errors import EngineError

__all__ = ["read_log"]

LOG_BYTES = 64 * 1024


def read_log(engine: Engine, name: str, tail: int | str = "all") -> dict[int, str]:
    """What a container without a terminal wrote, by stream: of its last `tail` lines, the first 64 KiB.

    Raises EngineRefusal where its log cannot be read.
    """
    query = {"stdout": True, "stderr": True, "tail": tail}
    start = bytearray()
    with engine.stream("GET", f"/containers/{name}/logs", query=query) as pieces:
        for piece in pieces:
            start += piece
            if len(start) >= LOG_BYTES:
                break
    written = {STDOUT: b"", STDERR: b""}
    with suppress(EngineError):  # cut within a frame
        for frame in parse_frames([bytes(start)]):
            written[frame.stream] = written.get(frame.stream, b"") + frame.payload
    return {stream: text.decode(errors="replace") for stream, text in written.items()}
