"""Which tests may a host leave out whose machines are of one kind only?"""

import pytest

from tests.machine.host import verdict

BOTH = {"native": "", "uml": ""}
NO_NATIVE = {"native": "it needs root", "uml": ""}
NEITHER = {"native": "it needs root", "uml": "no linux.uml"}


@pytest.mark.parametrize(
    ("problems", "in_ci", "native", "uml"),
    [
        (BOTH, False, "run", "run"),
        (NO_NATIVE, False, "leave out", "run"),
        (NO_NATIVE, True, "fail", "run"),
        (NEITHER, False, "fail", "fail"),
    ],
)
def test_a_kind_is_left_out_only_beside_another(problems: dict[str, str], in_ci: bool, native: str, uml: str) -> None:
    """What cannot boot is left out where the other kind is tested, and never in CI."""
    assert (native, uml) == tuple(verdict(kind, problems, in_ci=in_ci) for kind in ("native", "uml"))
