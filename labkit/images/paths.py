"""Which path inside the image does a name in a tar mean, and how is it shown?

    >>> clean("./etc//passwd"), clean("/etc/passwd"), clean("."), clean("a/../b/")
    ('etc/passwd', 'etc/passwd', '', 'b')
    >>> printable("bell\\a, escape \\x1b[31m, not UTF-8 \\udcff, é")
    'bell\\\\x07, escape \\\\x1b[31m, not UTF-8 \\\\xff, é'

A name is never looked up on this computer. `..` takes away the part before it, by the letters alone, as the
engine does before it unpacks.
"""

import re

__all__ = ["LONGEST_PATH", "clean", "printable"]

LONGEST_PATH = 4096  # bytes with the NUL at the end; limits.h calls it PATH_MAX
_UNTIDY = re.compile(r"(?:^|/)\.{0,2}(?:/|$)")  # an empty component, "." or ".."
_LONG = LONGEST_PATH // 4  # letters: one has 4 bytes at most
_LONGEST_SHOWN = 300


def clean(name: str) -> str:
    """Give the path that a name means, from the root of the image: no "/" before or after it, "" for the root itself.

    Raises ValueError with a sentence for a name that leads out of the image, that holds a NUL, or that is longer than
    Linux lets a path be.
    """
    if len(name) >= _LONG and len(name.encode(errors="surrogateescape")) >= LONGEST_PATH:
        raise ValueError(f"the name {printable(name)} is longer than {LONGEST_PATH} bytes")
    if "\0" in name:
        raise ValueError(f"the name {printable(name)} holds a NUL")
    if name[-1:] == "/":  # as directories have it
        name = name[:-1]
    if name[:1] not in "./" and "//" not in name and "/." not in name or not _UNTIDY.search(name):
        return name
    kept: list[str] = []
    for part in name.split("/"):
        if part == "..":
            if not kept:
                raise ValueError(f"the name {printable(name)} leads out of the image")
            kept.pop()
        elif part not in ("", "."):
            kept.append(part)
    return "/".join(kept)


def printable(name: str) -> str:
    """Give a name as text of one line: what a terminal would obey, and what is not UTF-8, is written as an escape."""
    if name.isprintable() and "\\" not in name and len(name) <= _LONGEST_SHOWN:
        return name
    shown = "".join(_show(letter) for letter in name[:_LONGEST_SHOWN])
    return shown + "..." * (len(name) > _LONGEST_SHOWN)


def _show(letter: str) -> str:
    code = ord(letter)
    if letter == "\\":
        return "\\\\"
    if letter.isprintable():
        return letter
    if 0xDC80 <= code <= 0xDCFF:  # surrogateescape: a byte that is no UTF-8
        return f"\\x{code - 0xDC00:02x}"
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
