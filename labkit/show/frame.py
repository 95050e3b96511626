"""Which bytes are a frame, and what does a reader get that takes each piece of a stream for a message?

A stream may be cut anywhere on its way. The header's length says how many bytes a reader has to wait for.
"""

from collections.abc import Sequence
from html import escape

from labkit.api.frames import Frame, build_frame
from labkit.show.look import ROLES, mark, mark_svg
from labkit.show.still import frame_svg, text_svg

__all__ = [
    *("HEADER_BYTES", "STREAM_NAMES", "cut_html", "cut_svg", "cut_text", "frame_block_html", "frames_html"),
    *("join_frames", "printable", "take_for_messages"),
]

HEADER_BYTES = 8
STREAM_NAMES = {0: "stdin", 1: "stdout", 2: "stderr", 3: "system error"}
STREAM_PART, LENGTH_PART = 4, 8  # where the two parts of a header end
CELL_PX, TOP_PX = 26, 40
RIGHT = "\N{CHECK MARK}"


def printable(data: bytes) -> str:
    r"""Write bytes as Python does, without the quotes.

    >>> printable(b"no\n")
    'no\\n'
    """
    return repr(data)[2:-1]


def join_frames(frames: Sequence[Frame]) -> bytes:
    """The bytes as they go over the connection."""
    return b"".join(build_frame(*frame) for frame in frames)


def take_for_messages(chunks: Sequence[bytes]) -> list[Frame]:
    r"""What a reader gets that takes each chunk for a frame: the first byte for the stream, the ninth on for words.

    >>> take_for_messages([b"\x01\x00\x00\x00\x00\x00\x00\x03hi", b"\n"])
    [Frame(stream=1, payload=b'hi'), Frame(stream=10, payload=b'')]
    """
    return [Frame(chunk[0], chunk[HEADER_BYTES:]) for chunk in chunks if chunk]


def frame_block_html(role: str, header: bytes, data: bytes, limit: int) -> str:
    """The block `stream | length | bytes`, each with its hex and what that means; at most `limit` bytes of the last.

    Without a header (what was typed, what a terminal says) there is one part. Nothing in a block wraps.
    """
    shown, rest = data[:limit], len(data) - limit
    more = f"<i>+{rest}</i>" if rest > 0 else ""
    cells = "".join(f'<span class="lkf-byte">{byte:02x}<br><b>{escape(_letter(byte))}</b></span>' for byte in shown)
    parts = ""
    if header:
        parts = (
            f'<span class="lkf-part lkf-stream">{header[:STREAM_PART].hex(" ")}<br><b>{escape(role)}</b></span>'
            f'<span class="lkf-part lkf-length">{header[STREAM_PART:].hex(" ")}<br><b>{len(data)} bytes</b></span>'
        )
    payload = f'<span class="lkf-part"><span>{cells}</span>{more}</span>'
    return f'<span class="lkf-block lk-fill-{role}">{parts}{payload}</span>'


def frames_html(frames: Sequence[Frame]) -> str:
    """Every byte of the frames in one row, the parts of each header named above, the letters below."""
    names = cells = ""
    for number, (stream, payload) in enumerate(frames, 1):
        role = STREAM_NAMES[stream]
        title = f"frame {number}: {mark(role)} {role}"
        names += f'<span class="lkf-name" style="grid-column:span {HEADER_BYTES + len(payload)}">{title}</span>'
    fields = ""
    for stream, payload in frames:
        role = STREAM_NAMES[stream]
        size = len(payload)
        for words, width in (("stream", STREAM_PART), ("length", HEADER_BYTES - STREAM_PART), ("bytes", size)):
            fields += f'<span class="lkf-field" style="grid-column:span {width}">{words}</span>' if width else ""
        for place, byte in enumerate(build_frame(stream, payload)):
            part = "stream" if place < STREAM_PART else "length" if place < LENGTH_PART else "payload"
            means = {0: f"{stream}", LENGTH_PART - 1: f"{size}"}.get(place, "")
            below = means if place < HEADER_BYTES else _letter(byte)
            cells += f'<span class="lkf-cell lkf-{part} lk-fill-{role}">{byte:02x}<b>{escape(below)}</b></span>'
    return f"{names}{fields}{cells}"


def cut_html(frames: Sequence[Frame], cut: int) -> str:
    """What two readers get of the frames when the connection hands them out in two chunks, cut before byte `cut`."""
    whole = join_frames(frames)
    chunks = [chunk for chunk in (whole[:cut], whole[cut:]) if chunk]
    wrong = take_for_messages(chunks)
    is_right = wrong == list(frames)
    naive = "".join(
        f"<li>chunk {number}, {len(chunk)} bytes: {_guess_html(chunk)}</li>" for number, chunk in enumerate(chunks, 1)
    )
    patient = "".join(f"<li>chunk {number}: {words}</li>" for number, words in enumerate(_patient(frames, cut), 1))
    verdict = (
        ("answer", f"{RIGHT} right, by luck: the cut is between the two frames")
        if is_right
        else ("trouble", f"{mark('trouble')} wrong: {_what_is_wrong(frames, wrong)}")
    )
    return (
        f'<section class="lk-card"><div class="lk-head">takes each chunk for a message</div><ol>{naive}</ol>'
        f'<p class="lk-ink-{verdict[0]}">{verdict[1]}</p></section>'
        '<section class="lk-card"><div class="lk-head">reads the length, and waits for so many bytes</div>'
        f'<ol>{patient}</ol><p class="lk-ink-answer">{RIGHT} right, wherever the cut is</p></section>'
    )


def cut_text(frames: Sequence[Frame]) -> str:
    """The frames' bytes, and what each part says."""
    return "\n".join(
        f"frame {number}: {header[:STREAM_PART].hex(' ')} | {header[STREAM_PART:].hex(' ')} | {payload.hex(' ')}"
        f"   ({STREAM_NAMES[stream]} | {len(payload)} bytes | {printable(payload)})"
        for number, (stream, payload) in enumerate(frames, 1)
        for header in [build_frame(stream, payload)[:HEADER_BYTES]]
    )


def cut_svg(frames: Sequence[Frame]) -> str:
    """The frames' bytes in one row, as a still picture."""
    parts, x = [], 10.0
    for number, (stream, payload) in enumerate(frames, 1):
        role = STREAM_NAMES[stream]
        ink, raw = ROLES[role].light, build_frame(stream, payload)
        parts += [mark_svg(role, x + 6, 16), text_svg(f"frame {number}: {role}", x + 18, 20, columns=30, rows=1)]
        for place, words in ((0, "stream"), (STREAM_PART, "length"), (HEADER_BYTES, "bytes")):
            parts.append(text_svg(words, x + place * CELL_PX + 2, 36, columns=12, rows=1))
        for place, byte in enumerate(raw):
            left = x + place * CELL_PX
            fill = "none" if place < STREAM_PART else "#f3f5f8" if place < LENGTH_PART else "#fff"
            parts.append(
                f'<rect x="{left:g}" y="{TOP_PX}" width="{CELL_PX}" height="24" fill="{fill}" stroke="{ink}"/>'
                + text_svg(f"{byte:02x}", left + 6, TOP_PX + 16, columns=2, rows=1)
                + text_svg(_letter(byte) if place >= HEADER_BYTES else "", left + 9, TOP_PX + 40, columns=1, rows=1)
            )
        x += len(raw) * CELL_PX + 12
    return frame_svg(parts, x, TOP_PX + 52)


def _letter(byte: int) -> str:
    """One character for a byte: a picture of what does not print."""
    return {10: "\N{RETURN SYMBOL}", 9: "\N{RIGHTWARDS ARROW TO BAR}", 32: "\N{OPEN BOX}"}.get(
        byte, chr(byte) if 32 < byte < 127 else "\N{MIDDLE DOT}"
    )


def _guess_html(chunk: bytes) -> str:
    """How a reader without patience tells a chunk."""
    stream, words = chunk[0], chunk[HEADER_BYTES:]
    name = STREAM_NAMES.get(stream, f"stream {stream}?")
    said = f"<code>{escape(printable(words))}</code>" if words else "no words"
    return f"{escape(name)}: {said}"


def _what_is_wrong(frames: Sequence[Frame], got: Sequence[Frame]) -> str:
    if len(got) < len(frames):
        return "two frames, one message: the second header is taken for words"
    if not got[0].payload:
        return "chunk 1 is a header without its words; chunk 2 begins with words, and they are taken for a header"
    if len(got[0].payload) < len(frames[0].payload):
        return "chunk 1 lacks words; chunk 2 begins with words, and they are taken for a header"
    return "chunk 1 has a piece of the second header among its words; chunk 2 has lost it"


def _patient(frames: Sequence[Frame], cut: int) -> list[str]:
    """What is said after each chunk by who waits for whole frames."""
    ends = [0]
    for frame in frames:
        ends.append(ends[-1] + HEADER_BYTES + len(frame.payload))
    if cut in (0, ends[-1]):
        return [_told(frames)]
    whole = sum(end <= cut for end in ends[1:])
    waiting = cut - ends[whole]
    missing = frames[whole]
    if waiting == 0:
        waits = ""
    elif waiting < HEADER_BYTES:
        waits = f"keeps {waiting} of the 8 bytes of a header, and waits"
    else:
        have = waiting - HEADER_BYTES
        waits = f"the header says {len(missing.payload)} bytes; {have} of them are here: it waits"
    first = "; ".join(words for words in (_told(frames[:whole]), waits) if words)
    return [first, _told(frames[whole:])]


def _told(frames: Sequence[Frame]) -> str:
    return "; ".join(f"{STREAM_NAMES[stream]}: <code>{escape(printable(payload))}</code>" for stream, payload in frames)
