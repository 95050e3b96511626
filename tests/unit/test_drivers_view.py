"""Do the pictures of storage drivers say what was measured, who refused, and nothing that differs in their text?"""

import base64
import re
from dataclasses import replace
from xml.dom.minidom import parseString

import pytest
from matplotlib.patches import Rectangle

from labkit.images.drivers import DRIVERS, Refusal, Step, Trial
from labkit.show.drivers import drivers_html, drivers_svg, drivers_text, growth_svg, megabytes, relations
from labkit.widgets.drivers import draw_figure, grow, plot_trials, show_drivers

BIG = 4_000_000


def make(driver: str, image: int, container: int, change: int) -> Trial:
    steps = [Step("start", 0.2, 0), Step("import", 0.1, 2_000_000), Step("build", 1.0, image)]
    steps += [Step(f"create {number}", 0.01, image + number * container) for number in range(1, 11)]
    kept = image + 10 * container + change
    return Trial(driver, (*steps, Step("change", 0.3, kept)), BIG)


OVERLAY = make("overlay2", 6_000_000, 40_000, BIG)
VFS = make("vfs", 14_000_000, 12_000_000, 0)
BTRFS = make("btrfs", 6_100_000, 80_000, 70_000)
REFUSED = Refusal("zfs", "prerequisites <not> satisfied", "dockerd")


def words_of(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


def test_a_trial_counts_what_a_step_added() -> None:
    """Growth is from the step before; a step that is not there is an error."""
    assert (BIG, 12_000_000) == (OVERLAY.growth("change"), VFS.growth("create 4"))
    assert 134_000_000 == VFS.bytes_after("create 10")
    assert pytest.approx(1.1) == VFS.seconds("import", "build")
    with pytest.raises(KeyError):
        VFS.growth("create 11")


def test_relations_hold_for_drivers_as_they_are() -> None:
    """What is said of the drivers follows from what was measured."""
    assert all(relations([OVERLAY, VFS, BTRFS]).values())
    assert all(relations([OVERLAY, VFS]).values())


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ([OVERLAY, replace(OVERLAY, driver="vfs")], "vfs keeps more bytes than overlay2"),
        ([make("overlay2", 6_000_000, 900_000, BIG), VFS], "ten containers of overlay2 take less than one copy"),
        ([OVERLAY, make("vfs", 14_000_000, 5_000_000, 0)], "ten containers of vfs take more than ten copies"),
        ([make("overlay2", 6_000_000, 40_000, 4096), VFS], "one changed byte: overlay2 copies the whole file"),
        ([OVERLAY, make("vfs", 14_000_000, 12_000_000, BIG)], "one changed byte: vfs copies less"),
        ([OVERLAY, VFS, make("btrfs", 6_000_000, 80_000, BIG)], "one changed byte: a driver that shares blocks"),
    ],
)
def test_a_relation_that_does_not_hold_is_told(wrong: list[Trial], sentence: str) -> None:
    """Each sentence can be false."""
    (found,) = [holds for words, holds in relations(wrong).items() if words.startswith(sentence)]

    assert not found
    assert relations(wrong) == plot_trials(wrong).relations


def test_the_table_says_what_runs_and_who_refused() -> None:
    """On the page a driver that runs has its bytes, and one that does not has the words, escaped."""
    page = words_of(drivers_html([OVERLAY, REFUSED]))

    assert "runs : image 6.0 MB, with ten containers 6.4 MB" in page
    assert "dockerd says: prerequisites &lt;not&gt; satisfied" in page
    assert "not tried here" in words_of(drivers_html([replace(REFUSED, who="lab")]))


def test_the_text_is_the_same_whatever_runs() -> None:
    """A notebook stores the text, which is compared on every computer; the picture is marked as one that differs."""
    refused = Refusal("overlay2", "no", "kernel")

    assert drivers_text([OVERLAY]) == drivers_text([refused])
    assert "6.0 MB" not in drivers_text([OVERLAY])
    assert 'data-differs="1"' in drivers_svg([OVERLAY, REFUSED]) and "6.0 MB" in drivers_svg([OVERLAY])
    parseString(drivers_svg([OVERLAY, REFUSED]))


def test_the_picture_tells_a_driver_that_was_refused_from_one_that_was_not_tried() -> None:
    """A sign for each of the three, and long words of a refusal in two lines."""
    signs = [drivers_svg([one]) for one in (OVERLAY, REFUSED, replace(REFUSED, who="lab"))]
    assert [True, False, False] == ["\N{CHECK MARK}" in shown for shown in signs]
    assert [False, True, False] == ["\N{MULTIPLICATION SIGN}" in shown for shown in signs]
    assert [False, False, True] == ["\N{EN DASH}" in shown for shown in signs]

    long = replace(REFUSED, words="word " * 30 + "end")
    assert "end" in drivers_svg([long])


def test_a_table_is_in_the_order_of_the_drivers() -> None:
    """In whatever order they were tried."""
    assert repr(show_drivers([REFUSED, VFS, OVERLAY])) == drivers_text([OVERLAY, VFS, REFUSED])


def test_bars_grow_as_it_was_measured() -> None:
    """The still picture has the bytes of so many containers, with the changed byte or without it."""
    shown = growth_svg([OVERLAY, VFS], 4, changed=True)

    parseString(shown)
    assert all(words in shown for words in ("10.2 MB", "62.0 MB", "4 containers, and one byte changed"))
    assert "6.0 MB" in growth_svg([OVERLAY], 0, changed=False)


def test_the_live_bars_know_every_step() -> None:
    """The page has eleven lengths a driver, and its still picture follows the reader; a refusal has no bar."""
    view = grow([OVERLAY, REFUSED, VFS])
    assert ["overlay2", "vfs"] == [trial["driver"] for trial in view.trials]
    assert [VFS.bytes_after("build"), VFS.bytes_after("create 10")] == [view.trials[1]["kept"][n] for n in (0, 10)]

    view.containers = 10
    assert "134 MB" in view.still
    bundle, _ = view._repr_mimebundle_()
    assert "MB" not in bundle["text/plain"] and "134 MB" in bundle["image/svg+xml"]


def test_the_figure_has_a_row_for_each_driver() -> None:
    """Two panels share the rows; the bar of a step is as long as what the step added, in MB."""
    left, right = draw_figure([OVERLAY, VFS]).axes

    assert ["overlay2", "vfs"] == [label.get_text() for label in left.get_yticklabels()]
    assert [6.0, 14.0, 0.4, 120.0, 4.0, 0.0] == [
        round(bar.get_width(), 1) for bar in left.patches if isinstance(bar, Rectangle)
    ]
    assert ("MB on the disk", "seconds") == (left.get_xlabel(), right.get_xlabel())
    assert b"\x89PNG" in base64.b64decode(plot_trials([OVERLAY, VFS])._repr_mimebundle_()["image/png"])


def test_every_driver_says_what_it_does() -> None:
    """A driver that can run here has words for a new container and for a changed byte."""
    assert all(driver.layer and driver.kernel_object for driver in DRIVERS.values())
    assert ["zfs", "aufs"] == [
        title for title, driver in DRIVERS.items() if not (driver.on_create and driver.on_change)
    ]
    assert list(DRIVERS) == [driver.title for driver in DRIVERS.values()]


def test_megabytes_are_short() -> None:
    """Three digits at most, whatever the size."""
    assert ["0.0 MB", "6.3 MB", "99.9 MB", "100 MB", "145 MB"] == [
        megabytes(count) for count in (1, 6_300_000, 99_900_000, 99_960_000, 144_700_000)
    ]
