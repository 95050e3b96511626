"""Does every module import its own floor or lower, with no cycle?

Floors: 0 pure values, 1 edges (system calls, sockets, files), 2 experiments, 3 display, 4 the command
line. The machine stands on floor 1: it may use the edges, and nothing that the lessons use. Imports are
read with `ast`, inside functions too; only those under `if TYPE_CHECKING` do not count.
"""

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "labkit"
FLOORS = {
    0: {"dump", "errors", "frames", "oci", "layers", "proc", "cgroups"},
    1: {
        *("archive", "archives", "connection", "conversation", "engine", "hijack", "linux", "machine", "record"),
        *("shell", "store", "stream", "tap", "tls", "websocket", "wire"),
    },
    2: {"check", "container", "namespaces", "network", "union"},
    3: {"lesson", "show", "widgets"},
    4: {"__main__", "cli"},
}
CLIENTS = {
    "docker",
    "labkit.connection",
    "labkit.conversation",
    "labkit.engine",
    "labkit.lesson",
    "labkit.machine",
    "labkit.record",
    "labkit.tap",
    "labkit.wire",
}

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
    """Give a module's floor; a new module must be given one."""
    unit = module.split(".")[1]
    for floor, units in FLOORS.items():
        if unit in units:
            return floor
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


def clients_seen_by_show(imports: Imports) -> list[str]:
    """Name each client that a pure view imports: views take values."""
    return sorted(
        f"{module} imports {name}"
        for module, names in imports.items()
        if module.split(".")[:2] == ["labkit", "show"]
        for name in names
        if any(name == client or name.startswith(f"{client}.") for client in CLIENTS)
    )


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
    assert {"labkit", "labkit.errors", "labkit.engine"} <= IMPORTS.keys()


@pytest.mark.parametrize("module", sorted(IMPORTS.keys() - {"labkit"}))
def test_every_module_has_a_floor(module: str) -> None:
    """A new module says where it stands."""
    assert floor_of(module) in FLOORS


def test_no_import_goes_up() -> None:
    """A module imports its own floor or lower; the machine nothing above floor 1."""
    assert [] == climbs(IMPORTS)


def test_show_sees_no_client() -> None:
    """A view is a function from a value to text."""
    assert [] == clients_seen_by_show(IMPORTS)


def test_no_cycle() -> None:
    """The modules can be read in one order."""
    assert [] == find_cycle(IMPORTS)


def test_a_climb_is_caught() -> None:
    """The rule finds the import that breaks it."""
    wrong = {"labkit.machine.inside": {"labkit.lesson"}, "labkit.lesson": set()}

    assert ["labkit.machine.inside imports labkit.lesson"] == climbs(wrong)


def test_a_client_in_a_view_is_caught() -> None:
    """The rule finds a client behind `from ... import` inside a function."""
    source = "def draw():\n    from labkit.engine import Engine\n    return Engine"
    wrong = {"labkit.show.wire": parse_imports(source, "labkit.show.wire", is_package=False)}

    assert [
        "labkit.show.wire imports labkit.engine",
        "labkit.show.wire imports labkit.engine.Engine",
    ] == clients_seen_by_show(wrong)


def test_a_cycle_is_caught() -> None:
    """The rule finds two modules that import each other."""
    wrong = {"labkit.frames": {"labkit.oci"}, "labkit.oci": {"labkit.frames"}}

    assert {"labkit.frames", "labkit.oci"} == set(find_cycle(wrong))


def test_relative_imports_are_resolved() -> None:
    """`from . import x` and `from ..y import z` count by their full names."""
    found = parse_imports("from . import svg\nfrom ..frames import Frame", "labkit.show.wire", is_package=False)

    assert {"labkit.show", "labkit.show.svg", "labkit.frames", "labkit.frames.Frame"} == found
