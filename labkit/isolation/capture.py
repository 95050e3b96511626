"""How do packets of an overlay network travel between two nodes, and can whoever carries them read them?

with Capture("nodes0") as capture:          a bridge of this machine
    sh("...")
    capture.take()                          the packets in tunnels that passed: "VXLAN" or "ESP", and their bytes

A packet socket gets what a bridge passes on from port to port only while the bridge is promiscuous: packet(7).
"""

import socket
import struct
import time
from contextlib import suppress
from typing import NamedTuple, Self

from labkit.errors import LabError
from labkit.isolation.interfaces import run_program

__all__ = ["Capture", "Tunnelled", "has_esp", "parse_frame"]

ETH_P_ALL, ETH_P_IP = 0x0003, 0x0800  # <linux/if_ether.h>
SOL_PACKET, PACKET_ADD_MEMBERSHIP, PACKET_MR_PROMISC = 263, 1, 1  # <linux/if_packet.h>
SO_RCVBUFFORCE = 33  # <asm-generic/socket.h>
BUFFER_BYTES = 4 << 20  # the nodes talk to each other all the time
LONGEST = 65535
QUIET_S = 0.15  # until the last packets have passed
ETHERNET_BYTES = 14
UDP, ESP = 17, 50  # of IPv4
VXLAN_PORT = 4789  # RFC 7348
CIPHER = ["rfc4106(gcm(aes))", "0x" + 20 * "ab", "64"]  # of an encrypted overlay network: name, key, bits of a check


class Tunnelled(NamedTuple):
    """A packet that carries another one: "VXLAN", in which that one is seen, or "ESP", in which it is not (RFC 4303).

    `data` is all behind its IPv4 header.
    """

    kind: str
    data: bytes


class Capture:
    """What a bridge of this machine passes on, from now on, until it is closed.

    Raises LabError where the bridge is not there, or the kernel refuses.
    """

    def __init__(self, bridge: str) -> None:
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)  # of no protocol: it hears nothing yet
        try:
            member = struct.pack("iHH8s", socket.if_nametoindex(bridge), PACKET_MR_PROMISC, 0, b"")
            self._socket.setsockopt(SOL_PACKET, PACKET_ADD_MEMBERSHIP, member)
            self._socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, BUFFER_BYTES)
            self._socket.setblocking(False)
            self._socket.bind((bridge, ETH_P_ALL))
        except OSError as error:
            self._socket.close()
            raise LabError(f"The packets on {bridge} cannot be seen: {error}") from error

    def take(self) -> list[Tunnelled]:
        """The packets in tunnels that have passed since the last look; what else passed is left out."""
        time.sleep(QUIET_S)
        found = []
        with suppress(BlockingIOError):
            while True:
                found.append(parse_frame(self._socket.recv(LONGEST)))
        return [one for one in found if one is not None]

    def close(self) -> None:
        """Look no more; more than once does no harm."""
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def parse_frame(frame: bytes) -> Tunnelled | None:
    """Read a frame of Ethernet; None for one that is no packet of IPv4 in a tunnel, and for one that is cut off."""
    packet = frame[ETHERNET_BYTES:]
    if len(packet) < 20 or int.from_bytes(frame[12:14], "big") != ETH_P_IP or packet[0] >> 4 != 4:
        return None
    data = packet[(packet[0] & 15) * 4 :]
    if packet[9] == ESP and data:
        return Tunnelled("ESP", data)
    if packet[9] == UDP and int.from_bytes(data[2:4], "big") == VXLAN_PORT:
        return Tunnelled("VXLAN", data)
    return None


def has_esp() -> bool:
    """Does this kernel take a key as encrypted overlay networks have them? It is tried in a namespace of its own."""
    state = ["src", "192.0.2.1", "dst", "192.0.2.2", "proto", "esp", "spi", "1", "mode", "transport"]
    try:
        run_program(["unshare", "--net", "ip", "xfrm", "state", "add", *state, "aead", *CIPHER])
    except LabError:
        return False
    return True
