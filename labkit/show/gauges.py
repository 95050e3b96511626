"""How much does a container use, where is its limit, and what happens there? Three gauges, time to the right.

The newest half minute moves to the left. What is used is an area, the limit a dashed line. Marks stand at the moment
when the kernel killed a process, let one wait, or refused one; a band says that all stood still (frozen).

    gauges_html(samples, caption="...")     with a slider that reads the values of a moment
    gauges_svg(samples)                     a still picture; what is measured differs from run to run
    gauges_text(samples)                    what holds in every run: the limits, and what happened
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from html import escape
from math import inf

from labkit.show.axis import short
from labkit.show.gauge_samples import (
    GAUGES,
    Mark,
    Point,
    Sample,
    Series,
    amount,
    choose,
    join_spans,
    marks_of,
    series_of,
)
from labkit.show.look import PAGE, ROLES, SHAPES, figure, read_css
from labkit.show.still import frame_svg, words_svg, wrap_words

__all__ = ["CAPTION", "gauges_html", "gauges_svg", "gauges_text"]

CAPTION = (
    "Look at the area and the dashed line: what is used, and the limit. A mark at the top of a gauge says that the "
    "kernel stepped in. Move the slider (mouse or arrow keys) to read the values of one moment."
)
SHOWN_S, MAX_POINTS, MAX_COLUMNS = 30.0, 120, 60
WIDTH, LEFT, RIGHT = 760, 196, 748
TOP, PANEL, GAP = 8, 84, 26
HEIGHT = TOP + len(GAUGES) * (PANEL + GAP) + 8
HEADROOM = 1.25  # above the greatest value and the limit, so that a line at the limit is seen
MARK_PX = 14
TICKS_S = (0.1, 0.2, 0.5, 1, 2, 5, 10)
SUFFICIENT_TICKS = 10
KEYS = ("used", "limit", "throttled", "killed", "refused", "frozen")
DASHES = 'stroke-width="2" stroke-dasharray="7 4"'
HATCH_PX, STRIP_PX = 6, 10
Ink = Callable[[str], str]  # the colour of a role
Place = Callable[[float], float]  # pixels

_STYLE = f"<style>{read_css('gauges')}</style>"


def gauges_html(samples: Sequence[Sample], *, name: str = "", caption: str = CAPTION) -> str:
    """The three gauges on a live page; `name` is the container's, `caption` HTML."""
    shown = choose(samples, SHOWN_S, MAX_POINTS)
    head = f'<div class="lk-head">{escape(name)}</div>' if name else ""
    if not any(sample.values for sample in shown):
        body = f'<div class="lk-card">{head}<p class="g-wait">Nothing runs yet.</p></div>'
        return figure("gauges", body, caption=caption, style=_STYLE)
    moments = choose(shown, SHOWN_S, MAX_COLUMNS)
    picture = (
        f'<svg class="g-chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(gauges_text(samples))}">'
        f"{''.join(_draw(shown, lambda role: f'var(--lk-{role})'))}{''.join(_columns(moments, shown[0].at_s))}</svg>"
    )
    last = len(moments) - 1
    slider = (
        '<div class="g-replay" data-replay="1"><button type="button" data-play="1" aria-label="play">&#9654;</button>'
        f'<label>Moment <input type="range" min="0" max="{last}" value="{last}" aria-label="moment"></label>'
        f"<output></output></div>"
    )
    body = f'<div class="lk-card">{head}{picture}{slider}</div>'
    return figure("gauges", body, caption=caption, keys=KEYS, style=_STYLE)


def gauges_svg(samples: Sequence[Sample]) -> str:
    """The three gauges as a still picture, on white."""
    inks: Mapping[str, str] = {key: role.light for key, role in ROLES.items()} | {
        key: pair[0] for key, pair in PAGE.items()
    }
    rows = wrap_words("Dashed line: the limit. Cross: killed. Hatching: had to wait. Diamond: refused.")
    words = "".join(words_svg(row, 12, HEIGHT + 18 * (number + 1)) for number, row in enumerate(rows))
    parts = [*_draw(choose(samples, SHOWN_S, MAX_POINTS), inks.__getitem__), words]
    return frame_svg(parts, WIDTH, HEIGHT + 18 * len(rows) + 10, differs=True)


def gauges_text(samples: Sequence[Sample]) -> str:
    """One line for each gauge: its limits, in the order in which they were set, and what the kernel did."""
    if not any(sample.values for sample in samples):
        return "nothing ran"
    lines = []
    for gauge in GAUGES:
        limits = [amount(gauge, point.limit) for point in series_of(samples, gauge).points]
        changes = [limit for before, limit in zip(["", *limits], limits, strict=False) if limit != before]
        did = f"; {gauge.word}: {'yes' if marks_of(samples, gauge) else 'no'}"
        limit = "no limit" if changes == ["no limit"] else f"limit {', then '.join(changes)}"
        lines.append(f"{gauge.title:<10} {limit}{did}")
    if any(sample.values.get("frozen") for sample in samples):
        lines.append("frozen for a while")
    return "\n".join(lines)


def _draw(shown: Sequence[Sample], ink: Ink) -> Iterator[str]:
    """The time at the bottom, each gauge above it, and the bands of what was frozen."""
    begin, end = (shown[0].at_s, shown[-1].at_s) if shown else (0.0, 0.0)
    span = max(end - begin, 0.5)

    def x(at_s: float) -> float:
        return LEFT + (RIGHT - LEFT) * (at_s - begin) / span

    yield from _bands(shown, x, ink)
    for number, gauge in enumerate(GAUGES):
        yield from _panel(series_of(shown, gauge), shown, TOP + number * (PANEL + GAP), x, ink)
    step = next((tick for tick in TICKS_S if span / tick <= SUFFICIENT_TICKS), TICKS_S[-1])
    at = -(-begin // step) * step
    while at <= begin + span:
        place, bottom = x(at), HEIGHT - GAP - 4
        yield f'<path d="M{place:.1f} {bottom - 4}v4" stroke="{ink("dim")}"/>'
        yield _text(min(place, RIGHT - 8), bottom + 14, f"{at:g} s", ink("dim"), "middle")
        at = round(at + step, 6)


def _panel(series: Series, shown: Sequence[Sample], top: float, x: Place, ink: Ink) -> Iterator[str]:
    """One gauge: its words at the left, the ground, hatching where somebody waited, the area, the limit, the marks."""
    gauge, points = series.gauge, series.points
    finite = [point.limit for point in points if point.limit != inf]
    highest = max([*(point.used for point in points), *finite, 1.0]) * HEADROOM
    bottom = top + PANEL

    def y(value: float) -> float:
        return bottom - PANEL * min(value, highest) / highest

    yield from _words(series, top, ink, is_running=bool(shown and shown[-1].values))
    yield f'<path d="M{LEFT} {top}V{bottom}H{RIGHT}" fill="none" stroke="{ink("line")}"/>'
    marks = marks_of(shown, gauge)
    if gauge.role == "throttled":
        yield from _waiting(marks, x, top, ink)
    for run in series.runs:
        corners = " ".join(f"{x(point.at_s):.1f},{y(point.used):.1f}" for point in run)
        first, last = x(run[0].at_s), x(run[-1].at_s)
        yield (
            f'<polygon points="{first:.1f},{bottom} {corners} {last:.1f},{bottom}" fill="{ink("used")}" '
            'fill-opacity="0.28"/>'
        )
        yield f'<polyline points="{corners}" fill="none" stroke="{ink("used")}" stroke-width="2"/>'
        yield f'<path d="{_limit_path(run, x, y)}" class="g-limit" fill="none" stroke="{ink("limit")}" {DASHES}/>'
    for mark in marks if gauge.role != "throttled" else ():
        place = x(mark.at_s)
        shape = SHAPES[ROLES[gauge.role].shape].format(ink(gauge.role))
        yield f'<path d="M{place:.1f} {top}V{bottom}" stroke="{ink(gauge.role)}" stroke-width="1.5"/>'
        yield f'<g transform="translate({place - MARK_PX / 2:.1f} {top - 4}) scale({MARK_PX / 12:.3f})">{shape}</g>'
        if mark is marks[-1]:
            side = "end" if place > (LEFT + RIGHT) / 2 else "start"
            shift = -10 if side == "end" else 10
            yield _text(place + shift, top + 8, gauge.word, ink(gauge.role), side, bold=True)


def _waiting(marks: Sequence[Mark], x: Place, top: float, ink: Ink) -> Iterator[str]:
    """The times in which somebody had to wait: a pale ground, and a hatched strip at its top."""
    hatches = ""
    for since_s, until_s in join_spans([(mark.since_s, mark.at_s) for mark in marks]):
        left, right = x(since_s), max(x(until_s), x(since_s) + HATCH_PX)
        for step in range(int((right - left) / HATCH_PX)):
            hatches += f"M{left + step * HATCH_PX:.1f} {top + STRIP_PX}l{HATCH_PX} {-STRIP_PX}"
        yield (
            f'<rect x="{left:.1f}" y="{top}" width="{right - left:.1f}" height="{PANEL}" fill="{ink("throttled")}" '
            'fill-opacity="0.14"/>'
        )
    yield f'<path d="{hatches or "M0 0"}" stroke="{ink("throttled")}" stroke-width="2"/>'


def _limit_path(run: Sequence[Point], x: Place, y: Place) -> str:
    """A line that steps where the limit was changed, and that is not there where there is none."""
    path, is_down = "", False
    for point in run:
        if point.limit == inf:
            is_down = False
            continue
        path += (f"H{x(point.at_s):.1f}V" if is_down else f"M{x(point.at_s):.1f} ") + f"{y(point.limit):.1f}"
        is_down = True
    return path


def _words(series: Series, top: float, ink: Ink, *, is_running: bool) -> Iterator[str]:
    """What the gauge says now, and in which files the kernel says it."""
    gauge, points = series.gauge, series.points
    yield _text(12, top + 14, gauge.title, ink("ink"), bold=True)
    if not is_running:
        yield _text(12, top + 34, "does not run", ink("dim"))
    elif points:
        limit = amount(gauge, points[-1].limit)
        of = limit if points[-1].limit == inf else f"of {limit}"
        yield _text(
            12, top + 36, amount(gauge, points[-1].used), ink("used"), bold=True, size=18, more=(of, ink("ink"))
        )
    for number, name in enumerate((gauge.used, gauge.limit)):
        yield _text(12, top + 56 + 15 * number, series.files.get(name, ""), ink("dim"), mono=True)


def _bands(shown: Sequence[Sample], x: Place, ink: Ink) -> Iterator[str]:
    """A ground over all gauges while the group was frozen."""
    moments = zip(shown, shown[1:], strict=False)
    spans = join_spans([(before.at_s, now.at_s) for before, now in moments if now.values.get("frozen")])
    for since_s, until_s in spans:
        yield (
            f'<rect x="{x(since_s):.1f}" y="{TOP}" width="{x(until_s) - x(since_s):.1f}" '
            f'height="{HEIGHT - TOP - GAP - 8}" fill="{ink("frozen")}" fill-opacity="0.16"/>'
        )
        yield _text(x(since_s) + 4, TOP + PANEL + 16, "frozen", ink("frozen"), bold=True)


def _columns(moments: Sequence[Sample], begin: float) -> Iterator[str]:
    """What the slider goes through: a cover over each moment, which is clear unless the slider stands before it."""
    span = max(moments[-1].at_s - begin, 0.5)
    places = [LEFT + (RIGHT - LEFT) * (sample.at_s - begin) / span for sample in moments]
    for number, (left, right) in enumerate(zip([LEFT, *places], places, strict=False)):
        yield (
            f'<rect data-step="{number}" data-says="{escape(_says(moments, number))}" x="{left:.1f}" y="0" '
            f'width="{right - left:.1f}" height="{HEIGHT - GAP}"/>'
        )


def _says(moments: Sequence[Sample], number: int) -> str:
    """The values of one moment, in words."""
    before, now = moments[max(number - 1, 0)], moments[number]
    parts = []
    for gauge in GAUGES:
        points = series_of([before, now], gauge).points
        if points and now.values:
            limit = amount(gauge, points[-1].limit)
            of = limit if points[-1].limit == inf else f"of {limit}"
            parts.append(f"{gauge.title} {amount(gauge, points[-1].used)} ({of})")
        parts += [gauge.word for _ in marks_of([before, now], gauge)]
    return f"{short(now.at_s)}: {', '.join(parts) or 'nothing runs'}"


def _text(
    x: float,
    y: float,
    words: str,
    ink: str,
    anchor: str = "start",
    *,
    bold: bool = False,
    mono: bool = False,
    size: int = 12,
    more: tuple[str, str] = ("", ""),
) -> str:
    """A row of words; `more` goes on, smaller, in an ink of its own."""
    family = "monospace" if mono else "sans-serif"
    weight = ' font-weight="600"' if bold else ""
    rest, other = more
    after = f'<tspan dx="6" font-size="12" style="color:{other}" fill="{other}">{escape(rest)}</tspan>' if rest else ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-family="{family}" font-size="{size}"{weight} '
        f'style="color:{ink}" fill="{ink}">{escape(words)}{after}</text>'
    )
