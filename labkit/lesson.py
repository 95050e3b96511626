"""What does a lesson open at its start, what can its cells say, and what does it leave at its end?

lesson = open_lesson("01-engine-api")   waits for the machine's engine
predict("Who answers?", "a", "b")       a question, before the machine answers it
sh("docker images")                     what a line prints in a shell
beside(curl=..., raw=...)               several ways to say the same thing, side by side
lesson.wire()                           what this cell said to the engine, and what came back
lesson.tap()                            what others say to the engine: `with lesson.tap() as said`, live
lesson.consoles("name")                 two windows attached to one container
lesson.events()                         what happens in the engine, live
lesson.gauges("name")                   what a container uses, its limits, and what the kernel does there, live
lesson.registry()                       an empty registry on port 5000 of this machine
lesson.rootless("rosa")                 an engine of an ordinary user
lesson.keep(view)                       has a live view stopped at the end
lesson.check("A", check_x(engine))      what a check says of an exercise; lesson.hint("A"), lesson.solution("A")
lesson.undo(fn, *args)                  registered in the same breath as what it undoes
lesson.close()                          undoes, newest first, removes what the lesson left, says what you have done
"""

import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol, TypeVar

from IPython.core.getipython import get_ipython
from IPython.display import display as show

from labkit.api.engine import Engine
from labkit.check.verdict import Verdict
from labkit.daemons.registry import RegistryServer, start_registry
from labkit.daemons.rootless import RootlessEngine, start_rootless
from labkit.errors import EngineError
from labkit.journal import open_journal, said
from labkit.leftovers import FORCE, Leftovers, attempt
from labkit.machine.inside.engine_process import start_engine
from labkit.machine.inside.oom import count_own_kills
from labkit.machine.proofs import read_proofs
from labkit.shell import end_background, sh
from labkit.show.boot import boot_html
from labkit.show.course_map import map_html
from labkit.show.end import END_TEXT, end_html, end_svg
from labkit.widgets.bar import LiveBar
from labkit.widgets.beside import beside
from labkit.widgets.boot import require_lab_machine, wait_for_boot
from labkit.widgets.consoles import Consoles
from labkit.widgets.events import EventsView, watch_events
from labkit.widgets.exercise import Exercises
from labkit.widgets.gauges import GaugesView, watch_gauges
from labkit.widgets.live import Drawing
from labkit.widgets.predict import Prediction
from labkit.widgets.view import View
from labkit.widgets.wire import WireView, draw_wire, tap_wire

__all__ = ["Lesson", "beside", "open_lesson", "predict", "sh"]

predict = Prediction


class Closable(Protocol):
    """A live view, which a lesson stops at its end; one that has `is_live` and `name` is named there."""

    def stop(self) -> None: ...


REGISTRY_PORT = 5000

V = TypeVar("V", bound=Closable)
S = TypeVar("S", RegistryServer, RootlessEngine)
_opened: "Lesson | None" = None  # one at a time: a kernel is a machine


class Lesson:
    """One run of a lesson; `engine` is the client of this machine's engine."""

    def __init__(self, name: str, engine: Engine) -> None:
        self.name = name
        self.engine = engine
        self.progress = open_journal(name)
        self._exercises = Exercises(name, self.progress)
        self._undos: list[Callable[[], object]] = []
        self._views: list[Closable] = []
        self._servers: dict[str, RegistryServer | RootlessEngine] = {}
        self._bar: LiveBar | None = None
        self._kills = count_own_kills()
        self._leftovers = Leftovers(engine)
        self._notebook = get_ipython()  # None outside a notebook
        if self._notebook is not None:
            self._notebook.events.register("pre_run_cell", self._begin_cell)
            self._notebook.events.register("post_run_cell", self._end_cell)

    def undo(self, fn: Callable[..., object], *args: Any) -> None:
        """Have `fn(*args)` called when the lesson closes; the last one registered is called first."""
        self._undos.append(lambda: fn(*args))

    def keep(self, view: V) -> V:
        """Have a live view stopped when the lesson closes; give it back."""
        self._views.append(view)
        return view

    def remove(self, *containers: str) -> None:
        """Remove containers that an earlier run of a cell made, if they are there, whatever they do."""
        for name in containers:
            self.engine.delete(f"/containers/{name}", query=FORCE, check=False)

    def check(self, exercise: str, verdict: Verdict) -> View:
        """Show what a check said of an exercise ("A"), count the try, and help more with each."""
        return self._exercises.check(exercise, verdict)

    def hint(self, exercise: str) -> View:
        """Show one more hint for an exercise. Raises LabError where it has none."""
        return self._exercises.hint(exercise)

    def solution(self, exercise: str) -> None:
        """Print a solution of an exercise: after two tries, or when the teacher has released it (docs/exercises.md).

        Raises LabError where it has none.
        """
        self._exercises.solution(exercise)

    def engine_alive(self) -> bool:
        """Does dockerd answer?"""
        return _answers(self.engine)

    def revive(self) -> None:
        """Start dockerd again after it died. Raises MachineError when it does not come up."""
        start_engine()
        print("the engine is back")

    def wire(self) -> Drawing:
        """Show what `engine` said in this cell, and what came back, as a sequence diagram."""
        return draw_wire(list(self.engine.exchanges))

    def tap(self) -> AbstractContextManager[WireView]:
        """Listen to what is said to the engine in a block, and show it as it goes: `labkit.api.tap` has the rules."""
        return tap_wire()

    def consoles(self, container: str) -> Consoles:
        """Attach two windows to a container, yours and a colleague's; they are hung up when the lesson closes.

        The client is the view's own, so that `wire` shows what the cell says, and nothing of this.
        """
        return self.keep(Consoles(Engine(self.engine.host), container))

    def events(self, **filters: Sequence[str] | str) -> EventsView:
        """Watch what happens in the engine, live; `filters` are the engine's own, as type=["container"].

        The client is the view's own, so that `wire` shows what the cell says, and nothing of this.
        """
        return self.keep(watch_events(Engine(self.engine.host), filters))

    def gauges(self, container: str) -> GaugesView:
        """Follow a container's memory, processor time and processes, live, from before its start on.

        The client is the view's own, as for `events`.
        """
        return self.keep(watch_gauges(Engine(self.engine.host), container))

    def registry(self) -> RegistryServer:
        """Start an empty registry on port 5000 of this machine; it ends with the lesson, and before a next one.

        Raises MachineError when it does not come up, as when somebody else's program has the port.
        """
        return self._serve("registry", lambda: start_registry(REGISTRY_PORT))

    def rootless(self, user: str) -> RootlessEngine:
        """Make an ordinary user, who starts an engine; both end with the lesson, and before a next one.

        Raises MachineError as `start_rootless` does.
        """
        return self._serve("rootless", lambda: start_rootless(user))

    def _serve(self, what: str, start: Callable[[], S]) -> S:
        self._end(what)
        server = start()
        self._servers[what] = server
        self.undo(self._end, what)
        return server

    def _end(self, what: str) -> None:
        if what in self._servers:
            self._servers[what].close()
            del self._servers[what]

    def close(self) -> None:
        """Undo everything, whatever fails on the way; say what was done, what is left, and what could not be undone.

        Raises MachineError when the engine is dead and does not come up. Calling it again goes on from where it was
        kept from its end, and undoes what cells have left that were run meanwhile.
        """
        sentences = self._clean()
        self.progress.note_closed()
        predictions, exercises = self.progress.predictions, self._exercises.seen
        page, still = (draw(self.name, predictions, exercises, sentences=sentences) for draw in (end_html, end_svg))
        show(View(page, END_TEXT, still=still))  # type: ignore[no-untyped-call]

    def _clean(self) -> list[str]:
        """Undo everything, and print what is left; give what else there is to say of the machine."""
        stopped = [getattr(view, "name", "") for view in self._views if getattr(view, "is_live", False)]
        problems = []
        while self._views:
            problems += attempt(self._views[-1].stop)
            self._views.pop()
        while self._undos:
            undo = self._undos[-1]
            problems += attempt(undo)
            self._undos.remove(undo)  # it may have registered another
        background = end_background()
        if not self.engine_alive():
            self.revive()
        sentences, refusals = self._leftovers.remove()
        sentences += [f"`{line}` had left something running in the background. It is ended." for line in background]
        left = len(self._leftovers.find())
        self.engine.close()
        print(f"lesson {self.name} is closed; left behind: {left or 'nothing'}")
        for problem in [*problems, *(refusals if left else [])]:
            print("not undone:", problem)
        if stopped:
            sentences.append(
                f"The lesson has ended, and so have these views: {', '.join(stopped)}. To use a view again, select "
                "the cell below it and choose Run > Run All Above Selected Cell."
            )
        if not left:
            sentences.append("The engine is as it was at the beginning: nothing is left behind.")
        return sentences

    def follow(self, bar: LiveBar) -> None:
        """Keep a bar up to date with what is done, after each cell."""
        self._bar = bar
        bar.refresh(self.progress.steps_done())

    def _let_go(self) -> None:
        """Have the notebook's cells no longer be this lesson's."""
        if self._notebook is not None:
            self._notebook.events.unregister("pre_run_cell", self._begin_cell)
            self._notebook.events.unregister("post_run_cell", self._end_cell)
            self._notebook = None

    def _begin_cell(self, _: object) -> None:
        self.engine.clear()

    def _end_cell(self, _: object) -> None:
        if self._bar is not None:
            self._bar.refresh(self.progress.steps_done())
        kills = count_own_kills()
        if kills > self._kills:
            print(
                f"Memory ran out, and the kernel killed {kills - self._kills} of this machine's own processes. If the "
                "engine does not answer, lesson.revive() starts it again; Kernel > Restart gives a new machine."
            )
        self._kills = kills


def open_lesson(name: str) -> Lesson:
    """Show the machine's boot, wait until its engine is ready, and open a lesson on it.

    A lesson that is still open, because its notebook runs again from the top, is closed first.
    Raises MachineError on a computer that is no lab machine, and when the boot failed or takes more than 240 s.
    """
    global _opened
    require_lab_machine()
    # On a slow machine it says that it makes a list of fonts: no output of a lesson.
    logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)
    bar = LiveBar(name, Path())
    view, stages = wait_for_boot()
    if _opened is not None:
        _opened._clean()
        _opened._let_go()
    engine = Engine()
    if not _answers(engine):  # a cell has killed it, before this one
        start_engine()
        print("the engine had ended, and is back")
    lesson = _opened = Lesson(name, engine)
    lesson.progress.note_opened()
    lesson.follow(bar)
    view.html = boot_html(stages, read_proofs(lesson.engine)) + map_html(name)
    lesson.engine.clear()
    if words := said():
        print(words)
    print(f"lesson {name} is open; the engine answers")
    return lesson


def _answers(engine: Engine) -> bool:
    try:
        return engine.get("/_ping", versioned=False).answer.status == 200
    except EngineError:
        return False
