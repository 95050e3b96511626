"""Does the picture of a build say what the cache had, and does its widget keep what a reader has made?"""

from types import SimpleNamespace
from typing import Any

import pytest

from labkit.check.builds import check_slow_line_cached
from labkit.errors import EngineUnreachable
from labkit.images.build_log import BASE, BUILT, CACHED, FAILED, Step, parse_steps
from labkit.show.build import build_html, build_svg, build_text, explain_build
from labkit.widgets import cache, cards
from labkit.widgets.cache import LINES, cache_of_build

SAID = """Sending build context to Docker daemon  2.048kB
Step 1/4 : FROM busybox AS first
 ---> 66f30a812a3b
Step 2/4 : ENV A=b
 ---> Using cache
 ---> 73dfd68ed9a2
Step 3/4 : RUN echo ' ---> Using' cache
 ---> Running in bc01c3a10c8e
Removing intermediate container bc01c3a10c8e
 ---> 3a09c6ebff7a
Step 4/4 : COPY a /
"""
STEPS = [
    Step("FROM busybox AS first", BASE),
    Step("ENV A=b", CACHED),
    Step("RUN echo ' ---> Using' cache", BUILT),
    Step("COPY a /", BUILT),
]


def test_what_a_build_says() -> None:
    """Each line with what was done; the last one has failed unless the end says that all is built."""
    assert STEPS == parse_steps(SAID + " ---> 258ced891760\nSuccessfully built 258ced891760\n")
    assert [*STEPS[:3], Step("COPY a /", FAILED)] == parse_steps(SAID)
    assert [] == parse_steps("") == parse_steps("no Dockerfile")


def test_one_sentence_says_why() -> None:
    """How many lines were built, and which one began."""
    from_line, cached, copy = Step("FROM b", BASE), Step("ENV A=b", CACHED), Step("COPY a /", BUILT)
    run = Step("RUN slow", BUILT)

    assert "Each line came from the cache." == explain_build([from_line, cached], "a")
    assert "`a` changed. Only the line `COPY a /` was built again." == explain_build([from_line, cached, copy], "a")
    assert explain_build([from_line, copy, run], "a").endswith("The line after it was built again, too.")
    assert explain_build([from_line, copy, run, run], "a").endswith("The 2 lines after it were built again, too.")


def test_the_picture_has_every_line() -> None:
    """As HTML, as text and as a still picture; what a line says is no markup."""
    steps = [Step("RUN echo '<b>&'", BUILT), Step("ENV A=b", CACHED), Step("COPY a /", FAILED)]
    html, text, svg = (draw(steps, "Look.") for draw in (build_html, build_text, build_svg))

    assert "RUN echo &#x27;&lt;b&gt;&amp;&#x27;" in html
    assert "<b>" not in html
    assert ["lk-fill-engine", "lk-dim", "lk-fill-engine"] == [row.split('"')[1] for row in html.split("<li ")[1:]]
    assert "built          | RUN echo '<b>&'\nfrom the cache | ENV A=b\nfailed         | COPY a /\nLook." == text
    assert "&lt;b&gt;" in svg
    assert 3 == svg.count('rx="6"')


def test_a_cell_that_runs_again_keeps_the_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """Order and result stay; another order is tried when the button is pressed, and what goes wrong is shown."""
    tried: list[tuple[str, ...]] = []

    def try_lines(_: Any, order: tuple[str, ...]) -> list[Step]:
        tried.append(order)
        return [Step("FROM busybox", BASE), *(Step(LINES[name], BUILT) for name in order)]

    monkeypatch.setattr(cache, "try_lines", try_lines)
    monkeypatch.setattr(cards, "running_cell", lambda: "one")
    monkeypatch.setattr(cache, "_orders", {})
    engine: Any = SimpleNamespace(host="unix:///a")
    lines = cache_of_build(engine)
    assert [tuple(LINES)] == tried
    assert "built    | COPY app.txt /app.txt" in repr(lines)

    lines._cards.order = ["packages", "settings", "app"]
    assert cache_of_build(engine) is lines
    assert "of another order" in lines._picture.html
    lines.try_it()
    assert "of another order" not in lines._picture.html
    assert ("packages", "settings", "app") == tried[-1] == lines.order
    lines._cards.order = ["packages"]
    lines.try_it()
    assert 2 == len(tried), "what is no order of the three lines is not tried"

    def fail(*_: Any) -> list[Step]:
        raise EngineUnreachable("the engine is <gone>")

    monkeypatch.setattr(cache, "try_lines", fail)
    lines._cards.order = list(LINES)
    lines.try_it()
    assert "the engine is &lt;gone&gt;" in lines._picture.html
    assert not lines._cards.busy


def test_what_is_missing_is_told_before_anything_is_built(tmp_path: Any) -> None:
    """Without a directory nothing was attempted; a Dockerfile of another name, and no app.txt, are named."""
    nobody: Any = None
    quick = tmp_path / "quick"
    assert "not attempted" == repr(check_slow_line_cached(nobody, quick, "app.txt", "packages"))
    quick.mkdir()
    assert "not attempted" == repr(check_slow_line_cached(nobody, quick, "app.txt", "packages"))
    (quick / "dockerfile").touch()
    assert "quick/dockerfile, but no Dockerfile" in repr(check_slow_line_cached(nobody, quick, "app.txt", "packages"))
    (quick / "Dockerfile").touch()
    assert "not yet: there is no app.txt in" in repr(check_slow_line_cached(nobody, quick, "app.txt", "packages"))
