"""What is in a bbolt file, the database of containerd?

A tree of pages: two meta pages of which the newer one counts, branch pages, leaf pages, and buckets in buckets. It is
read from a copy of its bytes while its owner may write on: a writer never changes a page that a meta page leads to.
Source: go.etcd.io/bbolt, `internal/common/page.go`, `meta.go`, `bucket.go`.
"""

import struct
from collections.abc import Iterator

from labkit.errors import ImageError

__all__ = ["Bolt"]

_MAGIC = 0xED0CDAED
_PAGE = struct.Struct("<QHHI")  # id, flags, count, overflow
_META = struct.Struct("<IIIIQQQQQQ")  # magic, version, page size, flags, root, sequence, freelist, pages, txid, sum
_LEAF = struct.Struct("<IIII")  # flags, position, key size, value size
_BRANCH = struct.Struct("<IIQ")  # position, key size, page
_BUCKET = struct.Struct("<QQ")  # root page, sequence
_IS_BRANCH, _IS_LEAF, _IS_BUCKET = 1, 2, 1
_DEEPEST = 64


class Bolt:
    """The bytes of a database; ImageError where they are not what such a file must be."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        metas = []
        size = 4096
        for position in (0, size):
            if len(data) >= position + _PAGE.size + _META.size:
                magic, _, found, _, root, _, _, _, txid, _ = _META.unpack_from(data, position + _PAGE.size)
                if magic == _MAGIC:
                    metas.append((txid, root, found))
        if not metas:
            raise ImageError("metadata.db", "no bbolt file")
        _, self._root, self._size = max(metas)

    def keys(self, *path: bytes) -> list[bytes]:
        """Give the keys of a bucket, sorted; none where there is no such bucket."""
        return [key for key, _, _ in self._bucket(path)]

    def get(self, *path: bytes) -> bytes | None:
        """Give the value of the last key, in the buckets before it; None where it is not there."""
        for key, flags, value in self._bucket(path[:-1]):
            if key == path[-1] and not flags & _IS_BUCKET:
                return value
        return None

    def _bucket(self, path: tuple[bytes, ...]) -> Iterator[tuple[bytes, int, bytes]]:
        try:
            items = self._page(self._root, 0)
            for name in path:
                value = next((value for key, flags, value in items if key == name and flags & _IS_BUCKET), None)
                if value is None:
                    return
                root, _ = _BUCKET.unpack_from(value)
                # A small bucket lies whole in its value, as a page after its header.
                items = self._page(root, 0) if root else _leaf(value, _BUCKET.size)
            yield from items
        except (struct.error, IndexError):
            raise ImageError("metadata.db", "a bbolt file that is cut off") from None

    def _page(self, number: int, depth: int) -> Iterator[tuple[bytes, int, bytes]]:
        if depth > _DEEPEST:
            raise ImageError("metadata.db", "a bbolt file whose pages are in a loop")
        start = number * self._size
        _, flags, count, _ = _PAGE.unpack_from(self._data, start)
        if flags & _IS_LEAF:
            yield from _leaf(self._data, start)
        elif flags & _IS_BRANCH:
            for index in range(count):
                _, _, child = _BRANCH.unpack_from(self._data, start + _PAGE.size + index * _BRANCH.size)
                yield from self._page(child, depth + 1)
        else:
            raise ImageError("metadata.db", f"a bbolt file whose page {number} is no page of a tree")


def _leaf(data: bytes, start: int) -> Iterator[tuple[bytes, int, bytes]]:
    _, _, count, _ = _PAGE.unpack_from(data, start)
    for index in range(count):
        here = start + _PAGE.size + index * _LEAF.size
        flags, position, key, value = _LEAF.unpack_from(data, here)
        begin = here + position
        yield data[begin : begin + key], flags, data[begin + key : begin + key + value]
