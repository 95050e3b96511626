"""What does a lesson open at its start, what can its cells say, and what does it leave at its end?

lesson = open_lesson("01-engine-api")   waits for the machine's engine
predict("Who answers?", "a", "b")       a question, before the machine answers it
sh("docker images")                     what a line prints in a shell
beside(curl=..., raw=...)               several ways to say the same thing, side by side
lesson.wire()                           what this cell said to the engine, and what came back
lesson.tap()                            what others say to the engine: `with lesson.tap() as said`, live
lesson.consoles("name")                 two windows attached to one container
lesson.events()                         what happens in the engine, live
lesson.undo(fn, *args)                  registered in the same breath as what it undoes
lesson.close()                          undoes, newest first, removes what the lesson left in the engine
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from pprint import pformat
from typing import Any

from IPython.core.getipython import get_ipython
from IPython.display import display as show

from labkit.api.engine import Engine
from labkit.check.verdict import Verdict
from labkit.errors import EngineError, MachineError
from labkit.journal import open_journal
from labkit.machine.boot_log import BOOT_LOG, read_boot_log
from labkit.machine.inside.oom import count_own_kills
from labkit.machine.proofs import read_proofs
from labkit.shell import sh
from labkit.show.beside import beside_html, beside_svg, beside_text
from labkit.show.boot import boot_html
from labkit.show.course_map import map_html
from labkit.show.wire import wire_html, wire_svg, wire_text
from labkit.widgets.bar import LiveBar
from labkit.widgets.consoles import Consoles
from labkit.widgets.events import EventsView, watch_events
from labkit.widgets.predict import Prediction
from labkit.widgets.view import View
from labkit.widgets.wire import WireView, tap_wire

__all__ = ["Lesson", "beside", "open_lesson", "predict", "sh"]

predict = Prediction

BOOT_PATIENCE_S = 240.0  # where a whole class boots at once; the view shows that it goes on

NO_NAME = "<none>:<none>"
BUILT_IN_NETWORKS = ("bridge", "host", "none")  # a daemon makes them itself, with a new identity after its death
FORCE = {"force": True, "v": True}  # v: with its anonymous volumes; what is no container does not know the word

_opened: "Lesson | None" = None  # one at a time: a kernel is a machine


class Lesson:
    """One run of a lesson; `engine` is the client of this machine's engine."""

    def __init__(self, name: str, engine: Engine) -> None:
        self.name = name
        self.engine = engine
        self.progress = open_journal(name)
        self._undos: list[Callable[[], object]] = []
        self._closed = False
        self._bar: LiveBar | None = None
        self._kills = count_own_kills()
        # By its identity too: an image that loses its name in the lesson is not the lesson's.
        identities = (f"/images/{image['Id']}" for image in engine.get("/images/json").json())
        self._before = {*self._inventory(), *identities}
        self._notebook = get_ipython()  # None outside a notebook
        if self._notebook is not None:
            self._notebook.events.register("pre_run_cell", self._begin_cell)
            self._notebook.events.register("post_run_cell", self._end_cell)

    def undo(self, fn: Callable[..., object], *args: Any) -> None:
        """Have `fn(*args)` called when the lesson closes; the last one registered is called first."""
        self._undos.append(lambda: fn(*args))

    def remove(self, *containers: str) -> None:
        """Remove containers that an earlier run of a cell made, if they are there, whatever they do."""
        for name in containers:
            self.engine.delete(f"/containers/{name}", query=FORCE, check=False)

    def check(self, exercise: str, verdict: Verdict) -> Verdict:
        """Show what a check said of an exercise ("A"), and count the try."""
        if verdict.attempted:
            self.progress.note_exercise(exercise, done=not verdict.missing)
        return verdict

    def engine_alive(self) -> bool:
        """Does dockerd answer?"""
        try:
            return self.engine.get("/_ping", versioned=False).answer.status == 200
        except EngineError:
            return False

    def revive(self) -> None:
        """Start dockerd again after it died. Raises MachineError when it does not come up."""
        from labkit.machine.inside.engine_process import start_engine

        start_engine()
        print("the engine is back")

    def wire(self) -> View:
        """Show what `engine` said in this cell, and what came back, as a sequence diagram."""
        said = list(self.engine.exchanges)
        return View(wire_html(said), wire_text(said), wire_svg(said))

    def tap(self) -> AbstractContextManager[WireView]:
        """Listen to what is said to the engine in a block, and show it as it goes: `labkit.api.tap` has the rules."""
        return tap_wire()

    def consoles(self, container: str) -> Consoles:
        """Attach two windows to a container, yours and a colleague's; they are hung up when the lesson closes.

        The client is the view's own, so that `wire` shows what the cell says, and nothing of this.
        """
        consoles = Consoles(Engine(self.engine.host), container)
        self.undo(consoles.stop)
        return consoles

    def events(self, **filters: Sequence[str] | str) -> EventsView:
        """Watch what happens in the engine, live; `filters` are the engine's own, as type=["container"].

        The client is the view's own, so that `wire` shows what the cell says, and nothing of this.
        """
        view = watch_events(Engine(self.engine.host), filters)
        self.undo(view.stop)
        return view

    def close(self) -> None:
        """Undo everything, whatever fails on the way; say what is left, and what could not be undone.

        Raises MachineError when the engine is dead and does not come up. Whatever kept this from its end, calling it
        again goes on from there. What cells leave that are run after it, the next call undoes; where there is nothing,
        it does nothing.
        """
        if self._closed and not self._undos and self.engine_alive() and not self._new():
            return
        problems = []
        while self._undos:
            problems += _attempt(self._undos[-1])
            self._undos.pop()
        if not self.engine_alive():
            self.revive()
        refusals = [words for path in self._new() for words in _attempt(partial(self._delete, path))]
        left = len(self._new())
        self.engine.close()
        print(f"lesson {self.name} is closed; left behind: {left or 'nothing'}")
        for problem in [*problems, *(refusals if left else [])]:
            print("not undone:", problem)
        self._closed = not left

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

    def _delete(self, path: str) -> None:
        self.engine.delete(path, query=FORCE)

    def _new(self) -> list[str]:
        return [path for path in self._inventory() if path not in self._before]

    def _inventory(self) -> Iterator[str]:
        """The paths of everything that can be left in the engine, what uses others first."""
        for container in self.engine.get("/containers/json", query={"all": True}).json():
            yield f"/containers/{container['Id']}"
        for network in self.engine.get("/networks").json():
            if network["Name"] not in BUILT_IN_NETWORKS:
                yield f"/networks/{network['Id']}"
        for volume in self.engine.get("/volumes").json()["Volumes"] or []:
            yield f"/volumes/{volume['Name']}"
        for image in self.engine.get("/images/json").json():
            names = [name for name in image["RepoTags"] or [] if name != NO_NAME]
            yield from (f"/images/{name}" for name in names or [image["Id"]])


def open_lesson(name: str) -> Lesson:
    """Show the machine's boot, wait until its engine is ready, and open a lesson on it.

    A lesson that is still open, because its notebook runs again from the top, is closed first.
    Raises MachineError on a computer that is no lab machine, and when the boot failed or takes more than 240 s.
    """
    global _opened
    if not BOOT_LOG.exists():
        raise MachineError('This is not a lab machine: choose the kernel "Docker Lab" (Kernel > Change Kernel).')
    bar = LiveBar(name, Path())
    view = View("", "the boot of this machine")
    show(view)  # type: ignore[no-untyped-call]
    deadline = time.monotonic() + BOOT_PATIENCE_S
    stages: list[dict[str, Any]] = []
    while True:
        before, stages = stages, read_boot_log()
        if before != stages or not view.value:  # a picture for each stage, and no more
            view.value = boot_html(stages)
        passed = {line["stage"]: line["detail"] for line in stages}
        if "failed" in passed:  # not always the last: the notebook's Python starts beside the engine
            words = passed["failed"].rstrip(".")
            raise MachineError(f"The engine did not come up: {words}. Restart the kernel to try again.")
        if "ready" in passed:
            break
        if time.monotonic() > deadline:
            view.value = boot_html([*stages, {"stage": "failed", "detail": f"No end after {BOOT_PATIENCE_S:.0f} s."}])
            raise MachineError(f"The boot takes too long; it has passed: {', '.join(passed)}. Restart the kernel.")
        time.sleep(0.1)
    if _opened is not None:
        _opened.close()
        _opened._let_go()
    lesson = _opened = Lesson(name, Engine())
    lesson.progress.note_opened()
    lesson.follow(bar)
    view.value = boot_html(stages, read_proofs(lesson.engine)) + map_html(name)
    lesson.engine.clear()
    print(f"lesson {name} is open; the engine answers")
    return lesson


def beside(**ways: Any) -> View:
    """Show what several ways to say the same thing gave, side by side, each under its name.

    A `sh` result shows its line and its output, an exchange the bytes of request and answer.
    """
    panes = {name: _readable(value) for name, value in ways.items()}
    return View(beside_html(panes), beside_text(panes), beside_svg(panes))


def _readable(value: object) -> str:
    return pformat(value, width=60) if type(value).__str__ is object.__str__ else str(value)


def _attempt(undo: Callable[[], object]) -> list[str]:
    """Call it; give what went wrong, so that the others are still called."""
    try:
        undo()
    except Exception as error:
        return [f"{type(error).__name__}: {error}"]
    return []
