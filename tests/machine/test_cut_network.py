"""What a learner does to the machine's network in a lesson on networks: does the notebook go on?

Its channels do not go through that network (labkit/machine/channels.py), so each way to cut it leaves them whole.
"""

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager

from tests.machine.host import KINDS, wait_until
from tests.machine.test_jupyter import AT_ONCE_S, connect, evaluate, interrupt

ENGINE_S = 90
CARDS = {"native": "tap0", "uml": "vec0"}
CUTS = {
    "a Docker network in its place": "docker network create --subnet 10.0.2.0/25 x",
    "a firewall that lets nothing in": "iptables -P INPUT DROP",
    "a link that is down": "ip link set {card} down",
    "an address that is removed": "ip addr flush dev {card}",
}
RUN = "__import__('subprocess').run({command!r}, shell=True, capture_output=True, text=True)"


def run(client: BlockingKernelClient, command: str) -> str:
    """The end of a shell command in the machine: its status and what it wrote to stderr."""
    return evaluate(client, f"[(done.returncode, done.stderr) for done in [{RUN.format(command=command)}]]")


def reaches_gateway(client: BlockingKernelClient) -> bool:
    """Does slirp4netns, the machine's way out, answer to an echo request?"""
    return run(client, "busybox ping -c 1 -W 1 10.0.2.2").startswith("[(0,")


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_notebook_goes_on(
    cut: str, kind: str, state: Path, start_kernel: Callable[[], KernelManager], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cell that cuts ends, the next one runs, Interrupt works, and a page that is opened again connects."""
    monkeypatch.setenv("LABKIT_MACHINE", kind)
    manager = start_kernel()
    client = connect(manager)
    assert reaches_gateway(client)
    assert wait_until(lambda: run(client, "timeout 10 docker version").startswith("[(0,"), ENGINE_S)

    assert "[(0, '')]" == run(client, CUTS[cut].format(card=CARDS[kind]))

    began = time.monotonic()
    assert "2" == evaluate(client, "1 + 1")
    assert AT_ONCE_S > time.monotonic() - began
    assert not reaches_gateway(client)  # it was a cut
    error, seconds = interrupt(manager, client)
    assert "KeyboardInterrupt" == error
    assert AT_ONCE_S > seconds
    client.stop_channels()
    client = connect(manager)
    assert "2" == evaluate(client, "1 + 1")
    client.stop_channels()


@pytest.mark.parametrize("kind", KINDS)
def test_the_channels_are_not_in_the_machines_network(
    kind: str, state: Path, start_kernel: Callable[[], KernelManager], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody listens there on a port of the kernel, and its interfaces are lo, the one card, and the engine's."""
    monkeypatch.setenv("LABKIT_MACHINE", kind)
    manager = start_kernel()
    client = connect(manager)

    listening = evaluate(client, "[line.split()[1] for line in open('/proc/self/net/tcp')]")
    interfaces = evaluate(client, "sorted(set(__import__('os').listdir('/sys/class/net')) - {'docker0'})")

    ports = [manager.shell_port, manager.iopub_port, manager.stdin_port, manager.control_port, manager.hb_port]
    assert [] == [port for port in ports if f":{port:04X}" in listening]
    assert str(["lo", CARDS[kind]]) == interfaces
    client.stop_channels()
