"""Where does Docker keep everything, in the words of the notes and in today's?

The notes' tree of /var/lib/docker stands beside that of a data root, line by line. Who chooses a line opens the
directory: what lies in it, what the notes say of it, and what its bytes prove. Who follows an image or a container sees
how its name leads to its directories, and what of each directory belongs to it. The notes' own AUFS tree is drawn from
the same data: AUFS named its directories by the same ids.

Values in (`labkit.images.stored`), HTML, text and SVG out; ids are shown by their first letters.
"""

from collections.abc import Collection, Iterator, Sequence
from html import escape
from typing import NamedTuple

from labkit.images.stored import Store
from labkit.show.look import ROLES, figure, mark, mark_svg, read_css, with_code
from labkit.show.opened import Entry, Opened, Proof, open_place
from labkit.show.places import PLACES, Place, Trail, follow_choices, follow_trail
from labkit.show.still import frame_svg, words_svg, xml_safe

__all__ = ["storage_html", "storage_svg", "storage_text"]

MOST_ENTRIES = 12  # of a directory; those that are followed go first
KEEP_KEYS = "data-lm-suppress-shortcuts"  # an arrow is for the choice, and not for JupyterLab
CAPTION = (
    "Choose a name at the top: the arrows lead from the name to its directories. Then choose a line, with the mouse or"
    " with the arrow keys: the directory opens, and what belongs to the name is marked. Each line has the directories"
    " that do the same work."
)
COLUMNS = ("the notes, with AUFS", "this data root, with {}", "containerd's store")
ROW_PX, COLUMN_PX, COUNT_PX, TOP_PX = 26, 280, 160, 64


class _Line(NamedTuple):
    """A line of the trees: the name at the top of a group, or a place."""

    cells: tuple[str, ...]
    place: Place | None


def storage_text(store: Store, other: Store | None = None) -> str:
    """Name each place in the words of the notes and in today's, and how many things are there: no ids."""
    rows = []
    for place in PLACES:
        opened = open_place(place, store)
        words = " | ".join(_paths(place, store, other))
        rows.append(f"{words} | {opened.counted}")
    return "\n".join(rows)


def storage_html(store: Store, other: Store | None = None) -> str:
    """Draw the trees side by side, and below them the directory that is chosen; `other` is containerd's store."""
    choices = follow_choices(store)
    followed = {key for key, _, _ in choices}
    chosen = next((key for key, _, _ in choices), "")
    follow = "".join(
        f'<label><input type="radio" name="follow" value="{key}" {KEEP_KEYS}{" checked" * (key == chosen)}>'
        f"{mark(role)} {escape(xml_safe(name))}</label>"
        for key, name, role in choices
    )
    trails = "".join(_trail_html(key, follow_trail(store, key)) for key, _, _ in choices)
    tree = "".join(_line_html(line) for line in _lines(store, other))
    panels = "".join(_panel_html(place, store, other, followed) for place in PLACES)
    heads = "".join(f"<b>{escape(words)}</b>" for words in _heads(store, other))
    body = (
        f'<form method="dialog" class="lks" style="--columns:{3 if other else 2}">'
        f'<div class="lks-follow" role="radiogroup" aria-label="what you follow"><span>follow</span>{follow}</div>'
        f'{trails}<div class="lks-tree lk-card" role="radiogroup" aria-label="directories">'
        f'<div class="lks-heads lk-head">{heads}'
        f'</div>{tree}</div><div class="lks-panels" aria-live="polite">{panels}</div></form>'
    )
    return figure(
        "storage view", body, caption=with_code(CAPTION), keys=("engine", "container", "kernel"), style=_style(choices)
    )


def _style(choices: Sequence[tuple[str, str, str]]) -> str:
    panels = "".join(
        f'.lk .lks:has(input[value="{place.key}"]:checked) [data-place="{place.key}"]{{display:block}}'
        for place in PLACES
    )
    followed = "".join(
        f'.lk .lks:has(input[value="{key}"]:checked) .{key}{{background:color-mix(in srgb,var(--lk-{role}) 16%,'
        f"var(--lk-ground));box-shadow:inset 4px 0 0 var(--lk-{role})}}"
        f'.lk .lks:has(input[value="{key}"]:checked) .{key} .lks-mine{{visibility:visible}}'
        f'.lk .lks:has(input[value="{key}"]:checked) [data-trail="{key}"]{{display:flex}}'
        for key, _, role in choices
    )
    return f"<style>{read_css('storage')}{panels}{followed}</style>"


def _heads(store: Store, other: Store | None) -> list[str]:
    heads = [words.format(store.driver) for words in COLUMNS]
    return heads if other else heads[:2]


def _paths(place: Place, store: Store, other: Store | None) -> list[str]:
    paths = [place.notes, place.today.replace("DRIVER", store.driver)]
    return [*paths, place.containerd] if other else paths


def _lines(store: Store, other: Store | None) -> Iterator[_Line]:
    """Give the lines of the trees: where a group begins its names, and below them paths without these names."""
    before = ""
    for place in PLACES:
        group = place.notes.rpartition("/")[0]
        groups = (group, group.replace("aufs", store.driver))
        if group and group != before:
            yield _Line(groups, None)
        before = group
        old, new, *rest = _paths(place, store, other)
        yield _Line((old.removeprefix(f"{groups[0]}/"), new.removeprefix(f"{groups[1]}/"), *rest), place)


def _trail_html(key: str, trail: Trail) -> str:
    """Show how one name leads to the next, for what is followed."""
    arrow = '<span class="lk-dim">\u2192</span>'
    steps = arrow.join(
        f'<span class="lks-step"><small>{escape(what)}</small><code>{escape(xml_safe(name))}</code></span>'
        for what, name in trail.steps
    )
    heads = "".join(
        f"<th>{escape(words)}</th>" for words in ("layer", "diff_id", "chain id", "cache-id: its directory")
    )
    rows = "".join(
        f'<tr><td class="lk-dim">{escape(xml_safe(which))}</td>'
        + "".join(f"<td><code>{escape(xml_safe(name))}</code></td>" for name in names)
        + "</tr>"
        for which, *names in trail.layers[:MOST_ENTRIES]
    )
    return (
        f'<div class="lks-trail" data-trail="{key}">{steps}{arrow}<table><thead><tr>{heads}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def _line_html(line: _Line) -> str:
    if line.place is None:
        cells = "".join(f"<span>{escape(cell)}/</span>" for cell in line.cells)
        return f'<div class="lks-row lks-group">{cells}</div>'
    inner = "lks-inner" if "/" in line.place.notes else ""
    cells = "".join(
        f'<span class="{inner if number < 2 else ""}">{escape(cell)}</span>' for number, cell in enumerate(line.cells)
    )
    checked = " checked" * (line.place is PLACES[0])
    return (
        f'<label class="lks-row lk-ink-{line.place.role}"><input type="radio" name="place" value="{line.place.key}"'
        f"{checked} {KEEP_KEYS}>{mark(line.place.role)}{cells}</label>"
    )


def _panel_html(place: Place, store: Store, other: Store | None, followed: Collection[str]) -> str:
    opened = open_place(place, store)
    cards = [_card_html(place.today.replace("DRIVER", store.driver), opened, followed)]
    if opened.old:
        cards.insert(
            0, _card_html(f"{place.notes}, as AUFS had it", opened._replace(entries=opened.old, proof=""), followed)
        )
    if other and place.today != place.containerd:
        cards.append(_card_html(f"containerd: {place.containerd}", open_place(place, other), followed))
    notes = f' <span class="lk-dim">The notes: “{escape(place.quote)}”.</span>' if place.quote else ""
    return (
        f'<section class="lks-panel" data-place="{place.key}"><p><b>{escape(place.notes)}</b>'
        f" {with_code(place.says)}{notes}</p>"
        f'<div class="lks-cards">{"".join(cards)}</div></section>'
    )


def _card_html(title: str, opened: Opened, followed: Collection[str]) -> str:
    entries = [entry._replace(keys=tuple(key for key in entry.keys if key in followed)) for entry in opened.entries]
    first = sorted(range(len(entries)), key=lambda place: not entries[place].keys)[:MOST_ENTRIES]
    shown = [entries[place] for place in sorted(first)]
    rows = "".join(_entry_html(entry) for entry in shown)
    left = len(opened.entries) - len(shown)
    more = f'<li class="lk-dim">and {left} more</li>' if left else ""
    proof = _proof_html(opened.proof) if opened.proof else ""
    empty = '<li class="lk-dim">nothing</li>' if not opened.entries else ""
    head = f'<div class="lk-head lk-code">{escape(title)}</div>'
    return f'<div class="lk-card">{head}<ul>{rows}{more}{empty}</ul>{proof}</div>'


def _proof_html(proof: Proof | str) -> str:
    """Show what was recomputed with a tick, or with a cross where it does not hold for all; a sentence with neither."""
    look = "" if isinstance(proof, str) else " lks-right" if proof.right == proof.all else " lks-wrong"
    return f'<p class="lks-proof{look}">{with_code(str(proof))}</p>'


def _entry_html(entry: Entry) -> str:
    keys = " ".join(entry.keys)
    return (
        f'<li class="{keys}"><code>{escape(xml_safe(entry.name))}</code>'
        f'<span>{escape(xml_safe(entry.says))}</span><span class="lks-mine" aria-hidden="true">\u25c0</span></li>'
    )


def storage_svg(store: Store, other: Store | None = None) -> str:
    """Draw the trees as a still picture, without ids: each line in the old words and in today's."""
    heads = _heads(store, other)
    width = COLUMN_PX * len(heads) + COUNT_PX
    parts = [words_svg(words, 20 + COLUMN_PX * number, 34, 700) for number, words in enumerate(heads)]
    for row, place in enumerate(PLACES):
        y = TOP_PX + ROW_PX * row
        ink = ROLES[place.role].light
        if row % 2 == 0:
            parts.append(
                f'<rect x="8" y="{y - 13}" width="{width - 16}" height="{ROW_PX}" fill="{ink}" fill-opacity="0.08"/>'
            )
        for number, path in enumerate(_paths(place, store, other)):
            x = 20 + COLUMN_PX * number
            parts.append(mark_svg(place.role, x + 6, y))
            parts.append(f'<text x="{x + 20}" y="{y + 4}" fill="{ink}">{escape(path)}</text>')
        counted = escape(open_place(place, store).counted)
        parts.append(f'<text x="{width - COUNT_PX + 10}" y="{y + 4}" fill="#545c66">{counted}</text>')
    return frame_svg(parts, width, TOP_PX + ROW_PX * len(PLACES))
