r"""How does one look at bytes that came over a wire?

JSON is indented, other text is shown as it is, and anything else as a hex dump: the offset, sixteen bytes
(fewer where there is no room), and what is printable among them.

>>> print(dump(b"\x01\x00\x00\x00\x00\x00\x00\x03hi\n"))
0000  01 00 00 00 00 00 00 03 68 69 0a                 ........hi.
"""

import codecs
import json

__all__ = ["dump", "hex_dump"]

MAX_BYTES = 256 * 1024  # of which anything is looked at
MAX_CHARACTERS = 4000
MAX_HEX_BYTES = 512
ROW = 16


def dump(data: bytes, *, row: int = ROW) -> str:
    """Give bytes as text to be read, cut after 4000 characters, or 512 bytes of a hex dump."""
    whole = len(data) <= MAX_BYTES
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(data[:MAX_BYTES], whole)
    except UnicodeDecodeError:
        return hex_dump(data, row=row)
    if not _is_printable(text):
        return hex_dump(data, row=row)
    text = _indent(text)
    return text if len(text) <= MAX_CHARACTERS else f"{text[:MAX_CHARACTERS]}\n… {len(data)} bytes in all"


def _indent(text: str) -> str:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):  # no JSON, or several lines of it
        return text
    indented = json.dumps(value, indent=2, ensure_ascii=False)
    return indented if _is_printable(indented) else text  # where its escapes stand for what no page can hold


def _is_printable(text: str) -> bool:
    return all(character.isprintable() or character in "\r\n\t" for character in text[:MAX_CHARACTERS])


def hex_dump(data: bytes, *, row: int = ROW) -> str:
    """Give the first 512 bytes in rows of so many: offset, hexadecimal, and what is printable among them."""
    shown = data[:MAX_HEX_BYTES]
    lines = [_hex_line(offset, shown[offset : offset + row], row) for offset in range(0, len(shown), row)]
    return "\n".join(lines + ([f"… {len(data)} bytes in all"] if len(data) > MAX_HEX_BYTES else []))


def _hex_line(offset: int, part: bytes, row: int) -> str:
    letters = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in part)
    return f"{offset:04x}  {part.hex(' '):<{3 * row - 1}}  {letters}"
