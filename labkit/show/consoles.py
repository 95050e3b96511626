"""What was typed into a container, and what did it say? Text on the left, and on the right the bytes that brought it.

Values in, HTML out. Without a terminal, each piece of output comes in a frame: eight bytes of header, which are set
off, and then the words (`labkit.api.frames`).
"""

import re
from collections.abc import Sequence
from html import escape
from typing import NamedTuple

from labkit.show.still import cut, frame_svg, text_svg, xml_safe

__all__ = ["ConsolePiece", "console_html", "console_svg", "console_text", "read_text"]

SHOWN = 40  # the newest pieces
MAX_TEXT, MAX_BYTES = 4000, 64  # characters of a console, bytes of a piece
COLOURS = {"typed": "#6b6b6b", "stdout": "#1a73c8", "stderr": "#c4400c"}
_CONTROL_SEQUENCE = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")  # ECMA-48, as far as a shell's prompt uses it
_KEY = re.compile(r"[\x00-\x08\x0b-\x1f]")  # Ctrl and a letter, which terminals show as ^P
PANE = (
    "margin:0;padding:4px 6px;height:14em;overflow:auto;white-space:pre-wrap;overflow-wrap:anywhere;word-break:normal;"
    "line-height:1.4;"
    "background:var(--jp-layout-color2,#eee);color:var(--jp-content-font-color1);flex:1 1 0;min-width:0"
)


class ConsolePiece(NamedTuple):
    """One piece: "typed", "stdout", "stderr", or "bytes" of a terminal; what was said, and the bytes before it."""

    stream: str
    data: bytes
    header: bytes = b""


def read_text(spoken: Sequence[ConsolePiece]) -> str:
    """What the container said, as text; what moves a terminal's cursor is left out."""
    said = b"".join(piece.data for piece in spoken if piece.stream != "typed").decode("utf-8", "replace")
    return _CONTROL_SEQUENCE.sub("", said).replace("\r\n", "\n")


def console_html(spoken: Sequence[ConsolePiece], left_out: int = 0) -> str:
    """Both panes, in the colours of the page's theme."""
    shown = spoken[-SHOWN:]
    left_out += len(spoken) - len(shown)
    note = f"<em>… {left_out} pieces before</em>\n" if left_out else ""
    text = "".join(_words_html(piece) for piece in shown)
    bytes_ = "\n".join(_bytes_html(piece) for piece in shown)
    return (
        '<div style="display:flex;gap:6px;font-family:var(--jp-code-font-family,monospace);'
        'font-size:var(--jp-code-font-size,13px)">'
        f'<pre data-follow="1" tabindex="0" aria-label="text" style="{PANE}">{note}{text}</pre>'
        f'<pre data-follow="1" tabindex="0" aria-label="bytes" style="{PANE}">{bytes_}</pre></div>'
    )


def console_text(spoken: Sequence[ConsolePiece], left_out: int = 0) -> str:
    """Whose words they are and the words, sorted: two streams are two pipes, and either may come first."""
    shown = spoken[-SHOWN:]
    left_out += len(spoken) - len(shown)
    note = [f"… {left_out} pieces before"] if left_out else []
    words = ((piece.stream, cut(piece.data.decode("utf-8", "replace").rstrip(), MAX_TEXT)) for piece in shown)
    return "\n".join([*note, *sorted(f"{stream}: {said}" for stream, said in words)]) or "(nothing was said)"


def console_svg(spoken: Sequence[ConsolePiece], left_out: int = 0) -> str:
    """The words as a still picture, in the order of `console_text`."""
    text = console_text(spoken, left_out)
    rows = min(SHOWN, len(text.splitlines()))
    return frame_svg([text_svg(text, 10, 20, columns=100, rows=rows)], 800, 15 * rows + 14)


def _words_html(piece: ConsolePiece) -> str:
    words = _CONTROL_SEQUENCE.sub("", piece.data.decode("utf-8", "replace")).replace("\r\n", "\n")
    words = xml_safe(_KEY.sub(lambda key: f"^{chr(ord(key[0]) + 64)}", words) if piece.stream == "typed" else words)
    style = f"color:{_colour(piece)};" + ("font-style:italic" if piece.stream == "typed" else "")
    return f'<span data-stream="{escape(piece.stream)}" style="{style}">{escape(cut(words, MAX_TEXT))}</span>'


def _bytes_html(piece: ConsolePiece) -> str:
    words = escape(piece.data[:MAX_BYTES].hex(" ") + (" …" if len(piece.data) > MAX_BYTES else ""))
    header = f"<b>{piece.header.hex(' ')}</b> " if piece.header else ""
    arrow = "&#9654;" if piece.stream == "typed" else "&#9664;"
    return f'<span style="color:{_colour(piece)}">{arrow} {escape(piece.stream)} {header}{words}</span>'


def _colour(piece: ConsolePiece) -> str:
    plain = "var(--jp-content-font-color1,#000)"
    return f"color-mix(in srgb,{COLOURS[piece.stream]} 45%,{plain})" if piece.stream in COLOURS else plain
