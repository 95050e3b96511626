"""Is a value the same after it has travelled, and is nothing else made of what came?"""

import json
import os
import signal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit.isolation.namespaces import Namespace, read_process
from labkit.isolation.parcels import pack, unpack

LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary()
KEYS = st.text() | st.integers() | st.binary()
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner) | st.lists(inner).map(tuple) | st.dictionaries(KEYS, inner), max_leaves=20
)


def travel(value: object) -> Any:
    return unpack(json.loads(json.dumps(pack(value))))


@given(VALUES)
def test_a_value_comes_back_as_it_was(value: object) -> None:
    """Also bytes, tuples, and dicts whose keys are no texts, or are those that the parcels use themselves."""
    assert (value, type(value)) == (found := travel(value), type(found))


def test_labkits_own_values_travel() -> None:
    """A process, with its namespaces, is a process again."""
    process = read_process("self")

    assert process == travel(process)
    assert isinstance(travel(Namespace("uts", 7)), Namespace)
    assert 15 == travel(signal.SIGTERM)


@pytest.mark.parametrize("value", [object(), open(os.devnull), print, {"a": {1, 2}}, [lambda: 0], os])
def test_what_is_of_one_process_does_not_travel(value: object) -> None:
    """TypeError, with its type."""
    with pytest.raises(TypeError, match="it is "):
        pack(value)


def test_what_contains_itself_does_not_travel() -> None:
    """Nor does what is nested without end."""
    value: list[Any] = []
    value.append(value)

    with pytest.raises(TypeError, match="contains itself"):
        pack(value)


@pytest.mark.parametrize(
    "parcel",
    [
        {"": "os:system", "of": ["true"]},
        {"": "labkit.shell:sh", "of": ["true"]},
        {"": "labkit.isolation.namespaces:Nothing", "of": []},
        {"": "labkit.:", "of": []},
        {"": "labkit.nothing:X", "of": []},
        {"": "bytes", "of": "xyz"},
        {"": "bytes", "of": 7},
        {"": "tuple", "of": 7},
        {"": "dict", "of": [[[], 1]]},
        {"": "dict", "of": [1]},
        {"": "tuple"},
        {"": 7, "of": []},
        {"": "tuple", "of": [], "more": 1},
        object(),
    ],
)
def test_nothing_else_is_made(parcel: object) -> None:
    """No function is called, and no class made but labkit's named tuples."""
    with pytest.raises(ValueError):
        unpack(parcel)
