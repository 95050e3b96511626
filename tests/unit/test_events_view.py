"""Does the events view tell what happened to which object, and does no event break it or get obeyed?"""

import json
import re
from typing import Any
from xml.etree import ElementTree

import pytest

from labkit.show.events import (
    LANES_PX,
    PINS,
    SHOWN,
    choose_events,
    events_html,
    events_svg,
    events_text,
    lay_out,
    read_events,
)

WEB, NET = "ab" * 32, "cd" * 32


def event(kind: str, identity: str, action: str, time_ns: int = 10**18, **attributes: str) -> dict[str, Any]:
    """An event as an engine says it; older ones say some of it twice."""
    actor = {"ID": identity, "Attributes": attributes}
    old = {"status": action, "id": identity, "from": "busybox"}
    return {**old, "Type": kind, "Action": action, "Actor": actor, "scope": "local", "timeNano": time_ns}


def of_run(name: str = "web", identity: str = WEB) -> list[dict[str, Any]]:
    """The events of `docker run`."""
    return [
        event("container", identity, "create", name=name),
        event("network", NET, "connect", name="bridge", container=identity),
        event("container", identity, "start", name=name),
        event("container", identity, "die", name=name, exitCode="3"),
        event("network", NET, "disconnect", name="bridge", container=identity),
        event("container", identity, "destroy", name=name),
    ]


def test_one_line_an_event() -> None:
    """Each line names the object as a reader knows it, what happened, to whom, and how it ended."""
    assert (
        "container web: create\n"
        "network bridge: connect web\n"
        "container web: start\n"
        "container web: die (exit status 3)\n"
        "network bridge: disconnect web\n"
        "container web: destroy"
    ) == events_text([*read_events(of_run())])


def test_text_and_picture_are_the_same_in_each_run() -> None:
    """Identities, times, and names that Docker made up do not show; two containers stay two."""
    one = [*read_events(of_run("bold_bell", "ab" * 32) + of_run("sad_noyce2", "12" * 32))]
    later = [*read_events(of_run("happy_ride", "ef" * 32) + of_run("wise_wing", "34" * 32))]
    later = [each._replace(time_ns=each.time_ns + 5) for each in later if each.time_ns]

    assert events_text(one) == events_text(later)
    assert events_svg(one) == events_svg(later)
    assert "container <name 1>: create" == events_text(one).splitlines()[0]
    assert "container <name 2>: destroy" == events_text(one).splitlines()[-1]
    assert "bold_bell" in events_html(one)


@pytest.mark.parametrize(
    "words", ["image sha256:{}: untag", "container web: exec_create: cat /proc/1/root/of/{}/hosts"]
)
def test_identities_are_hidden_before_a_line_is_cut(words: str) -> None:
    """Half an identity would differ from run to run all the same."""
    kind, name, action = words.split(" ", 1)[0], *words.split(" ", 1)[1].split(": ", 1)
    texts = {
        events_text([*read_events([event(kind, "x", action.format(one), name=name.format(one))])]) for one in (WEB, NET)
    }

    assert 1 == len(texts) and "<id>" in texts.pop()


def test_text_and_picture_are_the_same_of_each_engine() -> None:
    """Docker 28 tells that the networks let go before it tells the death; the page shows what was told."""
    said = of_run()
    old, new = [*read_events(said)], [*read_events([*said[:3], said[4], said[3], said[5]])]

    assert events_text(old) == events_text(new)
    assert events_svg(old) == events_svg(new)
    assert events_html(new).index("disconnect web") < events_html(new).index("die (exit status 3)")


def test_the_words_of_old_engines_are_not_needed() -> None:
    """An event of API 1.52, without status, id and from, is drawn as one that has them."""
    new = [{key: value for key, value in one.items() if key not in ("status", "id", "from")} for one in of_run()]

    assert events_text([*read_events(of_run())]) == events_text([*read_events(new)])


def test_only_the_newest_are_drawn() -> None:
    """However many there are, the page stays small and says how many are left out."""
    few, many = ([*read_events(of_run() * count)] for count in (11, 2000))

    assert SHOWN == events_html(many, 7).count("<details")
    assert f"{12000 - SHOWN + 7} earlier events are left out" in events_html(many, 7)
    assert f"{12000 - SHOWN} earlier events are left out" in events_text(many).splitlines()[0]
    assert len(events_html(few)) + 500 > len(events_html(many))


def test_what_is_hidden_is_counted() -> None:
    """A choice by type, action or name; a network's events belong to their container's name too."""
    events = [*read_events(of_run() + of_run("db", "12" * 32))]

    assert 4 == len(choose_events(events, kind="network"))
    assert ["connect", "disconnect"] * 2 == [one.action for one in choose_events(events, action="connect")]
    assert 6 == len(choose_events(events, name="db"))
    assert ["die"] == [one.action for one in choose_events(events, "container", "die", "db")]
    assert [] == choose_events(events, kind="cont")
    assert "6 events are hidden" in events_html(choose_events(events, name="db"), hidden=6)


@pytest.mark.parametrize(
    ("action", "detail", "pin"),
    [("start", "", "begin"), ("die", "0", "end"), ("die", "137", "trouble"), ("oom", "", "trouble")],
)
def test_pins_differ_in_shape(action: str, detail: str, pin: str) -> None:
    """Who sees no colours tells a beginning, an end and trouble apart."""
    html = events_html(read(action, detail))

    assert [pin] == re.findall('class="(begin|end|trouble)"', html)
    assert len(PINS) == len(set(PINS.values())) and PINS.keys() == {"begin", "end", "trouble"}


def read(action: str, code: str) -> list[Any]:
    return [*read_events([event("container", WEB, action, exitCode=code)])]


def states_of(*actions: str, first: int = 0) -> list[list[tuple[int, str]]]:
    said = [event("container", WEB, action, first + number) for number, action in enumerate(actions)]
    return [life.states for life in lay_out([*read_events(said)], 0).lives]


def test_a_container_has_states() -> None:
    """Its line shows them, each from its event on, until it is gone; what only happens to it changes nothing."""
    life = [
        "create",
        "attach",
        "start",
        "exec_create: ls",
        "pause",
        "unpause",
        "die",
        "start",
        "kill",
        "die",
        "destroy",
    ]
    expected = ["created", "running", "paused", "running", "exited", "running", "exited", "gone"]

    assert [[*zip((0, 2, 4, 5, 6, 7, 9, 10), expected, strict=True)]] == states_of(*life)


@pytest.mark.parametrize(
    ("action", "before"), [("start", "created"), ("die", "running"), ("unpause", "paused"), ("destroy", "exited")]
)
def test_what_was_there_before_is_drawn_from_the_top(action: str, before: str) -> None:
    """An object that nobody saw begin was in the state that its first event tells."""
    assert (-1, before) == states_of(action)[0][0]


def test_a_state_that_began_before_is_known() -> None:
    """The newest events are drawn; a container that was started before them still runs."""
    (states,) = states_of("create", "start", *["exec_start"] * SHOWN)

    assert "running" == states[-1][1] and states[-1][0] < 0


def test_time_is_to_scale() -> None:
    """Twice the time is drawn longer, a long silence is squeezed and told, and a still picture has no times."""
    times = [0, 10, 20, 40, 50, 60, 70, 80, 90, 4000]
    events = [*read_events(event("container", WEB, "attach", time * 10**6) for time in times)]
    drawing = lay_out(events, 0)

    assert drawing.gaps[1][0] < drawing.gaps[3][0] < drawing.gaps[-1][0]
    assert 3.91 == drawing.gaps[-1][1] and "3.91 s pass" in events_html(events)
    assert "pass" not in events_svg(events) and "ms" not in events_svg(events)


def test_thirty_lanes() -> None:
    """Thirty containers have thirty lanes, each of its own, that fit beside their words."""
    events = [*read_events(event("container", f"{number:064x}", "start", name=f"c{number}") for number in range(30))]
    drawn = events_html(events)

    assert 30 == len(set(re.findall(r'<g transform="translate\(([-\d.]+)', drawn)))
    assert {str(LANES_PX)} == set(re.findall(r'class="e-lanes" width="([\d.]+)"', drawn))


HOSTILE: list[Any] = [
    {},
    [],
    None,
    7,
    {"Actor": None},
    {"Type": 1, "Action": ["die"], "Actor": {"ID": {}, "Attributes": "x"}},
    {"Type": "container", "Action": "destroy", "Actor": {"Attributes": {"name": None}}, "timeNano": "now"},
    event("container", WEB, "start", time_ns=10**30, name="x"),
    event("container", WEB, "start", time_ns=-1, name="x"),
    event("container", WEB, "start", time_ns=True, name="x"),
    event("container", WEB, "<script>alert(1)</script>", name='"><img src=x onerror=alert(1)>'),
    event("container", WEB, "a\nb\x00\u202e\ud800", name="\ud800\n</details>"),
    event("<b>", "<i>", "</pre><script>", name="a" * 1_000_000, exitCode="<u>", container="<s>"),
    {"Type": "container", "Action": "x", "Actor": {"ID": "\ud800", "Attributes": {"\ud800": 10**4000}}},
]


@pytest.mark.parametrize("one", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_event_is_drawn_and_not_obeyed(one: Any) -> None:
    """Whatever an event is, it is one line, well-formed, small and mere text."""
    events = [*read_events([event("container", NET, "start", name="before"), one])]
    html, svg, text = events_html(events), events_svg(events), events_text(events)

    assert 2 == len(text.splitlines())
    assert 2 == html.count("<details")
    assert not re.findall(r"<(?:script|img|b>|i>|u>|s>)", html.replace("<b>", "", 2))
    assert 12_000 > len(html) - len(events_html(events[:1])) and 3_000 > len(svg) and 300 > len(text)
    ElementTree.fromstring(svg)
    (html + svg + text).encode()  # as it is sent to the page


def test_what_is_nested_too_deeply_is_said_so() -> None:
    """Python reads JSON that it cannot write again."""
    deep: dict[str, Any] = {}
    for _ in range(100_000):
        deep = {"a": deep}
    try:
        (one,) = read_events([{"Type": "container", "x": deep}])
        assert ("container", "(this event is nested too deeply to be shown)") == (one.kind, one.json)
    finally:
        while deep:
            deep = deep["a"]


def test_an_event_shows_its_json() -> None:
    """What opens on a click is the event as it came, as text."""
    one = event("container", WEB, "start", name="<web>")

    assert json.loads(next(read_events([one])).json) == one
    assert "&lt;web&gt;" in events_html([*read_events([one])])


def test_nothing_happened() -> None:
    """No events are said as such, in all three forms."""
    assert ("(no events)", True, True) == (
        events_text([]),
        "no events" in events_html([]),
        "no events" in events_svg([]),
    )
