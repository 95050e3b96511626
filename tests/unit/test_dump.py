"""Are the bytes of a message shown in the way in which they can be read, however many they are?"""

import pytest

from labkit.dump import dump, hex_dump


@pytest.mark.parametrize(
    ("data", "shown"),
    [
        (b"", ""),
        (b'{"a":1}', '{\n  "a": 1\n}'),
        (b'{"a":"\\ud800"}', '{"a":"\\ud800"}'),  # half a character, which no page can hold
        (b'{"a":1}\n{"b":2}\n', '{"a":1}\n{"b":2}\n'),  # a stream of lines is no JSON document
        ("grün\n".encode(), "grün\n"),
        (b"\xff\x00", f"0000  {'ff 00':<47}  .."),
        (b"\x1b[2J", f"0000  {'1b 5b 32 4a':<47}  .[2J"),  # a terminal's orders are not obeyed
    ],
)
def test_each_kind_is_shown_in_its_way(data: bytes, shown: str) -> None:
    """JSON is indented, text is text, and the rest is a hex dump."""
    assert shown == dump(data)


@pytest.mark.parametrize("data", [b"a" * 9_000_000, "é".encode() * 9_000_000, bytes(9_000_000), b"[" * 9_000_000])
def test_a_huge_body_is_cut(data: bytes) -> None:
    """What is shown stays small, and says how much there was."""
    shown = dump(data)

    assert len(shown) < 5000 and shown.endswith(f"{len(data)} bytes in all")


def test_a_row_can_be_shorter() -> None:
    """Where there is no room for sixteen bytes, as many rows more are shown; what is printable stays in its column."""
    assert f"0000  61 62 63  abc\n0003  {'64':<8}  d" == hex_dump(b"abcd", row=3)
