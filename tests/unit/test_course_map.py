"""Is the map the same drawing in each lesson, with that lesson's parts lit, and do the picture files show it?"""

import re
from collections.abc import Callable
from html import escape
from pathlib import Path
from xml.etree import ElementTree

import nbformat
import pytest

from labkit.show.course import COURSE, PARTS, lesson_number, lessons_on, topic_of
from labkit.show.course_map import map_html, map_svg, map_text

ROOT = Path(__file__).resolve().parents[2]
PICTURES = ROOT / "notebooks/pictures"
LESSONS = sorted(path.stem for path in (ROOT / "notebooks").glob("[0-9]*.ipynb"))
LIT = re.compile(r'class="part (?:frame )?lit of-\w+ on-(\w+)"')


@pytest.mark.parametrize("number", COURSE)
def test_the_picture_file_is_what_the_code_draws(number: str) -> None:
    """Who changes the drawing draws the files again: python -m labkit.show.course_map notebooks/pictures."""
    assert map_svg(number) == (PICTURES / f"map-{number}.svg").read_text()


def test_there_is_no_picture_of_another_lesson() -> None:
    """A picture whose lesson has gone from the table goes too."""
    assert sorted(f"map-{number}.svg" for number in COURSE) == sorted(path.name for path in PICTURES.glob("map-*"))


@pytest.mark.parametrize("draw", [map_html, map_svg])
@pytest.mark.parametrize("number", COURSE)
def test_a_lesson_lights_its_own_parts(number: str, draw: Callable[[str], str]) -> None:
    """What the table has on a lesson is filled, and nothing else."""
    assert set(COURSE[number].parts) == set(LIT.findall(draw(number)))


def test_the_drawing_is_the_same_in_each_lesson() -> None:
    """Apart from what is lit, the picture of one lesson is that of another."""
    drawings = {
        re.sub(r", taken apart in this lesson|<title>.*?</title>", "", map_svg(number)).replace("lit of-", "of-")
        for number in COURSE
    }

    assert 1 == len(drawings)


def test_every_lesson_is_in_the_table() -> None:
    """A lesson that is written lights something."""
    assert LESSONS
    assert [] == [name for name in LESSONS if topic_of(name) is None]


@pytest.mark.parametrize("name", LESSONS)
def test_a_lesson_begins_with_its_links_its_minutes_and_the_map(name: str) -> None:
    """Before anything has run one sees where one is; title and minutes are those of the table."""
    first = nbformat.read(ROOT / f"notebooks/{name}.ipynb", as_version=4).cells[0].source
    topic = COURSE[lesson_number(name)]
    links = re.findall(r"\[[^]]*\]\(([^)]*)\)", first.split("![")[0])

    assert first.startswith(f"# {topic.title}")
    assert "home.md" in links and f"about {topic.minutes} minutes" in first
    assert set() == {link for link in links if link.endswith(".ipynb") and not (ROOT / "notebooks" / link).exists()}
    (picture,) = re.findall(r"^!\[[^]]+\]\(pictures/(map-\w+\.svg)\)$", first, re.MULTILINE)
    assert lesson_number(name)[:2] in picture and (PICTURES / picture).exists()


@pytest.mark.parametrize(
    ("page", "row"),
    [
        ("README.md", r"^\| \[{number}\]\(notebooks/.*\| {minutes} \|$"),
        ("docs/teaching/README.md", r"^\| {number} {title}(?: \(optional\))? \| {minutes} \|"),
    ],
)
def test_a_list_of_lessons_has_their_minutes(page: str, row: str) -> None:
    """Those of the table, so that nobody plans an hour by an old list."""
    text = (ROOT / page).read_text()
    for name in LESSONS:
        number = lesson_number(name)
        topic = COURSE[number]
        wanted = row.format(number=number, title=re.escape(topic.title), minutes=topic.minutes)
        assert re.search(wanted, text, re.MULTILINE), f"{page}, lesson {number}: {topic.minutes} minutes"


def test_a_lesson_without_a_topic_lights_nothing() -> None:
    """A notebook of the learner's own has a map all the same."""
    assert [] == LIT.findall(map_html("mine"))
    assert "the map" == map_text("mine")


def test_every_part_says_what_it_is_and_where_it_is_taken_apart() -> None:
    """Each part is reached with Tab, and has a line with its name and its lessons."""
    drawn = map_html("08-namespaces")

    assert len(PARTS) == drawn.count('tabindex="0"')
    for name, part in PARTS.items():
        assert f'<p class="says-{name}"><b>{part.name}</b>. {escape(part.what)}' in drawn
    assert "Taken apart in lessons 08, 09, 10, 15 and 16." in drawn
    assert ["08", "09", "10", "15", "16"] == lessons_on("namespaces")


def test_the_names_of_the_table_are_parts() -> None:
    """A lesson cannot light what is not drawn."""
    assert {part for topic in COURSE.values() for part in topic.parts} <= PARTS.keys()


def test_a_picture_is_whole_xml_with_a_title() -> None:
    """The file can be drawn by itself, and says in words what is lit."""
    root = ElementTree.fromstring(map_svg("12-network"))

    assert "the map: your process, network" == root[0].text


@pytest.mark.parametrize(("name", "number"), [("02b-flags", "02b"), ("13-a-b", "13"), ("notes", ""), ("2024-x", "")])
def test_numbers(name: str, number: str) -> None:
    """The number of a lesson is that of its name."""
    assert number == lesson_number(name)


def test_the_fold_says_what_to_do() -> None:
    """Who sees it shut knows what is in it, and that it can be opened."""
    assert "<summary>The map of the course: open it and point at a part</summary>" in map_html("02-x")
