"""What went over the wire, in which order, and how long did each thing take?

Time runs downwards. The client's line of life is on the left and the engine's on the right; a request is a solid arrow,
its answer a dashed one. A connection that stays open is a tube beside the engine, and what it carries is a mark in the
tube, when it came. Beside the tubes a container lives. Above what a command said stands the line that was typed.
Values in, text or HTML out; a row opens on a click, or by keyboard, and shows its bytes.
"""

import re
from collections.abc import Iterable, Sequence
from html import escape

from labkit.show import message
from labkit.show.axis import short, ticks_html
from labkit.show.look import ROLES, figure, mark, method_chip, read_css, status_chip, with_code
from labkit.show.still import cut, mask, xml_safe
from labkit.show.talk import (
    LINE_PX,
    SHOWN_PARTS,
    STREAMS,
    VERSION,
    Life,
    Line,
    Picture,
    Row,
    Talk,
    Tube,
    WireExchange,
    lay_out,
    read_talks,
    request_line,
    role_of,
    settle,
    status_line,
    totals,
)
from labkit.show.wire_still import NOTHING, STATES, draw_still

__all__ = ["SHOWN", "WireExchange", "shorten", "wire_html", "wire_svg", "wire_text"]

SHOWN = 60  # exchanges, the newest, in every form
CALLS_DOCKER = re.compile(r"(?<![\w./-])docker(?![\w./-])")
LONG_ID = re.compile(r"\b([0-9a-f]{6})[0-9a-f]{6}(?:[0-9a-f]{52})?\b")

LANE_PX, LEFT_PX, ARROW_PX = 24, 84, 23  # a lane; from the left to the client's line; a row's arrow, from its top
NOTES_PX = 84  # for the words beside a container's life
CAPTION = (
    "Time runs downwards. A solid arrow is a request to the engine, the dashed arrow under it is its answer. Press a "
    "row to read what was said."
)
CAPTION_OPEN = (
    "Time runs downwards. {tubes} A mark in a tube is what the container said, when it said it. Press a row to read "
    "its bytes."
)

STYLE = f"<style>{message.STYLE}{read_css('wire')}</style>"


def wire_text(exchanges: Iterable[WireExchange], lines: Sequence[Line] = (), *, query: bool = True) -> str:
    """One line per exchange, without what differs from run to run: versions, ids, times, sizes.

    Without `query`, also without what differs between generations of the docker command: queries, and how often it
    asks for the engine's version before it goes on.
    """
    talks, left_out, first = _newest(exchanges, query)
    _, places = settle(talks, _of(lines, first))
    said = [(float(number), f"{'  ' if lines else ''}{_line_of(one, query)}") for number, one in enumerate(talks)]
    typed = [(line.began_s, f"$ {mask(xml_safe(line.text))}") for line in places]
    rows = [words for _, words in sorted([*typed, *said], key=lambda pair: pair[0])]
    return "\n".join([*(["… earlier exchanges are left out"] if left_out else []), *rows]) or f"({NOTHING})"


def wire_html(exchanges: Iterable[WireExchange], forgotten: int = 0, lines: Sequence[Line] = ()) -> str:
    """The diagram, top to bottom, in the colours of the page's theme; `forgotten` is how many came before these."""
    every = list(exchanges)
    first = forgotten + max(len(every) - SHOWN, 0)
    talks = read_talks(every[-SHOWN:], first)
    picture = lay_out(talks, _of(lines, talks[0].begin_s if first else 0.0))
    if not picture.rows:
        return figure("wire view", f"<em>{NOTHING}</em>")
    note = f'<div class="lk-head lk-dim">… {first} exchanges before</div>' if first else ""
    right = _lane(picture, 0) + LANE_PX
    rows = "".join(_row_html(picture, number) for number in range(len(picture.rows)))
    container = f'<span style="right:12px;transform:none">{mark("container")} container</span>' if picture.lives else ""
    body = (
        f'<div class="lk-card">{note}<div class="w-body" style="--right:{right}px">'
        f'<div class="w-ends"><span class="w-client">{mark("you")} {_name_client(talks, lines)}</span>'
        f'<span class="w-engine">{mark("engine")} engine</span>{container}</div>'
        '<i class="w-life w-client"></i><i class="w-life w-engine"></i>'
        f"<div>{rows}</div></div>{_replay(picture)}</div>"
    )
    words = CAPTION_OPEN.format(tubes=_name_tubes(picture.tubes)) if picture.tubes and picture.lives else CAPTION
    return figure("wire view", body, caption=with_code(words), keys=_name_roles(picture), style=STYLE)


def wire_svg(exchanges: Iterable[WireExchange], lines: Sequence[Line] = (), *, query: bool = True) -> str:
    """The diagram as a still picture, in the order of `settle`, without versions, ids, times and bodies."""
    talks, left_out, first = _newest(exchanges, query)
    settled, typed = settle(talks, _of(lines, first))
    picture = lay_out(settled, typed, to_scale=False)
    return draw_still(picture, _name_client(talks, lines), has_note=bool(left_out), query=query)


def _name_roles(picture: Picture) -> list[str]:
    """The roles that are in the picture, and no others, in the order of the legend."""
    seen = {"request"}
    for row in picture.rows:
        if row.part is not None:
            seen.add(row.part.stream if row.part.stream in ROLES else "answer")
        elif row.kind == "ping":
            seen.add("answer")
        elif row.kind in ("exchange", "answer", "end"):
            seen.add(role_of(row.talks[-1]))
    return [role for role in ("request", "answer", *STREAMS, "missing", "trouble") if role in seen]


def _name_tubes(tubes: Sequence[Tube]) -> str:
    verbs = " and ".join(sorted({f"`{tube.talk.verb}`" for tube in tubes}))
    if len(tubes) == 1:
        return f"Look at the tube on the right: {verbs} stays open. Where does it begin, and where does it end?"
    stay = "stay" if " and " in verbs else "stays"
    return f"Look at the tubes on the right: {verbs} {stay} open. Where does each begin, and where does it end?"


def _name_client(talks: Sequence[Talk], lines: Sequence[Line]) -> str:
    """Who speaks: `docker`, where each request came while a line ran that calls that command."""
    ran = [(line.began_s, line.ended_s or float("inf")) for line in lines if CALLS_DOCKER.search(line.text)]
    is_docker = all(any(begin <= talk.begin_s <= end for begin, end in ran) for talk in talks)
    return "docker" if is_docker else "client"


def _of(lines: Sequence[Line], since_s: float) -> list[Line]:
    return [line for line in lines if line.ended_s is None or line.ended_s >= since_s]


def _newest(exchanges: Iterable[WireExchange], query: bool) -> tuple[list[Talk], int, float]:
    """The newest exchanges, how many are left out before them, and when those that are shown begin."""
    every = read_talks(exchanges)
    if not query:
        every = [one for before, one in zip([None, *every], every, strict=False) if not _repeats(one, before)]
    shown = every[-SHOWN:]
    left_out = len(every) - len(shown)
    return shown, left_out, shown[0].begin_s if left_out else 0.0


def _repeats(one: Talk, before: Talk | None) -> bool:
    """A ping right after a ping: before it creates, docker 29 asks twice."""
    return before is not None and one.path == "/_ping" and request_line(one) == request_line(before)


def _line_of(one: Talk, query: bool) -> str:
    return f"{request_line(one, query)}  ->  {status_line(one)}{totals(one)}"


def _row_html(picture: Picture, number: int) -> str:
    row = picture.rows[number]
    since = row.at_s - picture.rows[0].at_s
    talk = row.talks[-1] if row.talks else None
    words, arrows, drawer = "", "", ""
    match row.kind:
        case "line":
            return _command_html(picture, row, number, since)
        case "ping":
            words = f"{mark('request')}{mark('answer')} ping{f' ×{len(row.talks)}' if len(row.talks) > 1 else ''}"
            drawer = "".join(_drawer(one) for one in row.talks)
        case "request" | "exchange":
            assert talk is not None
            back = f'<span class="w-push">{_answer_words(talk)}</span>' if row.kind == "exchange" else ""
            words = f"{_request_words(talk)}{back}"
            arrows = _arrow(picture, talk, "w-to", "request")
            if row.kind == "exchange":
                arrows += _arrow(picture, talk, "w-back", role_of(talk), ARROW_PX + 5)
            drawer = _drawer(talk, _answer_step(picture, talk))
        case "answer":
            assert talk is not None
            words = f'<span class="w-push">{_answer_words(talk)}</span>'
            arrows = _arrow(picture, talk, "w-back", role_of(talk))
        case "said":
            assert talk is not None and row.part is not None
            words, arrows, drawer = _said(picture, row, talk)
        case "end":
            assert talk is not None
            words = f'<span class="w-push">{_end_words(talk)}</span>'
            arrows = _arrow(picture, talk, "w-back", role_of(talk))
    key = _key(row)
    line = f'<span class="lk-at">{short(since)}</span>{arrows}<span class="w-words">{words}</span>'
    head = f'<summary class="w-line">{line}</summary>' if drawer else f'<div class="w-line">{line}</div>'
    inner = f"<details>{head}{drawer}</details>" if drawer else head
    return _whole(row, number, since, key, f"{inner}{_lanes_html(picture, number)}")


def _whole(row: Row, number: int, since: float, key: int, inner: str) -> str:
    """A row, with the time above it; what the replay says of it is in `data-says`."""
    says = escape(f"{short(since)}: {_says(row)}")
    kind = " w-ping" if row.kind == "ping" else ""
    gap = f' style="--gap:{row.gap_px:g}px"' if row.gap_px else ""
    return f'<div class="w-row{kind}" data-key="{key}" data-step="{number}" data-says="{says}"{gap}>{inner}</div>'


def _key(row: Row) -> int:
    return int(row.at_s * 1e6)


def _says(row: Row) -> str:
    if row.line is not None:
        return f"$ {cut(xml_safe(row.line.text), 80)}"
    talk = row.talks[-1]
    asked = f"{talk.one.request.method} {shorten(talk.path)}"
    match row.kind:
        case "ping":
            return "the client asks whether the engine is there"
        case "request":
            return f"{asked} is sent"
        case "said":
            return f"{row.part.stream if row.part else ''} passes through {talk.verb}"
        case "end":
            return f"{talk.verb} ends"
    return f"{asked} is answered: {status_line(talk)}"


def _command_html(picture: Picture, row: Row, number: int, since: float) -> str:
    assert row.line is not None
    took = "runs" if row.line.ended_s is None else short(row.line.ended_s - row.line.began_s)
    words = f'<code>$ {escape(xml_safe(row.line.text))}</code><span class="lk-dim">{took}</span>'
    inner = f'<div class="w-command">{words}</div>{_lanes_html(picture, number)}'
    return _whole(row, number, since, _key(row), inner)


def _request_words(talk: Talk) -> str:
    request = talk.one.request
    path, mark_, query = VERSION.sub("", request.target).partition("?")
    asked = f'<span class="lk-dim w-more">?{escape(shorten(query))}</span>' if mark_ else ""
    return (
        f'{method_chip(xml_safe(request.method))}<code title="{escape(xml_safe(cut(request.target, 500)))}">'
        f"{escape(shorten(path))}{asked}</code>"
    )


def shorten(text: str) -> str:
    """An identity by its first letters, as docker's tables have it, and shorter."""
    return cut(xml_safe(LONG_ID.sub(r"\1…", text)), 200)


def _answer_words(talk: Talk) -> str:
    answer = talk.one.answer
    if not answer.status:
        return f'<span class="lk-ink-trouble">{escape(status_line(talk))}</span>'
    chip = status_chip(answer.status, xml_safe(answer.reason))
    if talk.is_tube:
        stays = " · stays open" if answer.status < 400 else ""
        took = short((talk.head_s or 0) - talk.begin_s)
        return f'{chip}<span class="lk-dim w-took">{took}<span class="w-more">{stays}</span></span>'
    size = f'<span class="w-more"> · {len(answer.body)} bytes</span>' if answer.body else ""
    return f'{chip}<span class="lk-dim w-took">{_took(talk)}{size}</span>'


def _took(talk: Talk) -> str:
    """An answer's head may come long before its end."""
    whole_s = (talk.end_s or 0) - talk.begin_s
    head_s = talk.head_s - talk.begin_s if talk.head_s is not None else whole_s
    return short(whole_s) if whole_s - head_s < 0.01 else f"{short(head_s)}, the end after {short(whole_s)}"


def _end_words(talk: Talk) -> str:
    if talk.verb == "wait":
        code = re.search(rb'"StatusCode":\s*(\d+)', talk.one.answer.body)
        if code:
            return f'<span class="lk-ink-answer"><b>wait</b> is told: exit status {int(code[1])}</span>'
    note = str(getattr(talk.one, "note", ""))
    why = f": {escape(xml_safe(note))}" if note else ""
    return f'<span class="lk-ink-engine"><b>{escape(talk.verb)}</b> ends{why}</span>'


def _said(picture: Picture, row: Row, talk: Talk) -> tuple[str, str, str]:
    """What passed through a tube: its words, an arrow from or to the tube, a mark in it; and its bytes."""
    assert row.part is not None
    stream, data = row.part.stream, row.part.data
    role = stream if stream in ROLES else "answer"
    sign = "w-to" if stream == "stdin" else "w-from"
    ink = f'class="lk-ink-{role}"'
    words = f"<span {ink}>{mark(role)} {stream}</span><code {ink}>{escape(_first_words(data))}</code>"
    if len(talk.parts) > SHOWN_PARTS and row.part is talk.parts[SHOWN_PARTS - 1]:
        words += f'<span class="lk-dim">… and {len(talk.parts) - SHOWN_PARTS} more</span>'
    right = _lane(picture, picture.lane_of(talk)) - 6
    dot = f'<span class="w-dot" style="right:{right}px;top:{ARROW_PX - 6}px">{mark(role)}</span>'
    drawer = f'<div class="w-drawer">{message.bytes_html(stream, row.part.header, data)}</div>'
    return words, _arrow(picture, talk, sign, role) + dot, drawer


def _first_words(data: bytes) -> str:
    return cut(repr(data[:400].decode("utf-8", "replace"))[1:-1], 60)


def _arrow(picture: Picture, talk: Talk, sign: str, role: str, top: int = ARROW_PX) -> str:
    """An arrow between the client and the engine, or the tube that belongs to the exchange."""
    lane = picture.lane_of(talk)
    right = f"right:{_lane(picture, lane) + 8}px;" if lane is not None else ""
    place = f"top:{top - 1}px;" if top != ARROW_PX else ""
    style = f' style="{right}{place}"' if right or place else ""
    return f'<i class="w-arrow {sign} lk-ink-{role}"{style}></i>'


def _lane(picture: Picture, lane: int | None) -> int:
    """How far the middle of a lane is from the right edge; the first lane is beside the engine."""
    notes = NOTES_PX if picture.lives else 0
    return notes + LANE_PX * (picture.lanes - (lane or 0)) - LANE_PX // 2 + (0 if picture.lanes else 12)


def _lanes_html(picture: Picture, number: int) -> str:
    """What is open beside this row; a segment reaches from the row above to the row below."""
    return _ticks(picture, number) + "".join(
        [_tube_html(picture, tube, number) for tube in picture.tubes]
        + [_life_html(picture, life, number) for life in picture.lives]
    )


def _tube_html(picture: Picture, tube: Tube, number: int) -> str:
    if number < tube.first or (tube.last is not None and number > tube.last):
        return ""
    right = _lane(picture, tube.lane)
    begins, ends = number == tube.first, number == tube.last
    classes = f"w-seg w-tube{' w-begins' if begins else ''}{' w-ends-here' if ends else ''}"
    below = picture.rows[tube.first + 1 : None if tube.last is None else tube.last + 1]
    has_room = sum(row.gap_px + LINE_PX for row in below) > 8 * len(tube.talk.verb)
    verb = f'<b class="w-verb" style="right:{right}px;top:calc(var(--gap,0px) + 32px)">{escape(tube.talk.verb)}</b>'
    return f'<i class="{classes}" style="{_place(right, begins, ends)}"></i>{verb if begins and has_room else ""}'


def _place(right: int, begins: bool, ends: bool) -> str:
    top = f"calc(var(--gap,0px) + {ARROW_PX - 7}px)" if begins else "0"
    bottom = (
        f"height:calc(var(--gap,0px) + {ARROW_PX + 2}px)" if ends and not begins else f"bottom:{-2 if ends else 0}px"
    )
    return f"right:{right}px;top:{top};{bottom}"


def _life_html(picture: Picture, life: Life, number: int) -> str:
    """The states of a container that meet in this row: the one that it comes from, and the one that begins here."""
    right = _lane(picture, life.lane)
    before = next((state for row, state in reversed(life.states) if row < number), "")
    after = next((state for row, state in reversed(life.states) if row == number), "")
    middle = f"calc(var(--gap,0px) + {ARROW_PX}px)"
    parts = ""
    if before and before != "gone":
        end = f"height:{middle}" if after else "bottom:0"
        parts += f'<i class="w-seg w-state w-{before}" style="right:{right}px;top:0;{end}"></i>'
    if after and after != "gone":
        parts += f'<i class="w-seg w-state w-{after}" style="right:{right}px;top:{middle};bottom:0"></i>'
    if after:
        place = f"left:calc(100% - {right - 12}px);top:calc(var(--gap,0px) + {ARROW_PX - 8}px)"
        parts += f'<b class="w-note" style="{place}">{STATES[after]}</b>'
    return parts


def _ticks(picture: Picture, number: int) -> str:
    row, above = picture.rows[number], picture.rows[max(number - 1, 0)]
    if number == 0 or "line" in (above.kind, row.kind):
        return ""
    return ticks_html(above.at_s, row.at_s, row.gap_px + LINE_PX, picture.tick_s, row.squeezed_s)


def _replay(picture: Picture) -> str:
    """A slider that walks through the rows: what comes later is pale."""
    last = len(picture.rows) - 1
    # A tick may be a small part of a millisecond.
    tick = f"{picture.tick_s:g} s" if picture.tick_s >= 1 else f"{picture.tick_s * 1000:g} ms"
    scale = f'<span class="lk-dim">{tick} a tick</span>' if picture.tick_s else ""
    return (
        '<div class="w-replay" data-replay="1"><button type="button" data-play="1" aria-label="play">&#9654;</button>'
        f'<label>Replay <input type="range" min="0" max="{last}" value="{last}" aria-label="replay"></label>'
        f"<output></output>{scale}</div>"
    )


def _answer_step(picture: Picture, talk: Talk) -> int | None:
    """The row in which an answer comes, if it has come."""
    rows = enumerate(picture.rows)
    return next((number for number, row in rows if row.kind in ("exchange", "answer") and talk in row.talks), None)


def _drawer(talk: Talk, answer_step: int | None = None) -> str:
    """What was said, and what was answered: in the replay the answer is pale until its row, `answer_step`."""
    one = talk.one
    request = message.request_html(one.request.method, one.request.target, one.request.head, one.request.body)
    answer = message.answer_html(one.answer.status, one.answer.reason, one.answer.head, one.answer.body)
    since = "" if answer_step is None else f' data-from="{answer_step}"'
    return f'<div class="w-drawer">{request}<div{since}>{answer}</div></div>'
