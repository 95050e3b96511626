"""Does the wire view show what was said, hide what differs from run to run, and obey nothing that came back?"""

from labkit.engine import Exchange
from labkit.show.wire import wire_html, wire_svg, wire_text
from labkit.wire import Answer, Request


def exchange(target: str, status: int = 200, reason: str = "OK", body: bytes = b"") -> Exchange:
    return Exchange(Request("GET", target, {}, b"", b""), Answer(status, reason, {}, body, b""), 0.0123)


def test_text_leaves_out_versions_and_ids() -> None:
    """Two runs against two engines give the same text."""
    one = exchange("/v1.41/containers/" + "ab" * 32 + "/json")
    other = exchange("/v1.51/containers/" + "cd" * 6 + "/json")

    assert wire_text([one]) == wire_text([other]) == "GET /containers/<id>/json  ->  200 OK"


def test_a_hostile_body_is_shown_and_not_obeyed() -> None:
    """Markup in a body or a path arrives as text."""
    drawn = wire_html([exchange("/<b>", body=b"<script>alert(1)</script>\xff")])

    assert "<script>" not in drawn and "<b>" not in drawn.replace("<b style", "") and "&lt;script&gt;" in drawn


def test_a_huge_body_is_cut() -> None:
    """A view stays small whatever came back."""
    assert len(wire_html([exchange("/x", body=b"a" * 5_000_000)])) < 8000


def test_nothing_is_said_as_such() -> None:
    """An empty record is not an empty picture."""
    assert "nothing" in wire_text([]) and "nothing" in wire_html([])


def test_the_picture_names_each_status() -> None:
    """The still picture carries request and answer as text, without times."""
    drawn = wire_svg([exchange("/images/json"), exchange("/nope", 404, "Not Found")])

    assert "GET /images/json" in drawn and "404 Not Found" in drawn and "12" not in wire_text([exchange("/x")])
