"""Does the side-by-side view show each way, and keep what differs from run to run out of what is stored?"""

import re
from html import escape, unescape
from xml.etree import ElementTree

import pytest

from labkit.show.beside import MAX_CHARACTERS, beside_html, beside_svg, beside_text
from labkit.show.still import mask

PANES = {"curl": "$ curl <b>\n" + "ab" * 32, "raw": "\n".join(map(str, range(99)))}


def test_every_pane_is_there_as_text() -> None:
    """Each way has its name and its text, and markup in it is not obeyed."""
    drawn = beside_html(PANES)

    assert ">curl<" in drawn and ">raw<" in drawn and "&lt;b&gt;" in drawn and "<b>" not in drawn


def test_the_stored_forms_hold_no_identity() -> None:
    """Text and picture of two runs are the same."""
    other = {**PANES, "curl": "$ curl <b>\n" + "cd" * 32}

    assert beside_text(PANES) == beside_text(other) == "side by side: curl, raw"
    assert beside_svg(PANES) == beside_svg(other)


def test_the_picture_is_cut() -> None:
    """A long answer shows its beginning, and that there is more."""
    drawn = beside_svg(PANES)

    assert ">0<" in drawn and ">…<" in drawn and ">98<" not in drawn


def test_a_long_sentence_is_read_to_its_end_in_the_picture() -> None:
    """An error's reason stands at its end; a row of a table is cut, so that it stays one."""
    drawn = beside_svg({"error": "failed " * 10 + "no such place", "table": f"a   {'b' * 60}\na   c"})

    assert "no such place</text>" in drawn and f"{'b' * 40}" in drawn and "b" * 50 not in drawn and "…" in drawn


@pytest.mark.parametrize(("length", "is_cut"), [(MAX_CHARACTERS, False), (MAX_CHARACTERS + 1, True)])
def test_a_long_pane_is_cut_with_a_mark(length: int, is_cut: bool) -> None:
    """Who reads it to the end sees that there is more, and only where there is."""
    assert is_cut == ("…</div>" in beside_html({"log": "a" * length}))


RAW = "POST /v1.41/images/x/tag?tag=y HTTP/1.1\nHost: docker\nAccept: */*\n\nHTTP/1.1 201 Created\nServer: z\n"
CURL = "$ curl -w '%{http_code}' -XPOST 'http://localhost:5678/images/x/tag?tag=y'\n201"


def parts(drawn: str) -> list[tuple[str, str]]:
    return re.findall(r'lk-part-(\w+)">([^<]*)<', drawn)


def apart(drawn: str) -> tuple[str, list[str]]:
    """What is drawn without its legends; and the legends, that of each pane and then that of all."""
    legends = re.findall(r'<div class="lk-marked">.*?</div>', drawn)
    return re.sub(r'<div class="lk-marked">.*?</div>', "", drawn), legends


def words(html: str) -> str:
    return re.sub(r"<[^>]*>", "", html)


def test_the_same_part_has_the_same_mark_in_every_pane() -> None:
    """Method, path and status are marked in the bytes and in the line of curl, and the legend has the same marks."""
    panes, legends = apart(beside_html({"raw": RAW, "curl": CURL, "docker": "$ docker tag x y"}))

    same = [("method", "POST"), ("path", "/images/x/tag"), ("status", "201")]
    assert 2 * same == parts(panes)
    assert ["method", "path", "status"] == [name for name, _ in parts(legends[-1])]


def test_the_legend_names_what_is_marked() -> None:
    """Below all panes what is marked in one of them; in a pane, for where it is seen alone, what is marked in it."""
    body = "$ curl x:1/info\n{}"
    _, legends = apart(beside_html({"raw": RAW, "plain": "$ docker tag x y", "curl": body}))

    expected = ["method, path, status", "path, body", "method, path, body, status"]
    assert [f"Marked: {one}." for one in expected] == [words(one) for one in legends]
    assert ("bar", "body") in parts(legends[1])  # as the body itself, with a bar at its left
    assert [] == apart(beside_html({"one": "$ true", "other": "$ false"}))[1]
    assert [] == apart(beside_html({"alone": RAW}))[1]


def test_a_value_from_a_body_is_no_body() -> None:
    """It has another mark, and the legend another entry."""
    curl = """$ curl -d '{"Hostname": "rex"}' http://localhost:5678/containers/create"""
    _, legends = apart(beside_html({"curl": curl, "docker": "$ docker create --hostname rex busybox"}))

    both = "Marked: path, a value from a body."
    assert [both, "Marked: a value from a body.", both] == [words(one) for one in legends]


def test_what_was_sent_is_marked_where_it_is_said_otherwise() -> None:
    """The value of a field in a JSON body is found in the words of the docker line."""
    curl = """$ curl -d '{"Hostname": "rex"}' http://localhost:5678/containers/create\n{"Id": "rex"}"""
    drawn = beside_html({"curl": curl, "docker": "$ docker create --hostname rex --name rex-2 busybox"})

    assert 3 == parts(apart(drawn)[0]).count(("body", "rex"))  # not in rex-2


def test_what_stands_alone_is_compared_with_nothing() -> None:
    """One pane has no shared values, and no tabs."""
    drawn = beside_html({"curl": """$ curl -d '{"a": "rex"}' x:1/a"""})

    assert [("path", "/a")] == parts(drawn) and 'class="lk-beside ">' in drawn


def test_headers_are_folded() -> None:
    """Of the headers only the type is seen at once; how many others there are is said."""
    drawn = beside_html({"raw": RAW})

    assert "<summary>2 more headers</summary><div>Host: docker\nAccept: */*</div>" in drawn
    assert "<summary>1 more header</summary>" in drawn


def test_json_is_coloured() -> None:
    """Names, texts, numbers and words of JSON are told apart."""
    drawn = beside_html({"curl": '$ curl x:1/a\n{"a": ["b", -1.5, null]}'})

    found = re.findall(r'<span class="lk-json-(\w+)">([^<]*)<', drawn)
    assert [("key", "&quot;a&quot;"), ("text", "&quot;b&quot;"), ("number", "-1.5"), ("word", "null")] == found


def test_rows_and_tables_never_wrap() -> None:
    """A dump and a table scroll sideways; a sentence wraps."""
    dump = beside_html({"curl": "$ curl x:1/logs | od -c\n0000000 001  \\0\n0000010"})
    table = beside_html({"docker": "$ docker images\nREPOSITORY   TAG\nbusybox      latest"})

    assert '<div class="lk-rows">0000000' in dump and '<div class="lk-table" style="--columns:19">REPOSITORY' in table
    assert '<div class="lk-output">Error' in beside_html({"docker": "$ docker stop x\nError response   from daemon"})
    for name in ("rows", "table"):
        assert re.search(rf"\.lk-{name}\{{[^}}]*white-space:pre;", dump)


@pytest.mark.parametrize(("columns", "is_wide"), [(48, False), (49, True)])
def test_a_wide_table_has_a_row_of_its_own(columns: int, is_wide: bool) -> None:
    """Half of a page is not enough for it: its last column would be out of sight."""
    table = f"NAME{'SIZE':>{columns - 4}}\n{'x':<{columns - 4}}9 MB"

    assert is_wide == ('class="lk-table lk-wide"' in beside_html({"docker": f"$ docker images\n{table}", "curl": "x"}))


def test_a_flag_is_not_broken() -> None:
    """A line may end before a flag of the shell's, and not after its dash; nothing of the line is lost."""
    line = "$ curl -s -XGET http://localhost:5678/images/json | python -mjson.tool --sort-keys 'a - b' x-y"
    drawn = beside_html({"curl": line})

    flags = re.findall(r'<span class="lk-flag">([^<]*)</span>', drawn)
    assert ["-s", "-X", "-mjson.tool", "--sort-keys"] == flags
    assert line in unescape(words(drawn))


@pytest.mark.parametrize("text", ["{" * 5000, '"' * 5000, "[[[" + "'a" * 3000, "-" * 6000])
def test_odd_text_is_drawn_soon(text: str) -> None:
    """What looks like JSON for a while, and is none, is text like any other."""
    drawn = beside_html({"odd": f"$ curl x:1\n{text}", "other": "x"})

    assert escape(text[:100]) in re.sub(r"</?span[^>]*>", "", drawn)


def test_what_xml_forbids_is_replaced() -> None:
    """Colours of a terminal and the bytes of a program come in outputs; the picture stays one that can be drawn."""
    forbidden = "\x1b[1mred\0\x08\x0b\ufffe\ud800"

    drawn = beside_svg({"curl": f"{forbidden} é 😀"})

    texts = [element.text for element in ElementTree.fromstring(drawn).iter("{http://www.w3.org/2000/svg}text")]
    assert ["curl", "\ufffd[1mred\ufffd\ufffd", "\ufffd\ufffd é 😀"] == texts


def test_masks() -> None:
    """Ids, digests and points in time are masked; short hex words and ports are not."""
    assert mask(f"sha256:{'0' * 64} Thu, 26 Nov 2026 10:00:00 GMT 2026-11-26T10:00:00.5Z") == "<id> <time> <time>"
    assert mask("cafe 5678 1.41") == "cafe 5678 1.41"


def test_a_still_picture_has_the_end_of_a_long_line() -> None:
    """It goes on in the next row; an identity that would be parted is masked first."""
    drawn = beside_svg({"error": f"{'a' * 46} {'0f' * 32} no such host"})
    texts = [element.text or "" for element in ElementTree.fromstring(drawn).iter("{http://www.w3.org/2000/svg}text")]

    assert any(text.endswith("no such host") for text in texts)
    assert "<id>" in " ".join(texts)
    assert "0f0f" not in "".join(texts)
