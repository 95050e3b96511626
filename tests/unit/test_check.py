"""Does each check tell an untouched exercise, a wrong answer and a right one apart?"""

from typing import Any

import pytest

from labkit import check


class Answers:
    """Stands for the engine: a prepared (status, JSON) for each path."""

    def __init__(self, prepared: dict[str, tuple[int, Any]]) -> None:
        self.prepared = prepared

    def get(self, path: str, **_: Any) -> Any:
        status, value = self.prepared.get(path, (404, None))
        answer = type("Answer", (), {"status": status, "body": value if isinstance(value, bytes) else b""})
        return type("Exchange", (), {"answer": answer, "json": lambda self: value})()


def image(identity: str) -> tuple[int, Any]:
    return 200, {"Id": identity}


def container(running: bool, hostname: str = "rex") -> tuple[int, Any]:
    state = {"Running": running, "Status": "exited", "Pid": 0}
    return 200, {"State": state, "Config": {"Hostname": hostname}}


@pytest.mark.parametrize(
    ("prepared", "verdict"),
    [
        ({}, "not attempted"),
        ({"/images/mine/json": image("b")}, "not yet: mine is another image than busybox"),
        ({"/images/mine/json": image("a")}, "done"),
    ],
)
def test_image_tagged(prepared: dict[str, Any], verdict: str) -> None:
    """A second name has to lead to the same image."""
    engine = Answers({"/images/busybox/json": image("a"), **prepared})

    assert repr(check.check_image_tagged(engine, "mine", "busybox")) == verdict  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("prepared", "verdict"),
    [
        ({}, "not attempted"),
        ({"/containers/pet/json": container(False)}, "not yet: pet exists, but its state is exited"),
        (
            {"/containers/pet/json": container(True, "cat")},
            "not yet: pet runs, but calls itself cat, not rex",
        ),
    ],
)
def test_container_runs_wrong(prepared: dict[str, Any], verdict: str) -> None:
    """A container that stopped, or has another name inside, is not yet right."""
    assert repr(check.check_container_runs(Answers(prepared), "pet", "rex")) == verdict  # type: ignore[arg-type]
