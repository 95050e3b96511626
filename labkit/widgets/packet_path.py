"""By which way does a packet go? The learner sends one, and the drawing shows the way that it took; counters move.

view = watch_packets({"hand": "/run/netns/hand"}, {"out": "nsenter ..."})     a drawing, and a button for each line
view.send("out")                                                            what a button does
"""

import threading
from collections.abc import Mapping
from typing import Any

from anywidget import AnyWidget
from traitlets import Bool, Dict, Int, List, Unicode

from labkit.errors import LabError
from labkit.isolation.interfaces import Namespace
from labkit.isolation.packet_path import Hop, Station
from labkit.isolation.packets import follow, read_counts, read_stations
from labkit.show.packet_path import packet_path_html, packet_path_svg, packet_path_text
from labkit.widgets.script import read_script

__all__ = ["PacketPathView", "watch_packets"]

PERIOD_S = 0.5  # between two looks at the counters
CLOSED = "The view is stopped. Run the cell again to go on."


class PacketPathView(AnyWidget):
    """The places between some network namespaces, buttons that send packets, and the way that the last packet took."""

    _esm = read_script("packet_path.js")
    name = "packet path"
    picture = Unicode().tag(sync=True)
    still = Unicode().tag(sync=True)  # SVG for a page whose kernel has gone
    acts = List(List(Unicode())).tag(sync=True)  # of each button: its name, and the line of a shell
    counts = Dict().tag(sync=True)  # by the key of a station: packets
    chosen = Int(0).tag(sync=True)  # the number of a hop; 0: none
    said = Unicode().tag(sync=True)
    is_live = Bool(True).tag(sync=True)

    def __init__(self, namespaces: Mapping[str, Namespace], lines: Mapping[str, str]) -> None:
        self._namespaces, self._lines = dict(namespaces), dict(lines)
        self.stations: list[Station] = read_stations(self._namespaces)
        self.hops: list[Hop] = []
        self._over = threading.Event()
        super().__init__(acts=[[name, line] for name, line in self._lines.items()])
        self._draw()
        self.on_msg(self._hear)
        self._thread = threading.Thread(target=self._count, name=self.name, daemon=True)
        self._thread.start()

    def send(self, name: str) -> list[Hop]:
        """Run the line of a button, and draw the way that its first packet took; give the hops.

        Raises KeyError for another name, LabError when the view is stopped, or a namespace is gone.
        """
        if not self.is_live:
            raise LabError(CLOSED)
        line = self._lines[name]
        journey = follow(self._namespaces, line)
        self.stations, self.hops = journey.stations, journey.hops
        with self.hold_sync():
            self._draw()
            self.still = packet_path_svg(self.stations, self.hops)
            self.chosen = 1 if self.hops else 0
            self.said = f"$ {line}\n{_last_line(journey.said.out + journey.said.err)}"
        return self.hops

    def stop(self) -> None:
        """Look no more: the picture stays, and its buttons go. More than once does no harm."""
        self._over.set()
        if self._thread is not threading.current_thread():
            self._thread.join(2 * PERIOD_S + 1)
        if self.is_live:
            self.is_live = False
            self.said = CLOSED

    def _count(self) -> None:
        """Read the counters again and again; the page hears of those that are new."""
        while not self._over.wait(PERIOD_S):
            self.counts = read_counts(self.stations)

    def _hear(self, _: object, content: Mapping[str, str], __: object) -> None:
        name = content.get("send")
        if not self.is_live or name not in self._lines:
            return
        try:
            self.send(name)
        except LabError as error:
            self.said = str(error)

    def _draw(self) -> None:
        self.counts = read_counts(self.stations)
        self.picture = packet_path_html(self.stations, self.hops)

    def __repr__(self) -> str:
        return packet_path_text(self.stations, self.hops) if self.hops else "(packet path: nothing is sent yet)"

    def _repr_mimebundle_(self, **options: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        bundle, metadata = super()._repr_mimebundle_(**options) or ({}, {})
        picture = packet_path_svg(self.stations, self.hops)
        return {**bundle, "image/svg+xml": picture, "text/plain": repr(self)}, metadata


def _last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else ""


def watch_packets(namespaces: Mapping[str, Namespace], lines: Mapping[str, str]) -> PacketPathView:
    """Show the places between some network namespaces, with a button for each line of a shell that sends something.

    Raises LabError where there is no such namespace. `stop` ends it, and so does the end of the lesson that keeps it.
    """
    return PacketPathView(namespaces, lines)
