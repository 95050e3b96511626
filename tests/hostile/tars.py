"""How is a tar written byte by byte, rightly or wrongly?

Python's tarfile refuses to write most of what a test of hostile archives needs, so the headers are laid out here
(POSIX.1-2017, pax, "ustar Interchange Format"; GNU tar manual, "Basic Tar Format").
"""

__all__ = [
    "BLOCK",
    "END",
    "folder",
    "gnu_long",
    "gnu_sparse",
    "header",
    "member",
    "number",
    "pax",
    "padded",
    "pax_sparse",
    "tar",
]

BLOCK = 512  # bytes
END = bytes(2 * BLOCK)
USTAR, GNU = b"ustar\x0000", b"ustar  \x00"


def tar(*members: bytes) -> bytes:
    """Put members one after the other, and the two blocks of zeros that end a tar."""
    return b"".join(members) + END


def member(name: str | bytes, data: bytes = b"", **fields: object) -> bytes:
    """Give a header with the right size, and the content, padded to whole blocks."""
    return header(name, **{"size": len(data), **fields}) + padded(data)  # type: ignore[arg-type]


def folder(name: str, mode: int = 0o755) -> bytes:
    """Give the header of a directory."""
    return header(name, kind=b"5", mode=mode)


def header(
    name: str | bytes,
    *,
    kind: bytes = b"0",
    size: int | bytes = 0,
    mode: int | bytes = 0o644,
    uid: int | bytes = 0,
    gid: int | bytes = 0,
    mtime: int | bytes = 0,
    link: str | bytes = b"",
    prefix: str | bytes = b"",
    device: tuple[int, int] = (0, 0),
    magic: bytes = USTAR,
    checksum: bytes | None = None,
    tail: bytes = b"",
) -> bytes:
    """Give one header of 512 bytes; bytes instead of a number are written as they are. Too long a name is cut."""
    fields = [
        (as_bytes(name), 100),
        (number(mode, 8), 8),
        (number(uid, 8), 8),
        (number(gid, 8), 8),
        (number(size, 12), 12),
        (number(mtime, 12), 12),
        (b" " * 8, 8),
        (kind, 1),
        (as_bytes(link), 100),
        (magic, 8),
        (b"root", 32),
        (b"root", 32),
        (number(device[0], 8), 8),
        (number(device[1], 8), 8),
        (tail or as_bytes(prefix), 167),
    ]
    block = b"".join(value[:width].ljust(width, b"\0") for value, width in fields)
    right = b"%06o\0 " % sum(block)
    return block[:148] + (right if checksum is None else checksum) + block[156:]


def number(value: int | bytes, width: int) -> bytes:
    """Write octal digits, and where they do not suffice GNU's binary form, as tar does."""
    if isinstance(value, bytes):
        return value
    if 0 <= value < 8 ** (width - 1):
        return b"%0*o\0" % (width - 1, value)
    return (value % (1 << 8 * (width - 1)) | (0x80 if value >= 0 else 0xFF) << 8 * (width - 1)).to_bytes(width, "big")


def pax(*records: tuple[str | bytes, str | bytes], kind: bytes = b"x") -> bytes:
    """Give an extended header with these records: `x` is for the next member, `g` for all that follow."""
    return member("PaxHeaders/0", b"".join(record(as_bytes(k), as_bytes(v)) for k, v in records), kind=kind)


def record(key: bytes, value: bytes) -> bytes:
    """Give `LENGTH KEY=VALUE` and a newline, where LENGTH counts its own digits."""
    rest = b" %s=%s\n" % (key, value)
    length = len(rest) + 1
    while length != len(rest) + len(str(length)):
        length += 1
    return str(length).encode() + rest


def gnu_long(name: str | bytes, kind: bytes = b"L") -> bytes:
    """Give GNU's member that holds the next one's long name (`L`), or where its long link goes (`K`)."""
    return member("././@LongLink", as_bytes(name) + b"\0", kind=kind, magic=GNU)


def gnu_sparse(
    name: str | bytes, pieces: list[tuple[int, bytes]], size: int, *, stored: int | None = None, extended: int = 0
) -> bytes:
    """Give GNU's old sparse member: up to four pieces (offset, data) of a file of `size` bytes.

    Then `extended` blocks say that a further block of pieces follows, the last one without saying so.
    """
    table = b"".join(number(at, 12) + number(len(data), 12) for at, data in pieces)
    data = b"".join(data for _, data in pieces)
    tail = bytes(41) + table.ljust(96, b"\0") + (b"\1" if extended else b"\0") + number(size, 12)
    more = b"".join(bytes(504) + (b"\1" if left > 1 else b"\0") + bytes(7) for left in range(extended, 0, -1))
    stored = len(data) if stored is None else stored
    return header(name, kind=b"S", size=stored, magic=GNU, tail=tail) + more + padded(data)


def pax_sparse(name: str, pieces: list[tuple[int, bytes]], size: int) -> bytes:
    """Give a sparse member of version 1.0: the map stands before the data, the true name and size in records."""
    numbers = [len(pieces), *(n for at, data in pieces for n in (at, len(data)))]
    table = padded(b"".join(b"%d\n" % n for n in numbers))
    records = [("GNU.sparse.major", "1"), ("GNU.sparse.minor", "0"), ("GNU.sparse.name", name)]
    return pax(*records, ("GNU.sparse.realsize", str(size))) + member(
        f"GNUSparseFile.0/{name}"[:100], table + b"".join(data for _, data in pieces)
    )


def padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % BLOCK)


def as_bytes(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode(errors="surrogateescape")
