"""How high is an image's stack of layers, what did each layer do to the tree, and which bytes are lost below others?

Values in, HTML or text out. The HTML is the frame of the live view: bars of the layers, the bottom one at the bottom,
the bytes lost, a field for a path. labkit/widgets/layer_stack.js fills in the tree, through which a reader walks.
The text is what a test compares: no identity of an image is in it.
"""

import re
from html import escape
from typing import Any

from labkit.images.layers import Analysis
from labkit.images.paths import printable
from labkit.show.layer_tree import Entry, Tree
from labkit.show.look import figure, mark, read_css
from labkit.show.still import mask

__all__ = [
    "DEEDS",
    "amount",
    "layer_facts",
    "layer_stack_html",
    "layer_stack_text",
    "line_of",
    "loss_path",
    "losses_of",
    "title_of",
]

DEEDS = {"added": "added", "changed": "modified", "hidden": "deleted"}  # a role of `look`, and its name in a Layer
UNITS = ("B", "kB", "MB", "GB", "TB")
MOST_WASTE = 8
STYLE = f"<style>{read_css('layer_stack')}</style>"
KEYS = ("layer", "added", "changed", "hidden", "lost")
CAPTION = (
    "Move through the layers: drag over them, or press the arrow keys on them. The pale layers lie above the chosen "
    "one. The tree is what a container would see with the chosen layer and all layers below it. A mark shows what "
    "the chosen layer did; at a folder, a number counts the changes inside it. A hidden file is struck through here; "
    "later layers do not show it."
)
# What the old builder and BuildKit write around a line of a Dockerfile.
_NO_SHELL = re.compile(r"^/bin/sh -c #\(nop\) +")
_SHELL = re.compile(r"^(?:RUN )?(?:\|\d+ .*?)?/bin/sh -c ")
_HASH = re.compile(r"\b(file|dir|multi):[0-9a-f]{64} in ")


def amount(size_bytes: int) -> str:
    """Write bytes as docker does, in powers of 1000, with two digits at least.

    >>> [amount(n) for n in (0, 999, 1234, 9960, 45_600_000, 1_200_000_000)]
    ['0 B', '999 B', '1.2 kB', '10 kB', '46 MB', '1.2 GB']
    """
    value, power = float(size_bytes), 0
    while value >= 999.5 and power < len(UNITS) - 1:
        value, power = value / 1000, power + 1
    number = f"{value:.1f}" if power and value < 9.95 else f"{int(value + 0.5)}"
    return f"{number} {UNITS[power]}"


def line_of(created_by: str) -> str:
    """Give the line of the Dockerfile in what a builder has written into the history; the old one keeps no names.

    >>> line_of("/bin/sh -c #(nop) COPY file:" + 64 * "a" + " in /app "), line_of("RUN /bin/sh -c make # buildkit")
    ('COPY a file in /app', 'RUN make')
    >>> line_of("/bin/sh -c apt-get update"), line_of("")
    ('RUN apt-get update', '(imported, without a line)')
    """
    line = re.sub(r"\s+", " ", created_by).strip().removesuffix(" # buildkit")
    if _NO_SHELL.match(line):
        line = _NO_SHELL.sub("", line)
    elif _SHELL.match(line):
        line = "RUN " + _SHELL.sub("", line)
    what = {"file": "a file in ", "dir": "a directory in ", "multi": "files in "}
    return printable(_HASH.sub(lambda found: what[found[1]], line)) or "(imported, without a line)"


def layer_facts(analysis: Analysis, tree: Tree) -> list[dict[str, Any]]:
    """List what the page says of each layer, the bottom one first."""
    return [
        {
            "line": line_of(layer.created_by),
            "size": layer.size_bytes,
            "lost": lost,
            **{role: getattr(layer, name) for role, name in DEEDS.items()},
        }
        for layer, lost in zip(analysis.layers, tree.lost, strict=True)
    ]


def title_of(analysis: Analysis) -> str:
    """Name the image, its layers and their bytes."""
    count, size = len(analysis.layers), sum(layer.size_bytes for layer in analysis.layers)
    return f"{printable(analysis.name) or 'an image'}: {count} layer{'s' * (count != 1)}, {amount(size)}"


def layer_stack_text(analysis: Analysis, tree: Tree) -> str:
    """Say what each layer did, the top one first, and which bytes are lost; sizes have two digits.

    What is in a layer that was imported, without a line that made it, is left out: a stored notebook has to say the
    same on a computer with another busybox.
    """
    title = title_of(analysis)
    if not all(layer.created_by for layer in analysis.layers):
        title = title.rpartition(", ")[0]  # without the bytes of the whole
    lines = [f"layer stack of {mask(title)}, {amount(analysis.wasted_bytes)} lost below later layers"]
    for number, layer in reversed([*enumerate(analysis.layers, 1)]):
        deeds = ", ".join(f"{getattr(layer, name)} {role}" for role, name in DEEDS.items())
        facts = f"{amount(layer.size_bytes):>6}  {deeds}" if layer.created_by else "imported"
        lines.append(f"{number:>3}  {facts}  {mask(line_of(layer.created_by))}")
    lines += [f"lost {amount(entry.listed_bytes):>6}  {mask(loss_path(entry))}" for _, entry in losses_of(tree)]
    return "\n".join(lines)


def layer_stack_html(analysis: Analysis, tree: Tree) -> str:
    """Draw the frame: all but the tree, and what is found in it."""
    sizes = [layer.size_bytes for layer in analysis.layers]
    most = max(sizes, default=0) or 1
    rows = "".join(
        _layer_html(number, fact, fact["size"] / most)
        for number, fact in reversed([*enumerate(layer_facts(analysis, tree))])
    )
    lost = f"{mark('lost')} {amount(analysis.wasted_bytes)} lost below later layers"
    marks = "".join(f'<span data-mark="{role}">{mark(role)}</span>' for role in KEYS)
    body = (
        f'<div class="ls-body"><div hidden class="ls-marks">{marks}</div>'
        f'<div class="ls-title"><b>{escape(title_of(analysis))}</b><span class="lk-ink-lost">{lost}</span></div>'
        f"{ASK}"
        f'<div class="ls-panes"><div class="ls-left"><section class="lk-card">{HEAD}'
        '<div class="ls-layers" role="slider" tabindex="0" aria-orientation="vertical" aria-label="layer" '
        f'aria-valuemin="1" aria-valuemax="{len(sizes)}">{rows}</div></section>{_waste_html(tree)}</div>'
        f"{TREE}</div></div>"
    )
    name = f"layer stack of {title_of(analysis)}"
    return figure(name, body, caption=escape(CAPTION), keys=KEYS, style=STYLE)


HEAD = '<div class="lk-head">Layers<kbd title="The arrow keys walk through the layers">&uarr; &darr;</kbd></div>'
ASK = (
    '<div class="ls-ask"><label>Which layer gives me this path?'
    '<input type="search" placeholder="etc/passwd" autocomplete="off" spellcheck="false"></label>'
    '<kbd title="The key / leads here">/</kbd><span class="ls-count lk-dim" role="status"></span></div>'
    '<div class="ls-answers" role="list" aria-label="what is found" hidden></div>'
)
TREE = (
    '<section class="lk-card ls-right"><div class="lk-head"><span class="ls-now"></span>'
    '<kbd title="In the tree, [ and ] go to the layer below and above">[ ]</kbd></div>'
    '<div class="ls-did"><code class="ls-line"></code><div class="ls-deeds"></div>'
    '<label><input type="checkbox">only what this layer did</label></div>'
    '<div class="ls-columns lk-dim" aria-hidden="true"><span>path</span><span>lost below</span><span>size</span></div>'
    '<div class="ls-tree" role="tree" tabindex="0" aria-label="files"></div></section>'
)


def _layer_html(number: int, fact: dict[str, Any], part: float) -> str:
    lost = fact["lost"] / fact["size"] if fact["size"] else 0
    return (
        f'<div class="ls-layer" data-layer="{number}"><span class="ls-knob"></span><b>{number + 1}</b>'
        f'<code title="{escape(fact["line"])}">{escape(fact["line"])}</code><span>{amount(fact["size"])}</span>'
        f'<span class="ls-bar" style="width:{100 * part:.2f}%"><i style="width:{100 * lost:.2f}%"></i></span></div>'
    )


def _waste_html(tree: Tree) -> str:
    rows, listed = "", losses_of(tree)
    most = listed[0][1].listed_bytes if listed else 1
    for number, entry in listed:
        path, size = escape(loss_path(entry)), entry.listed_bytes
        rows += (
            f'<li><button type="button" data-entry="{number}" title="{path}"><code><bdi>{path}</bdi></code>'
            f'<span>{amount(size)}</span><i style="width:{100 * size / most:.2f}%"></i></button></li>'
        )
    body = f'<ol class="ls-worst">{rows}</ol>' if rows else "<p>None: the image shows each file of each layer.</p>"
    head = f'<div class="lk-head">{mark("lost")} Where bytes are lost</div>'
    return f'<section class="lk-card ls-waste">{head}{body}</section>'


def losses_of(tree: Tree) -> list[tuple[int, Entry]]:
    """Give the entries at which most bytes are lost, each with its index."""
    return [(number, tree.entries[number]) for number in tree.worst(MOST_WASTE)]


def loss_path(entry: Entry) -> str:
    """Write the path of a file, or of a folder that was hidden whole."""
    return entry.shown + "/" * (entry.events[-1].kind == "directory")
