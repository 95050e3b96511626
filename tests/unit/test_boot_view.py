"""Does the boot view say what has passed, what is to come, and why a boot failed?"""

from labkit.show.boot import STAGES, boot_html


def test_nothing_has_passed_yet() -> None:
    """An empty log draws every stage as one to come."""
    assert boot_html([]).count("&hellip;") == len(STAGES)


def test_a_stage_that_passed_has_its_seconds() -> None:
    """A stage of the log is drawn with its time and is no longer one to come."""
    drawn = boot_html([{"stage": "root", "seconds": 1.25, "detail": "files"}])

    assert "1.2 s" in drawn and drawn.count("&hellip;") == len(STAGES) - 1


def test_a_failure_is_drawn_as_text() -> None:
    """The reason of a failed boot is shown, and markup in it is not obeyed."""
    drawn = boot_html([{"stage": "failed", "seconds": 1, "detail": "<script>no"}])

    assert "&lt;script&gt;no" in drawn and "<script>" not in drawn
