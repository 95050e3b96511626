"""How do several ways to say the same thing look, side by side?

Each pane has a title, and the text of what was said and what came back. Method, path, body and status have the same
colour and the same mark in every pane, so that what is the same is seen, and what one pane does not have. Headers that
do not matter are folded. A wide table takes a whole row. Where the page is narrow, one pane is seen at a time, behind
tabs. A legend names each mark that is seen, and no other.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from html import escape
from textwrap import wrap

from labkit.show.look import ROLES, figure
from labkit.show.said import Piece, read_pieces, shared_values
from labkit.show.still import cut, frame_svg, mask, text_svg, xml_safe

__all__ = ["beside_html", "beside_svg", "beside_text"]

MAX_CHARACTERS = 6000
ROWS, COLUMNS, LINE_PX = 12, 52, 15
PANE_PX = (400, 40 + ROWS * LINE_PX)
NARROW_PX, NARROW_DUMP_PX = 700, 860  # below that, tabs; a row of a dump needs more than half of the width
MOST_TABS = 8
DUMP_COLUMNS = 45  # a row of 71 characters, each some 0.6 of the type's size wide, is as wide as a pane
WIDE_COLUMNS = 48  # of a table: more than half of a page of 1280 px holds
KEEP_KEYS = "data-lm-suppress-shortcuts"  # an arrow is for the tabs, and not for JupyterLab, which goes to another cell
# What may be marked, in the order of the legend: how the page has it, and the words for it.
SIGNS = {
    "method": (("lk-part-method",), "method"),
    "path": (("lk-part-path",), "path"),
    "bar": (('class="lk-body"', 'class="lk-rows"'), "body"),
    "body": (("lk-part-body",), "a value from a body"),
    "status": (("lk-part-status",), "status"),
}
WORDS = re.compile(
    r"(?P<key>\"(?:[^\"\\\n]|\\.)*\"|'(?:[^'\\\n]|\\.)*')(?=\s*:)|(?P<text>\"(?:[^\"\\\n]|\\.)*\"|'(?:[^'\\\n]|\\.)*')"
    r"|(?P<word>\b(?:true|false|null|True|False|None)\b)|(?P<number>(?<![\w.-])-?\d+(?:\.\d+)?(?![\w.]))"
)
REQUEST_LINE = re.compile(
    r"^(?P<method>[A-Z]+) (?P<version>/v\d+\.\d+(?=/))?(?P<path>/[^\s?]*)(?P<rest>.*)$", re.DOTALL
)
FLAG = re.compile(r"(?<=\s)--?\w[^\s<&]{0,24}(?![^\s<])")  # of a line of the shell: it would break after its dash
CURL = re.compile(
    r"-X ?(?P<method>[A-Z]+)\b|(?:https?://)?[\w.-]+:\d+(?P<path>/[^\s'\"?]*)|http://\w+(?P<other>/[^\s'\"?]*)"
)


def _json_ink(name: str, ink: str) -> str:
    theme = f"var(--jp-mirror-editor-{ink}-color,currentColor)"
    return f".lk .lk-json-{name}{{color:color-mix(in srgb,{theme} 70%,var(--lk-ink))}}"


def _tab_rules(look: str, narrow_px: int) -> str:
    """Say which pane is seen where only one is. The rules of one view hold for all others of the page, too."""
    form = f".lk .lk-beside.{look}"
    chosen = ",".join(
        f"{form}:has(.lk-tabs label:nth-child({number})>:checked) .lk-pane:nth-child({number})"
        for number in range(1, MOST_TABS + 1)
    )
    return (
        f"@container (max-width:{narrow_px}px){{{form} .lk-tabs{{display:flex}}{form} .lk-panes{{display:block}}"
        f"{form}>.lk-marked{{display:none}}{form} .lk-pane .lk-marked{{display:block}}"
        f"{form} .lk-pane{{display:none}}{chosen}{{display:block}}}}"
    )


STYLE = (
    "<style>"
    ".lk .lk-beside{container-type:inline-size;margin:0}"
    ".lk-beside .lk-panes{display:grid;gap:12px;grid-template-columns:repeat(auto-fit,minmax(min(100%,25em),1fr))}"
    ".lk-beside .lk-pane{min-width:0}"
    ".lk .lk-said{max-height:24em;overflow:auto;padding:8px 12px;container-type:inline-size;"
    "font:var(--lk-size)/1.4 var(--lk-code)}"
    ".lk .lk-said div{white-space:pre-wrap;overflow-wrap:anywhere}"
    # So does a line of a table.
    ".lk .lk-said .lk-table{white-space:pre;overflow-wrap:normal;"
    "font-size:clamp(10px,calc(100cqi/(var(--columns)*.62)),var(--lk-size))}"
    ".lk-beside .lk-pane:has(.lk-wide){grid-column:1/-1}"
    ".lk .lk-said .lk-flag{white-space:nowrap}"
    ".lk .lk-marked{margin:8px 0 0}.lk .lk-pane .lk-marked{display:none;margin:0;padding:4px 12px 8px}"
    # A row of a dump stays a row: it is made smaller where there is little room, and then scrolls.
    ".lk .lk-said .lk-rows{margin-top:8px;padding-left:8px;border-left:3px solid var(--lk-body);white-space:pre;"
    f"overflow-wrap:normal;font-size:clamp(10px,calc(100cqi/{DUMP_COLUMNS}),var(--lk-size))}}"
    ".lk .lk-said details{color:var(--lk-dim);margin:0 0 4px}"
    ".lk .lk-said summary{cursor:pointer;font-family:var(--lk-words)}"
    ".lk .lk-said .lk-status{margin-top:8px}.lk .lk-said .lk-body+.lk-status{margin-top:1.4em}"
    ".lk .lk-said .lk-body{margin:4px 0 0;padding-left:8px;border-left:3px solid var(--lk-body)}"
    # The empty line that ends a head.
    ".lk .lk-said :is(.lk-header,details)+:is(.lk-body,.lk-rows,.lk-output,.lk-status){margin-top:1.4em}"
    ".lk .lk-part{color:var(--lk-ink);padding:0 2px;border-radius:3px}"
    + "".join(
        f".lk .lk-part-{part}{{background:color-mix(in srgb,var(--lk-{part}) 16%,var(--lk-ground));{look}}}"
        for part, look in {
            "method": "font-weight:700;box-shadow:inset 0 0 0 1.5px var(--lk-method)",
            "path": "box-shadow:inset 0 -2px 0 var(--lk-path)",
            "body": "text-decoration:underline dotted 2px var(--lk-body)",
            "status": "font-weight:700;border-radius:1em;padding:0 6px;box-shadow:inset 0 0 0 1.5px var(--lk-status)",
        }.items()
    )
    + ".lk .lk-part-bar{border-left:3px solid var(--lk-body);border-radius:0;padding-left:6px}"
    + _json_ink("key", "property")
    + _json_ink("text", "string")
    + _json_ink("word", "keyword")
    + _json_ink("number", "number")
    + ".lk-beside .lk-tabs{display:none;gap:4px;margin:0 0 8px;flex-wrap:wrap}"
    ".lk-beside .lk-tabs label{padding:4px 12px;border:1px solid var(--lk-line);border-radius:6px;cursor:pointer}"
    ".lk-beside .lk-tabs label:has(:checked){background:var(--lk-soft);border-color:var(--lk-ink);font-weight:600}"
    ".lk-beside .lk-tabs label:has(:focus-visible){outline:2px solid var(--lk-request)}"
    ".lk-beside .lk-tabs input{position:absolute;opacity:0;pointer-events:none}"
    + _tab_rules("lk-tabbed", NARROW_PX)
    + _tab_rules("lk-tabbed-dump", NARROW_DUMP_PX)
    + "</style>"
)  # fmt: skip


def beside_text(panes: Mapping[str, str]) -> str:
    """Name the panes; what they hold differs from run to run."""
    return f"side by side: {', '.join(panes)}"


def beside_html(panes: Mapping[str, str]) -> str:
    """Panes in a row, or behind tabs where the page is narrow; each scrolls by itself, by keyboard too."""
    said = {title: read_pieces(xml_safe(text)) for title, text in panes.items()}
    values: set[str] = set().union(*map(shared_values, said.values())) if len(said) > 1 else set()
    drawn = {title: _said_html(pieces, values) for title, pieces in said.items()}
    several = len(drawn) > 1
    shown = "".join(_pane_html(title, words, has_legend=several) for title, words in drawn.items())
    legend = _legend_html("".join(drawn.values())) if several else ""
    has_rows = any(piece.kind == "rows" for pieces in said.values() for piece in pieces)
    look = ("lk-tabbed-dump" if has_rows else "lk-tabbed") if 1 < len(panes) <= MOST_TABS else ""
    # A form of its own keeps the tabs of two views apart; Enter sends it nowhere.
    body = (
        f'<form method="dialog" class="lk-beside {look}">{_tabs_html(panes)}<div class="lk-panes">{shown}</div>'
        f"{legend}</form>"
    )
    return figure(beside_text(panes), body, style=STYLE)


def _legend_html(drawn: str) -> str:
    """Name what is marked in what is drawn, with each mark as it is there."""
    found = [_part(part, words) for part, (signs, words) in SIGNS.items() if any(sign in drawn for sign in signs)]
    return f'<div class="lk-marked">Marked: {", ".join(found)}.</div>' if found else ""


def _tabs_html(panes: Collection[str]) -> str:
    tabs = "".join(
        f'<label><input type="radio" name="pane" {KEEP_KEYS}{"" if number else " checked"}>{escape(title)}</label>'
        for number, title in enumerate(panes)
    )
    return f'<div class="lk-tabs" role="radiogroup" aria-label="panes">{tabs}</div>'


def _pane_html(title: str, shown: str, *, has_legend: bool) -> str:
    """A pane; its own legend is seen where it is the only pane that is seen."""
    return (
        f'<section class="lk-card lk-pane" aria-label="{escape(title)}"><div class="lk-head">{escape(title)}</div>'
        f'<div class="lk-said" tabindex="0" role="region" aria-label="{escape(title)}, what was said">{shown}</div>'
        f"{_legend_html(shown) if has_legend else ''}</section>"
    )


def _said_html(pieces: Sequence[Piece], values: Collection[str]) -> str:
    return "".join(_piece_html(piece, values) for piece in _shortened(pieces))


def _shortened(pieces: Sequence[Piece]) -> Iterator[Piece]:
    """Give as many characters as a pane holds, with a mark where there is more."""
    left = MAX_CHARACTERS
    for kind, text in pieces:
        if left > 0:
            yield Piece(kind, cut(text, left))
        left -= len(text)


def _piece_html(piece: Piece, values: Collection[str]) -> str:
    kind, text = piece
    match kind:
        case "headers":
            count = len(text.splitlines())
            words = f"{count} more header{'s' if count > 1 else ''}"
            return f"<details><summary>{words}</summary><div>{escape(text)}</div></details>"
        case "command":
            shown = FLAG.sub(r'<span class="lk-flag">\g<0></span>', "".join(_command_html(text, values)))
        case "request":
            shown = _request_html(text)
        case "status":
            shown = re.sub(r"\b([1-5]\d\d)\b", rf"{_open('status')}\1</span>", escape(text), count=1)
        case "body" | "output" if _looks_structured(text):
            shown = "".join(_json_html(text, values))
            return f'<div class="lk-{"body" if kind == "body" else "json"}">{shown}</div>'
        case "body" | "output":
            shown = _values_html(text, values)
            if not _looks_tabular(text):
                return f'<div class="lk-{kind}">{shown}</div>'
            columns = max(map(len, text.splitlines()))
            wide = " lk-wide" if columns > WIDE_COLUMNS else ""
            return f'<div class="lk-table{wide}" style="--columns:{columns}">{shown}</div>'
        case _:
            shown = escape(text)
    return f'<div class="lk-{kind}">{shown}</div>'


def _looks_structured(text: str) -> bool:
    """Is it JSON, also in several lines, or a value of Python's?"""
    return re.match(r"\s*[\[{]\s*[\"'\d\[\]{}]", text) is not None


def _looks_tabular(text: str) -> bool:
    """Do columns stand below each other? Then a line that is too long must not wrap."""
    return sum("   " in line.strip() for line in text.splitlines()) > 1


def _request_html(text: str) -> str:
    match = REQUEST_LINE.match(text)
    if match is None:
        return escape(text)
    version = f'<span class="lk-dim">{match["version"]}</span>' if match["version"] else ""
    return f"{_part('method', match['method'])} {version}{_part('path', match['path'])}{escape(match['rest'])}"


def _command_html(text: str, values: Collection[str]) -> Iterator[str]:
    """A line of the shell; what curl is told to send has its colours."""
    place = 0
    for match in CURL.finditer(text) if "curl" in text else ():
        name = match.lastgroup or ""
        begin, end = match.span(name)
        yield _values_html(text[place:begin], values) + _part("method" if name == "method" else "path", text[begin:end])
        place = end
    yield _values_html(text[place:], values)


def _values_html(text: str, values: Collection[str]) -> str:
    """Mark what a request carries where another way says it in other words."""
    if not values:
        return escape(text)
    wanted = "|".join(re.escape(value) for value in sorted(values, key=len, reverse=True))
    pieces = re.split(rf"(?<![\w-])({wanted})(?![\w-])", text)
    return "".join(_part("body", piece) if number % 2 else escape(piece) for number, piece in enumerate(pieces))


def _json_html(text: str, values: Collection[str]) -> Iterator[str]:
    place = 0
    for match in WORDS.finditer(text):
        name, word = match.lastgroup, match[0]
        yield escape(text[place : match.start()])
        if name == "text" and word[1:-1] in values:
            yield f"{word[0]}{_part('body', word[1:-1])}{word[0]}"
        else:
            yield f'<span class="lk-json-{name}">{escape(word)}</span>'
        place = match.end()
    yield escape(text[place:])


def _part(part: str, text: str) -> str:
    return f"{_open(part)}{escape(text)}</span>"


def _open(part: str) -> str:
    return f'<span class="lk-part lk-part-{part}">'


def beside_svg(panes: Mapping[str, str]) -> str:
    """The panes as a still picture, two in a row, without identities and times, and without most headers."""
    width, height = PANE_PX
    parts = [
        _pane_svg(title, text, number % 2 * width, number // 2 * height)
        for number, (title, text) in enumerate(panes.items())
    ]
    return frame_svg(parts, min(2, len(panes)) * width, (len(panes) + 1) // 2 * height, differs=True)


def _pane_svg(title: str, text: str, x: float, y: float) -> str:
    width, height = PANE_PX
    shown = "\n".join(_wrapped(piece) for piece in read_pieces(text) if piece.kind != "headers")
    return (
        f'<rect x="{x + 4}" y="{y + 4}" width="{width - 8}" height="{height - 8}" rx="8" fill="none" '
        f'stroke="{ROLES["you"].light}"/>'
        f'<text x="{x + 12}" y="{y + 20}" font-weight="bold">{escape(title)}</text>'
        + text_svg(shown, x + 12, y + 40, columns=COLUMNS, rows=ROWS)
    )


def _wrapped(piece: Piece) -> str:
    """What is said in words goes on in the next row, as on the page; a dump, a table and a value keep their rows."""
    if piece.kind not in ("command", "output") or _looks_tabular(piece.text) or _looks_structured(piece.text):
        return piece.text
    lines = [mask(cut(line, ROWS * COLUMNS)) for line in piece.text.splitlines()]
    return "\n".join("\n".join(wrap(line, COLUMNS, break_on_hyphens=False)) for line in lines)
