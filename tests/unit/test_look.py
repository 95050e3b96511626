"""Can every ink be read on every ground, and are roles told apart without colour?"""

from itertools import combinations
from math import dist
from xml.etree import ElementTree

import pytest

from labkit.show.look import GROUNDS, PAGE, ROLES, SHAPES, STYLE, figure, legend, mark_svg, status_chip, with_code

READABLE = 4.5  # WCAG 2.2, success criterion 1.4.3
THEMES = ("light", "dark")
SIDE_BY_SIDE = [
    ("stdin", "stdout", "stderr"),
    ("request", "answer", "trouble", "missing"),
    ("method", "path", "body", "status"),
    ("added", "changed", "hidden", "lost"),
    ("used", "limit", "throttled", "killed", "frozen"),
    ("used", "limit", "refused"),
]
# Machado, Oliveira and Fernandes, "A Physiologically-based Model for Simulation of Color Vision Deficiency" (2009),
# severity 1.0, in linear RGB.
EYES = {
    "all three cones": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "protanopia": ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)),
    "deuteranopia": ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881)),
    "tritanopia": ((1.255528, -0.076749, -0.178779), (-0.078411, 0.930809, 0.147602), (0.004733, 0.691367, 0.303900)),
}
RGB = tuple[float, float, float]


def linear(ink: str) -> RGB:
    parts = (int(ink[at : at + 2], 16) / 255 for at in (1, 3, 5))
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return red, green, blue


def contrast(ink: str, ground: str) -> float:
    low, high = sorted(
        sum(w * v for w, v in zip((0.2126, 0.7152, 0.0722), linear(c), strict=True)) for c in (ink, ground)
    )
    return (high + 0.05) / (low + 0.05)


def seen(ink: str, eyes: str) -> RGB:
    """CIE L*a*b* of an ink as these eyes see it."""
    r, g, b = (
        max(0.0, min(1.0, sum(weight * part for weight, part in zip(row, linear(ink), strict=True))))
        for row in EYES[eyes]
    )
    x, y, z = (
        (0.4124 * r + 0.3576 * g + 0.1805 * b) / 0.9505,
        0.2126 * r + 0.7152 * g + 0.0722 * b,
        (0.0193 * r + 0.1192 * g + 0.9505 * b) / 1.089,
    )
    fx, fy, fz = (v ** (1 / 3) if v > 0.008856 else 7.787 * v + 16 / 116 for v in (x, y, z))
    return 116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)


def inks(theme: str) -> dict[str, str]:
    number = THEMES.index(theme)
    page = {name: PAGE[name][number] for name in ("ink", "dim")}
    return page | {name: role[number] for name, role in ROLES.items()}


@pytest.mark.parametrize("theme", THEMES)
def test_every_ink_can_be_read(theme: str) -> None:
    """On the grounds of JupyterLab's pages, of panels, and on the pale ground of its own role."""
    grounds = list(GROUNDS[theme])
    weak = [
        (name, ground, round(contrast(ink, ground), 2))
        for name, ink in inks(theme).items()
        for ground in [*grounds, *(mixed(ink, ground) for ground in grounds)]
        if contrast(ink, ground) < READABLE
    ]
    assert [] == weak


def mixed(ink: str, ground: str) -> str:
    """The pale ground of `lk-fill-`: 14 parts of the ink in a hundred."""
    parts = (round(0.14 * int(ink[at : at + 2], 16) + 0.86 * int(ground[at : at + 2], 16)) for at in (1, 3, 5))
    return "#" + "".join(f"{part:02x}" for part in parts)


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("eyes", EYES)
def test_neighbours_differ_for_all_eyes(theme: str, eyes: str) -> None:
    """Roles that stand side by side are a distance of 10 or more apart (CIE 1976), with two kinds of cones too."""
    every = inks(theme)
    pairs = [pair for group in SIDE_BY_SIDE for pair in combinations(group, 2)]
    assert [] == [(one, other) for one, other in pairs if dist(seen(every[one], eyes), seen(every[other], eyes)) < 10]


@pytest.mark.parametrize("group", SIDE_BY_SIDE)
def test_neighbours_differ_in_shape(group: tuple[str, ...]) -> None:
    """Who sees no colours tells them apart by their marks."""
    assert len(group) == len({ROLES[name].shape for name in group})


def test_each_shape_is_drawn() -> None:
    """A role names a shape that there is, and its mark is well-formed."""
    for name, role in ROLES.items():
        assert role.shape in SHAPES
        ElementTree.fromstring(mark_svg(name, 10, 10))


def test_a_status_of_trouble_has_a_cross() -> None:
    """An error is told by more than its colour."""
    cross = SHAPES["cross"].format("var(--lk-trouble)")

    assert cross in status_chip(500, "No") and cross in status_chip(409, "Conflict")
    assert cross not in status_chip(200, "OK")
    assert "&lt;b&gt;" in status_chip(200, "<b>")


def test_what_is_not_found_is_calmer() -> None:
    """A command often asks for what need not be there: a mark of its own, no cross and not the ink of trouble."""
    chip = status_chip(404, "Not Found")

    assert SHAPES["ring"].format("var(--lk-missing)") in chip and "trouble" not in chip


def test_a_figure_has_its_words() -> None:
    """A view carries the style, its name, a caption and the words of its legend."""
    drawn = figure("a <view>", "<p>body</p>", caption=with_code("Look at `a<b`."), keys=("stdout",))

    assert drawn.startswith(STYLE) and 'aria-label="a &lt;view&gt;"' in drawn
    assert "<figcaption>Look at <code>a&lt;b</code>.</figcaption>" in drawn
    assert ">stdout</span>" in legend(("stdout",)) and legend(("stdout",)) in drawn and "" == legend(())
