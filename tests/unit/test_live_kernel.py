"""Does a live view end with its cell, on an interrupt and with the kernel, in a real IPython kernel?"""

import queue
import time
from collections.abc import Iterator
from typing import Any

import pytest
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager

PATIENCE_S = 30.0
AT_ONCE_S = 3.0
DEFINE = """
import threading, time
from labkit.widgets.live import LiveView

class Ticks:
    def __init__(self): self.over = threading.Event()
    def __iter__(self):
        while not self.over.wait(0.01): yield 1
    def close(self): self.over.set()

def watch():
    draw = lambda items, left_out: str(len(items))
    return LiveView("ticks", Ticks(), html=draw, text=lambda *_: "ticks", picture=draw)

threads = threading.active_count()
"""


class Notebook:
    """Cells run one after another, as a front end has them run."""

    def __init__(self, client: BlockingKernelClient) -> None:
        self.client = client

    def begin(self, code: str, cell: str | None = None) -> str:
        """Send a cell to be run; give the identity of the request."""
        metadata = {} if cell is None else {"cellId": cell}
        content = {"code": code, "silent": False, "store_history": True, "user_expressions": {}, "allow_stdin": False}
        request = self.client.session.msg("execute_request", {**content, "stop_on_error": False}, metadata=metadata)
        self.client.shell_channel.send(request)
        return str(request["header"]["msg_id"])

    def end(self, request: str) -> Any:
        """Wait for a cell's reply."""
        while (reply := self.client.get_shell_msg(timeout=PATIENCE_S))["parent_header"]["msg_id"] != request:
            pass
        return reply["content"]

    def run(self, code: str, cell: str | None = None) -> None:
        reply = self.end(self.begin(code, cell))
        assert "ok" == reply["status"], reply

    def value(self, expression: str) -> str:
        reply = self.client.execute("", user_expressions={"v": expression}, reply=True, timeout=PATIENCE_S, silent=True)
        return str(reply["content"]["user_expressions"]["v"]["data"]["text/plain"])

    def wait_for(self, expression: str, wanted: str) -> None:
        deadline = time.monotonic() + AT_ONCE_S
        while (found := self.value(expression)) != wanted:
            assert time.monotonic() < deadline, f"{expression} is {found}"
            time.sleep(0.05)

    def wait_until_printed(self, text: str) -> None:
        while self.client.get_iopub_msg(timeout=PATIENCE_S)["content"].get("text", "").rstrip() != text:
            pass  # the line's end may come in a message of its own


@pytest.fixture(scope="module")
def manager() -> Iterator[KernelManager]:
    manager = KernelManager(kernel_name="python3")
    manager.start_kernel()
    yield manager
    if manager.is_alive():
        manager.shutdown_kernel(now=True)


@pytest.fixture
def notebook(manager: KernelManager) -> Iterator[Notebook]:
    client = manager.client()
    client.start_channels()
    client.wait_for_ready(timeout=PATIENCE_S)
    notebook = Notebook(client)
    notebook.run(DEFINE)
    yield notebook
    client.stop_channels()


def test_running_a_cell_again_replaces_its_view(notebook: Notebook) -> None:
    """The view of the first run ends, those of other cells go on; without the front end's word, the text counts."""
    for cell in ("one", None):
        notebook.run("first = watch(); first", cell)
        notebook.run("other = watch()", "two")
        notebook.run("pass  # something else", "three")
        assert "(True, True)" == notebook.value("(first.is_live, other.is_live)")
        notebook.run("before = first", "four")
        notebook.run("first = watch(); first", cell)
        assert "(False, True, True)" == notebook.value("(before.is_live, first.is_live, other.is_live)")
        notebook.run("first.stop(); other.stop()")
    assert "True" == notebook.value("threads == threading.active_count()")


@pytest.mark.parametrize(
    ("sleep", "error"),
    [
        ("while True: time.sleep(0.1)", "KeyboardInterrupt"),
        # ipykernel 7.4 does not notice an interrupt while its event loop has nothing at all to do.
        ("while True: await asyncio.sleep(0.1)", "CancelledError"),
    ],
)
def test_an_interrupt_of_a_cell_stops_all_views(
    notebook: Notebook, manager: KernelManager, sleep: str, error: str
) -> None:
    """Also those of cells before it; a cell that fails otherwise stops none."""
    notebook.run("import asyncio; view = watch()")
    assert "error" == notebook.end(notebook.begin("1 / 0"))["status"]
    assert "True" == notebook.value("view.is_live")
    request = notebook.begin(f"print('asleep')\n{sleep}")
    notebook.wait_until_printed("asleep")
    manager.interrupt_kernel()

    assert error == notebook.end(request)["ename"]
    notebook.wait_for("view.is_live", "False")
    notebook.wait_for("threads == threading.active_count()", "True")


def test_an_interrupt_of_an_idle_kernel_stops_all_views(notebook: Notebook, manager: KernelManager) -> None:
    """The kernel that ignored it before reacts, goes on, and can be interrupted in a cell afterwards."""
    notebook.run("one = watch()")
    notebook.run("two = watch()")
    notebook.wait_for("len(one.items) > 3", "True")
    time.sleep(0.5)  # a kernel that has just replied is not idle yet: ipykernel takes an interrupt for its own
    manager.interrupt_kernel()
    time.sleep(1)  # in which nothing else wakes the kernel
    assert "(False, False)" == notebook.value("(one.is_live, two.is_live)")
    notebook.wait_for("threads == threading.active_count()", "True")

    request = notebook.begin("print('asleep')\nwhile True: time.sleep(0.1)")
    notebook.wait_until_printed("asleep")
    manager.interrupt_kernel()
    assert "KeyboardInterrupt" == notebook.end(request)["ename"]
    manager.interrupt_kernel()
    assert "2" == notebook.value("1 + 1")


def test_nbval_compares_what_a_block_leaves(notebook: Notebook) -> None:
    """A cell puts out two texts that are the same in every run, and neither updates nor clears an output."""
    request = notebook.begin("with watch() as seen:\n    time.sleep(0.3)")
    shown, kinds = [], set()
    while True:
        message = notebook.client.get_iopub_msg(timeout=PATIENCE_S)
        if message["parent_header"].get("msg_id") != request:
            continue
        if message["content"].get("execution_state") == "idle":
            break
        kinds.add(message["msg_type"])
        shown += [message["content"]["data"]] if message["msg_type"] == "display_data" else []
    notebook.end(request)

    assert {"status", "execute_input", "display_data", "comm_open", "comm_msg"} == kinds
    assert ["(ticks, live until this cell ends)", "ticks"] == [data["text/plain"] for data in shown]
    assert ["image/svg+xml" in data for data in shown] == [False, True]


def test_a_running_view_delays_no_shutdown(notebook: Notebook, manager: KernelManager) -> None:
    """A kernel ends as soon with a running view as without one, by itself: the sooner of two ends counts."""
    seconds: dict[str, list[float]] = {"": [], "view = watch()": []}
    for view in [*seconds] * 2:
        notebook.run(DEFINE + view)
        began = time.monotonic()
        notebook.client.shutdown()
        while manager.is_alive():
            assert time.monotonic() < began + PATIENCE_S
            time.sleep(0.01)
        seconds[view].append(time.monotonic() - began)
        manager.restart_kernel(now=True)
        notebook.client.wait_for_ready(timeout=PATIENCE_S)

    without, running = map(min, seconds.values())
    assert running < without + 0.5, seconds
    with pytest.raises(queue.Empty):
        while True:
            assert "stream" != notebook.client.get_iopub_msg(timeout=0.1)["msg_type"]
