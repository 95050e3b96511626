"""What does a cell's text need of its notebook, when it is to run in a process of its own?

gather(text, names)    simple values, imports and functions that the text names, as the helper's `Source`

What cannot go along stays: an open file, a client, a widget. The kernel's process has them, and no other.
"""

import inspect
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from types import CodeType, ModuleType
from typing import Any

from labkit.isolation.helper import Source
from labkit.isolation.parcels import pack

__all__ = ["gather", "names_used"]

MOST_CHARACTERS = 1 << 20  # of a value as JSON: more is a file's business


def gather(text: str, notebook: Mapping[str, Any], wanted: Sequence[str] = ()) -> Source:
    """A cell's text with what it names in the notebook; raises SyntaxError for what is not Python.

    A function of the notebook goes along as its text, with what that names in turn. A module, and what a module has
    made, is imported again. A value goes along that `labkit.isolation.parcels` can carry.
    """
    values: dict[str, Any] = {}
    imports: dict[str, tuple[str, str]] = {}
    functions: dict[str, str] = {}
    waiting = list(names_used(compile(text, "<cell>", "exec")))
    while waiting:
        name = waiting.pop()
        if name not in notebook or name in values or name in imports or name in functions:
            continue
        found = notebook[name]
        if (place := _find_import(found)) is not None:
            imports[name] = place
        elif (function := _read_function(name, found)) is not None:
            functions[name] = function
            waiting += names_used(found.__code__)
        elif _is_simple(found):
            values[name] = found
    return Source(text, values, imports, list(functions.values()), list(wanted))


def names_used(code: CodeType) -> Iterator[str]:
    """The names that a code object looks up outside itself, in the functions in it, too; attributes among them."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from names_used(constant)


def _find_import(found: object) -> tuple[str, str] | None:
    """The module and the attribute by which another Python finds this object; None: it cannot."""
    if isinstance(found, ModuleType):
        return (found.__name__, "")
    module, name = getattr(found, "__module__", None), getattr(found, "__name__", None)
    if not isinstance(module, str) or not isinstance(name, str) or module == "__main__":
        return None
    return (module, name) if getattr(sys.modules.get(module), name, None) is found else None


def _read_function(name: str, found: object) -> str | None:
    """The text of a function that a cell has made under its own name; None: it is something else."""
    if not inspect.isfunction(found) or found.__name__ != name or found.__closure__:
        return None
    try:
        return inspect.getsource(found)
    except (OSError, TypeError):
        return None


def _is_simple(found: object) -> bool:
    try:
        text = json.dumps(pack(found))
    except TypeError:
        return False
    return len(text) <= MOST_CHARACTERS
