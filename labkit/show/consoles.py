"""What was typed into a container, what did it say, and which way did the bytes go?

Values in, HTML out. Without a terminal each piece of output comes in a frame: eight bytes of header, then the words
(`labkit.api.frames`). Every piece goes to everybody who is attached, and to the log.
"""

import re
from collections.abc import Collection, Sequence
from html import escape
from itertools import groupby
from typing import NamedTuple

from labkit.show.frame import frame_block_html
from labkit.show.look import ROLES, figure, mark, mark_svg, with_code
from labkit.show.still import cut, frame_svg, text_svg, xml_safe

__all__ = [
    *("COLLEAGUE", "NOTE", "TYPED", "YOU", "ConsolePiece", "Shared"),
    *("consoles_html", "consoles_svg", "consoles_text", "is_answer", "read_text", "screen_html"),
]

YOU, COLLEAGUE = "you", "your colleague"
TYPED, NOTE = "typed", "note"
ROWS, WIDE = 200, 50  # the newest lines of a window, of about so many characters
SHOWN = 40  # the newest lines of a window in a still picture, and in the text
FLOWS = 6  # the newest pieces on their way
RECENT = 200  # pieces among which those are looked for: a key and its echo are three
MAX_TEXT, MAX_BYTES = 4000, 16  # characters of a piece in a window, bytes of a piece on its way
NUMBERS = {TYPED: "0", "stdout": "1", "stderr": "2"}
ROLE = {TYPED: "stdin", "bytes": "stdout"}
_CONTROL_SEQUENCE = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")  # ECMA-48, as far as a shell's prompt uses it
_ANSWER = re.compile(rb"(?:\x1b\[[?>]?[0-9;]*[Rcn])+")  # of a terminal that is asked: ECMA-48's CPR, DA, DSR
_KEY = re.compile(r"[\x00-\x08\x0b-\x1f]")  # Ctrl and a letter, which terminals show as ^P
PIPES = {"stdin": "0 stdin", "stdout": "1 stdout", "stderr": "2 stderr"}
TERMINAL_PIPES = {"stdin": "keys", "stdout": "output"}
WHOSE_TERMINAL = {YOU: "your terminal", COLLEAGUE: "your colleague's terminal"}
LINE_PX, WINDOW_PX, BOX_PX = 15, 400, 220

FRAMES_CAPTION = (
    "Each row below says where its bytes go. What you and your colleague type goes into one `stdin`. What the"
    " container says goes to you, to your colleague and to the log. Each piece of it comes in a frame: the stream, the"
    " length, then so many bytes. The numbers 0, 1, 2 before the lines in the windows are the streams."
)
TERMINAL_CAPTION = (
    "Look for a header: there is none. A terminal is one device, so stdout and stderr come as one stream of bytes. The"
    " terminal repeats what is typed, and that goes to both windows too."
)


class ConsolePiece(NamedTuple):
    """One piece: "typed", "stdout", "stderr", "bytes" of a terminal, or a "note" of the window's own.

    `header` is what stood before the data, `console` the window in which it was typed, or that it came to.
    """

    stream: str
    data: bytes
    header: bytes = b""
    console: str = YOU


class Shared(NamedTuple):
    """The container that is shared: its name, whether it has a terminal, and the driver of its log."""

    container: str
    has_terminal: bool
    log: str


class _Flow(NamedTuple):
    number: int
    piece: ConsolePiece
    to: list[str]


def read_text(pieces: Sequence[ConsolePiece]) -> str:
    """What the container said, as text; what moves a terminal's cursor is left out."""
    said = b"".join(piece.data for piece in pieces if piece.stream not in (TYPED, NOTE)).decode("utf-8", "replace")
    return _CONTROL_SEQUENCE.sub("", said).replace("\r\n", "\n")


def is_answer(piece: ConsolePiece) -> bool:
    """Did nobody type this, but a terminal that was asked where its cursor is?"""
    return piece.stream == TYPED and _ANSWER.fullmatch(piece.data) is not None


def screen_html(pieces: Sequence[ConsolePiece], console: str, left_out: int = 0) -> str:
    """What stands in one window: each line behind the number of its stream."""
    drawn, room = [], ROWS
    for piece in reversed(pieces):
        if piece.console != console or piece.stream == NOTE:
            continue
        if room <= 0:
            left_out += 1
            continue
        words = _tail(piece, room)
        room -= sum(1 + len(line) // WIDE for line in words.split("\n"))
        drawn.append(_line_html(piece.stream, words))
    note = f'<div class="lk-dim">… {left_out} pieces before</div>' if left_out else ""
    return note + "".join(reversed(drawn))


def consoles_html(pieces: Sequence[ConsolePiece], left_out: int, shared: Shared, hung_up: Collection[str] = ()) -> str:
    """The container between the windows, its pipes, and the newest pieces on their way.

    A window that is `hung_up` has no part in what goes through the pipes.
    """
    first = max(0, len(pieces) - RECENT)
    flows = _flows(pieces[first:], left_out + first)
    rows = "".join(_flow_html(flow, shared.log) for flow in flows[-FLOWS:])
    nothing = '<div class="lk-dim">Nothing has gone through the pipes yet.</div>'
    scroll = 'class="lkc-rows" data-follow="1" data-lm-suppress-shortcuts="1" tabindex="0" aria-label="bytes"'
    body = f"{_map_html(shared, hung_up)}<div {scroll}>{rows or nothing}</div>"
    caption = with_code(TERMINAL_CAPTION if shared.has_terminal else FRAMES_CAPTION)
    return figure("consoles view", body, caption=re.sub(r"\*(\w+)\*", r"<em>\1</em>", caption))


def consoles_text(pieces: Sequence[ConsolePiece], shared: Shared) -> str:
    """What stands in each window, in the order in which it happened.

    stdout and stderr are two pipes, of which either may be read first: after each line that is typed, stdout comes
    before stderr. What a terminal says may be cut anywhere, and is no text to be compared.
    """
    if shared.has_terminal:
        return f"two windows on {shared.container}, which has a terminal"
    lines = [f"two windows on {shared.container}"]
    for console in (YOU, COLLEAGUE):
        lines += ["", f"{console}:", *(f"  {line}" for line in _transcript(pieces, console) or ["(nothing yet)"])]
    return "\n".join(lines)


def consoles_svg(pieces: Sequence[ConsolePiece], shared: Shared) -> str:
    """Both windows, and the container between them, as a still picture."""
    windows = [_transcript(pieces, console) for console in (YOU, COLLEAGUE)]
    rows = max(4, *(min(SHOWN, len(lines)) for lines in windows))
    bottom = 42 + rows * LINE_PX
    parts = [
        _window_svg(console, lines, number * WINDOW_PX, bottom)
        for number, (console, lines) in enumerate(zip((YOU, COLLEAGUE), windows, strict=True))
    ]
    pipes = TERMINAL_PIPES if shared.has_terminal else PIPES
    top, height = bottom + 12, 32 + 20 * len(pipes)
    left, right = WINDOW_PX - BOX_PX / 2, WINDOW_PX + BOX_PX / 2
    parts.append(
        f'<rect x="{left:g}" y="{top}" width="{BOX_PX}" height="{height}" rx="6" fill="#faf8f2" stroke-width="2"'
        f' stroke="{ROLES["container"].light}"/>' + mark_svg("container", left + 16, top + 14)
    )
    parts.append(text_svg(f"container {shared.container}", left + 28, top + 18, columns=24, rows=1))
    for number, (role, words) in enumerate(pipes.items()):
        y, out = top + 38 + 20 * number, left - 80 - 60 * number
        for start, end, ahead in ((out, left - 2, 1), (2 * WINDOW_PX - out, right + 2, -1)):
            head = f"M{end} {y}l{-7 * ahead} -5v10z" if role == "stdin" else f"M{start} {bottom + 2}l-5 8h10z"
            ink = ROLES[role].light
            parts.append(
                f'<path d="M{start} {bottom + 4}V{y}H{end}" fill="none" stroke="{ink}" stroke-width="2"/>'
                f'<path d="{head}" fill="{ink}"/>'
            )
        parts += [mark_svg(role, left + 40, y), text_svg(words, left + 56, y + 4, columns=18, rows=1)]
    if shared.log != "none":
        parts.append(text_svg(f"and to the log ({shared.log})", left, top + height + 16, columns=30, rows=1))
    return frame_svg(parts, 2 * WINDOW_PX, top + height + 24, differs=shared.has_terminal)


def _window_svg(console: str, lines: Sequence[str], x: int, bottom: int) -> str:
    return (
        f'<rect x="{x + 4}" y="4" width="{WINDOW_PX - 8}" height="{bottom - 4}" rx="6" fill="none" stroke="#c4c9d0"/>'
        f'<path d="M{x + 4} 26h{WINDOW_PX - 8}" stroke="#c4c9d0"/>{mark_svg("you", x + 18, 15)}'
        f'<text x="{x + 30}" y="20" font-weight="bold">{console}</text>'
        + text_svg("\n".join(lines), x + 14, 44, columns=50, rows=SHOWN)
    )


def _transcript(pieces: Sequence[ConsolePiece], console: str) -> list[str]:
    """The lines of a window; between two lines that are typed, by whoever, sorted by their stream."""
    turn, numbered = 0, []
    for piece in pieces:
        turn += piece.stream == TYPED
        if piece.console == console:
            numbered.append((turn, _place(piece.stream), piece))
    numbered.sort(key=lambda one: one[:2])
    lines: list[str] = []
    for (_, _, stream), group in groupby(numbered, lambda one: (*one[:2], one[2].stream)):
        words = b"".join(piece.data for _, _, piece in group).decode("utf-8", "replace")
        before = {TYPED: "> ", NOTE: "-- ", "stderr": "stderr: "}.get(stream, "")
        lines += [f"{before}{_readable(line, stream)}" for line in cut(words, MAX_TEXT).splitlines()]
    return [f"… {len(lines) - SHOWN} lines before", *lines[-SHOWN:]] if len(lines) > SHOWN else lines


def _place(stream: str) -> int:
    return [TYPED, "stdout", "bytes", "stderr", NOTE].index(stream)


def _readable(words: str, stream: str) -> str:
    words = _CONTROL_SEQUENCE.sub("", words)
    return xml_safe(_KEY.sub(lambda key: f"^{chr(ord(key[0]) + 64)}", words) if stream == TYPED else words)


def _tail(piece: ConsolePiece, rows: int) -> str:
    """The last lines of a piece, each of which can be read."""
    data = piece.data[-MAX_TEXT:]
    words = _readable(data.decode("utf-8", "replace").replace("\r\n", "\n"), piece.stream).removesuffix("\n")
    return ("…" if len(data) < len(piece.data) else "") + "\n".join(words.split("\n")[-rows:])


def _line_html(stream: str, words: str) -> str:
    role = ROLE.get(stream, stream)
    gutter = f'<i class="lk-ink-{role}" title="{role}">{NUMBERS.get(stream, "")}</i>'
    return f'<div class="lkc-line" data-stream="{escape(stream)}">{gutter}<span>{escape(words)}</span></div>'


def _flows(pieces: Sequence[ConsolePiece], first: int) -> list[_Flow]:
    """What is typed goes to the container; what came to both windows is one piece. Keys in a row are one piece."""
    flows: list[_Flow] = []
    seen: dict[tuple[str, str, bytes], int] = {}
    found: dict[tuple[str, bytes, int], _Flow] = {}
    for number, piece in enumerate(pieces, first):
        if piece.stream == NOTE:
            continue
        if piece.stream == TYPED:
            last = flows[-1].piece if flows else None
            is_more = last and last.stream == TYPED and last.console == piece.console and last.data[-1:] not in b"\r\n"
            if last and is_more and not is_answer(last) and not is_answer(piece):
                flows[-1] = flows[-1]._replace(piece=last._replace(data=last.data + piece.data))
            else:
                flows.append(_Flow(number, piece, []))
            continue
        mine = (piece.console, piece.stream, piece.data)
        seen[mine] = seen.get(mine, 0) + 1
        key = (piece.stream, piece.data, seen[mine])
        if key not in found:
            found[key] = _Flow(number, piece, [])
            flows.append(found[key])
        found[key].to.append(piece.console)
    return flows


def _map_html(shared: Shared, hung_up: Collection[str]) -> str:
    """The container, and an arm from each pipe up to each window; the lowest pipe has the outermost arms."""
    pipes = TERMINAL_PIPES if shared.has_terminal else PIPES
    parts = [f'<div class="lkc-box" style="grid-row:1/{len(pipes) + 3}"></div>']
    title = f"{mark('container')} container <b>{escape(shared.container)}</b>"
    parts.append(f'<div class="lkc-title lk-ink-container">{title}</div>')
    for number, (role, words) in enumerate(pipes.items()):
        parts.append(
            f'<div class="lkc-pipe lk-ink-{role}" style="grid-row:{number + 2}">{mark(role)}{words}{mark(role)}</div>'
        )
        for side, console in (("left", YOU), ("right", COLLEAGUE)):
            outer = 52 - 16 * number
            style = f"grid-row:1/{number + 3};margin-{side}:{outer}%"
            way = "in" if role == "stdin" else "out"
            kind = f'data-side="{side}" data-way="{way}"{" data-cut" if console in hung_up else ""}'
            parts.append(f'<div class="lkc-arrow lk-ink-{role}" {kind} style="{style}"></div>')
    if shared.log != "none":
        words = f"&#9660; and to the log ({escape(shared.log)})"
        parts.append(f'<div class="lkc-log lk-dim" style="grid-row:{len(pipes) + 3}">{words}</div>')
    parts.append(f'<div style="grid-row:{len(pipes) + 2};height:6px"></div>')
    return f'<div class="lkc-map">{"".join(parts)}</div>'


def _flow_html(flow: _Flow, log: str) -> str:
    piece = flow.piece
    role = ROLE.get(piece.stream, piece.stream)
    if is_answer(piece):
        name, to = WHOSE_TERMINAL[piece.console], "tells where its cursor is"
    elif piece.stream == TYPED:
        name, to = piece.console, "to the container"
    else:
        name = "terminal" if piece.stream == "bytes" else role
        to = f"to {'both windows' if len(flow.to) > 1 else flow.to[0]}{'' if log == 'none' else ' and the log'}"
    block = frame_block_html(role, piece.header, piece.data, MAX_BYTES)
    return (
        f'<div class="lkc-row" data-key="{flow.number}"><span class="lkc-from"><b class="lk-ink-{role}">{mark(role)} '
        f'{escape(name)}</b><small class="lk-dim">{to}</small></span><span>{block}</span></div>'
    )
