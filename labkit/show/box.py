"""How do sentences in a box look as a still picture?"""

from collections.abc import Sequence

from labkit.show.look import ROLES
from labkit.show.still import frame_svg, words_svg, wrap_words

__all__ = ["box_svg"]

WIDTH, ROW_PX = 760, 20


def box_svg(role: str, sentences: Sequence[str], title: str = "") -> str:
    """Draw sentences below each other, each on rows of its own, with the role's colour at their left."""
    rows = [row for sentence in sentences for row in wrap_words(sentence)]
    ink, height = ROLES[role].light, ROW_PX * (len(rows) + bool(title)) + 20
    parts = [f'<rect width="{WIDTH}" height="{height}" rx="8" fill="{ink}" fill-opacity="0.1"/>']
    parts += [f'<rect width="8" height="{height}" fill="{ink}"/>']
    parts += [words_svg(title, 24, 26, 700)] if title else []
    parts += [words_svg(row, 24, 26 + ROW_PX * number) for number, row in enumerate(rows, bool(title))]
    return frame_svg(parts, WIDTH, height)
