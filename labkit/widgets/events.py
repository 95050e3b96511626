"""What happens in the engine, as it happens?

with watch_events(engine) as seen:        a timeline, live while the block runs
    sh("docker run --rm busybox true")
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, Protocol

from ipywidgets import Text, ToggleButtons

from labkit.api.engine import Engine
from labkit.errors import EngineError
from labkit.show.events import KINDS, Event, choose_events, events_html, events_svg, events_text, read_events
from labkit.widgets.live import LiveView, Source

__all__ = ["EngineEvents", "EventSource", "EventsView", "watch_events"]

PATIENCE_S = 5.0
MANY = 30  # events: fewer need no filters
LABEL = {"description_width": "auto"}
Filters = Mapping[str, Sequence[str] | str]


class EventSource(Source[Event], Protocol):
    """Events as they come; `last` is the last that there was until now, come here or not."""

    def last(self) -> Event | None: ...


class EngineEvents:
    """The events of an engine from now on: "Monitor events" in the Engine API's reference.

    `filters` are the engine's own, {"type": ["container"]}; a string is a list of one.
    Raises what every call of an Engine raises.
    """

    def __init__(self, engine: Engine, filters: Filters | None = None) -> None:
        self._engine = engine
        given = (filters or {}).items()
        self._filters = {name: [value] if isinstance(value, str) else list(value) for name, value in given}
        self._since = _now()  # the engine answers a moment before it listens
        self._stream = engine.json_lines("GET", "/events", query={"since": self._since, "filters": self._filters})

    def __iter__(self) -> Iterator[Event]:
        return read_events(self._stream)

    def last(self) -> Event | None:
        """The last event until now, asked for by a request of its own; None where there is none.

        Raises EngineTimeout when the engine is silent for 5 s.
        """
        query = {"since": self._since, "until": _now(), "filters": self._filters}
        patience = {"timeout_s": PATIENCE_S, "idle_s": PATIENCE_S}  # the clock of an engine elsewhere may be slow
        with self._engine.json_lines("GET", "/events", query=query, **patience) as passed:
            found = [*read_events(passed)]
        return found[-1] if found else None

    def close(self) -> None:
        """Hang up, from any thread."""
        self._stream.close()
        self._engine.close()


class EventsView(LiveView[Event]):
    """The timeline of a source of events; filters come with the thirty-first.

    What they hide in the page is in the text all the same.
    """

    def __init__(self, source: EventSource) -> None:
        self._events = source
        # No drop-down list: JupyterLab takes the keys that are pressed on one for its own, x for "cut the cell".
        kinds = [("any type", ""), *((kind, kind) for kind in KINDS)]
        self._kind = ToggleButtons(options=kinds, style={"button_width": "auto"})
        self._action = Text(description="action", placeholder="any", style=LABEL, layout={"width": "12em"})
        self._name = Text(description="name", placeholder="any container or other", style=LABEL)
        controls = [self._kind, self._action, self._name]
        super().__init__("events", source, html=self._chosen, text=events_text, picture=events_svg, controls=controls)
        for control in controls:
            control.observe(lambda _: self.redraw(), "value")

    def _wanted_controls(self) -> Sequence[Any]:
        return self._controls if self._count > MANY else ()

    def catch_up(self) -> None:
        """Wait, at most 5 s, until what the engine has noted by now has come here too."""
        last = None
        with suppress(EngineError):  # an engine that has gone has also ended the source, and that is shown
            last = self._events.last()
        deadline = time.monotonic() + PATIENCE_S
        while last is not None and self.is_live and time.monotonic() < deadline:
            if any(event.json == last.json for event in self.items):
                return
            time.sleep(0.01)

    def _chosen(self, events: Sequence[Event], left_out: int) -> str:
        chosen = choose_events(events, self._kind.value, self._action.value, self._name.value)
        return events_html(chosen, left_out, len(events) - len(chosen))


def watch_events(engine: Engine, filters: Filters | None = None) -> EventsView:
    """Watch what happens in an engine from now on, as a live view."""
    return EventsView(EngineEvents(engine, filters))


def _now() -> str:
    """The time as the engine takes it: seconds since the epoch, with nanoseconds."""
    seconds, rest = divmod(time.time_ns(), 10**9)
    return f"{seconds}.{rest:09d}"
