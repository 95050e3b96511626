"""How does a picture of text stay the same from run to run, for those who read a stored notebook?"""

import re
from collections.abc import Sequence
from html import escape
from textwrap import wrap

__all__ = ["cut", "frame_svg", "mask", "text_svg", "words_svg", "wrap_words", "xml_safe"]

_ID = re.compile(r"\b(?:sha256:)?[0-9a-f]{64}\b|\b[0-9a-f]{12}\b")
_TIME = re.compile(
    r"\b\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:\d\d)|\b\d{10}\b|\b[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} [\d:]+ GMT"
)
# What no XML may hold, escaped or not: all but Char of the XML 1.0 recommendation.
_NO_CHAR = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
LINE_PX, CHARACTER_PX = 15, 7.3
WORDS_COLUMNS = 84  # of prose, in a picture of 760 px


def mask(text: str) -> str:
    """Put <id> for identities and <time> for points in time.

    >>> mask("0123456789ab started 2026-01-02T03:04:05.6Z")
    '<id> started <time>'
    """
    return _TIME.sub("<time>", _ID.sub("<id>", text))


def text_svg(text: str, x: float, y: float, *, columns: int, rows: int) -> str:
    """Draw the first rows of a text, each cut to so many columns, as SVG; (x, y) is the first baseline."""
    lines = [cut(line, columns) for line in mask(text).expandtabs(4).splitlines()]
    shown = lines[:rows] if len(lines) <= rows else [*lines[: rows - 1], "…"]
    return "".join(_line(line, x, y + LINE_PX * number) for number, line in enumerate(shown))


def cut(line: str, columns: int) -> str:
    return line if len(line) <= columns else f"{line[: columns - 1]}…"


def xml_safe(text: str) -> str:
    """Replace what neither XML nor UTF-8 can hold."""
    return _NO_CHAR.sub("\N{REPLACEMENT CHARACTER}", text)


def wrap_words(text: str) -> list[str]:
    """Break a sentence into rows of a picture of 760 px; the backticks around code are left out."""
    return wrap(text.replace("`", ""), WORDS_COLUMNS)


def words_svg(text: str, x: float, y: float, weight: int = 400) -> str:
    """Draw a row of prose, 15 px high; (x, y) is its baseline."""
    words = escape(xml_safe(text))
    return f'<text x="{x:g}" y="{y:g}" font-family="sans-serif" font-size="15" font-weight="{weight}">{words}</text>'


def _line(line: str, x: float, y: float) -> str:
    return f'<text x="{x:g}" y="{y:g}" xml:space="preserve">{escape(xml_safe(line))}</text>'


def frame_svg(
    parts: Sequence[str], width: float, height: float, *, differs: bool = False, shrinks: bool = False
) -> str:
    """Put parts on a white ground, legible on light and dark pages.

    A picture that `differs` from run to run in more than identities says so; the tests do not compare it.
    One that `shrinks` is never wider than its page: for a drawing, whose right side would be missed.
    """
    mark = ' data-differs="1"' if differs else ""
    style = ' style="max-width:100%;height:auto"' if shrinks else ""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg"{mark} viewBox="0 0 {width:g} {height:g}" width="{width:g}" '
        f'height="{height:g}"{style} role="img" font-family="monospace" font-size="12">'
        f'<rect width="100%" height="100%" fill="#fff"/>{"".join(parts)}</svg>'
    )
