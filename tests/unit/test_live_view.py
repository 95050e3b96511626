"""Does a live view follow its source, spare the page, and end whenever it should?"""

import queue
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from labkit.api.engine import Engine
from labkit.errors import EngineTimeout
from labkit.show.events import Event, read_events
from labkit.widgets import events, live
from labkit.widgets.consoles import Console
from labkit.widgets.events import MANY, EngineEvents, EventsView
from labkit.widgets.live import KEPT, LiveView
from tests.engine.conftest import nothing_leaks
from tests.engine.scripted import HOLD, OK, FakeEngine

__all__ = ["nothing_leaks"]  # every test leaves as many threads and open files as it found

SOON_S = 5.0


class Fake:
    """A source that says what it is told; an exception is raised."""

    def __init__(self, *items: Any) -> None:
        self.queue: queue.Queue[Any] = queue.Queue()
        self.closed = 0
        for item in items:
            self.queue.put(item)

    def __iter__(self) -> Iterator[Any]:
        while (item := self.queue.get()) is not None:
            if isinstance(item, Exception):
                raise item
            yield item

    def close(self) -> None:
        self.closed += 1
        self.queue.put(None)


class Drawn:
    """Draws a count and notes when."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def __call__(self, items: Sequence[Any], left_out: int) -> str:
        self.times.append(time.monotonic())
        return f"[{len(items)}+{left_out}]"


def watch(source: Fake, drawn: Drawn | None = None) -> LiveView[Any]:
    return LiveView("numbers", source, html=drawn or Drawn(), text=count, picture=count)


def count(items: Sequence[Any], left_out: int) -> str:
    return f"{len(items)} of {len(items) + left_out}"


def wait_for(condition: Any) -> None:
    deadline = time.monotonic() + SOON_S
    while not condition():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.005)


def html(view: LiveView[Any]) -> str:
    return str(view._canvas.html)


def test_what_comes_is_drawn() -> None:
    """A view says that it is live; stopped, it says so, and its text and picture are of all that came."""
    source = Fake(1, 2)
    view = watch(source)
    wait_for(lambda: "[2+0]" in html(view))
    assert ('data-state="live"' in html(view), "(numbers, live)") == (True, repr(view))
    assert "image/svg+xml" not in view._repr_mimebundle_()

    source.queue.put(3)
    wait_for(lambda: "[3+0]" in html(view))
    view.stop()

    assert ('data-state="stopped"' in html(view), "3 of 3", (1, 2, 3)) == (True, repr(view), view.items)
    assert "3 of 3" == view._repr_mimebundle_()["image/svg+xml"]


def test_ten_times_a_second() -> None:
    """However fast things come, a view draws at most ten times a second, and what came last is drawn too."""
    source, drawn = Fake(), Drawn()
    view = watch(source, drawn)
    end = time.monotonic() + 1
    while time.monotonic() < end:
        source.queue.put(1)
        time.sleep(0.001)
    wait_for(lambda: f"[{len(view.items)}+0]" in html(view))
    view.stop()

    assert 4 <= len(drawn.times) <= 14  # the first, the last two, and a busy computer
    gaps = [after - before for before, after in zip(drawn.times[1:-2], drawn.times[2:-1], strict=True)]
    assert 0.09 < min(gaps)


def test_nothing_new_is_not_drawn() -> None:
    """A quiet source costs nothing."""
    drawn = Drawn()
    view = watch(Fake(1), drawn)
    wait_for(lambda: "[1+0]" in html(view))
    time.sleep(0.25)
    before = len(drawn.times)
    time.sleep(0.3)

    assert before == len(drawn.times)
    view.stop()


def test_slow_drawing_leaves_time_to_others() -> None:
    """A view that takes long to draw is drawn less often."""
    source, times = Fake(), []

    def draw(items: Sequence[Any], left_out: int) -> str:
        times.append(time.monotonic())
        time.sleep(0.1)
        source.queue.put(1)
        return ""

    view = LiveView("slow", source, html=draw, text=count, picture=count)
    wait_for(lambda: len(times) >= 4)
    view.stop()

    assert 0.45 < times[3] - times[2]


def test_what_is_kept_is_bounded() -> None:
    """The memory of a view that runs for days does not grow."""
    view = watch(Fake(*range(KEPT + 5)))
    wait_for(lambda: view.items[-1:] == (KEPT + 4,))
    view.stop()

    assert f"{KEPT} of {KEPT + 5}" == repr(view)


def test_the_end_of_a_source_ends_its_view() -> None:
    """A source that has no more to say needs no stop; the source is closed and no thread is left."""
    source = Fake(1, None)
    threads = threading.active_count()
    view = watch(source)
    wait_for(lambda: threading.active_count() == threads)

    assert (False, True, "1 of 1") == (view.is_live, source.closed > 0, repr(view))


def test_an_error_is_shown_and_the_view_stays() -> None:
    """What the source says when it fails is in the page, as text, and in the stored text."""
    view = watch(Fake(1, ValueError("the <engine> has \ud800gone")))
    wait_for(lambda: "stopped: ValueError: the &lt;engine&gt; has" in html(view))

    assert "[1+0]" in html(view)
    assert "1 of 1\nstopped: ValueError: the <engine> has \N{REPLACEMENT CHARACTER}gone" == repr(view)


def test_the_button_stops() -> None:
    """One click, and the button is gone: it could do nothing more."""
    view = watch(Fake(1))
    assert view._button in view._bar.children
    view._button.click()

    wait_for(lambda: view._button not in view._bar.children)
    assert not view.is_live


def test_a_block_has_no_button() -> None:
    """While a cell runs its kernel hears of no click."""
    with watch(Fake(1)) as seen:
        assert seen._button not in seen._bar.children

    assert seen._button not in seen._bar.children


@pytest.mark.parametrize("first", [True, False])
def test_a_picture_that_cannot_be_drawn(first: bool) -> None:
    """The view says why, and stops; the source is closed, no thread is left, and the stored text says it too."""
    threads = threading.active_count()

    def draw(items: Sequence[Any], left_out: int) -> str:
        if items or first:
            raise KeyError("<no> such thing")
        return "nothing yet"

    source = Fake(1)
    view = LiveView("numbers", source, html=draw, text=count, picture=draw)
    wait_for(lambda: "stopped: it cannot be drawn: KeyError: &#x27;&lt;no&gt; such thing" in html(view))
    wait_for(lambda: threading.active_count() == threads)

    assert (False, True) == (view.is_live, source.closed > 0)
    assert "stopped: it cannot be drawn: KeyError: '<no> such thing'" in repr(view)
    assert "image/svg+xml" not in view._repr_mimebundle_()


def test_a_view_that_nobody_stopped() -> None:
    """Its Python says so at the end, as it does of a file that nobody closed."""
    program = (
        "import threading\nfrom labkit.widgets.live import LiveView\n"
        "class Silent:\n    over = threading.Event()\n    def __iter__(self): self.over.wait(); return iter(())\n"
        "    def close(self): self.over.set()\n"
        "view = LiveView('numbers', Silent(), html=lambda *_: '', text=str, picture=str)\n"
    )
    said = [
        subprocess.run([sys.executable, "-W", "default", "-c", program + end], capture_output=True, text=True).stderr
        for end in ("", "view.stop()")
    ]

    assert "ResourceWarning: nobody stopped the view 'numbers'" in said[0] and "ResourceWarning" not in said[1]


def test_stop_from_many_threads() -> None:
    """Stopping is safe from everywhere, and more than once."""
    view = watch(Fake(1))
    threads = [threading.Thread(target=view.stop) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SOON_S)

    assert not any(thread.is_alive() for thread in [*threads, *view._threads])


def test_stop_all() -> None:
    """No view is forgotten, and none that has ended is remembered."""
    views = [watch(Fake()) for _ in range(3)]
    live.stop_all()

    assert [False] * 3 == [view.is_live for view in views]
    wait_for(lambda: not live._live)


def test_a_block_shows_its_view_once(capsys: pytest.CaptureFixture[str]) -> None:
    """The view is seen live while the block runs, and then stands where it ended: not in both places."""
    source = Fake(1)
    with watch(source) as seen:
        stage = seen._stage
        assert (seen,) == stage.children
        wait_for(lambda: seen.items)

    assert ((), False) == (stage.children, seen.is_live)
    assert "(numbers, live until this cell ends)\n1 of 1\n" == capsys.readouterr().out


def test_a_block_that_fails_shows_its_view(capsys: pytest.CaptureFixture[str]) -> None:
    """The error goes on, and the view is stopped and shown."""
    with pytest.raises(KeyboardInterrupt), watch(Fake()) as seen:
        raise KeyboardInterrupt

    assert (False, "0 of 0") == (seen.is_live, capsys.readouterr().out.splitlines()[-1])


class FakeEvents(Fake):
    """A source of events; `late` is the one that the engine has noted already, and that comes in a while."""

    def __init__(self, late: Event | None = None) -> None:
        super().__init__()
        self.late = late

    def last(self) -> Event | None:
        if self.late:
            threading.Timer(0.2, self.queue.put, [self.late]).start()
        return self.late


def say(kind: str, name: str, action: str) -> Event:
    said = {"Type": kind, "Action": action, "Actor": {"ID": name, "Attributes": {"name": name}}}
    return next(read_events([said]))


def test_a_block_waits_for_what_has_happened() -> None:
    """An event that is still on its way when the block ends is in its text."""
    with EventsView(FakeEvents(say("volume", "late", "create"))) as seen:
        pass

    assert "volume late: create" == repr(seen)


def test_an_engine_that_falls_silent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who asks for the last event does not wait for ever for the end of the answer."""
    monkeypatch.setattr(events, "PATIENCE_S", 0.1)
    head = OK + b"Transfer-Encoding: chunked\r\n\r\n"
    fake = FakeEngine(tmp_path / "engine.sock", ([head], [head, HOLD]))
    source = EngineEvents(Engine(fake.host, version="1.41"))
    with pytest.raises(EngineTimeout, match="nothing came for"):
        source.last()
    source.close()
    fake.stop()


def test_a_filter_that_is_a_string_is_a_list_of_one() -> None:
    """The engine takes lists alone, and says so in words of Go's."""
    asked: list[object] = []
    engine = type("Asked", (), {"json_lines": lambda *_, query: asked.append(query["filters"])})()
    EngineEvents(engine, {"type": "container", "event": ("die", "start")})

    assert [{"type": ["container"], "event": ["die", "start"]}] == asked


class LastWords:
    """A console whose container says "bye" and ends, just after one has looked for it."""

    is_live = True
    _container = "x"
    _said = ""

    @property
    def text(self) -> str:
        seen, self._said, self.is_live = self._said, "bye", False
        return seen


def test_last_words_are_heard() -> None:
    """What comes between a look at the text and the end of the container has been said."""
    Console.wait_for(LastWords(), "bye")  # type: ignore[arg-type]


def test_filters_choose_what_is_drawn() -> None:
    """They work on a live view and on a stopped one; the stored text has everything."""
    source = FakeEvents()
    view = EventsView(source)
    for one in (say("container", "web", "create"), say("container", "db", "die"), say("volume", "files", "create")):
        source.queue.put(one)
    view._kind.value = "container"
    wait_for(lambda: names(view) == ["web", "db"])
    view._action.value = "die"
    wait_for(lambda: names(view) == ["db"] and "2 events are hidden" in html(view))
    view.stop()
    view._kind.value, view._action.value, view._name.value = "", "", "web"

    assert ["web"] == names(view) and 'data-state="stopped"' in html(view)
    assert 3 == len(repr(view).splitlines())


def names(view: LiveView[Any]) -> list[str]:
    return re.findall("<b>([a-z]+)</b>", html(view))


def test_few_events_need_no_filters() -> None:
    """They come with the thirty-first event."""
    source = FakeEvents()
    view = EventsView(source)
    for number in range(MANY):
        source.queue.put(say("container", f"c{number}", "create"))
    wait_for(lambda: len(view.items) == MANY and "c29" in html(view))
    assert (view._button,) == view._bar.children
    source.queue.put(say("container", "c30", "create"))
    wait_for(lambda: view._kind in view._bar.children)
    view.stop()

    assert (view._kind, view._action, view._name) == view._bar.children
