"""Is a bolt database read as it was written, and is one that lies refused?"""

import random
import struct
from typing import Any

import pytest

from labkit.errors import ImageError
from labkit.images.bolt import META_BYTES, last_transaction, read_buckets
from tests.unit.stores import PAGE, make_bolt

TREE: dict[str, Any] = {
    "a": {"b": {"c": "deep"}, "empty": {}, "text": "x" * 9000},
    "many": {f"{number:04}": str(number) for number in range(300)},
}


def encoded(value: Any) -> Any:
    return {key.encode(): encoded(one) for key, one in value.items()} if isinstance(value, dict) else value.encode()


@pytest.mark.parametrize("fanout", [0, 7])
def test_what_was_written_is_read(fanout: int) -> None:
    """Buckets in buckets, values larger than a page, and keys below a branch page."""
    assert encoded(TREE) == read_buckets(make_bolt(TREE, fanout=fanout), "here")


def test_an_inline_bucket_is_read() -> None:
    """A small bucket has no page of its own: the page stands in the value."""
    inner = struct.pack("<QHHI", 0, 2, 1, 0) + struct.pack("<IIII", 0, 16, 3, 5) + b"keyvalue"
    data = bytearray(make_bolt({"outer": "." * (16 + len(inner))}))
    start = 4 * PAGE
    data[start + 16 : start + 20] = struct.pack("<I", 1)
    at = data.index(b"outer") + len(b"outer")
    data[at : at + 16 + len(inner)] = struct.pack("<QQ", 0, 0) + inner

    assert {b"outer": {b"key": b"value"}} == read_buckets(bytes(data), "here")


def test_the_newer_meta_page_counts() -> None:
    """Of two whole meta pages the later commit is read; where it is torn, the one before."""
    data = make_bolt({"a": "b"}, transaction=41)
    torn = bytearray(data)
    torn[PAGE + 40] ^= 1

    assert 41 == last_transaction(data[:META_BYTES], "here")
    assert 40 == last_transaction(bytes(torn)[:META_BYTES], "here")
    assert {b"a": b"b"} == read_buckets(bytes(torn), "here")


@pytest.mark.parametrize("data", [b"", b"\0" * 100_000, make_bolt({"a": "b"})[:60]], ids=["empty", "zeros", "cut"])
def test_what_is_no_database_is_refused(data: bytes) -> None:
    """The error says where."""
    with pytest.raises(ImageError, match="^here: no bolt database"):
        read_buckets(data, "here")


def changed(place: int, form: str, *values: int) -> bytes:
    data = bytearray(make_bolt({"a": {"b": "c"}}))  # page 4: the bucket a, page 5: the root
    struct.pack_into(form, data, place, *values)
    return bytes(data)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (make_bolt({"a": {"b": "c"}})[: 5 * PAGE], "beyond its end"),
        (changed(5 * PAGE, "<Q", 9), "page 5 says that it is page 9"),
        (changed(5 * PAGE + 8, "<H", 16), "holds no keys"),
        (changed(5 * PAGE + 10, "<H", 60000), "no room"),
        (changed(5 * PAGE + 28, "<I", 2**31), "beyond the end of the page"),
        (changed(5 * PAGE + 33, "<Q", 5), "two ways lead to page 5"),
        (changed(5 * PAGE + 28, "<I", 4), "less than 16 bytes"),
    ],
)
def test_a_database_that_lies_is_refused(data: bytes, words: str) -> None:
    """A page that is another one, a value beyond its page, a circle: each has an error of its own."""
    with pytest.raises(ImageError, match=words):
        read_buckets(data, "here")


def test_bytes_at_random_never_do_harm() -> None:
    """Whatever is changed, it is read or refused with an ImageError."""
    whole = make_bolt(TREE, fanout=7)
    dice = random.Random(5)
    for _ in range(400):
        data = bytearray(whole)
        for _ in range(dice.randint(1, 30)):
            data[dice.randrange(4 * PAGE, len(data))] = dice.randrange(256)
        try:
            read_buckets(bytes(data), "here")
        except ImageError:
            continue
