"""Do the gauges say what is used, where the limit is, and when the kernel stepped in?"""

import re
from math import inf
from xml.etree import ElementTree

import pytest

from labkit.show.gauge_samples import GAUGES, Sample, amount, choose, marks_of, series_of
from labkit.show.gauges import gauges_html, gauges_svg, gauges_text

MIB = 2**20
MEMORY, PROCESSOR, PROCESSES = GAUGES
FILES = {"memory_bytes": "memory.current", "memory_limit_bytes": "memory.max", "cpu_quota_us": "cpu.max"}
AT_REST = {
    "memory_bytes": 8 * MIB,
    "memory_limit_bytes": 32 * MIB,
    "oom_kills": 0,
    "cpu_s": 1.0,
    "cpu_quota_us": 25_000,
    "cpu_period_us": 100_000,
    "cpu_periods_throttled": 0,
    "pids": 2,
    "pids_limit": 8,
    "pids_refused": 0,
    "frozen": 0,
}


def at(at_s: float, **changed: float) -> Sample:
    return Sample(at_s, AT_REST | {"cpu_s": 1 + at_s / 4} | changed, FILES)


QUIET = [at(number / 10) for number in range(20)]


def words(html: str) -> list[str]:
    """The words in the picture itself."""
    return re.findall(r"<text[^>]*>([^<]*)", html.partition("</svg>")[0].rpartition("<svg")[2])


def test_the_text_has_the_limits_and_what_happened() -> None:
    """Nothing that differs from run to run: neither what was used, nor when."""
    assert """\
memory     limit 32 MiB; killed: no
processor  limit 25 %; had to wait: no
processes  limit 8; refused: no""" == gauges_text(QUIET)


@pytest.mark.parametrize(
    ("changed", "line"),
    [
        ({"oom_kills": 1}, "memory     limit 32 MiB; killed: yes"),
        ({"memory_limit_bytes": 64 * MIB}, "memory     limit 32 MiB, then 64 MiB; killed: no"),
        ({"cpu_periods_throttled": 3}, "processor  limit 25 %; had to wait: yes"),
        ({"cpu_quota_us": inf}, "processor  limit 25 %, then no limit; had to wait: no"),
        ({"pids_refused": 2}, "processes  limit 8; refused: yes"),
        ({"frozen": 1}, "frozen for a while"),
    ],
)
def test_what_changed_is_in_the_text(changed: dict[str, float], line: str) -> None:
    """One line says it, and the others stay as they were."""
    after = gauges_text([*QUIET, at(2.1, **changed)]).splitlines()

    assert line in after
    assert 1 == len({*after} - {*gauges_text(QUIET).splitlines()})


def test_a_kill_that_took_the_counter_with_it_is_marked() -> None:
    """Where the first process of a container is killed, its group is gone at the next look."""
    samples = [*QUIET, Sample(2.1, killed=True)]

    assert [2.1] == [mark.at_s for mark in marks_of(samples, MEMORY)]
    assert "killed: yes" in gauges_text(samples)
    assert "killed" in words(gauges_html(samples)) and "killed" not in words(gauges_html(QUIET))


def test_a_container_that_ends_was_not_killed() -> None:
    """And one that starts anew begins to count at 0, which is no mark either."""
    samples = [at(0, oom_kills=5), Sample(0.1), at(0.2, oom_kills=0), Sample(0.3), at(0.4, oom_kills=0)]

    assert [] == marks_of(samples, MEMORY)
    assert 3 == len(series_of(samples, MEMORY).runs)


def test_the_share_of_a_processor_is_of_the_time_between_two_looks() -> None:
    """A quarter of a second in each second is 25 %; the first look has nothing to compare with."""
    points = series_of(QUIET, PROCESSOR).points

    assert len(QUIET) - 1 == len(points)
    assert pytest.approx([25.0] * len(points)) == [point.used for point in points]
    assert {25.0} == {point.limit for point in points}


def test_values_are_told_as_docker_takes_them() -> None:
    """MiB, percent of one processor, a number; and that there is no limit."""
    told = [amount(MEMORY, 24.5 * MIB), amount(PROCESSOR, 150), amount(PROCESSES, 8), amount(MEMORY, inf)]

    assert ["24.5 MiB", "150 %", "8", "no limit"] == told


def test_each_gauge_names_the_files_that_it_was_read_from() -> None:
    """So a reader finds the number again."""
    assert {"memory.current", "memory.max", "cpu.max"} <= {*words(gauges_html(QUIET))}


def test_of_many_samples_the_newest_and_the_ends_are_kept() -> None:
    """200 a second are fewer columns than pixels; what says that a container was killed is not among those left out."""
    many = [at(number / 200) for number in range(6000)]
    many[3001] = Sample(3001 / 200, killed=True)

    kept = choose(many, 30, 120)

    assert many[-1] is kept[-1] and many[3001] in kept
    assert 100 < len(kept) <= 122
    assert 1 == len(marks_of(kept, MEMORY))


def test_only_the_last_half_minute_is_drawn() -> None:
    """It moves: what is older goes out at the left."""
    drawn = gauges_html([at(float(second)) for second in range(100)])

    assert 31 == drawn.count("data-step=")
    assert "69 s: memory" in drawn and "68 s: memory" not in drawn


def test_the_slider_reads_each_moment() -> None:
    """Use and limit of each gauge, and what happened just then."""
    drawn = gauges_html([*QUIET, at(2.0, pids_refused=1)])

    assert 'data-says="1.00 s: memory 8 MiB (of 32 MiB), processor 25 % (of 25 %), processes 2 (of 8)"' in drawn
    assert "processes 2 (of 8), refused" in drawn


def test_a_limit_that_is_not_there_has_no_line() -> None:
    """The words say so, and the path is empty."""
    free = [at(number / 10, memory_limit_bytes=inf, cpu_quota_us=inf, pids_limit=inf) for number in range(9)]

    assert 3 == gauges_html(QUIET).count('class="g-limit"')
    assert [""] * 3 == re.findall(r'<path d="([^"]*)" class="g-limit"', gauges_html(free))
    assert "no limit" in gauges_html(free)


def test_nothing_is_drawn_before_anything_runs() -> None:
    """A sentence, and no empty axes."""
    for samples in ([], [Sample(0.0)]):
        assert "Nothing runs yet." in gauges_html(samples) and "<svg class" not in gauges_html(samples)
        assert "nothing ran" == gauges_text(samples)
        ElementTree.fromstring(gauges_svg(samples))


def test_the_still_picture_is_no_text_to_compare() -> None:
    """It holds what was measured. It is well-formed, on white, and needs no colour of a page."""
    drawn = gauges_svg([*QUIET, at(2.0, oom_kills=1, frozen=1, cpu_periods_throttled=2), at(2.1, frozen=1)])

    ElementTree.fromstring(drawn)
    assert 'data-differs="1"' in drawn and "var(" not in drawn
    assert all(word in drawn for word in ("killed", "frozen", "memory.max"))


def test_a_name_may_hold_anything() -> None:
    """It stands in the head as text."""
    assert "&lt;b&gt;" in gauges_html(QUIET, name="<b>") and "<b>" not in gauges_html(QUIET, name="<b>")
