"""By which way does a packet go, hop by hop, from a program to another computer, and its answer back?

A drawing: the machine in the middle, containers on its right, other computers on its left. Between the interfaces of
the machine stand the five hooks of the packet filter, where rules are asked. The way of the packet is a solid line in
the colour of requests, that of its answer a dashed one in the colour of answers; each hop has a number on its place.
"""

from collections.abc import Sequence
from html import escape

from labkit.isolation.packet_path import Hop, Station
from labkit.show.look import GROUNDS, PAGE, ROLES, figure, read_css
from labkit.show.packet_drawing import WIDTH, draw_parts
from labkit.show.packet_route import find_height
from labkit.show.still import frame_svg, text_svg, words_svg, xml_safe

__all__ = ["MEANINGS", "packet_path_html", "packet_path_svg", "packet_path_text"]

MEANINGS = {
    "eth": "An interface inside {}: one end of a cable. The programs there see no other end, and no other way.",
    "port": "The other end of the cable, in this machine. It is a port of the bridge.",
    "bridge": "The bridge is a switch for the cables, and an interface of this machine, with an address: the gateway.",
    "card": "An interface that leads out of the machine.",
    "lo": "The loopback interface: what a computer sends to itself.",
    "program": "Programs of this machine, which are in no container: curl, dockerd, docker-proxy.",
    "PREROUTING": "Before the kernel chooses the way. Here a rule may change the destination.",
    "FORWARD": "For packets that only pass through this machine. May it pass?",
    "POSTROUTING": "The last place before the packet leaves. Here a rule may change the source.",
    "INPUT": "For packets to a program of this machine. May it come in?",
    "OUTPUT": "For packets from a program of this machine.",
}
CAPTION = (
    "Follow the numbers: the solid line is the packet, the dashed line is its answer. Look where an address changes. "
    "Choose a hop with the mouse, or with the arrow keys."
)
STYLE = f"<style>{read_css('packet_path')}</style>"


def packet_path_text(stations: Sequence[Station], hops: Sequence[Hop]) -> str:
    """The hops as text, the same on each machine: names of interfaces that differ are left out."""
    labels = {station.key: station.label for station in stations}
    lines = []
    for is_answer, title in ((False, "the packet"), (True, "its answer")):
        leg = [(number, hop) for number, hop in enumerate(hops, 1) if hop.is_answer == is_answer]
        width = max((len(labels[hop.station]) for _, hop in leg), default=0)
        lines += [f"{title}:"] if leg else [f"{title}: none was seen"]
        lines += [f"{number:>3}  {labels[hop.station]:{width}}  {hop.words}" for number, hop in leg]
    return "\n".join(lines)


def packet_path_html(stations: Sequence[Station], hops: Sequence[Hop], *, caption: str = CAPTION) -> str:
    """The drawing, and below it the hops, which can be chosen."""
    drawn = "".join(draw_parts(stations, hops, lambda role: f"var(--lk-{role})"))
    picture = (
        f'<div class="p-picture"><svg viewBox="0 0 {WIDTH} {find_height(stations)}" role="img" '
        f'aria-label="{escape(_summary(stations, hops))}">{drawn}</svg></div>'
    )
    return figure("packet path", picture + _list_html(stations, hops), caption=caption, style=STYLE)


def _summary(stations: Sequence[Station], hops: Sequence[Hop]) -> str:
    computers = ", ".join(dict.fromkeys(station.computer for station in stations))
    return f"{computers}; {len(hops)} hops, which are listed below"


def _list_html(stations: Sequence[Station], hops: Sequence[Hop]) -> str:
    known = {station.key: station for station in stations}
    lists = []
    for is_answer, title, role in ((False, "the packet", "request"), (True, "its answer", "answer")):
        mine = [(number, hop) for number, hop in enumerate(hops, 1) if hop.is_answer == is_answer]
        rows = [_row_html(number, hop, known[hop.station]) for number, hop in mine]
        none = "" if rows or not hops else '<p class="lk-dim">none was seen</p>'
        lists.append(
            f'<div><div class="lk-head lk-ink-{role}">{title}</div>'
            f'<div role="listbox" aria-label="hops of {title}">{"".join(rows)}</div>{none}</div>'
        )
    says = '<p class="p-says" aria-live="polite"></p>' if hops else ""
    return f'<div class="p-lists">{"".join(lists)}</div>{says}' if hops else ""


def _row_html(number: int, hop: Hop, station: Station) -> str:
    role = "trouble" if hop.is_end else "answer" if hop.is_answer else "request"
    return (
        f'<div role="option" aria-selected="false" tabindex="-1" data-hop="{number}" '
        f'data-station="{escape(xml_safe(station.key))}" data-says="{escape(_explain(station))}">'
        f'<b class="lk-ink-{role}">{number}</b> <span>{escape(xml_safe(station.label))}</span> '
        f"<code>{escape(xml_safe(hop.words))}</code></div>"
    )


def _explain(station: Station) -> str:
    return f"{station.label}. " + MEANINGS[station.label if station.kind == "hook" else station.kind].format(
        station.computer
    )


def packet_path_svg(stations: Sequence[Station], hops: Sequence[Hop]) -> str:
    """The drawing and the hops as a still picture. What was counted differs from run to run, and is left out."""
    quiet = [station._replace(packets=-1) for station in stations]
    parts = draw_parts(quiet, hops, _on_white)
    known = {station.key: station.label for station in stations}
    top, rows = find_height(stations) + 20, [0, 0]
    for column, title in enumerate(("the packet", "its answer") if hops else ()):
        parts.append(words_svg(title, 16 + 480 * column, top, 700))
    for number, hop in enumerate(hops, 1):
        column = int(hop.is_answer)
        words = f"{number} {known[hop.station]}: {hop.words}"
        parts.append(text_svg(words, 16 + 480 * column, top + 20 + 18 * rows[column], columns=64, rows=1))
        rows[column] += 1
    if hops and not rows[1]:
        parts.append(text_svg("none was seen", 16 + 480, top + 20, columns=64, rows=1))
    return frame_svg(parts, WIDTH, top + 16 + 18 * max(rows), shrinks=True)


def _on_white(role: str) -> str:
    """A colour of the look on a white page, for a picture that follows no theme."""
    return ROLES[role].light if role in ROLES else {**PAGE, "ground": GROUNDS["light"]}[role][0]
