"""Do the pieces of a sparse file, as a tar lists them, make a file?

A sparse file is stored without its holes: a list of pieces (offset, bytes) says where in the file what is stored
belongs. GNU tar writes the list in the header (its own format), in PAX records (0.1), or before the content (1.0). An
engine refuses a list that cannot be, and so does labkit. Source: GNU tar manual, "Storing Sparse Files".

    >>> check_pieces([(0, 512), (4096, 512)], 8192, 1024)
    >>> check_pieces([(0, 512), (256, 512)], 8192, 1024)
    Traceback (most recent call last):
    ValueError: a sparse file whose pieces lie on each other, or beyond its end
"""

from collections.abc import Callable, Iterable, Mapping

__all__ = ["check_pax_pieces", "check_pieces"]

LARGEST_MAP = 2**20  # bytes of text before the content; the engine's limit
_BLOCK = 512

Pieces = list[tuple[int, int]]


def check_pieces(pieces: Iterable[tuple[int, int]], size_bytes: int, stored_bytes: int) -> None:
    """Raise ValueError unless the pieces follow each other within the file, and are what is stored."""
    end = total = 0
    for offset, length in pieces:
        if offset < end or offset + length > size_bytes:
            raise ValueError("a sparse file whose pieces lie on each other, or beyond its end")
        end = offset + length
        total += length
    if total != stored_bytes:
        raise ValueError(f"a sparse file with pieces of {total:,} bytes, of which {stored_bytes:,} are stored")


def check_pax_pieces(
    read_at: Callable[[int, int], bytes], position: int, pax: Mapping[str, str], size_bytes: int, stored_bytes: int
) -> None:
    """Check the list that PAX records give or announce; `position` is where the content begins, list and all."""
    if pax.get("GNU.sparse.major") == "1":
        pieces, length = _read_map(read_at, position, stored_bytes)
        check_pieces(pieces, size_bytes, stored_bytes - length)
    elif "GNU.sparse.map" in pax:
        listed = pax["GNU.sparse.map"].encode(errors="replace").split(b",")
        check_pieces(_pairs([_number(digits) for digits in listed]), size_bytes, stored_bytes)


def _read_map(read_at: Callable[[int, int], bytes], position: int, stored_bytes: int) -> tuple[Pieces, int]:
    """Read how many pieces there are, and two numbers for each, a line a number; give them, and their bytes."""
    text, lines, wanted = bytearray(), 0, 1
    while lines < wanted:
        block = read_at(position + len(text), _BLOCK)
        if len(block) < _BLOCK or len(text) >= min(stored_bytes, LARGEST_MAP):
            raise ValueError("a sparse file whose list of pieces has no end")
        text += block
        lines += block.count(b"\n")
        if wanted == 1 and lines:
            wanted += 2 * _number(bytes(text.partition(b"\n")[0]))
    return _pairs([_number(bytes(line)) for line in text.split(b"\n")[1:wanted]]), len(text)


def _pairs(numbers: list[int]) -> Pieces:
    return list(zip(numbers[::2], numbers[1::2], strict=False))


def _number(digits: bytes) -> int:
    if not digits.isdigit() or len(digits) > 19:
        raise ValueError("a sparse file whose list of pieces is no list of numbers")
    return int(digits)
