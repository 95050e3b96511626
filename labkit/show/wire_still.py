"""How does the wire look in a stored notebook, in each run the same?

A still picture on white ground, without versions, identities, times and bodies. Rows stand at equal distances.
"""

from html import escape

from labkit.show.look import PAGE, ROLES, mark_svg
from labkit.show.still import cut, frame_svg, mask, xml_safe
from labkit.show.talk import STREAMS, Life, Picture, Row, Tube, request_line, role_of, status_line

__all__ = ["NOTHING", "STATES", "draw_still"]

NOTHING = "nothing went over the wire"
STATES = {"created": "created", "starting": "starts", "running": "runs", "exited": "ended", "gone": "removed"}
WIDTH_PX, LEFT_PX, ROW_PX, TOP_PX, LANE_PX, NOTES_PX = 760, 60, 30, 40, 24, 76
PALE = {"engine": "#e3e4f5", "container": "#e5dcc0"}
INK = {name: role.light for name, role in ROLES.items()}
SOFT, DIM = PAGE["soft"][0], PAGE["dim"][0]


class _Place:
    """Where things are in one picture, in pixels."""

    def __init__(self, picture: Picture, has_note: bool) -> None:
        self.top = TOP_PX + (20 if has_note else 0)
        self.right = WIDTH_PX - (NOTES_PX if picture.lives else 0) - LANE_PX * picture.lanes - 40
        self.height = self.top + ROW_PX * max(1, len(picture.rows)) + 14

    def y(self, row: int) -> int:
        """A row's arrow."""
        return self.top + ROW_PX * row + 22

    def x(self, lane: int) -> int:
        """The middle of a lane."""
        return self.right + LANE_PX * (lane + 1)


def draw_still(picture: Picture, client: str, *, has_note: bool, query: bool) -> str:
    """Draw a picture that is not to scale; `client` speaks; `has_note`: earlier exchanges are left out."""
    place = _Place(picture, has_note)
    parts = [*_ends(picture, place, client)]
    if has_note:
        parts.append(f'<text x="{LEFT_PX + 10}" y="{place.top - 4}">… earlier exchanges are left out</text>')
    parts += [_tube(tube, place) for tube in picture.tubes]
    parts += [_life(life, place) for life in picture.lives]
    parts += [_row(picture, row, place.y(number), place, query) for number, row in enumerate(picture.rows)]
    if not picture.rows:
        parts.append(f'<text x="{LEFT_PX + 20}" y="{place.top + 16}">{NOTHING}</text>')
    return frame_svg(parts, WIDTH_PX, place.height)


def _ends(picture: Picture, place: _Place, client: str) -> list[str]:
    columns = {"you": (LEFT_PX, client), "engine": (place.right, "engine")}
    parts = [
        f'<path d="M{x} 32V{place.height}" stroke="{INK[role]}" stroke-width="2"/>' for role, (x, _) in columns.items()
    ]
    if picture.lives:
        columns["container"] = (place.x(max(life.lane for life in picture.lives)) + 28, "container")
    return parts + [
        f'{mark_svg(role, x - 28, 18)}<text x="{x - 18}" y="22" font-weight="bold">{name}</text>'
        for role, (x, name) in columns.items()
    ]


def _tube(tube: Tube, place: _Place) -> str:
    x, y = place.x(tube.lane), place.y(tube.first) - 6
    end = place.height if tube.last is None else place.y(tube.last) + 6
    return (
        f'<rect x="{x - 8}" y="{y}" width="16" height="{end - y}" rx="8" fill="{PALE["engine"]}" '
        f'stroke="{INK["engine"]}" stroke-width="2"/><text transform="translate({x - 3} {y + 8}) rotate(90)" '
        f'font-size="10" fill="{INK["engine"]}">{escape(xml_safe(tube.talk.verb))}</text>'
    )


def _life(life: Life, place: _Place) -> str:
    ink, x, parts = INK["container"], place.x(life.lane), ""
    ends = [place.y(row) for row, _ in life.states[1:]] + [place.height]
    for (row, state), end in zip(life.states, ends, strict=True):
        y = place.y(row)
        if state == "exited":
            line = f"M{x - 8} {y}h16M{x} {y}V{end}"
            parts += f'<path d="{line}" stroke="{ink}" stroke-width="2" stroke-dasharray="2 4"/>'
        elif state != "gone":
            fill = {"created": "none", "starting": PALE["container"], "running": ink}[state]
            box = f'x="{x - 5}" y="{y}" width="10" height="{end - y}"'
            parts += f'<rect {box} fill="{fill}" stroke="{ink}" stroke-width="2"/>'
        if end > y:  # it does not only pass through this state
            parts += f'<text x="{x + 12}" y="{y + 4}" fill="{ink}" font-weight="bold">{STATES[state]}</text>'
    return parts


def _row(picture: Picture, row: Row, y: int, place: _Place, query: bool) -> str:
    if row.line is not None:
        return (
            f'<rect x="0" y="{y - 18}" width="{WIDTH_PX}" height="24" fill="{SOFT}"/>'
            f'<text x="10" y="{y - 2}" font-weight="bold">$ {escape(cut(mask(xml_safe(row.line.text)), 98))}</text>'
        )
    talk = row.talks[-1]
    lane = picture.lane_of(talk)
    far = place.right if lane is None else place.x(lane) - 8
    asked, answered = request_line(talk, query), status_line(talk)
    match row.kind:
        case "ping":
            return _words(LEFT_PX + 10, y - 2, f"{asked}  {answered}", DIM)
        case "request":
            return _words(LEFT_PX + 10, y - 6, cut(asked, 60)) + _to(y, far, INK["request"])
        case "exchange":
            both = _words(LEFT_PX + 10, y - 6, cut(asked, 60)) + _to(y, far, INK["request"])
            return both + _answer(y, y + 5, far, place.right, answered, INK[role_of(talk)])
        case "answer":
            return _answer(y, y, far, place.right, answered, INK[role_of(talk)])
        case "said":
            assert row.part is not None
            stream = row.part.stream
            ink, role = (INK[stream], stream) if stream in INK else (INK["answer"], "answer")
            words = f"{stream} {len(row.part.data)} bytes" if stream in STREAMS else stream
            arrow = _to(y, far, ink) if stream == "stdin" else _back(y, far, ink)
            return _words(LEFT_PX + 10, y - 6, words, ink) + arrow + mark_svg(role, far + 8, y)
    return _words(place.right - 10, y - 2, f"{xml_safe(talk.verb)} ends", INK["engine"], "end")


def _words(x: int, y: int, words: str, ink: str = PAGE["ink"][0], anchor: str = "start") -> str:
    return f'<text x="{x}" y="{y}" fill="{ink}" text-anchor="{anchor}" xml:space="preserve">{escape(words)}</text>'


def _answer(words_y: int, y: int, far: int, right: int, words: str, ink: str) -> str:
    return _words(right - 10, words_y - 6, words, ink, "end") + _back(y, far, ink, ' stroke-dasharray="5 3"')


def _to(y: int, far: int, ink: str) -> str:
    return f'<path d="M{LEFT_PX} {y}H{far - 2}m-6 -4l6 4l-6 4" fill="none" stroke="{ink}" stroke-width="2"/>'


def _back(y: int, far: int, ink: str, dashed: str = "") -> str:
    path = f"M{far} {y}H{LEFT_PX + 2}m6 -4l-6 4l6 4"
    return f'<path d="{path}" fill="none" stroke="{ink}" stroke-width="2"{dashed}/>'
