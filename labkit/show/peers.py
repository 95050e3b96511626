"""How does one see in which answers two programs agree, and which of several is the quickest?"""

from collections.abc import Mapping, Sequence
from html import escape

from labkit.show.look import figure
from labkit.show.still import frame_svg, text_svg

__all__ = ["peers_html", "peers_svg", "peers_text", "rows_of"]

Answers = Mapping[str, str]
SAME, OTHER = "\N{CHECK MARK} the same", "\N{MULTIPLICATION SIGN} differs"
CAPTION = "Each row is one question to both. The kernel has answered: look at the last column first."
WIDTH_PX, ROW_PX = 870, 30
COLUMNS_PX = (10, 118, 450, 782)
STYLE = (
    "<style>.lk .lkp-table{overflow-x:auto}.lk .lkp-table table{border-collapse:collapse;width:100%;font-size:inherit;"
    "color:inherit}.lk .lkp-table :is(th,td){text-align:left;padding:6px 14px 6px 0;white-space:normal;background:none;"
    "border-bottom:1px solid var(--lk-line)}.lk .lkp-table td{font-family:var(--lk-code)}"
    ".lk .lkp-table th[scope=row]{white-space:nowrap}"
    ".lk .lkp-table td:last-child{font-family:inherit;white-space:nowrap}"
    ".lk .lkp-table .lkp-other{font-weight:700;color:var(--lk-stderr)}</style>"
)


def rows_of(ours: Answers, theirs: Answers) -> list[tuple[str, str, str, bool]]:
    """Each question, the two answers, and whether they are the same; a question that nobody answered is a "-"."""
    questions = dict.fromkeys([*theirs, *ours])
    return [
        (each, ours.get(each, "-"), theirs.get(each, "-"), ours.get(each) == theirs.get(each)) for each in questions
    ]


def peers_text(ours: Answers, theirs: Answers) -> str:
    """
    >>> print(peers_text({"pid": "1", "name": "a"}, {"pid": "1", "name": "b"}))
    pid   1       the same
    name  a | b   differs
    """
    rows = rows_of(ours, theirs)
    shown = [(each, one if same else f"{one} | {other}", same) for each, one, other, same in rows]
    wide, wider = (max(len(row[column]) for row in shown) + 2 for column in (0, 1))  # type: ignore[arg-type]
    return "\n".join(f"{each:<{wide}}{said:<{wider}} {'the same' if same else 'differs'}" for each, said, same in shown)


def peers_html(names: Sequence[str], ours: Answers, theirs: Answers) -> str:
    """A table: the question, what each of the two has said, and whether that is the same."""
    rows = "".join(
        f'<tr><th scope="row">{escape(each)}</th><td>{escape(one)}</td><td>{escape(other)}</td>'
        f"<td{'' if same else ' class=lkp-other'}>{SAME if same else OTHER}</td></tr>"
        for each, one, other, same in rows_of(ours, theirs)
    )
    heads = "".join(f'<th scope="col">{escape(name)}</th>' for name in ("question", *names, ""))
    body = f'<div class="lkp-table"><table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>'
    return figure(" and ".join(names), body, caption=CAPTION, style=STYLE)


def peers_svg(names: Sequence[str], ours: Answers, theirs: Answers) -> str:
    """The table as a still picture."""
    lines: list[tuple[str, ...]] = [("", *names, "")]
    lines += [(each, one, other, SAME if same else OTHER) for each, one, other, same in rows_of(ours, theirs)]
    parts = []
    for number, words in enumerate(lines):
        y = 24 + number * ROW_PX
        parts += [text_svg(text, x, y, columns=46, rows=1) for text, x in zip(words, COLUMNS_PX, strict=False)]
    return frame_svg(parts, WIDTH_PX, 24 + len(lines) * ROW_PX)
