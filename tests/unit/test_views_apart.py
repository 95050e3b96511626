"""Does each view style itself alone, and keep its buttons to itself, whatever stands beside it on the page?"""

import re
from html.parser import HTMLParser

import pytest

from labkit.show import look, message
from labkit.show.beside import beside_html
from labkit.show.boot import boot_html
from labkit.show.card import card_html, verdict_html
from labkit.show.course_map import map_html
from labkit.show.end import end_html
from labkit.show.events import events_html, read_events
from labkit.show.exercise import exercise_html
from labkit.show.gauges import gauges_html
from labkit.show.layer_stack import layer_stack_html
from labkit.show.layer_tree import read_tree
from labkit.show.limits import limits_html
from labkit.show.namespace_map import namespace_map_html
from labkit.show.process_tree import process_tree_html
from labkit.show.wire import wire_html
from tests.processes import LABELS, MACHINE
from tests.stacks import make_app
from tests.unit.test_events_view import of_run
from tests.unit.test_gauges_view import QUIET
from tests.unit.test_limits_view import ROWS
from tests.unit.test_wire_view import FRAMES, Piece, Taken, exchange

WRONG = {"Who?": {"choice": "x", "answer": "y", "right": False, "when": ""}}
PANES = {
    "curl": '$ curl x:1/a\n{"a": [1]}',
    "raw": "GET /a HTTP/1.1\nHost: x\n\nHTTP/1.1 200 OK\n\n0000  01 00 6f     ..o",
}
VIEWS = {
    "wire": wire_html([exchange("/x?a=1", body=b'{"a": 1}'), Taken([Piece(0.1, "down", FRAMES)])]),
    "beside": beside_html(PANES),
    "events": events_html([*read_events(of_run())]),
    "gauges": gauges_html(QUIET),
    "limits": limits_html(ROWS, 2),
    "map": map_html("02-x"),
    "boot": boot_html([]),
    "card": card_html("Who?", ("he", "`she`")),
    "verdict": verdict_html("he", "`she`", "So."),
    "exercise": exercise_html("A", "not yet", "nothing", 1, ("Look.",)),
    "stack": layer_stack_html(make_app(), read_tree(make_app())),
    "namespaces": namespace_map_html(MACHINE, (), LABELS),
    "tree": process_tree_html(MACHINE, LABELS),
    "end": end_html("02", WRONG, {"A": {"done": True, "tries": 1}}, sentences=("So.",)),
}


class Elements(HTMLParser):
    """Each element's classes; and the forms that radio buttons are in."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.classes: set[str] = set()
        self.forms: list[dict[str, str | None]] = []
        self.groups: dict[tuple[int, str], list[str]] = {}  # by form and name: the values
        self._in = -1
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.classes |= set((found.get("class") or "").split())
        if tag == "form":
            self._in = len(self.forms)
            self.forms.append(found)
        if tag == "input" and found.get("type") == "radio":
            self.groups.setdefault((self._in, found["name"] or ""), []).append(found.get("value") or "")

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._in = -1


def own_rules(html: str) -> set[str]:
    """The selectors of a view's own rules, without what every view has, and without what all messages have."""
    text = re.sub(r"@(?:media|container)[^{]*\{", "", "".join(re.findall(r"<style>(.*?)</style>", html, re.DOTALL)))
    return selectors(text) - selectors(look.STYLE)


def selectors(css: str) -> set[str]:
    css = re.sub(r"@keyframes [^{]*\{(?:[^{}]*\{[^{}]*\})*\}", "", css)
    names = re.findall(r"([^{}]+)\{", re.sub(r"@(?:media|container)[^{]*\{|</?style>", "", css))
    return {part.strip() for name in names for part in re.split(r",(?![^(]*\))", name)}


@pytest.mark.parametrize("name", VIEWS)
def test_no_rule_reaches_into_another_view(name: str) -> None:
    """The rules of all views hold on the whole page: each names something that no other view has."""
    own = own_rules(VIEWS[name])
    assert own
    common = {"lk", "lk-card", "lk-head", "lk-dim", "lk-chip", "lk-mark", "lk-at", "lk-ticks", "lk-silence"}
    reach = []
    for other, html in VIEWS.items():
        there = Elements(html).classes | common
        rules = own - own_rules(html) if other != name else set()
        reach += [(rule, other) for rule in rules if set(re.findall(r"\.([a-zA-Z][\w-]*)", rule)) <= there]
    assert [] == reach


def test_each_choice_is_a_form_of_its_own() -> None:
    """Radio buttons of one name are one choice in all of a page that is in no form; Enter sends such a form nowhere."""
    for html, count in ((VIEWS["wire"], 6), (VIEWS["beside"], 1)):
        elements = Elements(html + html)
        assert 2 * count == len(elements.groups) == len({form for form, _ in elements.groups if form >= 0})
        assert all("dialog" == form["method"] for form in elements.forms)
    assert [[*message.PANES]] * 6 == [*Elements(VIEWS["wire"]).groups.values()]
