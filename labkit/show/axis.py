"""How far apart do two moments stand, when time runs down the page?

One scale for a picture: the distance of two rows follows the time between them. Rows never come closer than their words
need, and what would be too far is squeezed. Neither is hidden: ticks stand at regular times, and a squeezed silence is
a break with its length beside it.
"""

from collections.abc import Sequence
from math import log2

__all__ = ["gap", "scale", "short", "tick", "ticks_html"]

MAX_GAP_PX = 60  # to scale
DOUBLED_PX, LONGEST_GAP_PX = 12, 150  # what each doubling adds to a gap that is squeezed: it still looks longer
ORDINARY = 0.75  # of the times between moments are at most the ordinary one
TICK_PX, MAX_TICKS = 6, 40
BREAK = "q5 -4 10 0t10 0"


def scale(times: Sequence[float], wide_px: float) -> float:
    """Pixels for a second, such that the ordinary time between two moments takes `wide_px`; 0 where none passes."""
    between = sorted(after - before for before, after in zip(times, times[1:], strict=False) if after > before)
    return wide_px / between[int(ORDINARY * (len(between) - 1))] if between else 0.0


def gap(seconds: float, px_per_s: float, row_px: float) -> tuple[float, float | None]:
    """The room above a row, in pixels, for the time since the row above; and that time, where the room is squeezed."""
    wanted = seconds * px_per_s - row_px
    if wanted <= MAX_GAP_PX:
        return round(max(wanted, 0.0), 1), None
    return round(min(MAX_GAP_PX + DOUBLED_PX * log2(wanted / MAX_GAP_PX), LONGEST_GAP_PX), 1), seconds


def tick(px_per_s: float) -> float:
    """The shortest of 1, 2 and 5 (and tenths, hundredths ...) seconds that is wide enough to be seen."""
    if not px_per_s:
        return 0.0
    power = 1e-6
    while True:
        for step in (1, 2, 5):
            if step * power * px_per_s >= TICK_PX:
                return step * power
        power *= 10


def ticks_html(above_s: float, at_s: float, height: float, tick_s: float, squeezed_s: float | None) -> str:
    """The ruler from the moment above to this one, `height` pixels below; a break where the silence is squeezed."""
    head = f'<svg class="lk-ticks" height="{height:g}" aria-hidden="true">'
    if squeezed_s is not None:
        middle = height / 2
        path = f'<path d="M14 {middle - 3:g}{BREAK}M14 {middle + 3:g}{BREAK}"/>'
        return (
            f'{head}{path}</svg><span class="lk-silence" style="top:{middle - 5:g}px">{short(squeezed_s)} pass</span>'
        )
    span = at_s - above_s
    if not tick_s or span <= 0:
        return ""
    first, last = int(above_s / tick_s) + 1, int(at_s / tick_s)
    if not first <= last < first + MAX_TICKS:
        return ""
    places = (height * (count * tick_s - above_s) / span for count in range(first, last + 1))
    return f'{head}<path d="{"".join(f"M16 {place:.1f}h8" for place in places)}"/></svg>'


def short(seconds: float) -> str:
    """A time as short as it can be read.

    >>> [short(seconds) for seconds in (0, 0.0003, 0.0623, 1.24, 75)]
    ['0', '0.3 ms', '62 ms', '1.24 s', '75 s']
    """
    if seconds >= 10:
        return f"{seconds:.0f} s"
    if seconds >= 1:
        return f"{seconds:.2f} s"
    ms = seconds * 1000
    return "0" if ms < 0.05 else f"{ms:.1f} ms".replace(".0 ", " ") if ms < 3 else f"{ms:.0f} ms"
