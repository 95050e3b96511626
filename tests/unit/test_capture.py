"""Is a frame read as what it is: a tunnel's packet, open or closed, or something else?"""

import random

import pytest

from labkit.isolation.capture import Tunnelled, parse_frame

ETHERNET = bytes(12) + b"\x08\x00"
VXLAN = b"\xc0\x00\x12\xb5" + bytes(4) + b"inside"  # to port 4789


def ipv4(protocol: int, data: bytes, options: bytes = b"") -> bytes:
    """A frame with a packet of IPv4."""
    header = bytearray(20)
    header[0], header[9] = 0x45 + len(options) // 4, protocol
    return ETHERNET + bytes(header) + options + data


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        (ipv4(17, VXLAN), Tunnelled("VXLAN", VXLAN)),
        (ipv4(17, VXLAN, options=bytes(8)), Tunnelled("VXLAN", VXLAN)),
        (ipv4(50, b"\x01closed"), Tunnelled("ESP", b"\x01closed")),
        (ipv4(17, b"\x12\xb5\xc0\x00" + bytes(4)), None),  # from port 4789
        (ipv4(6, VXLAN), None),
        (ipv4(17, b"\xc0\x00\x12"), None),
        (ipv4(50, b""), None),
        (bytes(12) + b"\x86\xdd" + ipv4(17, VXLAN)[14:], None),  # says that it is IPv6
        (ETHERNET + b"\x60" + ipv4(17, VXLAN)[15:], None),
        (ETHERNET, None),
        (b"", None),
    ],
)
def test_a_frame(frame: bytes, expected: Tunnelled | None) -> None:
    """By protocol and port, behind a header of any length."""
    assert expected == parse_frame(frame)


def test_any_bytes() -> None:
    """Whoever sends them, reading ends without an error."""
    rng = random.Random(14)
    for _ in range(2000):
        frame = ETHERNET + bytes([rng.choice((0x45, 0x4F, 0x40))]) + rng.randbytes(rng.randrange(60))
        found = parse_frame(frame)
        assert found is None or (found.kind in ("VXLAN", "ESP") and found.data in frame)
