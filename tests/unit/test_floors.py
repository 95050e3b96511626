"""Does every module import its own floor or lower, with no cycle, and can the package be read in few steps?

Imports are read with `ast`, inside functions too; only those under `if TYPE_CHECKING` do not count.
"""

import ast
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "labkit"
LONGEST_CHAIN = 9  # modules, each of which imports the next
# By the longest prefix of a module's name. Floors: 0 values and system calls, 1 edges (sockets, files, the machine), 2
# experiments and checks, 3 display, 4 the command line.
FLOORS = {
    "api.frames": 0,
    "images.overlay": 0,
    "cells": 0,
    "daemons.start_log": 0,
    "daemons.swarm_state": 0,
    "dump": 0,
    "errors": 0,
    "images.bolt": 0,
    "images.build_log": 0,
    "images.content": 0,
    "images.dive": 0,
    "images.drivers": 0,
    "images.layers": 0,
    "images.merged": 0,
    "images.oci": 0,
    "images.paths": 0,
    "images.sparse": 0,
    "images.stored": 0,
    "images.tar": 0,
    "images.tar_split": 0,
    "isolation.refusals": 0,
    "isolation.tracing": 0,
    "linux": 0,
    "show": 0,
    "api": 1,
    "course": 1,
    "images": 1,
    "journal": 1,
    "machine": 1,
    "progress": 1,
    "shell": 1,
    "terminal": 1,
    "check": 2,
    "daemons": 2,
    "images.union": 2,
    "isolation": 2,
    "isolation.namespaces": 0,
    "isolation.packet_path": 0,
    "isolation.packet_trace": 0,
    "desk": 3,
    "leftovers": 2,
    "lesson": 3,
    "widgets": 3,
    "__main__": 4,
    "cli": 4,
}
VALUES_FOR_SHOW = (
    *("labkit.cells", "labkit.dump", "labkit.errors", "labkit.show"),
    *(
        "labkit.api.frames",
        "labkit.daemons.start_log",
        "labkit.daemons.swarm_state",
        "labkit.images",
        "labkit.isolation",
    ),
)

Imports = dict[str, set[str]]


def module_name(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def parse_imports(source: str, module: str, *, is_package: bool) -> set[str]:
    """Give the dotted names that a module's text imports; `from a import b` gives a and a.b."""
    tree = ast.parse(source)
    hidden = {id(n) for node in ast.walk(tree) if is_type_checking(node) for n in ast.walk(node)}
    package = module.split(".") if is_package else module.split(".")[:-1]
    found: set[str] = set()
    for node in ast.walk(tree):
        if id(node) in hidden:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            found |= {base} | {f"{base}.{alias.name}" for alias in node.names}
    return found


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")


def read_imports() -> Imports:
    return {
        module_name(path): parse_imports(path.read_text(), module_name(path), is_package=path.name == "__init__.py")
        for path in sorted(PACKAGE.rglob("*.py"))
    }


def floor_of(module: str) -> int:
    """Give a module's floor, by the longest prefix of its name that has one; a new wing must be given one."""
    parts = module.split(".")[1:]
    for length in range(len(parts), 0, -1):
        if ".".join(parts[:length]) in FLOORS:
            return FLOORS[".".join(parts[:length])]
    raise AssertionError(f"{module} has no floor: add it to FLOORS in {Path(__file__).name}")


def inside(imports: Imports) -> Imports:
    """Keep the edges between the package's own modules; the package root is no edge."""
    return {
        module: {name for name in names if name in imports and name not in ("labkit", module)}
        for module, names in imports.items()
        if module != "labkit"
    }


def climbs(imports: Imports) -> list[str]:
    """Name each import that goes up."""
    return sorted(
        f"{module} imports {name}"
        for module, names in inside(imports).items()
        for name in names
        if floor_of(name) > floor_of(module)
    )


def strangers_in_show(imports: Imports) -> list[str]:
    """Name each module of labkit's that a pure view imports and that is no value: views take values."""
    return sorted(
        f"{module} imports {name}"
        for module, names in imports.items()
        if module.startswith("labkit.show")
        for name in names
        if name.startswith("labkit.") and not any(name == v or name.startswith(f"{v}.") for v in VALUES_FOR_SHOW)
    )


def longest_chain(imports: Imports) -> list[str]:
    """Give the modules of the longest chain in which each imports the next."""

    @cache
    def chain_from(module: str) -> tuple[str, ...]:
        below = [name for name in edges[module] if not module.startswith(f"{name}.")]
        return (module, *max((chain_from(name) for name in below), key=len, default=()))

    edges = inside(imports)
    longest: tuple[str, ...] = ()
    for name in edges:
        longest = max(longest, chain_from(name), key=len)
    return list(longest)


def find_cycle(imports: Imports) -> list[str]:
    """Give the modules of one import cycle; none gives an empty list."""
    # A package and its own modules are one unit where the package re-exports them.
    edges = {
        module: {name for name in names if not module.startswith(f"{name}.")}
        for module, names in inside(imports).items()
    }
    try:
        TopologicalSorter(edges).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


IMPORTS = read_imports()


def test_modules_were_found() -> None:
    """The tests below say nothing about an empty package."""
    assert {"labkit", "labkit.errors", "labkit.api.engine"} <= IMPORTS.keys()


@pytest.mark.parametrize("module", sorted(IMPORTS.keys() - {"labkit"}))
def test_every_module_has_a_floor(module: str) -> None:
    """A new module says where it stands."""
    assert floor_of(module) in FLOORS.values()


def test_no_import_goes_up() -> None:
    """A module imports its own floor or lower."""
    assert [] == climbs(IMPORTS)


def test_show_sees_no_client() -> None:
    """A view is a function from a value to text."""
    assert [] == strangers_in_show(IMPORTS)


def test_no_cycle() -> None:
    """The modules can be read in one order."""
    assert [] == find_cycle(IMPORTS)


def test_every_floor_is_lived_on() -> None:
    """No floor is given to a module that does not exist."""
    assert [] == [unit for unit in FLOORS if not any(f"{name}.".startswith(f"labkit.{unit}.") for name in IMPORTS)]


def test_the_longest_chain_is_short() -> None:
    """Who follows one import after the other has come to the ground after that many modules."""
    assert len(longest_chain(IMPORTS)) <= LONGEST_CHAIN, longest_chain(IMPORTS)


def test_a_long_chain_is_caught() -> None:
    """The chain is counted through every module."""
    wrong = {"labkit.a": {"labkit.b", "labkit.c"}, "labkit.b": {"labkit.c"}, "labkit.c": set()}

    assert ["labkit.a", "labkit.b", "labkit.c"] == longest_chain(wrong)


def test_a_climb_is_caught() -> None:
    """The rule finds the import that breaks it."""
    wrong = {"labkit.machine.inside.init": {"labkit.lesson"}, "labkit.lesson": set()}

    assert ["labkit.machine.inside.init imports labkit.lesson"] == climbs(wrong)


def test_a_client_in_a_view_is_caught() -> None:
    """The rule finds a client behind `from ... import` inside a function."""
    source = "def draw():\n    from labkit.api.engine import Engine\n    return Engine"
    wrong = {"labkit.show.wire": parse_imports(source, "labkit.show.wire", is_package=False)}

    assert [
        "labkit.show.wire imports labkit.api.engine",
        "labkit.show.wire imports labkit.api.engine.Engine",
    ] == strangers_in_show(wrong)


def test_a_cycle_is_caught() -> None:
    """The rule finds two modules that import each other."""
    wrong = {"labkit.errors": {"labkit.dump"}, "labkit.dump": {"labkit.errors"}}

    assert {"labkit.errors", "labkit.dump"} == set(find_cycle(wrong))


def test_relative_imports_are_resolved() -> None:
    """`from . import x` and `from ..y import z` count by their full names."""
    found = parse_imports("from . import svg\nfrom ..api.frames import Frame", "labkit.show.wire", is_package=False)

    assert {"labkit.show", "labkit.show.svg", "labkit.api.frames", "labkit.api.frames.Frame"} == found
