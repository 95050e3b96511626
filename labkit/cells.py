"""Which cell of a notebook makes a name, or a container or an image of that name?

A kernel knows only the cells that it has run. The notebook's file knows the others.

>>> cells = parse_cells('''{"cells": [
...     {"cell_type": "markdown", "source": "## A loop"},
...     {"cell_type": "code", "source": ["import os\\\\n", "for number in range(3): pass"]}]}''')
>>> cells
(Cell(number=1, heading='A loop', source='import os\\nfor number in range(3): pass'),)
>>> sorted(names_made(cells[0].source))
['number', 'os']
"""

import ast
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

__all__ = ["Cell", "find_maker", "find_maker_of_container", "find_maker_of_image", "names_made", "parse_cells"]

COMMAND = re.compile(r"^(\s*)[!%].*$", re.MULTILINE)  # !docker ps, %time: no Python
ALONE = re.compile(r"\s*%%alone\b(.*)")
COMMAND_KEPT = re.compile(r"=\s*[!%].*$", re.MULTILINE)  # words = !docker ps
HEADING = re.compile(r"^#{1,6}\s+(.+?)\s*#*$", re.MULTILINE)
MAKES_CONTAINER = re.compile(r"\bcreate\b|\bdocker (?:container )?run\b")
IMAGE_WORD = "(?:build|tag|load|import|pull|commit)"
MAKES_IMAGE = re.compile(
    rf"\bdocker (?:image |container )?{IMAGE_WORD}\b|/(?:build|tag|commit|images/load|images/create)\b|\.{IMAGE_WORD}\("
)
OWN_SCOPE = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
COMPREHENSION = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


@dataclass(frozen=True, slots=True)
class Cell:
    """A code cell; `number` counts code cells from 1, `heading` is the last one above it, or ""."""

    number: int
    heading: str
    source: str


def parse_cells(text: str) -> tuple[Cell, ...]:
    """The code cells of a notebook's file, in the order of the page. Raises ValueError where it is no notebook."""
    found: list[Cell] = []
    heading = ""
    try:
        for cell in json.loads(text)["cells"]:
            source = "".join(cell["source"])
            if cell["cell_type"] == "markdown":
                heading = ([heading] + HEADING.findall(source))[-1]
            elif cell["cell_type"] == "code":
                found.append(Cell(len(found) + 1, re.sub("[`*]", "", heading), source))
    except (KeyError, TypeError) as error:
        raise ValueError(f"this is no notebook: {error!r}") from error
    return tuple(found)


def names_made(source: str) -> set[str]:
    """The names that a code cell binds in the notebook; none where it is not Python.

    A cell that runs in a process of its own (`%%alone a b`) binds those that come back from there.
    """
    if alone := ALONE.match(source):
        return set(re.findall(r"\w+", alone[1]))
    try:
        tree = ast.parse(COMMAND_KEPT.sub("= None", COMMAND.sub(r"\1pass", source)))
    except (SyntaxError, ValueError):
        return set()
    return {name for statement in tree.body for name in _names_bound(statement)}


def _names_bound(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            yield name
        case ast.Name(id=name, ctx=ast.Store()):
            yield name
        case ast.ExceptHandler(name=str()):  # unbound again where the handler ends
            pass
        case ast.alias(name=name, asname=other):
            yield other or name.partition(".")[0]
    if not isinstance(node, OWN_SCOPE + COMPREHENSION):
        for child in ast.iter_child_nodes(node):
            yield from _names_bound(child)


def find_maker(cells: Sequence[Cell], name: str, running: int = 0) -> Cell | None:
    """The cell that binds a name: the last above the cell number `running`, else the first below; never that cell."""
    makers = [cell for cell in cells if cell.number != running and name in names_made(cell.source)]
    above = [cell for cell in makers if cell.number < running]
    return above[-1] if above else makers[0] if makers else None


def find_maker_of_container(cells: Sequence[Cell], name: str, running: int = 0) -> Cell | None:
    """The first cell that makes a container of that name; never the cell number `running`.

    It is a cell that holds the name, and a word that makes one: `docker run`, /containers/create, ...
    """
    return _find(cells, rf"{re.escape(name)}(?![\w-])", MAKES_CONTAINER, running)


def find_maker_of_image(cells: Sequence[Cell], name: str, running: int = 0) -> Cell | None:
    """The first cell that makes an image of that name and tag; never the cell number `running`.

    A cell that holds both, "box:red", goes first. Then comes one that holds the name alone: `docker tag busybox box`
    makes box:latest, and a cell may hold the tag elsewhere. "box:blue" is never taken for box:latest.
    """
    repository, _, tag = name.partition(":")
    alone = rf"{re.escape(repository)}(?![\w:-])" if tag in ("", "latest") else rf"{re.escape(repository)}(?![\w-])"
    whole = _find(cells, rf"{re.escape(name)}(?![\w.-])", MAKES_IMAGE, running)
    return whole or _find(cells, alone, MAKES_IMAGE, running)


def _find(cells: Sequence[Cell], name: str, making: re.Pattern[str], running: int) -> Cell | None:
    word = re.compile(rf"(?<![\w-]){name}")
    makers = (cell for cell in cells if word.search(cell.source) and making.search(cell.source))
    return next((cell for cell in makers if cell.number != running), None)
