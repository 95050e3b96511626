"""Does the boot view say what has passed, what is to come, and why a boot failed?"""

from labkit.show.boot import STAGES, boot_html

BARS = len(STAGES) - 1  # `ready` is the title


def stage(name: str, seconds: float, detail: str = "") -> dict[str, object]:
    return {"stage": name, "seconds": seconds, "detail": detail}


def test_nothing_has_passed_yet() -> None:
    """An empty log draws every stage as one to come."""
    assert boot_html([]).count("&hellip;") == BARS


def test_a_stage_that_passed_has_its_seconds() -> None:
    """A stage of the log is drawn with its time and a bar, and is no longer one to come."""
    drawn = boot_html([stage("root", 1.25)])

    assert "1.2 s" in drawn and drawn.count("&hellip;") == BARS - 1 and "width:100.0%" in drawn


def test_a_stage_begins_where_the_one_before_it_ended() -> None:
    """Bars follow one another in the order of the log, whichever stage was faster."""
    drawn = boot_html([stage("root", 1), stage("engine", 3), stage("kernel", 4)])

    assert drawn.index("margin-left:75.0%") < drawn.index("margin-left:25.0%")  # rows stay in the order of STAGES


def test_ready_gives_the_time_of_the_whole() -> None:
    """A machine that is up says after how many seconds."""
    assert "ready after 2.0 s" in boot_html([stage("root", 1), stage("ready", 2)])


def test_a_failure_is_drawn_as_text() -> None:
    """The reason of a failed boot is shown, and markup in it is not obeyed."""
    drawn = boot_html([stage("failed", 1, "<script>no")])

    assert "&lt;script&gt;no" in drawn and "<script>" not in drawn and "did not come up" in drawn
