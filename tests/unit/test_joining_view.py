"""Does the picture of joins say who was let in where, and does the live view ask the kernel anew at each press?"""

from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree

import pytest

from labkit.errors import LabError
from labkit.isolation.refusals import Joins
from labkit.show.joining import NAME_PX, joins_html, joins_svg, joins_text, name_row
from labkit.widgets import joining

ALL = ("uts", "ipc", "net", "pid", "cgroup", "mnt", "user", "time")
ALONE = Joins(1, False, dict.fromkeys(ALL, ""))
PAIR = Joins(2, False, {**ALONE.refusals, "mnt": "EINVAL", "user": "EINVAL", "time": "EUSERS"})
LOOSE = Joins(2, True, {**PAIR.refusals, "mnt": ""})


def test_the_text_says_who_was_refused() -> None:
    """A row for each sort of process; time is left out, as an old kernel has none."""
    assert """\
the process has                     uts     ipc     net     pid     cgroup  mnt     user
1 thread                            joins   joins   joins   joins   joins   joins   joins
2 threads                           joins   joins   joins   joins   joins   EINVAL  EINVAL
2 threads, after unshare(CLONE_FS)  joins   joins   joins   joins   joins   joins   EINVAL""" == joins_text(
        [ALONE, PAIR, LOOSE]
    )
    assert ["mnt", "user", "time"] == PAIR.refused


def test_a_refusal_has_a_cross_and_its_errno() -> None:
    """On the page every kind that the kernel has, time too."""
    page = joins_html([ALONE, PAIR], new=PAIR)

    assert 3 == page.count('<td class="lk-fill-trouble">') and 1 == page.count("EUSERS")
    assert 1 == page.count("<tr class=lkj-new>")
    assert "<code>time</code>" not in joins_html([Joins(1, False, {"uts": ""})])


def test_the_still_picture_is_the_same_on_every_kernel() -> None:
    """With and without time namespaces."""
    old = PAIR._replace(refusals={kind: PAIR.refusals[kind] for kind in ALL[:-1]})

    assert joins_svg([PAIR]) == joins_svg([old])
    ElementTree.fromstring(joins_svg([PAIR]))
    assert len(name_row(LOOSE)) * 8 < NAME_PX  # 8 px a letter: the name ends before the first column


@pytest.fixture
def tries(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[int, bool]]]:
    """What the view has asked the kernel; the process with the number 0 is gone."""
    asked: list[tuple[int, bool]] = []

    def answer(pid: int, threads: int = 1, *, own_fs: bool = False) -> Joins:
        if pid == 0:
            raise LabError("no such process")
        asked.append((threads, own_fs))
        return (ALONE if threads == 1 else LOOSE if own_fs else PAIR)._replace(threads=threads)

    monkeypatch.setattr(joining, "try_joins", answer)
    yield asked


def test_a_press_is_a_try(tries: list[tuple[int, bool]]) -> None:
    """Another number of threads is a row more, the same one is tried again in its row."""
    view = joining.watch_joins(7)
    press(view, threads=5, own_fs=False)
    press(view, threads=5, own_fs=False)

    assert [(1, False), (2, False), (2, True), (5, False), (5, False)] == tries
    assert [1, 2, 2, 5] == [row.threads for row in view.rows]
    assert "5 threads: refused mnt, user, time." == view.said
    assert not view.busy


@pytest.mark.parametrize("threads", [0, 9, "2", None, 1e9])
def test_no_other_number_of_threads_is_tried(tries: list[tuple[int, bool]], threads: Any) -> None:
    """A page may send anything."""
    view = joining.watch_joins(7)
    press(view, threads=threads, own_fs=True)

    assert 3 == len(tries) and not view.busy


def test_a_view_whose_process_has_gone_says_so(tries: list[tuple[int, bool]]) -> None:
    """It keeps its picture, and asks no more."""
    view = joining.watch_joins(7)
    view._pid = 0
    press(view, threads=3, own_fs=False)
    press(view, threads=3, own_fs=False)

    assert not view.is_live and joining.GONE == view.said and not view.busy
    assert 3 == len(view.rows)
    with pytest.raises(LabError):
        joining.watch_joins(0)


def press(view: joining.JoinsView, **content: Any) -> None:
    view.busy = True
    view._hear(view, content, [])
