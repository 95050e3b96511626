"""Does the wire view show what was said, hide what differs from run to run, and obey nothing that came back?"""

import re
from contextlib import suppress
from xml.etree import ElementTree

from IPython.lib.pretty import pretty

from labkit.api.engine import Exchange
from labkit.api.frames import Frame, build_frame, parse_frames
from labkit.api.http import Answer, Request
from labkit.api.record import Piece
from labkit.errors import EngineProtocolError
from labkit.show.talk import SHOWN_PARTS, Line
from labkit.show.wire import SHOWN, wire_html, wire_svg, wire_text


def exchange(target: str, status: int = 200, reason: str = "OK", body: bytes = b"") -> Exchange:
    return Exchange(Request("GET", target, {}, b"", b""), Answer(status, reason, {}, body, b""), 0.0123)


def test_text_leaves_out_versions_and_ids() -> None:
    """Two runs against two engines give the same text."""
    one = exchange("/v1.41/containers/" + "ab" * 32 + "/json")
    other = exchange("/v1.51/containers/" + "cd" * 6 + "/json")

    assert wire_text([one]) == wire_text([other]) == "GET /containers/<id>/json  ->  200 OK"


def test_text_for_every_docker_command_leaves_out_how_often_it_pings() -> None:
    """docker 29 asks twice before it creates; without queries one ping is left, and nothing else said twice is lost."""
    ping, create = exchange("/_ping"), exchange("/v1.51/containers/create?name=box")
    newer = [ping, ping, create, create, ping]

    assert wire_text(newer, query=False) == wire_text([ping, create, create, ping], query=False)
    assert 4 == wire_text(newer, query=False).count("\n") + 1 == wire_svg(newer, query=False).count("200 OK")
    assert 5 == wire_text(newer).count("\n") + 1


def test_a_cell_that_ends_with_an_exchange_shows_it_to_be_read() -> None:
    """Both sides stand there as they went, line by line, a long body cut, and nothing of how Python keeps them."""
    request = Request("GET", "/_ping", {"Host": "docker"}, b"", b"GET /_ping HTTP/1.1\r\nHost: docker\r\n\r\n")
    answer = Answer(200, "OK", {}, b"O" * 9000, b"HTTP/1.1 200 OK\r\nApi-Version: 1.41\r\n\r\n")
    shown = pretty(Exchange(request, answer, 0.1)).splitlines()

    assert shown[:5] == ["GET /_ping HTTP/1.1", "Host: docker", "", "HTTP/1.1 200 OK", "Api-Version: 1.41"]
    assert shown[6:] == ["O" * 4000, "… 9000 bytes in all"]


def test_a_hostile_body_is_shown_and_not_obeyed() -> None:
    """Markup in a body or a path arrives as text."""
    drawn = wire_html([exchange("/<em>?<em>=<em>", 500, "<em>", b"<script>alert(1)</script>\xff")])
    json = wire_html([exchange("/x", body=b'{"<em>": "<em>", "a": [1, true, "\\"<em>"]}')])

    assert "<script>" not in drawn and "<em>" not in drawn + json and "&lt;script&gt;" in drawn


def test_the_legend_names_what_is_in_the_picture() -> None:
    """Where no answer is green, the legend has no green answer; what is there is named, once."""

    def legend(*exchanges: Exchange | Taken) -> list[str]:
        drawn = wire_html(exchanges).partition('<div class="lk-legend">')[2]
        return re.findall(r"</svg>([^<]+)</span>", drawn)

    lost, bad = exchange("/x", 404, "Not Found"), exchange("/y", 400, "Bad Request")
    assert ["request", "not found", "error"] == legend(lost, bad, lost)
    assert ["request", "answer", "not found"] == legend(exchange("/x"), lost)
    assert ["request", "answer"] == legend(exchange("/_ping"))
    assert ["request", "answer", "stdout", "stderr"] == legend(Taken([Piece(0.1, "down", FRAMES)]))


def test_in_the_replay_an_answer_waits_for_its_row() -> None:
    """In the box of a request that was answered later, the answer has the number of its own row."""
    soon = exchange("/soon")._replace(seconds=0.00001)
    drawn = wire_html([soon, exchange("/late")._replace(seconds=5.0)])

    rows = drawn.split('<div class="w-row')[1:]
    came = [number for number, row in enumerate(rows) if "is answered: 200 OK" in row]
    boxes = [(number, int(found[1])) for number, row in enumerate(rows) if (found := re.search('data-from="(.)"', row))]
    assert came == [step for _, step in boxes]
    assert [(0, 1), (2, 3)] == boxes  # the row of each request, and that of its answer


def test_a_huge_body_is_cut() -> None:
    """A view stays small whatever came back."""
    assert len(wire_html([exchange("/x", body=b"a" * 5_000_000)])) < 12_000 + len(wire_html([exchange("/x")]))


def test_nothing_is_said_as_such() -> None:
    """An empty record is not an empty picture."""
    assert "nothing" in wire_text([]) and "nothing" in wire_html([])


def test_the_picture_names_each_status() -> None:
    """The still picture carries request and answer as text, without times."""
    drawn = wire_svg([exchange("/images/json"), exchange("/nope", 404, "Not Found")])

    assert "GET /images/json" in drawn and "404 Not Found" in drawn and "12" not in wire_text([exchange("/x")])


class Taken:
    """An exchange whose connection was taken over, as `labkit.api.tap` keeps it."""

    def __init__(self, pieces: list[Piece], note: str = "", status: int = 101) -> None:
        self.request = Request("POST", "/v1.41/containers/box/attach?stdout=1", {}, b"", b"")
        self.answer = Answer(status, "UPGRADED", {}, b"", b"") if status else Answer(0, "no answer yet", {}, b"", b"")
        self.seconds, self.head_s, self.note, self.pieces = 0.5, 0.01, note, tuple(pieces)

    @property
    def frames(self) -> list[Frame]:
        with suppress(EngineProtocolError):
            return list(parse_frames([b"".join(piece.data for piece in self.pieces if piece.direction == "down")]))
        return []


FRAMES = build_frame(1, b"out\n") + build_frame(2, b"<b>err\n")


def test_a_taken_connection_shows_its_streams() -> None:
    """Frames are taken apart wherever they were cut, in order with what was typed, named and counted by stream."""
    pieces = [Piece(0.1, "up", b"ls\n"), Piece(0.2, "down", FRAMES[:5]), Piece(0.3, "down", FRAMES[5:])]
    one = Taken(pieces)
    drawn = wire_html([one])

    expected = "POST /containers/box/attach  ->  101 UPGRADED, then stdin 3 bytes, stdout 4 bytes, stderr 7 bytes"
    assert expected == wire_text([one], query=False)
    assert "attach?stdout=1" in wire_text([one]) and "stdout=1" not in wire_svg([one], query=False)
    assert drawn.index(">ls\\n<") < drawn.index(">out\\n<") < drawn.index(">&lt;b&gt;err\\n<")
    assert "10 ms" in drawn and "stays open" in drawn and "<b>err" not in drawn


def test_a_terminal_has_no_frames_to_be_counted() -> None:
    """Its bytes are shown as they are, and not compared: they differ from run to run."""
    one = Taken([Piece(0.1, "down", b"/ # ls\r\n"), Piece(0.2, "down", b"\x1b[6n")])

    assert wire_text([one], query=False).endswith("101 UPGRADED")
    assert ">/ # ls\\r\\n<" in wire_html([one])


def test_a_talkative_stream_is_cut() -> None:
    """A view stays small whatever goes over a connection, and says what it leaves out."""
    drawn = wire_html([Taken([Piece(0.1, "up", b"x" * 1000)] * 500)])

    assert f"… and {500 - SHOWN_PARTS} more" in drawn and len(drawn) < 100_000


def test_what_has_no_answer_says_so() -> None:
    """An exchange that still goes on, or broke, is told by its note."""
    assert wire_text([Taken([], status=0)]).endswith("->  no answer yet")
    assert wire_text([Taken([], note="the engine closed first", status=0)]).endswith("->  the engine closed first")


def test_a_long_record_shows_the_newest() -> None:
    """500 exchanges are more than a page can hold."""
    many = [exchange(f"/x{number}") for number in range(500)]
    assert f"… {500 - SHOWN} exchanges before" in wire_html(many)
    assert f"… {507 - SHOWN} exchanges before" in wire_html(many, forgotten=7)
    assert "… earlier exchanges are left out" == wire_text(many).splitlines()[0]
    for shown in (wire_html(many), wire_text(many), wire_svg(many)):
        assert f"/x{500 - SHOWN - 1}" not in shown and f"/x{500 - SHOWN}" in shown and "/x499" in shown


def test_an_exchange_keeps_its_key() -> None:
    """What the reader has opened stays his when later exchanges push it up."""
    every = [exchange(f"/{number}")._replace(began_s=1.0 + number) for number in range(SHOWN + 1)]
    keys = [re.findall(r'data-key="(\d+)"', wire_html(every[:count])) for count in (SHOWN, SHOWN + 1)]

    assert SHOWN == len(keys[0]) and keys[0][1:] == keys[1][:-1]
    assert sorted(map(int, keys[0])) == [*map(int, keys[0])]


def test_a_picture_is_xml_whatever_was_said() -> None:
    """A client may put any byte into its target, and an engine into its reason."""
    ElementTree.fromstring(wire_svg([exchange("/\x01", reason="\x1b[31mOK")]))


def test_a_command_stands_above_what_it_said() -> None:
    """Each line that was typed has a band, one that said nothing to the engine too; identities in it are hidden."""
    talk = [exchange("/a")._replace(began_s=1.0), exchange("/b")._replace(began_s=3.0)]
    lines = [Line("docker a", 0.9, 1.1), Line("ls", 2.0, 2.1), Line(f"docker b {'ab' * 6}", 2.9, None)]

    assert ("$ docker a\n  GET /a  ->  200 OK\n$ ls\n$ docker b <id>\n  GET /b  ->  200 OK") == wire_text(
        talk, lines, query=False
    )
    assert ["docker a", "ls", "docker b <id>"] == typed_in(wire_svg(talk, lines))
    html = wire_html(talk, lines=lines)
    assert html.index("$ docker a<") < html.index("/a</code>") < html.index("$ ls<") < html.index("/b</code>")


def typed_in(svg: str) -> list[str]:
    texts = (one.text or "" for one in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text"))
    return [text.removeprefix("$ ") for text in texts if text.startswith("$ ")]


def test_the_client_has_its_name() -> None:
    """It is docker, where each request came while a line ran that calls that command; a program is a client."""
    talk = [exchange("/a")._replace(began_s=1.0), exchange("/b")._replace(began_s=3.0)]
    docker = [Line("docker a", 0.9, 2.5), Line("FLAG=1 docker b", 2.9, None)]

    assert "docker</span>" in wire_html(talk, lines=docker) and ">docker</text>" in wire_svg(talk, docker)
    for lines in (docker[:1], [Line("curl --unix-socket /run/docker.sock http://x/a", 0.9, None)], []):
        assert "client</span>" in wire_html(talk, lines=lines) and ">client</text>" in wire_svg(talk, lines)


def test_the_caption_names_what_stays_open() -> None:
    """One tube stays open, two stay open, and one that was refused is none."""
    wait = Taken([])
    wait.request = Request("POST", "/v1.41/containers/box/wait", {}, b"", b"")
    refused = Taken([], status=404)

    assert "Look at the tube on the right: <code>attach</code> stays open." in wire_html([Taken([])])
    assert "<code>attach</code> and <code>wait</code> stay open." in wire_html([Taken([]), wait])
    assert "open" not in re.sub(r"<style>.*?</style>", "", wire_html([refused]))


def test_a_tick_is_never_nothing() -> None:
    """A tick may be a small part of a millisecond, or some seconds."""
    for step_s, words in ((0.00005, "0.01 ms"), (0.05, "10 ms"), (20.0, "5 s")):
        every = [exchange("/x")._replace(began_s=1 + step_s * number, seconds=step_s / 9) for number in range(9)]
        assert f">{words} a tick</span>" in wire_html(every)


def test_pings_are_one_small_mark() -> None:
    """However often a client asks whether the engine is there, it is one row; what is refused is no ping."""
    html = wire_html([exchange("/_ping"), exchange("/_ping"), exchange("/_ping", 500, "No"), exchange("/x")])

    assert 1 == html.count('class="w-row w-ping"') and "ping ×2" in html
    assert 1 == html.count('<code title="/_ping">')


def test_a_message_is_pretty_raw_and_hex() -> None:
    """JSON is indented and coloured, the bytes stand as they went, and whole rows of a hex dump are there."""
    one = exchange("/v1.41/x?a=1&b=%2F2", body=b'{"key": "word", "n": 12}')
    html = wire_html([one])

    assert '<b>"key"</b>' in html and '<i>"word"</i>' in html and "<u>12</u>" in html
    assert "<span><code>b</code></span><span><code>/2</code></span>" in html
    assert '>{"key": "word", "n": 12}</pre>' in html
    assert "7b 22 6b 65 79 22 3a 20 22 77 6f 72 64 22 2c 20  {" in html


def test_a_slider_walks_through_every_row() -> None:
    """As many steps as rows, in order, each with its words."""
    html = wire_html([exchange("/a"), exchange("/b", 404, "Not Found")])
    steps = [int(step) for step in re.findall(r'data-step="(\d+)" data-says="[^"]+: GET /[ab] is', html)]

    assert [*range(len(steps))] == steps and f'max="{steps[-1]}"' in html
