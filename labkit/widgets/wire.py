"""What does a docker command say, while it says it?

with tap_wire() as said:                  the wire view, live while the block runs
    sh("docker run --rm busybox true")
said.find("POST", "/containers/create")
"""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from labkit.api.record import RecordedExchange
from labkit.api.tap import Tap, tap
from labkit.shell import typed
from labkit.show.talk import Line, WireExchange
from labkit.show.wire import wire_html, wire_svg, wire_text
from labkit.widgets.live import Drawing, LiveView

__all__ = ["TapChanges", "WireView", "draw_wire", "tap_wire"]

LOOK_S = 0.05


@contextmanager
def tap_wire() -> Iterator["WireView"]:
    """Tap the engine for a block, as `labkit.api.tap.tap` does, and show what is heard."""
    with tap() as said, WireView(said) as view:
        yield view


def draw_wire(exchanges: Sequence[WireExchange]) -> Drawing:
    """Draw exchanges that are over."""
    return Drawing(wire_html(exchanges), wire_text(exchanges), wire_svg(exchanges))


class WireView(LiveView[int]):
    """What a tap hears, as a sequence diagram; `exchanges` holds it, in the order in which the requests came.

    Queries differ between generations of the docker command: the page shows them, the stored text and picture do not.
    """

    def __init__(self, said: Tap) -> None:
        self._said = said
        self._closed_s: float | None = None
        super().__init__(
            "wire",
            TapChanges(said),
            html=lambda *_: wire_html(said.exchanges, said.forgotten, self._lines()),
            text=lambda *_: wire_text(said.exchanges, self._lines(), query=False),
            picture=lambda *_: wire_svg(said.exchanges, self._lines(), query=False),
        )

    def _lines(self) -> list[Line]:
        """What was typed since the tap was opened, and before it was closed, on its clock."""
        began = self._said.opened_s
        end = self._closed_s if self._closed_s is not None else float("inf")
        return [
            Line(one.line, one.began_s - began, None if one.ended_s is None else one.ended_s - began)
            for one in list(typed)
            if began <= one.began_s <= end
        ]

    def stop(self) -> None:
        """End it; what is typed later is not of this view."""
        self._closed_s = self._closed_s or time.monotonic()
        super().stop()

    @property
    def exchanges(self) -> list[RecordedExchange]:
        """What was heard until now; see `labkit.api.record.RecordedExchange`."""
        return self._said.exchanges

    def find(self, method: str, path: str) -> RecordedExchange:
        """The first exchange with that method and path; see `labkit.api.record.find_exchange`. Raises NotHeard."""
        return self._said.find(method, path)


class TapChanges:
    """The number of changes of a tap's record, whenever it has grown; `close` ends it, from any thread."""

    def __init__(self, said: Tap) -> None:
        self._said = said
        self._over = threading.Event()

    def __iter__(self) -> Iterator[int]:
        seen = 0
        while not self._over.wait(LOOK_S):
            if self._said.changes != seen:
                seen = self._said.changes
                yield seen

    def close(self) -> None:
        """End the iteration."""
        self._over.set()
