"""Does a live view on a machine end as on any kernel, and see what the engine does in the same words on each kind?"""

import os
import time
from collections.abc import Callable

import pytest
from jupyter_client.manager import KernelManager

from tests.machine.host import KINDS, descendants, is_alive, wait_until
from tests.machine.test_jupyter import AT_ONCE_S, connect, evaluate

OPEN = """
import threading
from labkit.lesson import open_lesson, sh
lesson = open_lesson("x")
"""
RUN = """
with lesson.events() as seen:
    sh("docker run --rm busybox true")
    sh("docker run --name=web --network=none busybox false")
    sh("docker volume create data")
"""
SEEN = """\
container <name 1>: create
container <name 1>: attach
network bridge: connect <name 1>
container <name 1>: start
container <name 1>: die (exit status 0)
network bridge: disconnect <name 1>
container <name 1>: destroy
container web: create
container web: attach
network none: connect web
container web: start
container web: die (exit status 1)
network none: disconnect web
volume data: create"""
ENDED = "(view.is_live, sum(one.name.startswith('events') for one in threading.enumerate()))"


@pytest.mark.parametrize("kind", KINDS)
def test_a_view_on_a_machine(
    kind: str, start_kernel: Callable[[], KernelManager], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its text is what happened; an idle interrupt, the lesson's end and the engine's stop it; shutdown is quick."""
    monkeypatch.setenv("LABKIT_MACHINE", kind)
    manager = start_kernel()
    client = connect(manager)
    client.execute(OPEN, reply=True)

    client.execute(RUN, reply=True)
    # Sorted: attaching and connecting are two threads of the engine, and either may be told first.
    assert sorted(SEEN.splitlines()) == sorted(evaluate(client, "seen").splitlines())

    client.execute("view = lesson.events()", reply=True)
    assert "(True, 2)" == evaluate(client, ENDED)
    time.sleep(0.5)  # a kernel is idle a moment after its reply
    manager.interrupt_kernel()
    time.sleep(1)  # and is asked nothing until the interrupt has come, on a channel of its own
    assert "(False, 0)" == evaluate(client, ENDED)

    client.execute("view = lesson.events(); sh('pkill -x dockerd'); view._threads[0].join(10)", reply=True)
    assert "stopped: Engine" in evaluate(client, "view")
    client.execute("lesson.revive(); view = lesson.events()\nlesson.close()", reply=True)
    assert "(False, 0)" == evaluate(client, ENDED)

    family = descendants(os.getpid())
    client.execute(OPEN + "view = lesson.events()", reply=True)
    assert "(True, 2)" == evaluate(client, ENDED)
    client.stop_channels()
    began = time.monotonic()
    manager.shutdown_kernel()
    assert AT_ONCE_S > time.monotonic() - began
    assert wait_until(lambda: not any(map(is_alive, family)), AT_ONCE_S)
