"""What is lost if `docker run` attaches, waits and starts in another order?

order_of_run(engine)      three steps to be put in order, by mouse or by keyboard, and a button that tries the order

The engine decides: each try makes a container that says hello and ends with 3, takes the steps in that order, and shows
what came back, and the wire. What follows the start comes when that short program has ended, as it may any time. A cell
that runs again keeps the order and what it gave.
"""

import time
from collections.abc import Callable
from threading import Thread
from typing import NamedTuple

from labkit.api.engine import Engine
from labkit.api.tap import Tap
from labkit.errors import EngineError
from labkit.show.look import STYLE, with_code
from labkit.show.still import xml_safe
from labkit.show.wire import shorten, wire_html
from labkit.widgets.cards import Cards, OrderView, keep_view

__all__ = ["STEPS", "Outcome", "RunOrder", "explain", "order_of_run", "try_order"]

STEPS = ("start", "attach", "wait")
LOOK_S, START_S, PATIENCE_S = 0.05, 20.0, 2.0
COMMAND = ["sh", "-c", "echo hello; exit 3"]
STREAMS = {"stream": True, "stdout": True, "stderr": True}
WHY = {  # by the steps that came after the start
    (): "Why: `attach` and `wait` were open before the start, so nothing was missed.",
    ("attach",): "Why: `attach` came after the end. It hears later output alone, and there is none.",
    ("wait",): "Why: `wait` came after the end. It waits for the next end, and would wait for ever.",
    ("attach", "wait"): "Why: `attach` and `wait` came after the end. Both would wait for ever.",
}


class Outcome(NamedTuple):
    """The order, the words that were heard, the exit status (None: not told), refusals by step, and the wire."""

    order: tuple[str, ...]
    heard: str
    code: int | None
    refused: dict[str, str]
    wire: str


def try_order(host: str, order: tuple[str, ...], image: str = "busybox") -> Outcome:
    """Make a container, and take the steps in this order; the container is removed afterwards.

    What has not ended two seconds after the last step is taken for what never ends. Raises what every call of an Engine
    raises when the container cannot be made.
    """
    heard: list[bytes] = []
    codes: list[int] = []
    refused: dict[str, str] = {}
    with Engine(host) as unheard, Tap(host) as said, Engine(said.host, timeout_s=START_S) as engine:
        path = f"/containers/{engine.post('/containers/create', json={'Image': image, 'Cmd': COMMAND}).json()['Id']}"

        def start() -> None:
            engine.post(f"{path}/start")

        def attach() -> None:
            with engine.hijack("POST", f"{path}/attach", query=STREAMS) as talk:
                for frame in talk.frames():
                    heard.append(frame.payload)

        def wait() -> None:
            codes.append(engine.post(f"{path}/wait", query={"condition": "next-exit"}).json()["StatusCode"])

        def take(step: str, act: Callable[[], None]) -> None:
            try:
                act()
            except EngineError as error:
                refused[step] = str(error)

        acts = {"start": start, "attach": attach, "wait": wait}
        threads = [Thread(target=take, args=(step, acts[step]), name=f"order: {step}", daemon=True) for step in order]

        def is_taken(step: str, thread: Thread) -> bool:
            if step == "start":
                state = unheard.get(f"{path}/json").json()["State"]["Status"]
                return not thread.is_alive() and ("start" in refused or state == "exited")
            asked = [one for one in said.exchanges if one.request.path == f"{path}/{step}"]
            return not thread.is_alive() or any(one.head_s is not None for one in asked)

        try:
            for step, thread in zip(order, threads, strict=True):
                thread.start()
                deadline = time.monotonic() + START_S
                while not is_taken(step, thread) and time.monotonic() < deadline:
                    time.sleep(LOOK_S)
            deadline = time.monotonic() + PATIENCE_S
            for thread in threads:
                thread.join(max(0.0, deadline - time.monotonic()))
            words = b"".join(heard).decode("utf-8", "replace")
            return Outcome(order, words, codes[0] if codes else None, dict(refused), wire_html(said.exchanges))
        finally:
            unheard.delete(path, query={"force": True}, check=False)


class RunOrder(OrderView):
    """The three steps, and what the last try gave: its `outcome`."""

    def __init__(self, engine: Engine, image: str = "busybox") -> None:
        self._image = image
        self.outcome: Outcome | None = None
        super().__init__(engine, Cards(order=list(STEPS)))

    def _try(self, order: tuple[str, ...]) -> str:
        self.outcome = try_order(self.host, order, self._image)
        return _result(self.outcome) + self.outcome.wire

    def __repr__(self) -> str:
        return "Put attach, wait and start in an order, and try it."


_steps: dict[object, RunOrder] = {}  # by cell


def order_of_run(engine: Engine) -> RunOrder:
    """Let the reader put attach, wait and start in an order, and try it; a cell that runs again has the last order."""
    return keep_view(_steps, engine, RunOrder)


def _result(outcome: Outcome) -> str:
    lines = "".join(f"<li>{with_code(line)}</li>" for line in explain(outcome))
    return f'{STYLE}<div class="lk" role="status"><ul>{lines}</ul></div>'


def explain(outcome: Outcome) -> tuple[str, str, str]:
    """Three sentences: whether the word was heard, whether the status was told, and why."""
    words = outcome.heard.strip()
    heard = f"The word is heard: `{xml_safe(words)}`." if words else "The word is lost."
    if outcome.code is not None:
        told = f"The exit status is told: {outcome.code}."
    elif "wait" in outcome.refused:
        told = "The exit status is not told."
    else:
        told = "The exit status is not told: there is no next end."
    if outcome.refused:
        refusals = (f"the engine refuses `{step}`: {shorten(error)}" for step, error in outcome.refused.items())
        return heard, told, f"Why: {'; '.join(refusals)}."
    late = tuple(step for step in ("attach", "wait") if outcome.order.index(step) > outcome.order.index("start"))
    return heard, told, WHY[late]
