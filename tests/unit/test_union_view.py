"""Does the union view say, for each path, what lies in lower, upper and merged, and what that means?"""

from xml.etree import ElementTree

from labkit.images.overlay import Directories, Entry, rows_of
from labkit.show.union import explain_row, size_words, union_html, union_svg, union_text

LOWER = (
    Entry("app", "directory"),
    Entry("app/old.py", "file", 6, 0o644, 1, "x = 1"),
    Entry("big", "file", 20_000_000),
    Entry("notes", "file", 14, 0o644, 2, "below"),
)
UPPER = (
    Entry("app", "directory", is_opaque=True),
    Entry("big", "whiteout"),
    Entry("moved", "file", 3, has_origin=True),
    Entry("notes", "file", 19, 0o700, 1, "below +1", has_origin=True),
)
MERGED = (Entry("app", "directory"), UPPER[2], UPPER[3])
SEEN = Directories((LOWER,), UPPER, MERGED)


def test_the_text_has_a_line_for_each_path() -> None:
    """What each directory has, and what it means."""
    assert """\
path      lower           upper             merged
app/      directory       opaque directory  directory       opaque: nothing of lower is seen in it
  old.py  file, 6 bytes                                     still in lower, and hidden by what is above
big       file, 20 MB     whiteout (c 0,0)                  the whiteout hides what is in lower
moved                     file, 3 bytes     file, 3 bytes   lies in upper alone
notes     file, 14 bytes  file, 19 bytes    file, 19 bytes  upper covers lower""" == union_text(SEEN)


def test_a_cell_has_the_colour_of_where_it_comes_from() -> None:
    """Merged has that of lower where upper has nothing, else that of upper; a mark has a cross."""
    page = union_html(SEEN._replace(merged=(*MERGED, LOWER[1])), chosen="notes")
    rows = {row.split('"')[1]: row for row in page.split("<tr data-path=")[1:]}

    assert (2, 0) == (rows["app/old.py"].count("lk-fill-engine"), rows["app/old.py"].count("lk-fill-container"))
    assert (1, 2) == (rows["notes"].count("lk-fill-engine"), rows["notes"].count("lk-fill-container"))
    assert "u-mark" in rows["big"] and "u-mark" in rows["app"] and "u-mark" not in rows["notes"]
    assert 'aria-selected="true"' in rows["notes"] and 'aria-selected="false"' in rows["big"]
    assert "2 names" in rows["notes"] and "mode 700" in rows["notes"]


def test_what_changed_is_marked() -> None:
    """By a class, for the words and the movement; nothing else is."""
    page = union_html(SEEN, changed={"big"})

    assert 1 == page.count('class="u-changed"')
    assert '<tr data-path="big" class="u-changed">' in page


def test_only_a_view_that_acts_lets_one_choose() -> None:
    """Without a choice a row takes no focus."""
    assert "tabindex" not in union_html(SEEN)
    assert "tabindex" in union_html(SEEN, chosen="")


def test_a_name_may_hold_anything() -> None:
    """Neither markup, nor control characters, nor bytes that are no UTF-8 reach the page or the picture as they are."""
    evil = Entry('<b>"\x1b\udcff', "file", 1, text="<i>")
    seen = Directories(((evil,),), (), (evil,))

    assert "<b>&quot;" not in union_html(seen) and "&lt;b&gt;&quot;" in union_html(seen)
    assert "\x1b" not in union_html(seen) + union_svg(seen) + union_text(seen)
    ElementTree.fromstring(union_svg(seen))
    union_html(seen).encode()


def test_the_picture_holds_each_path_and_each_mark() -> None:
    """As well-formed SVG, the same from run to run."""
    drawn = union_svg(SEEN)

    ElementTree.fromstring(drawn)
    assert all(word in drawn for word in ("whiteout", "opaque directory", "20 MB", "lower", "merged"))
    assert drawn == union_svg(SEEN)


def test_several_lower_directories_stand_in_one_cell() -> None:
    """The topmost first, the others struck out."""
    seen = Directories(((Entry("a", "whiteout"),), (Entry("a", "file", 1),)), (), ())

    assert "1: whiteout (c 0,0), 2: file, 1 byte" in union_text(seen)
    assert 1 == union_html(seen).count('class="u-more u-below"')


def test_directories_that_are_shown_as_one_are_not_struck_out() -> None:
    """Each of them counts; what lies below an opaque one, or below a file, is hidden."""
    here, opaque, file = Entry("etc", "directory"), Entry("etc", "directory", is_opaque=True), Entry("etc", "file", 1)
    merged = Directories(((here,), (here,)), (here,), (here,))

    assert "3 directories, shown as one" == explain_row(rows_of(merged)[0])
    assert 0 == union_html(merged).count("u-more u-below")
    assert 1 == union_html(merged._replace(lower=((here,), (opaque,), (here,)))).count("u-more u-below")
    assert 1 == union_html(merged._replace(lower=((here,), (file,)))).count("u-more u-below")
    assert "2 directories, shown as one" == explain_row(rows_of(merged._replace(lower=((here,), (file,))))[0])


def test_the_same_event_has_the_same_words() -> None:
    """Also where the kernel sets no mark of origin on a copy, as on that of a file with two names."""
    for covers in (Entry("notes", "file", 19), Entry("notes", "file", 19, has_origin=True)):
        row = rows_of(Directories((LOWER,), (covers,), (covers,)))[-1]

        assert "upper covers lower" == explain_row(row)


def test_a_whiteout_of_nothing_is_told() -> None:
    """It hides nothing."""
    row = rows_of(Directories(((),), (Entry("a", "whiteout"),), ()))[0]

    assert "a whiteout that hides nothing" == explain_row(row)


def test_sizes_are_those_of_docker() -> None:
    """Of 1000, with three digits."""
    assert ["0 bytes", "1 byte", "999 bytes", "1 kB", "21 MB", "1.5 GB"] == [
        size_words(size) for size in (0, 1, 999, 1000, 20_971_520, 1_500_000_000)
    ]
