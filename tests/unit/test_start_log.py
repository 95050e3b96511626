"""Is the log of a dockerd read as steps, whatever its generation, and drawn without what differs?"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit.daemons.start_log import LONGEST_LINE, find_routes, find_steps, parse_line, parse_log
from labkit.show.start_log import start_html, start_svg, start_text
from labkit.widgets.start_log import draw_start

# In the form and the order of 20.10, and of 28.
OLD = r"""
time="2024-05-01T10:00:00.100000001Z" level=info msg="Starting up"
time="2024-05-01T10:00:00.101Z" level=debug msg="Listener created for HTTP on unix (/s)"
time="2024-05-01T10:00:00.200Z" level=info msg="libcontainerd: started new containerd process" pid=12
time="2024-05-01T10:00:00.500Z" level=info msg="Loading containers: start."
time="2024-05-01T10:00:00.600Z" level=info msg="Daemon has completed initialization"
time="2024-05-01T10:00:00.700Z" level=debug msg="Registering routers"
time="2024-05-01T10:00:00.701Z" level=debug msg="Registering GET, /containers/{name:.*}/json"
time="2024-05-01T10:00:01.100Z" level=info msg="API listen on /s"
"""
NEW = r"""
time="2025-05-01T10:00:00.100000001Z" level=info msg="Starting up"
time="2025-05-01T10:00:00.200Z" level=info msg="started new containerd process" address=/c.sock pid=12
time="2025-05-01T10:00:00.600Z" level=debug msg="Registering routers"
time="2025-05-01T10:00:00.601Z" level=debug msg="Registering route" method=GET path="/containers/{name:.*}/json"
time="2025-05-01T10:00:00.700Z" level=info msg="Daemon has completed initialization"
"""


def test_the_steps_of_both_generations() -> None:
    """In the order of the log, with the seconds since its first line."""
    names = [step.name for step in find_steps(parse_log(OLD))]

    assert names == ["begin", "listener", "containerd", "containers", "initialised", "routes", "API"]
    assert [step.name for step in find_steps(parse_log(NEW))] == ["begin", "containerd", "routes", "initialised"]
    assert find_steps(parse_log(OLD))[-1].at_s == pytest.approx(1.0)
    assert find_steps(()) == ()


def test_the_routes_of_both_generations() -> None:
    """Method and path."""
    for log in (OLD, NEW):
        assert find_routes(parse_log(log)) == (("GET", "/containers/{name:.*}/json"),)


def test_what_is_no_line_is_left_out() -> None:
    """A program's own words, half a line, a lie about the time, and a line without an end."""
    assert parse_line("panic: runtime error") is None
    assert parse_line('time="2024-05-01T10:00:00Z" level=in') is None
    assert parse_line('time="yesterday" level=info msg="x"') is None
    assert parse_line('time="2024-05-01T10:00:00Z" level=info msg="' + LONGEST_LINE * "x" + '"') is None


@given(st.text())
def test_any_text_is_read(text: str) -> None:
    """Without an error."""
    assert len(parse_log(text)) <= len(text)


def test_the_picture_has_every_step_and_its_line() -> None:
    """Escaped; the text has no times, and one order for both generations."""
    steps = find_steps(parse_log(OLD.replace("unix (/s)", "unix (<b>)")))

    assert start_html(steps).count("lks-row'") == len(steps)
    assert "&lt;b&gt;" in start_html(steps) and "<b>)" not in start_html(steps)
    assert "API" in start_svg(steps)
    assert [line.split("  ")[0] for line in start_text(steps).splitlines()][-2:] == ["initialised", "API"]
    assert repr(draw_start(steps)) == start_text(steps)
    assert start_text(()) == "(no steps)" and "no steps" in start_html(())
