"""What does a bolt database hold?

containerd, and dockerd for its volumes, keep their records in one file: a B+tree of pages. A bucket holds keys in
order, and the value of a key is bytes or a bucket. A commit writes new pages first, and then one of the two meta
pages, in turn. The meta page with the higher transaction id counts.
Source: go.etcd.io/bbolt, `internal/common` (format 2).

    read_buckets(data, "meta.db")[b"v1"][b"moby"][b"images"]
"""

import struct
from collections.abc import Iterator
from typing import TypeAlias

from labkit.errors import ImageError

__all__ = ["META_BYTES", "Bucket", "last_transaction", "read_buckets"]

Bucket: TypeAlias = "dict[bytes, bytes | Bucket]"

_PAGE = struct.Struct("<QHHI")  # id, flags, count of elements, further pages that belong to it
_META = struct.Struct("<IIIIQQQQQ")  # magic, version, page size, flags, root, sequence, free list, end, transaction
_SUM = struct.Struct("<Q")
_BRANCH = struct.Struct("<IIQ")  # place of the key, its size, page
_LEAF = struct.Struct("<IIII")  # flags, place of the key, its size, size of the value
_BUCKET = struct.Struct("<QQ")  # page, or 0: the page follows; sequence
_MAGIC, _VERSION = 0xED0CDAED, 2
_IS_BRANCH, _IS_LEAF, _IS_BUCKET = 1, 2, 1
_PAGE_SIZES = [2**power for power in range(9, 17)]
_DEEPEST = 64  # pages from a root to a leaf, and buckets in buckets
META_BYTES = 2 * _PAGE_SIZES[-1]  # the two meta pages are within the first so many bytes


def last_transaction(data: bytes, where: str) -> int:
    """Give the number of the last commit, from the first META_BYTES of a database. ImageError for what is none."""
    return _newest_meta(data, where)[-1]


def read_buckets(data: bytes, where: str) -> Bucket:
    """Give all that a database holds, as it is in the bytes of its file; ImageError says what is wrong with them."""
    _, _, page_size, _, root, *_ = _newest_meta(data, where)
    return _Reader(data, page_size, where).bucket(root, 0)


def _newest_meta(data: bytes, where: str) -> tuple[int, ...]:
    found = [meta for size in _PAGE_SIZES for place in (0, size) if (meta := _meta(data, place)) and meta[2] == size]
    if not found:
        raise ImageError(where, "no bolt database: neither meta page is whole")
    return max(found, key=lambda meta: meta[-1])


def _meta(data: bytes, place: int) -> tuple[int, ...] | None:
    start = place + _PAGE.size
    end = start + _META.size
    if len(data) < end + _SUM.size:
        return None
    meta = _META.unpack_from(data, start)
    is_whole = _SUM.unpack_from(data, end)[0] == _fnv(data[start:end])
    return meta if meta[:2] == (_MAGIC, _VERSION) and is_whole else None


def _fnv(data: bytes) -> int:
    """FNV-1a of 64 bits."""
    value = 0xCBF29CE484222325
    for byte in data:
        value = (value ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return value


class _Reader:
    """Pages of one database. Each is read once at most: a lying file cannot have it go round in a circle."""

    def __init__(self, data: bytes, page_size: int, where: str) -> None:
        self._data, self._page_size, self._where = memoryview(data), page_size, where
        self._seen: set[int] = set()

    def bucket(self, page: int, depth: int) -> Bucket:
        return dict(self._items(self._page(page), depth))

    def _page(self, number: int) -> memoryview:
        start = number * self._page_size
        if start + self._page_size > len(self._data):
            raise self._error(f"page {number} is beyond its end: it is cut off")
        if number in self._seen:
            raise self._error(f"two ways lead to page {number}")
        self._seen.add(number)
        identity, _, _, more = _PAGE.unpack_from(self._data, start)
        if identity != number:
            raise self._error(f"page {number} says that it is page {identity}")
        return self._data[start : start + (1 + more) * self._page_size]

    def _items(self, page: memoryview, depth: int) -> "Iterator[tuple[bytes, bytes | Bucket]]":
        if depth > _DEEPEST:
            raise self._error(f"more than {_DEEPEST} levels")
        number, flags, count, _ = _PAGE.unpack_from(page)
        if flags not in (_IS_BRANCH, _IS_LEAF):
            raise self._error(f"page {number} holds no keys (flags {flags:#x})")
        form = _LEAF if flags == _IS_LEAF else _BRANCH
        if _PAGE.size + count * form.size > len(page):
            raise self._error(f"page {number} has no room for its {count} keys")
        for index in range(count):
            start = _PAGE.size + index * form.size
            if flags == _IS_BRANCH:
                yield from self._items(self._page(_BRANCH.unpack_from(page, start)[2]), depth + 1)
                continue
            kind, place, key_size, size = _LEAF.unpack_from(page, start)
            middle, end = start + place + key_size, start + place + key_size + size
            if end > len(page):
                raise self._error(f"a value of page {number} is beyond the end of the page")
            key, value = bytes(page[start + place : middle]), page[middle:end]
            yield key, self._nested(value, depth) if kind & _IS_BUCKET else bytes(value)

    def _nested(self, value: memoryview, depth: int) -> Bucket:
        if len(value) < _BUCKET.size:
            raise self._error("a bucket of less than 16 bytes")
        root, _ = _BUCKET.unpack_from(value)
        if root:
            return self.bucket(root, depth + 1)
        if len(value) < _BUCKET.size + _PAGE.size:
            raise self._error("a bucket without a page")
        return dict(self._items(value[_BUCKET.size :], depth + 1))

    def _error(self, what: str) -> ImageError:
        return ImageError(self._where, what)
