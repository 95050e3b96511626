"""Does the layer stack show the tree of each layer as it is, say what a layer did, and obey no name of a file?"""

import json
import random
import re
import zlib
from copy import copy
from xml.etree import ElementTree

import pytest

from labkit.images.layers import Analysis, Content
from labkit.show.layer_rows import find_paths, open_changes, visible_rows
from labkit.show.layer_stack import amount, layer_stack_html, layer_stack_text, line_of, losses_of
from labkit.show.layer_still import MOST_LAYERS, Moment, layer_stack_svg
from labkit.show.layer_tree import ADDED, CHANGED, HIDDEN, HIDDEN_WITH, THERE, Tree, pack, read_tree
from labkit.widgets.layer_stack import layer_stack
from tests.stacks import HOSTILE_NAME, make_app, make_stack

APP = make_app()


def make_random(seed: int) -> Analysis:
    """Eight layers that add, change, hide and make opaque at random, directories replaced by files and back, too."""
    dice = random.Random(seed)
    paths = [f"{a}/{b}/{c}" for a in "ab" for b in "cd" for c in "ef"] + ["a", "b", "a/c", "b/d", "g"]
    contents = []
    for _ in range(8):
        content = Content()
        for path in dice.sample(paths, 6):
            parent, _, name = path.rpartition("/")
            deed = dice.choice(("file", "file", "file", "directory", "whiteout", "opaque"))
            try:
                if deed == "whiteout":
                    content.add(f"{parent}/.wh.{name}".strip("/"), "file")
                elif deed == "opaque":
                    content.add(f"{path}/.wh..wh..opq", "file")
                else:
                    content.add(path, deed, dice.randrange(1, 99) if deed == "file" else 0)
            except ValueError:  # what no engine unpacks
                continue
        contents.append(content)
    return make_stack(contents, ("make",) * 8, "random:1")


def tree_of(tree: Tree, depth: int) -> dict[str, tuple[str, int]]:
    """What is there after a layer, without what this layer hides; a directory is said to have no bytes."""
    return {
        entry.path: (seen.kind, 0 if seen.kind == "directory" else seen.size_bytes)
        for entry, seen in zip(tree.entries, tree.at(depth), strict=True)
        if seen and seen.did not in (HIDDEN, HIDDEN_WITH)
    }


def row_names(tree: Tree, depth: int, opened: set[int], *, only: bool = False) -> list[str]:
    return [tree.entries[number].path for number in visible_rows(tree.entries, tree.at(depth), opened, only)]


def state(tree: Tree, path: str, depth: int) -> object:
    return tree.at(depth)[tree.places[path]]


@pytest.mark.parametrize("seed", range(60))
def test_the_tree_is_that_of_the_analysis(seed: int) -> None:
    """After each layer the same paths, kinds and bytes as the merged tree has, whatever the layers did."""
    analysis = make_random(seed)
    tree = read_tree(analysis)
    for depth in range(len(analysis.layers)):
        merged = {path: (node.kind, node.size_bytes) for path, node in analysis.tree(depth).items()}

        assert merged == tree_of(tree, depth)


@pytest.mark.parametrize("seed", range(60))
def test_each_layer_did_what_its_changes_say(seed: int) -> None:
    """The marks on the paths are the layer's changes; folders count those below them; the bytes lost add up."""
    analysis = make_random(seed)
    tree = read_tree(analysis)
    codes = {"added": ADDED, "modified": CHANGED, "deleted": HIDDEN}
    for depth, layer in enumerate(analysis.layers):
        marks = {
            entry.path: seen.did
            for entry, seen in zip(tree.entries, tree.at(depth), strict=True)
            if seen and seen.did not in (None, HIDDEN_WITH)
        }
        assert {change.path: codes[change.change] for change in layer.changes} == marks
        roots = [seen for entry, seen in zip(tree.entries, tree.at(depth), strict=True) if seen and not entry.level]
        counted = [seen.added + seen.changed + seen.hidden + (seen.did in (ADDED, CHANGED, HIDDEN)) for seen in roots]
        assert len(layer.changes) == sum(counted)
    assert analysis.wasted_bytes == sum(tree.lost) == sum(entry.listed_bytes for entry in tree.entries)


def test_a_hidden_folder_is_told_at_its_place() -> None:
    """With all that is in it, and with the bytes that it hides; a layer later it is gone."""
    tree = read_tree(APP)
    lists = tree.places["var/lib/apt/lists"]

    assert (HIDDEN, 17_394_000) == (tree.at(3)[lists].did, tree.at(3)[lists].size_bytes)  # type: ignore[union-attr]
    inner = tree.at(3)[lists + 1]
    assert inner and HIDDEN_WITH == inner.did
    assert None is state(tree, "var/lib/apt/lists", 4) and None is state(tree, "app/tests/test_main.py", 4)
    above = state(tree, "var", 3)
    assert ("directory", None, 0, 0, 0, 1) == above  # what is hidden is no longer in it


def test_a_folder_without_an_entry_is_there() -> None:
    """A layer may add a file to a folder that no layer names; so does one that brings back what was hidden."""
    first, second, third = Content(), Content(), Content()
    first.add("a/b", "file", 3)
    second.add(".wh.a", "file")
    third.add("a/c", "file", 4)
    tree = read_tree(make_stack([first, second, third], ("x",) * 3, "back:1"))

    assert {"a": ("directory", 0), "a/c": ("file", 4)} == tree_of(tree, 2)
    assert {} == tree_of(tree, 1)
    assert THERE not in {seen.did for depth in range(3) for seen in tree.at(depth) if seen}


def test_rows_follow_the_open_folders() -> None:
    """A closed folder has one row; the filter leaves what this layer did, and the way to it."""
    tree = read_tree(APP)
    app = tree.places["app"]

    assert ["app", "bin", "etc", "usr", "var"] == row_names(tree, 4, set())
    assert ["app", f"app/{HOSTILE_NAME}", "app/main.py"] == row_names(tree, 4, {app})[:3]
    assert ["app", "app/main.py", "app/model.bin"] == row_names(tree, 4, {app}, only=True)
    assert ["bin", "etc", "usr"] == row_names(tree, 0, {app})
    opened = open_changes(tree.entries, tree.at(3), True, 16)
    assert ["app", "app/tests", "var", "var/lib", "var/lib/apt", "var/lib/apt/lists"] == row_names(
        tree, 3, opened, only=True
    )


def test_folders_that_would_show_too_much_stay_closed() -> None:
    """What opens by itself fits a page."""
    tree = read_tree(APP)
    for limit in (1, 5, 8, 30):
        opened = open_changes(tree.entries, tree.at(0), False, limit)
        assert max(3, limit) >= len(visible_rows(tree.entries, tree.at(0), opened, False))
    assert set() == open_changes(tree.entries, tree.at(0), False, 3)


def test_a_search_finds_the_path_itself_first() -> None:
    """Then what ends so, then where a name begins so, then the rest; letters' case does not matter."""
    content = Content()
    for path in ("x/etc/passwd", "etc/passwd", "etc/passwd-", "aetc/passwdx", "Etc/Passwd.d", "motd"):
        content.add(path, "file")
    tree = read_tree(make_stack([content], ("x",), "search:1"))
    found, count = find_paths(tree.entries, " /etc/passwd ", 9)

    assert ["etc/passwd", "x/etc/passwd"] == [tree.entries[number].path for number in found[:2]]
    assert {"Etc/Passwd.d", "etc/passwd-"} == {tree.entries[number].path for number in found[2:4]}
    assert ("aetc/passwdx", 5) == (tree.entries[found[4]].path, count)
    assert (1, 5) == (len(find_paths(tree.entries, "passwd", 1)[0]), find_paths(tree.entries, "passwd", 1)[1])
    assert ([], 0) == find_paths(tree.entries, "  /", 9) == find_paths(tree.entries, "nowhere", 9)


def test_losses_are_listed_by_bytes() -> None:
    """A folder that was hidden whole is one entry; each layer knows how many of its bytes are lost."""
    tree = read_tree(APP)

    listed = [(entry.path, entry.listed_bytes) for _, entry in losses_of(tree)]
    assert [("var/lib/apt/lists", 17_394_000), ("app/model.bin", 12_500_000), ("app/tests", 9000)] == listed[:3]
    assert [340, 17_394_000, 12_513_100, 0, 0] == tree.lost
    assert 12_513_100 == tree.entries[tree.places["app"]].lost_bytes


def test_the_text_is_the_same_wherever_it_runs() -> None:
    """It names each layer, the top one first, by its line, its bytes and its counts, and what is lost; no identity."""
    text = layer_stack_text(APP, read_tree(APP))
    lines = text.splitlines()

    assert "layer stack of shop:1.4: 5 layers, 52 MB, 30 MB lost below later layers" == lines[0]
    assert "  4     0 B  0 added, 0 changed, 2 hidden  RUN rm -rf /var/lib/apt/lists /app/tests" == lines[2]
    assert "  1  2.0 MB  90 added, 0 changed, 0 hidden  ADD a file in /" == lines[5]
    assert "lost  17 MB  var/lib/apt/lists/" == lines[6]
    assert not re.search(r"[0-9a-f]{12}", text)


def test_the_text_says_nothing_of_what_was_imported() -> None:
    """The busybox of another computer has other bytes, and other files."""
    imported = copy(APP)
    imported.layers = (APP.layers[0]._replace(created_by=""), *APP.layers[1:])
    lines = layer_stack_text(imported, read_tree(imported)).splitlines()

    assert "layer stack of shop:1.4: 5 layers, 30 MB lost below later layers" == lines[0]
    assert "  1  imported  (imported, without a line)" == lines[5]


@pytest.mark.parametrize(
    ("created_by", "line"),
    [
        ('/bin/sh -c #(nop)  CMD ["sh"]', 'CMD ["sh"]'),
        ("|1 VERSION=3 /bin/sh -c make $VERSION", "RUN make $VERSION"),
        ("RUN |2 A=1 B=2 /bin/sh -c make # buildkit", "RUN make"),
        ("COPY app /app # buildkit", "COPY app /app"),
        ("/bin/sh -c #(nop) COPY multi:" + 64 * "0" + " in /srv/ ", "COPY files in /srv/"),
        ("RUN a\x1b[31m  \n b", "RUN a\\x1b[31m b"),
        ("", "(imported, without a line)"),
    ],
)
def test_a_line_is_that_of_the_dockerfile(created_by: str, line: str) -> None:
    """What builders write around it is left out, and nothing in it is obeyed."""
    assert line == line_of(created_by)


def test_sizes_have_two_digits() -> None:
    """In powers of 1000, as docker writes them."""
    sizes = (0, 9, 999, 1000, 9949, 9950, 12_500_000, 999_499, 999_500, 5 * 10**15)
    words = ["0 B", "9 B", "999 B", "1.0 kB", "9.9 kB", "10 kB", "13 MB", "999 kB", "1.0 MB", "5000 TB"]
    assert words == [amount(size) for size in sizes]


def test_no_name_is_raw() -> None:
    """Control codes, tags and letters that turn text round come as escapes, in each form of the view."""
    content = Content()
    content.add(HOSTILE_NAME, "file", 5)
    later = Content()
    later.add(HOSTILE_NAME, "file", 6)
    analysis = make_stack([content, later], (f"RUN {HOSTILE_NAME}",) * 2, HOSTILE_NAME)
    tree = read_tree(analysis)
    packed = zlib.decompress(pack(tree.entries)).decode()
    forms = {
        "html": layer_stack_html(analysis, tree),
        "svg": layer_stack_svg(analysis, tree, Moment(1, (), HOSTILE_NAME)),
        "text": layer_stack_text(analysis, tree),
        "packed": packed,
    }
    for name, form in forms.items():
        assert not re.search("[\x00-\x09\x0b-\x1f\u202e]", form), name
    assert "a\\x1b[31m<b>&\\u202egpj" == json.loads(packed)["names"]
    assert "31m&lt;b&gt;" in forms["html"] and "31m&lt;b&gt;" in forms["svg"]
    assert "<b>&" not in forms["html"] + forms["svg"]


def test_the_page_gets_every_path_once() -> None:
    """The columns of what is sent are as long as the entries and their events, and small."""
    tree = read_tree(APP)
    columns = json.loads(zlib.decompress(pack(tree.entries)))
    events = sum(columns["counts"])

    assert len(tree.entries) == len(columns["names"].split("\n")) == len(columns["levels"]) == len(columns["counts"])
    assert {events} == {len(columns[name]) for name in ("layers", "codes", "kinds", "sizes")}
    assert [tree.places["bin/sh"], "busybox"] in columns["targets"]


def test_the_picture_follows_the_moment() -> None:
    """It has the layer, the open folders, what a layer hides struck through, and what a search has found."""
    tree = read_tree(APP)
    opened = open_changes(tree.entries, tree.at(3), True, 16)
    drawn = layer_stack_svg(APP, tree, Moment(3, opened, "passwd", True))
    words = " ".join("".join(one.itertext()) for one in ElementTree.fromstring(drawn).findall(".//{*}text"))

    assert "The tree after layer 4 of 5" in words and "etc/passwd: layer 2 gives it: RUN apt-get update" in words
    assert re.search(r'line-through"[^>]*>lists/<', drawn) and not re.search(r'line-through"[^>]*>var/<', drawn)
    assert "model.bin 12" not in words and "busybox" not in words
    assert "no layer" not in words
    gone = layer_stack_svg(APP, tree, Moment(4, (), "tests/test_main"))
    assert "app/tests/test_main.py: layer 4 hides it" in gone


def test_the_picture_stays_small() -> None:
    """Of many layers and rows it draws some, and counts the others."""
    contents = [Content() for _ in range(60)]
    for number, content in enumerate(contents):
        for name in range(40):
            content.add(f"layer-{number}-{name}", "file", 10)
    analysis = make_stack(contents, ("make",) * 60, "high:1")
    drawn = layer_stack_svg(analysis, read_tree(analysis), Moment(30))

    assert f"… {60 - MOST_LAYERS} more layers" in drawn and "more rows" in drawn and ">31 make<" in drawn
    assert 40_000 > len(drawn)


def test_an_image_without_layers_is_shown() -> None:
    """And one whose layers have nothing in them: nothing is divided by nothing."""
    for contents in ([], [Content(), Content()]):
        analysis = make_stack(contents, ("",) * len(contents), "empty:1")
        view = layer_stack(analysis)

        assert f"empty:1: {len(contents)} layers, 0 B" in repr(view)
        ElementTree.fromstring(view._repr_mimebundle_()[0]["image/svg+xml"])
        assert "None: the image shows each file of each layer." in view.html


def test_the_view_stores_text_and_picture() -> None:
    """What is stored is the first moment; what the reader does changes the picture of a second visit alone."""
    view = layer_stack(APP)
    bundle = view._repr_mimebundle_()[0]
    view.depth = 1
    view.opened = [view.tree.places["etc"]]

    assert repr(view) == bundle["text/plain"] and "layer 5 of 5" in bundle["image/svg+xml"]
    assert "" != view.still and "The tree after layer 2 of 5" in view.still and ">passwd<" in view.still
    assert bundle == view._repr_mimebundle_()[0]


def test_a_view_begins_where_it_is_told() -> None:
    """At a layer, counted from 1 as it is shown, with a path in sight; what there is not is refused in a sentence."""
    view = layer_stack(APP, layer=2, path="/etc/passwd")

    assert (1, view.tree.places["etc/passwd"]) == (view.depth, view.picked)
    assert view.tree.places["etc"] in view.opened
    with pytest.raises(ValueError, match="there is no layer 6: the image has 5, and the bottom one is 1"):
        layer_stack(APP, layer=6)
    with pytest.raises(ValueError, match="no layer of shop:1.4 has the path 'etc/shadow'"):
        layer_stack(APP, path="etc/shadow")
