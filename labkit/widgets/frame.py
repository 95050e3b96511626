"""Where does a frame begin and end? Two frames whose words a learner changes, and a cut that a learner moves.

cut_frame()                                          two frames to begin with
cut_frame(build_frame(1, b"yes\\n") + build_frame(2, b"no\\n"))
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from anywidget import AnyWidget
from traitlets import Int, List, Unicode

from labkit.api.frames import STDERR, STDOUT, Frame, parse_frames
from labkit.show.frame import cut_html, cut_svg, cut_text, frames_html, join_frames
from labkit.show.look import STYLE
from labkit.widgets.script import read_script

__all__ = ["FrameCut", "cut_frame"]

MAX_BYTES = 10  # of a frame's words: so that both frames stay in one row
EXAMPLE = (Frame(STDOUT, b"out\n"), Frame(STDERR, b"err\n"))
HERE = Path(__file__).parent


class FrameCut(AnyWidget):
    """Two frames as bytes, and what two readers get when the stream is cut; the slider works without the kernel."""

    _esm = read_script("frame.js")
    _css = HERE / "frame.css"
    look = Unicode(STYLE).tag(sync=True)
    texts = List(Unicode()).tag(sync=True)
    streams = List(Int()).tag(sync=True)
    cut = Int().tag(sync=True)
    size = Int().tag(sync=True)
    picture = Unicode().tag(sync=True)
    still = Unicode().tag(sync=True)  # SVG for a page whose kernel has gone
    readers = List(Unicode()).tag(sync=True)  # one for each place of the cut

    def __init__(self, frames: Sequence[Frame]) -> None:
        texts = [frame.payload.decode("utf-8", "replace").removesuffix("\n") for frame in frames]
        super().__init__(texts=texts, streams=[frame.stream for frame in frames])
        self._draw()
        self.cut = self.size // 2 + 2  # within the second header: the first thing to be seen is what goes wrong
        self.observe(lambda _: self._draw(), ["texts", "streams"])

    @property
    def frames(self) -> list[Frame]:
        """The frames as they are now: a text that is too long is cut."""
        return [
            Frame(stream, text.encode()[: MAX_BYTES - 1] + b"\n")
            for stream, text in zip(self.streams, self.texts, strict=True)
        ]

    def _draw(self) -> None:
        frames = self.frames
        size = len(join_frames(frames))
        with self.hold_sync():
            self.size = size
            self.cut = min(self.cut, size)
            self.picture = frames_html(frames)
            self.still = cut_svg(frames)
            self.readers = [cut_html(frames, cut) for cut in range(size + 1)]

    def __repr__(self) -> str:
        return cut_text(self.frames)

    def _repr_mimebundle_(self, **options: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        bundle, metadata = super()._repr_mimebundle_(**options) or ({}, {})
        return {**bundle, "image/svg+xml": cut_svg(self.frames), "text/plain": repr(self)}, metadata


def cut_frame(stream: bytes = b"") -> FrameCut:
    """Show the bytes of two frames, and a cut through them.

    `stream` are the bytes of two frames (`labkit.api.frames.build_frame`), each of at most 10 bytes of words.
    Raises ValueError for another number of frames, EngineProtocolError for what are none.
    """
    frames = list(parse_frames([stream])) if stream else list(EXAMPLE)
    if len(frames) != 2:
        raise ValueError(f"two frames are needed, and these bytes hold {len(frames)}")
    return FrameCut(frames)
