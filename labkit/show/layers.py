"""How does one look at the layers of an image in a terminal?

>>> size_text(999), size_text(1_234_567), read_size("20MB"), read_size("1.5 kB")
('999 B', '1.2 MB', 20000000, 1500)
"""

import re
from typing import Any

from labkit.images.layers import Analysis
from labkit.images.paths import printable

__all__ = ["layers_json", "layers_text", "read_size", "size_text"]

COLUMNS = (72, 100)  # at least, at most
BAR = 20  # columns, where there are 100
MOST_WASTED = 10
_UNITS = ("B", "kB", "MB", "GB", "TB", "PB", "EB")
_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?([kKmMgGtT]?)(i?)[bB]?")
_SHELL = re.compile(r"^(RUN )?(?:\|\d+ .*?)?/bin/sh -c (?:#\(nop\) *)?")
_ASCII = str.maketrans({"█": "#", "▌": "=", "─": "-", "·": ".", "…": "~"})


def layers_text(found: Analysis, *, columns: int = 100, is_utf8: bool = True) -> str:
    """Give a report for a terminal of so many columns, of which 72 to 100 are used; in ASCII where it is not UTF-8."""
    width = max(COLUMNS[0], min(columns, COLUMNS[1]))
    bar = BAR - (COLUMNS[1] - width) // 3  # a narrow report has a shorter bar, and shorter commands
    total = sum(layer.size_bytes for layer in found.layers)
    largest = max((layer.size_bytes for layer in found.layers), default=0)
    lines = [
        _cut(f"{printable(found.name)}  {printable(found.architecture)}".rstrip(), width),
        f"{found.image_id[:19]}  {_count(len(found.layers), 'layer')}  {size_text(total)} of files",
        "",
        f"{'':3} {'bytes':>8}  {'':{bar}}  {'added':>7} {'changed':>7} {'deleted':>7}  made by",
    ]
    for number, layer in enumerate(found.layers, 1):
        lines.append(
            f"{number:3} {size_text(layer.size_bytes):>8}  {_bar(layer.size_bytes, largest, bar):{bar}}  "
            f"{_some(layer.added):>7} {_some(layer.modified):>7} {_some(layer.deleted):>7}  "
            f"{_cut(_command(layer.created_by), width - bar - 41)}".rstrip()
        )
    lines += ["", *_waste_lines(found, total, width)]
    text = "\n".join(lines)
    return text if is_utf8 else text.translate(_ASCII).encode("ascii", "backslashreplace").decode()


def layers_json(found: Analysis) -> dict[str, Any]:
    """Give what docs/layers.md describes, for json.dumps."""
    return {
        "name": found.name,
        "image_id": found.image_id,
        "manifest_digest": found.manifest_digest,
        "architecture": found.architecture,
        "layers": [
            {
                "diff_id": layer.diff_id,
                "chain_id": layer.chain_id,
                "digest": layer.digest,
                "size_bytes": layer.size_bytes,
                "added": layer.added,
                "modified": layer.modified,
                "deleted": layer.deleted,
                "created_by": layer.created_by,
            }
            for layer in found.layers
        ],
        "size_bytes": sum(layer.size_bytes for layer in found.layers),
        "wasted_bytes": found.wasted_bytes,
        "dive_wasted_bytes": found.dive_wasted_bytes,
        "efficiency": found.efficiency,
        "wasted": [{"path": each.path, "bytes": each.bytes, "times": each.times} for each in found.wasted],
    }


def size_text(size_bytes: int) -> str:
    """Give a size as people write it, in powers of 1000: "1.2 MB"."""
    size, unit = float(size_bytes), 0
    while size >= 999.5 and unit < len(_UNITS) - 1:
        size, unit = size / 1000, unit + 1
    return f"{size:.0f} {_UNITS[unit]}" if size >= 99.5 or unit == 0 else f"{size:.1f} {_UNITS[unit]}"


def read_size(text: str) -> int:
    """Read "20MB", "1.5 kB", "3GiB" or a number of bytes; ValueError for what is none."""
    found = _SIZE.fullmatch(text.strip())
    if not found:
        raise ValueError(f"{text!r} is no size: write 500000, 20MB or 1.5GiB")
    number, letter, binary = found.groups()
    return int(float(number) * (1024 if binary else 1000) ** " kmgt".index(letter.lower() or " "))


def _waste_lines(found: Analysis, total: int, width: int) -> list[str]:
    share = f" ({found.wasted_bytes / total:.1%} of the layers' files)" if total else ""
    lines = [
        f"wasted      {size_text(found.wasted_bytes)}{share}, in {_count(len(found.wasted), 'path')}",
        f"efficiency  {found.efficiency:.2%}; wasted as dive counts: {size_text(found.dive_wasted_bytes)}",
    ]
    if found.wasted:
        lines += ["", f"{'wasted':>12}  {'copies':>6}  path"]
    for each in found.wasted[:MOST_WASTED]:
        lines.append(f"{size_text(each.bytes):>12}  {each.times:6}  {_cut('/' + printable(each.path), width - 22)}")
    more = len(found.wasted) - MOST_WASTED
    if more > 0:
        rest = sum(each.bytes for each in found.wasted[MOST_WASTED:])
        lines.append(f"{size_text(rest):>12}          in {_count(more, 'more path')}")
    return lines


def _bar(size_bytes: int, largest: int, columns: int) -> str:
    halves = round(2 * columns * size_bytes / largest) if largest else 0
    if not halves:
        return "·" if size_bytes else ""
    return "█" * (halves // 2) + "▌" * (halves % 2)


def _command(line: str) -> str:
    """Give the line of a Dockerfile without what the builder puts around it."""
    return printable(" ".join(_SHELL.sub(lambda found: found[1] or "", line).split()))


def _some(count: int) -> str:
    return f"{count:,}" if count else "·"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"
