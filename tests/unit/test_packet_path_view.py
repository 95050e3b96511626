"""Does the packet path view draw each hop on its place, and the ways between them?"""

import re
from xml.etree import ElementTree

from labkit.isolation.packet_path import MACHINE, Hop
from labkit.isolation.packet_trace import trace
from labkit.show.packet_path import packet_path_html, packet_path_svg, packet_path_text
from tests.unit.test_packet_path import MASQUERADE, STATIONS, out

HOPS = trace(out(), [MASQUERADE], STATIONS)
DROPPED = [*HOPS[:3], Hop(f"{MACHINE}/FORWARD", "policy DROP", is_end=True)]


def test_the_text_has_a_line_for_each_hop() -> None:
    """With the place, and what was seen there; no name that differs from machine to machine."""
    assert """\
the packet:
  1  eth0 of hand  10.200.0.2 → 10.0.2.2 (echo request)
  2  veth of hand  10.200.0.2 → 10.0.2.2 (echo request)
  3  hand0         10.200.0.2 → 10.0.2.2 (echo request)
  4  POSTROUTING   MASQUERADE: the source becomes this machine
  5  the card      10.0.2.100 → 10.0.2.2 (echo request)
its answer: none was seen""" == packet_path_text(STATIONS, HOPS)


def test_a_hop_has_one_number_in_the_text_and_in_the_picture() -> None:
    """Those of the answer go on where those of the packet end."""
    answered = [*HOPS, Hop(HOPS[0].station, "10.0.2.2 → 10.200.0.2 (echo reply)", is_answer=True)]

    assert "its answer:\n  6  eth0 of hand" in packet_path_text(STATIONS, answered)
    assert ">6 eth0 of hand: 10.0.2.2" in packet_path_svg(STATIONS, answered)


def test_each_hop_can_be_chosen_and_is_explained() -> None:
    """In the list, and by its number in the drawing; each place knows its hops."""
    page = packet_path_html(STATIONS, HOPS)

    assert 5 == page.count('role="option"') == page.count('class="p-disc"')
    assert f'data-station="{MACHINE}/POSTROUTING" data-hops="4"' in page
    assert 'data-says="POSTROUTING. The last place before the packet leaves.' in page
    assert "none was seen" in page


def test_before_a_packet_there_is_the_drawing_alone() -> None:
    """And no list."""
    page = packet_path_html(STATIONS, [])

    assert 'role="option"' not in page and 'role="listbox"' not in page
    assert "p-picture" in page


def test_the_end_of_a_dropped_packet_is_marked() -> None:
    """With the colour of trouble, and the word; the line ends there, and does not leave by the card."""
    page = packet_path_html(STATIONS, DROPPED)

    assert '<b class="lk-ink-trouble">' in page and ">DROP<" in page
    assert '<b class="lk-ink-trouble">' not in packet_path_html(STATIONS, HOPS)
    way = re.findall(r'<path d="M([^"]*)"[^>]*stroke-width="3.5"', page)
    assert 1 == len(way)
    assert min(float(point.split()[0]) for point in way[0].split("L")) > 400


def test_the_way_passes_the_hooks_and_leaves_the_machine() -> None:
    """Also those at which no rule has counted it: PREROUTING, FORWARD, POSTROUTING, then the card."""
    way = re.findall(r'<path d="M([^"]*)"[^>]*stroke-width="3.5"', packet_path_svg(STATIONS, HOPS))[0]
    points = [tuple(map(float, point.split())) for point in way.split("L")]

    heights = [y for x, y in points if x == 431]
    assert heights == sorted(heights) and 3 == len(heights)
    assert points[-1][0] < 176 < points[0][0]


def test_the_still_picture_is_the_same_in_each_run() -> None:
    """Neither what was counted nor the names of a machine's interfaces are in it."""
    drawn = packet_path_svg(STATIONS, HOPS)
    counted = [station._replace(packets=7) for station in STATIONS]

    ElementTree.fromstring(drawn)
    assert drawn == packet_path_svg(counted, HOPS)
    assert "hand1" not in drawn and "tap0" not in drawn
    assert "7 packets" in packet_path_html(counted, HOPS)


def test_names_may_hold_anything() -> None:
    """No markup of theirs reaches the page."""
    evil = [station._replace(label="<b>", note="&") if station.kind == "bridge" else station for station in STATIONS]

    ElementTree.fromstring(packet_path_svg(evil, HOPS))
    assert "<b>&" not in packet_path_html(evil, HOPS) and "&lt;b&gt;" in packet_path_html(evil, HOPS)
