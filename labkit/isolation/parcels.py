"""How does a value travel to another process and back, so that it is the same value there?

pack(value)       numbers, texts, bytes, lists, tuples, dicts, and labkit's own named tuples, as JSON can carry them
unpack(parcel)    the value again

>>> unpack(pack((1, b"x", {2: None})))
(1, b'x', {2: None})

What is of one process alone (an open file, a client, a function) cannot travel. No class but labkit's is ever made of
what an experiment has sent: nothing that it says can run code here.
"""

from importlib import import_module
from typing import Any

__all__ = ["pack", "unpack"]

OURS = "labkit."
KIND, CONTENT = "", "of"  # of a value that JSON has no form for


def pack(value: object) -> Any:
    """The value in JSON's own kinds; raises TypeError for one that cannot travel, and names its type."""
    try:
        return _pack(value)
    except RecursionError:
        raise TypeError(f"it is {type(value).__name__}, which contains itself, or is nested too deep") from None


def _pack(value: object) -> Any:
    match value:
        case None | bool():
            return value
        case int():
            return int(value)  # an enumeration's members, too
        case float() | str():
            return value
        case bytes():
            return {KIND: "bytes", CONTENT: value.hex()}
        case list():
            return [_pack(one) for one in value]
        case tuple():
            kind, of_ours = type(value), type(value).__module__.startswith(OURS) and hasattr(value, "_fields")
            name = f"{kind.__module__}:{kind.__name__}" if of_ours else "tuple"
            return {KIND: name, CONTENT: [_pack(one) for one in value]}
        case dict() if all(isinstance(key, str) for key in value) and KIND not in value:
            return {key: _pack(one) for key, one in value.items()}
        case dict():
            return {KIND: "dict", CONTENT: [[_pack(key), _pack(one)] for key, one in value.items()]}
    raise TypeError(f"it is {type(value).__name__}. Numbers, texts, lists and dicts can")


def unpack(parcel: Any) -> Any:
    """The value that was packed; raises ValueError for what `pack` does not make."""
    match parcel:
        case list():
            return [unpack(one) for one in parcel]
        case {"": str(kind), "of": content, **rest} if not rest:
            return _unpack(kind, content)
        case dict() if KIND not in parcel:
            return {key: unpack(one) for key, one in parcel.items()}
        case None | bool() | int() | float() | str():
            return parcel
    raise ValueError(f"{str(parcel)[:80]} is no value that was packed")


def _unpack(kind: str, content: Any) -> Any:
    match kind, content:
        case "bytes", str():
            return bytes.fromhex(content)
        case "tuple", list():
            return tuple(unpack(one) for one in content)
        case "dict", list() if all(isinstance(pair, list) and len(pair) == 2 for pair in content):
            try:
                return {unpack(key): unpack(one) for key, one in content}
            except TypeError as error:
                raise ValueError(f"no dict has such a key: {error}") from None
        case _, list() if kind.startswith(OURS):
            return _find_class(kind)(*map(unpack, content))
    raise ValueError(f"{kind[:80]!r} is no kind of value that was packed")


def _find_class(kind: str) -> Any:
    module, _, name = kind.partition(":")
    try:
        found = getattr(import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(f"there is no {kind[:80]!r}") from error
    if not (isinstance(found, type) and issubclass(found, tuple) and hasattr(found, "_fields")):
        raise ValueError(f"{kind[:80]!r} is no named tuple")
    return found
