"""Does the Python in the texts go with the code as it is now?

The blocks are parts of cells, which need a machine. So they are not run: they have to be Python, and what they import
has to be there.
"""

import ast
import re
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"^```python\n(.*?)^```", re.M | re.S)
BLOCKS = [
    pytest.param(block, id=f"{path.relative_to(ROOT)}:{number}")
    for path in sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
    for number, block in enumerate(BLOCK.findall(path.read_text()), 1)
]


def missing_names(block: str) -> list[str]:
    """What a block imports from where it is not; raises SyntaxError where the block is no Python."""
    return [
        f"{node.module}.{alias.name}"
        for node in ast.walk(ast.parse(block))
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if not hasattr(import_module(str(node.module)), alias.name)
    ]


def test_there_are_blocks() -> None:
    """The test below says nothing about texts without code."""
    assert BLOCKS


@pytest.mark.parametrize("block", BLOCKS)
def test_a_block_goes_with_the_code(block: str) -> None:
    """It is Python, and imports what is there."""
    assert [] == missing_names(block)


def test_a_wrong_block_is_seen() -> None:
    """A name that has gone is named; what is no Python is refused."""
    assert ["labkit.lesson.gone"] == missing_names("from labkit.lesson import gone, sh")
    with pytest.raises(SyntaxError):
        missing_names("lesson = open lesson")
