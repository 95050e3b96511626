"""Which tasks run on which node, now and while nodes come and go?

with watch_cluster(engine) as seen: ...     live while the block runs; `engine` is that of a manager
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence

from labkit.api.engine import Engine
from labkit.daemons.swarm import look
from labkit.daemons.swarm_state import SwarmState
from labkit.errors import LabError
from labkit.show.cluster import cluster_html, cluster_svg, cluster_text
from labkit.widgets.live import LiveView

__all__ = ["ClusterSource", "ClusterView", "watch_cluster"]

PERIOD_S = 0.3
PATIENCE_S = 30.0  # two managers, of which one has no leader, may each take the time of three calls


class ClusterSource:
    """What a manager says, asked three times a second; a state comes when something is different.

    The first of the engines that answers is asked: a manager may die, and another one takes over. The engines' calls
    are then this source's alone.
    """

    def __init__(
        self,
        engines: Sequence[Engine],
        read: Callable[[Engine], SwarmState] = look,
        period_s: float = PERIOD_S,
    ) -> None:
        self._engines = engines
        self._read = read
        self._period_s = period_s
        self._closed = threading.Event()
        self.asked = 0  # how often

    def __iter__(self) -> Iterator[SwarmState]:
        before: SwarmState | None = None
        while not self._closed.is_set():
            now = self._ask()
            if now is not None and now != before:
                yield now
                before = now
            self.asked += 1
            self._closed.wait(self._period_s)

    def _ask(self) -> SwarmState | None:
        for engine in self._engines:
            if self._closed.is_set():
                break
            try:
                return self._read(engine)
            except (LabError, OSError):  # it is dead, or has no leader at this moment: ask the next one
                continue
        return None

    def close(self) -> None:
        """End the iteration, from any thread."""
        self._closed.set()
        for engine in self._engines:
            engine.close()


class ClusterView(LiveView[SwarmState]):
    """Nodes and tasks as they are now; the text says how many run."""

    def __init__(self, source: ClusterSource) -> None:
        self._asking = source
        super().__init__("cluster", source, html=self._page, text=self._words, picture=self._still)

    def catch_up(self) -> None:
        """Look once more, so that the picture shows what there is at the end of the block."""
        deadline = time.monotonic() + PATIENCE_S
        asked = self._asking.asked
        while self.is_live and self._asking.asked < asked + 2 and time.monotonic() < deadline:
            time.sleep(PERIOD_S / 10)

    def _page(self, states: Sequence[SwarmState], _: int) -> str:
        return cluster_html(states[-1]) if states else ""

    def _words(self, states: Sequence[SwarmState], _: int) -> str:
        return cluster_text(states[-1]) if states else "no nodes"

    def _still(self, states: Sequence[SwarmState], _: int) -> str:
        return cluster_svg(states[-1]) if states else ""


def watch_cluster(*hosts: str) -> ClusterView:
    """Draw nodes and tasks of a swarm, and follow them; `hosts` are its managers, as `docker --host` takes them."""
    return ClusterView(ClusterSource([Engine(host, timeout_s=5.0) for host in hosts]))
