"""How does one look into a message: the bytes as a person reads them, as they went, or one by one?

Pretty, Raw and Hex are three panes of which one is seen: radio buttons choose it, with no script. JSON is indented and
coloured. A row of a hex dump is never broken; a pane that is too narrow scrolls.
"""

import re
from html import escape
from urllib.parse import unquote_plus

from labkit.dump import dump, hex_dump
from labkit.show.look import method_chip, read_css, status_chip
from labkit.show.still import cut, xml_safe

__all__ = ["STYLE", "answer_html", "bytes_html", "request_html"]

MAX_RAW = 1500  # characters
_JSON = re.compile(r'("(?:[^"\\]|\\.)*")(\s*:)?|\b(-?\d[\d.eE+-]*|true|false|null)\b')
PANES = ("Pretty", "Raw", "Hex")

STYLE = read_css("message")


def request_html(method: str, target: str, head: bytes, body: bytes) -> str:
    """A request."""
    path, _, query = target.partition("?")
    pairs = "".join(_field(*pair.partition("=")[::2]) for pair in query.split("&") if pair)
    fields = f'<div class="lk-fields" aria-label="query">{pairs}</div>' if pairs else ""
    pretty = f"<div>{method_chip(method)} <code>{escape(xml_safe(path))}</code></div>{fields}{_body(body)}"
    return _message("request", pretty, head, body)


def answer_html(status: int, reason: str, head: bytes, body: bytes) -> str:
    """An answer."""
    chip = status_chip(status, xml_safe(reason)) if status else escape(xml_safe(reason))
    return _message("answer", f"<div>{chip}</div>{_body(body)}", head, body)


def bytes_html(name: str, header: bytes, data: bytes) -> str:
    """A piece of a stream, with the frame's header before it."""
    length = len(data)
    told = f"a frame: 8 bytes of header, then {length} bytes" if header else f"{length} bytes"
    return _message(name, f'<div class="lk-dim">{told}</div>{_body(data)}', header, data)


def _field(name: str, value: str) -> str:
    return "".join(
        f"<span><code>{escape(xml_safe(cut(unquote_plus(part), 300)))}</code></span>" for part in (name, value)
    )


def _body(body: bytes) -> str:
    if not body:
        return ""
    return f'<pre tabindex="0" class="lk-json">{_coloured(dump(body))}</pre>'


def _coloured(text: str) -> str:
    """Keys, words and numbers of JSON each in an ink; what is no JSON stays as it is."""
    if not text.startswith(("{", "[")):
        return escape(text, quote=False)
    parts, at = [], 0
    for found in _JSON.finditer(text):
        tag = "u" if found[3] else "b" if found[2] else "i"
        words = escape(found[1] or found[3], quote=False)
        parts += [escape(text[at : found.start()], quote=False), f"<{tag}>{words}</{tag}>", found[2] or ""]
        at = found.end()
    return "".join([*parts, escape(text[at:], quote=False)])


def _message(name: str, pretty: str, head: bytes, body: bytes) -> str:
    whole = head + body
    # The start of what may be many megabytes; a byte is one letter, so that nothing is hidden.
    raw = escape(
        xml_safe(cut(whole[: MAX_RAW + 1].decode("utf-8", "replace").replace("\r\n", "\n"), MAX_RAW)), quote=False
    )
    rows = escape(hex_dump(whole))
    tabs = "".join(
        f'<label><input type="radio" name="pane" value="{pane}"{" checked" if pane == PANES[0] else ""}>{pane}</label>'
        for pane in PANES
    )
    name = escape(name)
    # A form of its own keeps its buttons apart from those of all other messages of the page; Enter sends it nowhere.
    return (
        f'<form method="dialog" class="lk-message" aria-label="{name}"><div class="lk-tabs"><b>{name}</b>{tabs}</div>'
        f'<div class="lk-pane lk-pretty">{pretty}</div>'
        f'<div class="lk-pane lk-raw"><pre tabindex="0" aria-label="{name}">{raw}</pre></div>'
        f'<div class="lk-pane lk-hex"><pre tabindex="0" aria-label="{name}, byte by byte">{rows}</pre>'
        "</div>"
        "</form>"
    )
