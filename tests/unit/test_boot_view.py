"""Does the boot view say what has passed, what is to come, and why a boot failed?"""

import re

import pytest

from labkit.show.boot import BOXES, boot_html, boot_svg

ORDER = ["root", "network", "kernel", "engine", "image", "ready"]
BOX = re.compile(r'<div class="lk-box[^"]* (lk-passed|lk-to-come|lk-failed)( lk-now)?" data-box="([^"]*)"')


def log(*names: str, detail: str = "") -> list[dict[str, object]]:
    return [{"stage": name, "seconds": 1.25 + place, "detail": detail} for place, name in enumerate(names)]


def boxes(drawn: str) -> dict[str, str]:
    return {name: (state + now).replace("lk-", "") for state, now, name in BOX.findall(drawn)}


def test_only_your_computer_is_there_at_first() -> None:
    """An empty log draws every other box as one to come, and the first of them as the one that is made."""
    drawn = boot_html([])

    assert "The machine is booting" in drawn
    assert ["passed", "to-come now", *4 * ["to-come"]] == [boxes(drawn)[box.name] for box in BOXES]


@pytest.mark.parametrize("passed", range(1, 6))
def test_the_boxes_light_up_one_by_one(passed: int) -> None:
    """Each stage lights one box, from the outermost to the innermost, with its seconds."""
    drawn = boot_html(log(*ORDER[:passed]))

    assert passed + 1 == list(boxes(drawn).values()).count("passed")
    assert f'<span class="lk-seconds">{0.25 + passed:.1f} s</span>' in drawn


def test_python_and_the_engine_start_side_by_side() -> None:
    """Once the network is there both are being made, and either may come first."""
    assert {"Python": "to-come now", "dockerd": "to-come now"}.items() <= boxes(boot_html(log(*ORDER[:2]))).items()
    assert {"Python": "to-come now", "dockerd": "passed"}.items() <= boxes(
        boot_html(log("root", "network", "engine"))
    ).items()


def test_a_box_is_inside_the_one_that_holds_it() -> None:
    """Your computer holds the machine, process 1 holds Python and dockerd, dockerd holds the image."""
    drawn = boot_html(log(*ORDER))

    assert [box.name for box in BOXES] == list(boxes(drawn))
    inner = drawn[drawn.index('data-box="dockerd"') :]
    assert 'data-box="busybox"' in inner and "</div></div>" not in inner[: inner.index('data-box="busybox"')]


def test_a_machine_that_is_ready_is_one_line() -> None:
    """What opens on a click is folded away, and the line says after how many seconds the machine was ready."""
    drawn = boot_html(log(*ORDER))

    assert '<details class="lk-boot"><summary>The machine was ready after 6.2 s</summary>' in drawn
    assert {"passed"} == set(boxes(drawn).values())
    assert ">The machine was ready after 6.2 s</text>" in boot_svg(log(*ORDER))


def test_a_box_opens_to_its_proof() -> None:
    """What can be checked is under the box's name, and markup in it is not obeyed; others do not open."""
    drawn = boot_html(log(*ORDER), {"dockerd": "$ cat <pid>\n44"})

    assert '<pre tabindex="0">$ cat &lt;pid&gt;\n44</pre>' in drawn
    assert 2 == drawn.count("<summary>")  # that box's, and the line of the whole


@pytest.mark.parametrize(
    ("passed", "box"),
    [
        (["root", "network", "kernel"], "dockerd"),
        (["root", "network"], "dockerd"),
        (["root", "network", "kernel", "engine"], "busybox"),
    ],
)
def test_a_failure_is_on_its_box(passed: list[str], box: str) -> None:
    """The box that did not come is marked, with the daemon's words and the cure; no other waits any more."""
    drawn = boot_html([*log(*passed), *log("failed", detail="<script>no space")])

    assert [box] == [name for name, state in boxes(drawn).items() if state == "failed"]
    assert "<p>&lt;script&gt;no space.</p>" in drawn and "<script>" not in drawn
    assert "did not come up" in drawn and "Kernel &gt; Restart Kernel" in drawn and "&hellip;" not in drawn
