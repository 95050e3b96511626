"""Does a view of the machine's processes get a look at each change, and no more?"""

import os
import subprocess
import time
from subprocess import PIPE
from threading import Timer
from typing import cast

import pytest

from labkit.api.engine import Engine
from labkit.errors import EngineUnreachable, LabError
from labkit.widgets.namespace_map import WORDS, draw_namespaces, watch_namespaces
from labkit.widgets.process_tree import _choose
from labkit.widgets.processes import ProcessSource, label_containers
from tests.processes import MACHINE, process


def test_a_look_comes_with_each_change() -> None:
    """The first, and then those in which something is different; who came is told."""
    machines = iter([MACHINE[:3], MACHINE[:3], MACHINE, MACHINE[:7]])

    looks = []
    source = ProcessSource(read=lambda: next(machines, MACHINE[:7]), period_s=0.001)
    for look in source:
        looks.append(look)
        if len(looks) == 3:
            Timer(0.05, source.close).start()

    assert [3, 8, 7] == [len(look.processes) for look in looks]
    assert [set(), {one.pid for one in MACHINE[3:]}, set()] == [set(look.came) for look in looks]


def test_a_source_ends_from_another_thread() -> None:
    """At once, though the next look is an hour away."""
    source = ProcessSource(read=lambda: MACHINE, period_s=3600)
    Timer(0.05, source.close).start()
    began = time.monotonic()

    assert 1 == len(list(source))
    assert time.monotonic() - began < 5


def test_this_process_has_a_name() -> None:
    """It is the notebook's."""
    source = ProcessSource()
    look = next(iter(source))
    source.close()

    assert "this notebook" == look.labels[os.getpid()]
    assert os.getpid() in {one.pid for one in look.processes}


def test_an_engine_that_does_not_answer_names_nobody() -> None:
    """The map is drawn all the same."""

    class Dead:
        def get(self, path: str) -> None:
            raise EngineUnreachable("nobody")

    assert {} == label_containers(MACHINE, cast(Engine, Dead()))
    assert {} == label_containers(MACHINE, None)


def test_a_container_is_found_by_its_shim() -> None:
    """The shim's command line has the container's id; what the shim started has its name, a runc on its way has not."""
    line = ["sleep", "60", "-id", "4d2"]
    with subprocess.Popen(["sh", "-c", "echo up; read wait", *line[1:]], stdin=PIPE, stdout=PIPE) as shim:
        assert shim.stdout and b"up\n" == shim.stdout.readline()  # before, the kernel may not show its command line

        class Answer:
            def json(self) -> object:
                return [{"Id": "4d2", "Names": ["/box"]}]

        class Here:
            def get(self, path: str) -> Answer:
                return Answer()

        found = [process(shim.pid, "containerd-shim"), process(501, "sleep", shim.pid), process(502, "runc", shim.pid)]
        assert {501: "box"} == label_containers([*found, process(503, "x", 9)], cast(Engine, Here()))
        shim.communicate(b"\n")


def test_some_processes_are_drawn_under_their_names() -> None:
    """Who has ended is named, and a kind that does not exist, too."""
    with subprocess.Popen(["sleep", "60"]) as other:
        text = repr(draw_namespaces({"this notebook": "self", "other": other.pid}, "uts pid"))
        other.kill()

    assert "               uts  pid\nthis notebook  A    A\n  other        A    A" == text
    with pytest.raises(LabError, match="other has ended: there is no process"):
        draw_namespaces({"other": other.pid})
    with pytest.raises(ValueError, match="no kind of namespace named 'host', but uts, ipc"):
        draw_namespaces({"this notebook": "self"}, "host")


def test_the_tree_of_the_engine_leaves_out_what_is_neither() -> None:
    """Of all processes the engine's, the shims of containers that are asked for, and all that was started there."""
    deeper = [process(50, "sh", 24, 9), process(51, "cat", 50, 10), process(60, "bash", 1)]

    assert [7, 9, 20, 24, 29, 50, 51] == [one.pid for one in _choose([*MACHINE, *deeper], {24: "box", 29: "box"})]


def test_a_live_map_is_stopped_and_keeps_what_it_saw() -> None:
    """Its text is the same in each run; the page has this process."""
    view = watch_namespaces("uts net")
    deadline = time.monotonic() + 10
    while not view.items and time.monotonic() < deadline:
        time.sleep(0.01)
    view.stop()

    assert WORDS == repr(view)
    assert f'data-pid="{os.getpid()}"' in view._canvas.html and "this notebook" in view._canvas.html
