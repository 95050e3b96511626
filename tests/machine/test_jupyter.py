"""Do the buttons of a notebook (interrupt, restart, shut down) do on a machine what they do on any kernel?"""

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager

from tests.machine.host import KINDS, descendants, is_alive, snapshot, wait_until

PATIENCE_S = 30
AT_ONCE_S = 5.0


def connect(manager: KernelManager) -> BlockingKernelClient:
    client: BlockingKernelClient = manager.client()
    client.start_channels()
    client.wait_for_ready(timeout=PATIENCE_S)
    return client


def evaluate(client: BlockingKernelClient, expression: str) -> str:
    """The repr of an expression in the kernel."""
    reply = client.execute(
        "", user_expressions={"value": expression}, reply=True, timeout=PATIENCE_S, store_history=False
    )
    text: str = reply["content"]["user_expressions"]["value"]["data"]["text/plain"]
    return text


def interrupt(manager: KernelManager, client: BlockingKernelClient) -> tuple[str, float]:
    """Interrupt a cell that sleeps; give its error, and how long that took."""
    # In short naps: a signal that comes between Python's last look and sleep(2) would wait for the end of a long one.
    code = "import time; print('asleep', flush=True)\nwhile True: time.sleep(0.1)"
    # A kernel that stops on an error refuses what comes in the moment after its reply.
    request = client.execute(code, stop_on_error=False)
    while client.get_iopub_msg(timeout=PATIENCE_S)["content"].get("text", "").rstrip() != "asleep":
        pass  # the line's end may come in a message of its own
    began = time.monotonic()
    manager.interrupt_kernel()
    while (reply := client.get_shell_msg(timeout=PATIENCE_S))["parent_header"]["msg_id"] != request:
        pass
    return reply["content"]["ename"], time.monotonic() - began


@pytest.mark.parametrize("kind", KINDS)
def test_the_buttons_of_a_notebook(
    kind: str, state: Path, start_kernel: Callable[[], KernelManager], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cell is interrupted and the kernel answers on; a restart is a new machine; shut down, nothing is left."""
    monkeypatch.setenv("LABKIT_MACHINE", kind)
    before = snapshot(state)
    manager = start_kernel()
    client = connect(manager)

    error, seconds = interrupt(manager, client)
    assert ("KeyboardInterrupt", "2") == (error, evaluate(client, "1 + 1"))
    assert AT_ONCE_S > seconds

    evaluate(client, "open('/usr/share/written', 'w').close()")
    assert "True" == evaluate(client, "__import__('os').path.exists('/usr/share/written')")
    first = descendants(os.getpid())
    client.stop_channels()
    manager.restart_kernel()
    assert wait_until(lambda: not any(map(is_alive, first)), AT_ONCE_S)
    client = connect(manager)
    assert "False" == evaluate(client, "__import__('os').path.exists('/usr/share/written')")
    assert 1 == len(list((state / f"labkit-{os.getuid()}").iterdir()))

    second = descendants(os.getpid())
    client.stop_channels()
    manager.shutdown_kernel()
    assert wait_until(lambda: not any(map(is_alive, second)), AT_ONCE_S)
    assert wait_until(lambda: before == snapshot(state), 2), snapshot(state)


@pytest.mark.parametrize("kind", ["native"])
def test_no_debugger_is_loaded(
    kind: str, start_kernel: Callable[[], KernelManager], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernelspec says that there is none, and so its modules are not in memory; who wants them has them."""
    monkeypatch.setenv("LABKIT_MACHINE", kind)
    client = connect(start_kernel())

    assert "[]" == evaluate(client, "[name for name in __import__('sys').modules if 'pydevd' in name]")
    assert "'debugpy'" == evaluate(client, "__import__('debugpy').__name__")
