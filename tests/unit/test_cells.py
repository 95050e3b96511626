"""Is the cell found that makes a name?"""

import doctest
import json

import pytest

from labkit import cells
from labkit.cells import Cell, find_maker, find_maker_of_container, find_maker_of_image, names_made, parse_cells


def test_the_documented_example() -> None:
    """What the module's docstring shows is true."""
    assert doctest.testmod(cells) == doctest.TestResults(failed=0, attempted=3)


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("a = b", {"a"}),
        ("a, (b, *c) = 1, (2, 3)", {"a", "b", "c"}),
        ("a.b = c[0] = 1", set()),
        ("a: int = 1\nb += 1", {"a", "b"}),
        ("import os.path, json as j\nfrom a import b, c as d", {"os", "j", "b", "d"}),
        ("with open('x') as file:\n    line = file.read()", {"file", "line"}),
        ("if (n := 1):\n    def f(a):\n        inner = 1\nelse:\n    class C:\n        d = 1", {"n", "f", "C"}),
        ("[x for x in y]\nlambda z: z", set()),
        ("try:\n    pass\nexcept OSError as error:\n    status = 1", {"status"}),
        ("!docker ps\nwords = !docker images\n%time\na = 1", {"words", "a"}),
        ("a = = 1", set()),
    ],
)
def test_the_names_that_a_cell_binds(source: str, names: set[str]) -> None:
    """Those that the notebook knows afterwards, and no others."""
    assert names == names_made(source)


def test_what_is_no_notebook() -> None:
    """One error, whatever the text is."""
    for text in ("", "[]", '{"cells": 1}', json.dumps({"cells": [{"cell_type": "code"}]})):
        with pytest.raises(ValueError):
            parse_cells(text)


PAGE = (
    Cell(1, "", "import os\nfrom labkit.lesson import sh"),
    Cell(2, "One", 'sh("docker run --name box busybox true")'),
    Cell(3, "Two", "pid = 1"),
    Cell(4, "Three", 'pid = 2\nsh("docker create --name box-2 box")'),
)


def test_the_nearest_cell_above_makes_a_name() -> None:
    """Else the first below; never the cell that asks, and none for a name that no cell makes."""
    assert [PAGE[3], PAGE[2], PAGE[3], PAGE[2]] == [find_maker(PAGE, "pid", running) for running in (5, 4, 3, 1)]
    assert find_maker(PAGE, "typo") is None


def test_the_first_cell_that_makes_a_container() -> None:
    """A name is no part of a longer one."""
    assert [PAGE[1], PAGE[3], None] == [find_maker_of_container(PAGE, name) for name in ("box", "box-2", "bo")]
    assert PAGE[3] == find_maker_of_container(PAGE, "box", 2)


IMAGES = (
    Cell(1, "", 'sh("docker build -t mine:red /build")'),
    Cell(2, "", 'sh("docker create mine")'),
    Cell(3, "", 'engine.post("/images/mine:red/tag", query={"repo": "mine"})\nassert "mine:latest" in tags'),
    Cell(4, "", 'sh("docker commit box frozen")'),
    Cell(5, "", 'for tag in ["a", "b"]:\n    sh(f"docker tag busybox looped:{tag}")'),
)


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("mine:red", 1),
        ("mine:latest", 3),
        ("frozen:latest", 4),
        ("looped:b", 5),
        ("looped:latest", None),
        ("min:latest", None),
    ],
)
def test_the_first_cell_that_makes_an_image(name: str, number: int | None) -> None:
    """The whole name decides; to make a container of an image makes no image."""
    maker = find_maker_of_image(IMAGES, name)

    assert number == (maker and maker.number)
