"""How do several ways to say the same thing look, side by side?

Each pane has a title, and the text of what was said and what came back.
"""

from collections.abc import Mapping
from html import escape

from labkit.show.still import cut, frame_svg, text_svg, xml_safe

__all__ = ["beside_html", "beside_svg", "beside_text"]

MAX_CHARACTERS = 6000
ROWS, COLUMNS, LINE_PX = 12, 52, 15
PANE_PX = (400, 40 + ROWS * LINE_PX)


def beside_text(panes: Mapping[str, str]) -> str:
    """Name the panes; what they hold differs from run to run."""
    return f"side by side: {', '.join(panes)}"


def beside_html(panes: Mapping[str, str]) -> str:
    """Panes in a row, or below each other where the page is narrow; each scrolls by itself, by keyboard too."""
    cells = "".join(_pane_html(title, text) for title, text in panes.items())
    style = "display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,28em),1fr));gap:8px"
    return f'<div role="group" aria-label="{escape(beside_text(panes))}" style="{style}">{cells}</div>'


def _pane_html(title: str, text: str) -> str:
    border = "border:1px solid var(--jp-border-color2,#999)"
    head = "padding:2px 8px;font-weight:600;background:var(--jp-layout-color2,#eee);color:var(--jp-ui-font-color1)"
    body = (
        "margin:0;padding:6px 8px;max-height:17em;overflow:auto;white-space:pre-wrap;overflow-wrap:anywhere;"
        "word-break:normal;line-height:1.35;"
        "font-size:var(--jp-code-font-size,13px);font-family:var(--jp-code-font-family,monospace);"
        "color:var(--jp-content-font-color1);background:var(--jp-layout-color0,transparent)"
    )
    return (
        f'<section style="{border};min-width:0" aria-label="{escape(title)}"><div style="{head}">{escape(title)}</div>'
        f'<pre tabindex="0" style="{body}">{escape(xml_safe(cut(text, MAX_CHARACTERS)))}</pre></section>'
    )


def beside_svg(panes: Mapping[str, str]) -> str:
    """The panes as a still picture, two in a row, without identities and times."""
    width, height = PANE_PX
    parts = [
        _pane_svg(title, text, number % 2 * width, number // 2 * height)
        for number, (title, text) in enumerate(panes.items())
    ]
    return frame_svg(parts, 2 * width, (len(panes) + 1) // 2 * height, differs=True)


def _pane_svg(title: str, text: str, x: float, y: float) -> str:
    width, height = PANE_PX
    return (
        f'<rect x="{x + 4}" y="{y + 4}" width="{width - 8}" height="{height - 8}" fill="none" stroke="#999"/>'
        f'<text x="{x + 12}" y="{y + 20}" font-weight="bold">{escape(title)}</text>'
        + text_svg(text, x + 12, y + 40, columns=COLUMNS, rows=ROWS)
    )
