"""Which archives are hostile, how is each made, and what must come out?

Every trap stands beside a benign twin, which looks like it and must still pass. A trap has `refused`, a pattern for the
one line that says what is wrong and where; the rest has `tree`, some of the paths that the whole image then has, with
their kinds ("" for a path that must not be there). What the engine does (Go's archive/tar, docker/pkg/archive) decides
where the answer is a matter of taste.
"""

import gzip
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from tests.hostile.images import (
    OCI,
    Blobs,
    Files,
    Image,
    add_manifest,
    archive,
    build_config,
    build_descriptor,
    build_index,
    build_manifest,
    build_save,
    digest,
    dump,
    layout,
    new_save,
    old_save,
    plain,
    zstd,
)
from tests.hostile.tars import END, gnu_long, gnu_sparse, header, member, pax, pax_sparse, tar

__all__ = ["CASES", "ESCAPE", "SECRET", "Case"]

ESCAPE = "\x1b[31m"  # red, to a terminal that is given it raw
SECRET = "secret-outside"  # the name of a file beside the archive, which no archive may make anybody read
TEN_LEVELS = 10
Tree = dict[str, str]


class Case(NamedTuple):
    """One archive: its bytes, or what writes it where it is told; with `tree` it must pass."""

    name: str
    build: bytes | Callable[[Path], object]
    refused: str = ""
    tree: Tree | None = None

    def write(self, place: Path) -> Path:
        if isinstance(self.build, bytes):
            place.write_bytes(self.build)
        else:
            self.build(place)
        return place


def layers(*tars: bytes) -> bytes:
    """An image of these layers, saved as engines up to 24 do."""
    return archive(old_save(Image(*tars)))


def entries(*members: bytes) -> bytes:
    """An image of one layer with these members."""
    return layers(tar(*members))


FILE = member("etc/motd", b"hello\n")
A_FILE: Tree = {"etc": "directory", "etc/motd": "file"}
PLAIN = Image(tar(FILE), tar(member("etc/.wh.motd"), member("etc/new", b"x")))
BOTH: Tree = {"etc": "directory", "etc/new": "file"}


def names() -> Iterator[Case]:
    """What a name may mean."""
    out = "leads out of the image"
    yield Case("a name that leads out", entries(member("../../etc/cron.d/evil", b"x")), rf"layer 1, entry 1\b.*{out}")
    yield Case(
        "a name that leads out after going in", entries(FILE, member("a/../../b")), rf"layer 1, entry 2\b.*{out}"
    )
    yield Case("a name that leads out in a PAX record", entries(pax(("path", "../b")), member("b")), out)
    yield Case("a name that leads out in GNU's long name", entries(gnu_long("../" * 50 + "b"), member("b")), out)
    yield Case("a name that leads up and down inside", entries(member("a/../b")), tree={"b": "file"})
    yield Case("an absolute name", entries(member("/etc/motd")), tree=A_FILE)
    yield Case("names with . and // in them", entries(member(".//etc/./motd")), tree=A_FILE)
    yield Case("a name that only looks like ..", entries(member("a/.../b"), member("..c")), tree={"a/.../b": "file"})
    yield Case("the root as a directory", entries(header("./", kind=b"5", mode=0o700), FILE), tree=A_FILE)
    yield Case("the root as a symlink", entries(header("./", kind=b"2", link="/tmp"), FILE), r"entry [12]\b.*root")
    yield Case("the root as a file", entries(member(".", b"x")), r"entry [12]\b.*root")
    yield Case("the root as a hard link", entries(FILE, header("/", kind=b"1", link="etc/motd")), r"entry [12]\b.*root")
    yield Case("no name at all", entries(member("", b"x")), r"entry 1\b.*root")
    yield Case("a NUL in a name", entries(pax(("path", "etc/motd\0.txt")), FILE), "NUL")
    yield Case("a NUL in where a link goes", entries(pax(("linkpath", "a\0b")), header("l", kind=b"2")), "NUL")
    yield Case("a name over a NUL in ustar", entries(member(b"etc/motd\0.txt")), tree=A_FILE)
    yield Case("a name longer than a path may be", entries(gnu_long("a" * 5000), member("a")), "longer than 4096")
    yield Case("a name of a million bytes", entries(pax(("path", "a/" * 500_000)), member("a")), "longer than 4096")
    deep = "d/" * 2040 + "f"
    yield Case("a name of two thousand directories", entries(pax(("path", deep)), member("a")), tree={deep: "file"})
    long_name = "x" * 255
    yield Case("a name of 255 bytes", entries(gnu_long(long_name), member("x")), tree={long_name: "file"})
    for word, letter in {"a newline": "\n", "an escape": ESCAPE, "a C1 control": "\x9b", "a bell": "\a"}.items():
        yield Case(f"{word} in a name", entries(member(f"a{letter}b", b"x")), tree={f"a{letter}b": "file"})
    for word, letter in {"a right-to-left override": "\u202e", "a line separator": "\u2028"}.items():
        yield Case(f"{word} in a name", entries(member(f"a{letter}b", b"x")), tree={f"a{letter}b": "file"})
    yield Case("a name that is not UTF-8", entries(member(b"caf\xe9", b"x")), tree={"caf\udce9": "file"})
    yield Case("half a pair of UTF-16 in a name", entries(member(b"\xed\xa0\x80")), tree={"\udced\udca0\udc80": "file"})
    yield Case("a name that is UTF-8", entries(member("café", b"x")), tree={"café": "file"})


def links() -> Iterator[Case]:
    """Where links lead, and what goes through them."""
    etc = header("a", kind=b"2", link="/etc")
    yield Case("absolute symlinks inside an image", entries(etc, FILE), tree={"a": "symlink", **A_FILE})
    yield Case("a symlink that leads out", entries(header("a", kind=b"2", link="../../..")), tree={"a": "symlink"})
    loop = [header("a", kind=b"2", link="b"), header("b", kind=b"2", link="a")]
    yield Case("two symlinks in a circle", entries(*loop), tree={"a": "symlink", "b": "symlink"})
    chain = [header(f"l{n}", kind=b"2", link=f"l{n + 1}") for n in range(100)]
    yield Case("a chain of a hundred symlinks", entries(*chain), tree={"l0": "symlink", "l99": "symlink"})
    swapped = layers(tar(header("a/", kind=b"5"), member("a/f")), tar(etc))
    yield Case("a directory swapped for a symlink", swapped, tree={"a": "symlink"})
    back = layers(tar(etc), tar(header("a/", kind=b"5"), member("a/f")))
    yield Case("a symlink swapped for a directory", back, tree={"a": "directory", "a/f": "file"})
    out = "leads out of the image"
    yield Case("a hard link that leads out", entries(header("s", kind=b"1", link="../../etc/shadow")), out)
    yield Case("a hard link to nothing", entries(FILE, header("s", kind=b"1", link="etc/shadow")), "etc/shadow")
    yield Case("a hard link to itself", entries(header("s", kind=b"1", link="s")), "hard link")
    yield Case(
        "hard links in a circle", entries(*(header(n, kind=b"1", link=to) for n, to in ("ab", "ba"))), "hard link"
    )
    linked = entries(FILE, header("b", kind=b"1", link="/etc/motd"), header("c", kind=b"1", link="b"))
    yield Case("hard links to a hard link", linked, tree={"b": "hardlink", "c": "hardlink", **A_FILE})
    below = layers(tar(FILE), tar(header("b", kind=b"1", link="etc/motd")))
    yield Case("a hard link to a file of a lower layer", below, tree={"b": "hardlink", **A_FILE})
    with_data = entries(FILE, header("b", kind=b"1", link="etc/motd", size=6), member("c"))
    yield Case("a hard link that claims bytes it has not", with_data, tree={"b": "hardlink", "c": "file"})

    turned = entries(member("a"), header("b", kind=b"1", link="a"), header("a", kind=b"2", link="c"))
    yield Case("a hard link whose file is replaced", turned, tree={"a": "symlink", "b": "file"})
    soft = entries(header("a", kind=b"2", link="c"), header("b", kind=b"1", link="a"), member("a"))
    yield Case("a hard link to a symlink that is replaced", soft, tree={"a": "file", "b": "symlink"})
    above = entries(member("a/f"), header("a", kind=b"1", link="a/f"))
    yield Case("a hard link that replaces the directory of its file", above, r"entry 2\b.*hard link")
    gone = entries(member("a/b/f"), header("a/l", kind=b"1", link="a/b/f"), member("a"))
    yield Case("a file and its hard link, in a directory that is replaced", gone, tree={"a": "file"})
    later = layers(tar(member("a"), header("b", kind=b"1", link="a")), tar(member(".wh.a")))
    yield Case("a hard link whose file a later layer hides", later, tree={"b": "file"})


def kinds() -> Iterator[Case]:
    """What is no file, directory or link."""
    odd = {b"3": "character device", b"4": "block device", b"6": "fifo"}
    devices = [header(f"dev/{kind.decode()}", kind=kind, device=(1, 3)) for kind in odd]
    yield Case("devices and a FIFO", entries(*devices), tree={f"dev/{k.decode()}": odd[k] for k in odd})
    huge = entries(header("d", kind=b"3", device=(0o7777777, 0o7777777)))
    yield Case("a device of a huge number", huge, tree={"d": "character device"})
    yield Case("a contiguous file", entries(member("f", b"x", kind=b"7")), tree={"f": "file"})
    yield Case("a file of version 7", entries(member("f", b"x", kind=b"\0", magic=bytes(8))), tree={"f": "file"})
    old = entries(header("d/", kind=b"\0", magic=bytes(8)), member("d/f"))
    yield Case("a directory of version 7", old, tree={"d": "directory", "d/f": "file"})
    yield Case("a directory that claims bytes", entries(header("d", kind=b"5", size=9), FILE), tree={"d": "directory"})
    for kind in b"M", b"V", b"Z":
        yield Case(f"a member of the kind {kind.decode()}", entries(member("f", b"x", kind=kind)), r"entry 1\b.*type")


def whiteouts() -> Iterator[Case]:
    """What hides what."""
    never = layers(tar(FILE), tar(member(".wh.never"), member("no/.wh..wh..opq")))
    yield Case("whiteouts of things that never were", never, tree=A_FILE)
    for name in ".wh.", ".wh..", ".wh...", "etc/.wh...":
        yield Case(f"a whiteout named {name}", layers(tar(FILE), tar(member(name))), "whiteout")
    hidden = layers(tar(FILE, member("etc/..a"), member(".hidden")), tar(member("etc/.wh...a"), member(".wh..hidden")))
    yield Case("whiteouts of names with dots", hidden, tree=A_FILE)
    aufs = layers(tar(FILE, member(".wh..wh.aufs"), header(".wh..wh.plnk/", kind=b"5"), member(".wh..wh.plnk/1")))
    yield Case("what AUFS kept for itself", aufs, tree=A_FILE)
    own = layers(tar(FILE), tar(member("etc/motd", b"new"), member("etc/.wh.motd")))
    yield Case("a whiteout beside the file of its own layer", own, tree=A_FILE)
    opaque = layers(tar(FILE), tar(member("etc/new"), member("etc/.wh..wh..opq")))
    yield Case("an opaque directory after what it keeps", opaque, tree=BOTH)


def headers() -> Iterator[Case]:
    """Two that disagree, and numbers that lie."""
    both = entries(pax(("path", "etc/motd")), member("other", b"x"))
    yield Case("a PAX name beside another in the header", both, tree=A_FILE)
    gnu_last = entries(pax(("path", "x")), gnu_long("etc/motd"), member("y"))
    gnu_first = entries(gnu_long("etc/motd"), pax(("path", "x")), member("y"))
    yield Case("a GNU name after a PAX name", gnu_last, tree=A_FILE)
    yield Case("a GNU name before a PAX name", gnu_first, tree=A_FILE)
    hidden = tar(pax(("size", "1024")), header("f") + member("hidden", bytes(512)), FILE)
    yield Case("a PAX size over a header's 0", layers(hidden), tree={"f": "file", "hidden": "", **A_FILE})
    shown = tar(pax(("size", "0")), header("f", size=1024), member("shown", bytes(512)), FILE)
    yield Case("a PAX size of 0 over a header's", layers(shown), tree={"f": "file", "shown": "file", **A_FILE})
    inner = member("hidden")
    slash = entries(member("f/", inner), FILE)
    yield Case("a file whose name ends in a slash", slash, tree={"f": "file", "hidden": "", **A_FILE})
    folder = entries(header("d/", kind=b"\0", size=512, magic=bytes(8)), member("d/shown"), FILE)
    yield Case("a directory of version 7 that claims bytes", folder, tree={"d": "directory", "d/shown": "file"})
    comment = entries(pax(("comment", "0" * 40), kind=b"g"), FILE)
    yield Case("a global header with a comment", comment, tree=A_FILE)
    everywhere = entries(pax(("path", "everywhere"), kind=b"g"), FILE)
    yield Case("a global header with a name", everywhere, tree=A_FILE)
    no_value = entries(pax(("path", "")), FILE)
    yield Case("a PAX name without a value", no_value, tree=A_FILE)
    yield Case(
        "two PAX headers in a row", entries(pax(("path", "x")), pax(("path", "etc/motd")), member("y")), tree=A_FILE
    )
    for word, text in {"-5": b"-5", "1e3": b"1e3", "\u0661": "\u0661".encode(), "a huge number": b"9" * 30}.items():
        yield Case(f"a PAX size of {word}", entries(pax(("size", text)), FILE), r"entry 1\b.*size")
    records = {
        "longer than its header": b"99 path=a\n",
        "shorter than it says": b"7 path=a\n",
        "of no length": b"0 path=a\n",
        "of a negative length": b"-9 path=a\n",
        "of a length in words": b"ten path=a\n",
        "without a =": b"7 path\n",
        "without a newline": b"9 path=ab",
        "without a name": b"5 =a\n",
        "of a length of a thousand digits": b"9" * 1000 + b" path=a\n",
    }
    for word, data in records.items():
        yield Case(f"a PAX record {word}", entries(member("x", data, kind=b"x"), FILE), "PAX")
    for kind, word in {b"x": "PAX header", b"L": "GNU name", b"K": "GNU link", b"g": "global header"}.items():
        claims = entries(header("x", kind=kind, size=2**33), FILE)
        yield Case(f"a {word} of 8 GiB", claims, r"entry 1\b.*8,589,934,592")
        refused, tree = ("", A_FILE) if kind == b"g" else (r"entry 2\b.*ends", None)
        yield Case(f"a {word} before nothing", entries(FILE, member("x", b"", kind=kind)), refused, tree)
    wrong_sizes: dict[str, int | bytes] = {
        "8 GiB": 2**33 - 1,
        "2 to the 62": 2**62,
        "2 to the 80": b"\x80" + b"\1" + bytes(10),
        "less than nothing": b"\xff" * 12,
        "no number": b"eleventy\0",
        "a number with a sign": b"-0000000010\0",
        "digits that are not octal": b"00000000099\0",
    }
    for word, wrong in wrong_sizes.items():
        yield Case(f"a size of {word}", entries(FILE, header("f", size=wrong)), r"entry 2\b.*(size|cut)")
    full = entries(member("f", bytes(1536), size=b"000000003000"), FILE)
    yield Case("a size of twelve digits and no end", full, tree={"f": "file", **A_FILE})
    spaced = entries(member("f", bytes(512), size=b"      1000 \0"), FILE)
    yield Case("a size of digits after spaces", spaced, tree={"f": "file", **A_FILE})
    yield Case(
        "a header of a wrong checksum", entries(FILE, header("f", checksum=b"000001\0 ")), r"entry 2\b.*check ?sum"
    )
    signed = header(b"caf\xe9")
    wanted = b"%06o\0 " % (int(signed[148:154], 8) - 256)
    yield Case("a checksum of signed bytes", entries(header(b"caf\xe9", checksum=wanted)), tree={"caf\udce9": "file"})
    yield Case("a time before 1970", entries(member("f", mtime=-1)), tree={"f": "file"})
    yield Case("an owner of a huge number", entries(member("f", uid=2**40)), tree={"f": "file"})
    yield Case("a layer that is empty", layers(b""), tree={})
    yield Case("a layer of zeros alone", layers(END), tree={})
    yield Case("a layer without its end", layers(FILE), tree=A_FILE)
    yield Case("a layer with more after its end", layers(tar(FILE) + bytes(9 * 512) + b"\1" * 512), tree=A_FILE)
    yield Case("a layer that is text", layers(b"This is no tar. " * 64), r"layer 1, entry 1\b.*")


def sparse() -> Iterator[Case]:
    """Files with holes, and maps of holes that lie."""
    pieces = [(0, b"a" * 512), (2**20, b"b" * 512)]
    yield Case("a sparse file of GNU's", entries(gnu_sparse("s", pieces, 2**21), FILE), tree={"s": "file", **A_FILE})
    more = entries(gnu_sparse("s", pieces, 2**21, extended=3), FILE)
    yield Case("a sparse file of GNU's with a longer map", more, tree={"s": "file", **A_FILE})
    yield Case("a sparse file of PAX", entries(pax_sparse("s", pieces, 2**21), FILE), tree={"s": "file", **A_FILE})
    yield Case("a sparse file of a terabyte", entries(gnu_sparse("s", pieces, 2**40), FILE), tree={"s": "file"})
    yield Case("a sparse file of nothing", entries(gnu_sparse("s", [], 0), FILE), tree={"s": "file", **A_FILE})
    bad = {
        "beyond its end": [(2**22, b"a" * 512)],
        "on each other": [(0, b"a" * 512), (256, b"b" * 512)],
        "in the wrong order": [(4096, b"a" * 512), (0, b"b" * 512)],
    }
    for word, wrong in bad.items():
        yield Case(f"pieces of GNU's {word}", entries(gnu_sparse("s", wrong, 2**21), FILE), r"entry 1\b.*sparse")
        yield Case(f"pieces of PAX {word}", entries(pax_sparse("s", wrong, 2**21), FILE), r"entry 1\b.*sparse")
    short = entries(gnu_sparse("s", pieces, 2**21, stored=512), FILE)
    yield Case("a map of more than is stored", short, r"layer 1, entry [12]\b.*")
    for words, text in {"no numbers": b"two\n", "a number too big": b"9" * 30 + b"\n", "no end": b"1" * 512}.items():
        records = [("GNU.sparse.major", "1"), ("GNU.sparse.minor", "0"), ("GNU.sparse.realsize", "9")]
        yield Case(f"a map of {words}", entries(pax(*records) + member("s", text), FILE), r"entry 1\b.*sparse")
    many = b"999999999\n" + b"0\n0\n" * 4096
    records = [("GNU.sparse.major", "1"), ("GNU.sparse.minor", "0"), ("GNU.sparse.realsize", "9")]
    yield Case(
        "a map of a thousand million pieces", entries(pax(*records) + member("s", many), FILE), r"entry 1\b.*sparse"
    )
    endless = entries(gnu_sparse("s", pieces, 2**21, extended=20_000))
    yield Case("a map of GNU's without end", endless, r"entry 1\b.*sparse")
    old = [("GNU.sparse.size", "1024"), ("GNU.sparse.numblocks", "1"), ("GNU.sparse.map", "0,512")]
    yield Case("a sparse file of PAX 0.1", entries(pax(*old) + member("s", b"a" * 512), FILE), tree={"s": "file"})


def documents() -> Iterator[Case]:
    """Manifests, configurations and indexes that lie, or lead elsewhere."""
    config, layer = PLAIN.config, tar(FILE)
    one = build_config([layer])
    good = build_save(one, {"layer.tar": layer})
    yield Case("a good image to bend", archive(good), tree=A_FILE)

    def saved(**more: Any) -> bytes:
        return archive(build_save(one, {"layer.tar": layer}, **more))

    for where in f"../{SECRET}", f"/etc/{SECRET}", "layer.tar/../../x", "", ".":
        yield Case(f"a manifest whose layer is {where!r}", saved(Layers=[where]), "manifest.json|is not there")
        yield Case(f"a manifest whose config is {where!r}", saved(Config=where), "manifest.json|is not there")
    yield Case("a manifest that names itself as layer", saved(Layers=["manifest.json"]), "layer 1")
    yield Case("a manifest that names itself as config", saved(Config="manifest.json"), "manifest.json")
    values: dict[str, Any] = {"a number": 5, "null": None, "a list of numbers": [5], "an object": {"a": 1}}
    for word, wrong in values.items():
        yield Case(f"Layers that are {word}", saved(Layers=wrong), "manifest.json|layers")
        yield Case(f"a Config that is {word}", saved(Config=wrong), "manifest.json")
        for key, lie in {"diff_ids": {"rootfs": {"diff_ids": wrong}}, "history": {"history": wrong}}.items():
            bent = archive(build_save(build_config([layer], **lie), {"l": layer}))
            refused, tree = ("", A_FILE) if wrong is None and key == "history" else ("json|1 layer", None)
            yield Case(f"{key} that are {word}", bent, refused, tree)
    yield Case("RepoTags that are null", saved(RepoTags=None), tree=A_FILE)
    texts = {
        "is empty": b"",
        "is no JSON": b"{",
        "is no UTF-8": b'"\xff\xfe"',
        "is a number": b"1",
        "is an empty list": b"[]",
        "is a list of lists": b"[[[]]]",
        "is nested a hundred thousand deep": b"[" * 100_000,
        "holds a number of ten thousand digits": b"[" + b"9" * 10_000 + b"]",
        "is of 9 MiB": b"[" + b" " * 9 * 2**20 + b"]",
        "ends in a NUL": b"[]\0",
    }
    for word, text in texts.items():
        yield Case(f"a manifest that {word}", archive(good | {"manifest.json": text}), r"manifest\.json")
        name = f"{digest(text)[7:]}.json"
        yield Case(
            f"a configuration that {word}",
            archive(
                {name: text, "layer.tar": layer, "manifest.json": dump([{"Config": name, "Layers": ["layer.tar"]}])}
            ),
            name[:8],
        )
        yield Case(f"an index that {word}", archive(oci(layer) | {"index.json": text}), r"index\.json")
    yield Case("no layers at all", archive(build_save(build_config([]), {})), tree={})
    yield Case(
        "no layers, said as null",
        archive(build_save(build_config([], rootfs={"diff_ids": None}), {}, Layers=None)),
        tree={},
    )
    yield Case(
        "fewer layers than diff_ids",
        archive(build_save(config, {"layer.tar": layer})),
        "names 2 layers, and the manifest 1",
    )
    yield Case("more layers than diff_ids", saved(Layers=["layer.tar"] * 2), "names 1 layers, and the manifest 2")
    yield Case("ten thousand layers", saved(Layers=["layer.tar"] * 10_000), "layers")
    twice = Image(layer, layer)
    yield Case("a layer that is named twice", archive(new_save(twice)), tree=A_FILE)
    link = {k: v for k, v in old_save(twice).items()}
    first, second = (name for name in link if name.endswith("layer.tar"))
    linked = tar(*(member(k, v) if k != second else header(k, kind=b"2", link=f"../{first}") for k, v in link.items()))
    yield Case("a layer.tar that is a symlink to another", linked, tree=A_FILE)
    hard = tar(*(member(k, v) if k != second else header(k, kind=b"1", link=first) for k, v in link.items()))
    yield Case("a layer.tar that is a hard link to another", hard, tree=A_FILE)
    for target in "layer.tar", "../" * 9 + f"etc/{SECRET}", "nothing":
        turned = tar(
            *(member(k, v) for k, v in good.items() if k != "layer.tar"), header("layer.tar", kind=b"2", link=target)
        )
        yield Case(f"a layer.tar that is a symlink to {target}", turned, r"layer\.tar|leads out of the image")
    folder = tar(*(member(k, v) for k, v in good.items() if k != "layer.tar"), header("layer.tar/", kind=b"5"))
    yield Case("a layer.tar that is a directory", folder, r"layer\.tar")
    again = tar(
        *(member(k, v) for k, v in good.items()), member("manifest.json", dump([{"Config": "no", "Layers": ["no"]}]))
    )
    yield Case("a second manifest.json", again, "no")
    first_wrong = tar(member("manifest.json", b"{"), *(member(k, v) for k, v in good.items()))
    yield Case("a second manifest.json that is the right one", first_wrong, tree=A_FILE)
    spoken = build_config([layer], architecture=ESCAPE, history=[{"created_by": f"RUN {ESCAPE}\nEND"}])
    red = build_save(spoken, {f"{ESCAPE}/layer.tar": layer}, RepoTags=[f"{ESCAPE}:{ESCAPE}"])
    yield Case("escape codes wherever there is text", archive(red), tree=A_FILE)
    for word, path in {"missing": f"{ESCAPE}.tar", "outside": f"../{ESCAPE}"}.items():
        yield Case(
            f"escape codes in the name of a layer that is {word}", saved(Layers=[path]), "manifest.json|is not there"
        )
    yield Case("a file that is empty", b"", "")
    yield Case("a file of one byte", b"x", "")
    yield Case("a file of zeros", bytes(10_240), "")
    yield Case("a picture", b"\x89PNG\r\n\x1a\n" + bytes(999), "")
    yield Case("a tar of something else", tar(FILE), "manifest.json|index.json|no image")


def oci(*tars: bytes, **more: Any) -> Files:
    """An OCI layout of plain layers; `more` goes into the descriptor of the manifest."""
    blobs = Blobs()
    manifest = add_manifest(blobs, Image(*tars), plain, f"{OCI}.layer.v1.tar")
    return layout(blobs, manifest | more)


def digests() -> Iterator[Case]:
    """Digests and sizes that lie."""
    layer, other = tar(FILE), tar(member("etc/evil", b"x"))
    yield Case(
        "a layer of another diff_id", archive(build_save(build_config([other]), {"l": layer})), "layer 1.*sha256:"
    )
    good = oci(layer)
    yield Case("a good layout to bend", archive(good), tree=A_FILE)
    name = f"blobs/sha256/{digest(layer)[7:]}"
    yield Case("a blob of other bytes", archive(good | {name: other}), "layer 1.*sha256:")
    yield Case("a blob that is too short", archive(good | {name: layer[:-512]}), "layer 1.*(sha256:|bytes)")
    yield Case("a blob that is missing", archive({k: v for k, v in good.items() if k != name}), f"{name} .*not there")
    for other_size in 0, 1, 2**40:
        lies = archive(oci(layer, size=other_size))
        yield Case(f"a manifest whose size is said to be {other_size}", lies, "bytes|size")
    size: Any
    for size in -1, "9", None, 1.5, 2**70, True, [1]:
        yield Case(f"a size of {size!r}", archive(oci(layer, size=size)), "size")
    wrong: Any
    upper = digest(layer).upper()
    for wrong in "", "sha256:", "md5:" + "0" * 32, f"sha256:../../../{SECRET}", upper, 5, None, f"sha256:{ESCAPE}":
        yield Case(f"a digest of {wrong!r}", archive(oci(layer, digest=wrong)), "digest")
    blobs = Blobs()
    config = blobs.add(Image(layer).config, f"{OCI}.config.v1+json")
    lying = build_descriptor(layer, f"{OCI}.layer.v1.tar") | {"size": len(layer) + 1}
    blobs.files[name] = layer
    manifest = blobs.add(build_manifest(config, [lying]), f"{OCI}.manifest.v1+json")
    yield Case("a layer of another size", archive(layout(blobs, manifest)), "layer 1.*bytes")
    blobs = Blobs()
    right = add_manifest(blobs, Image(layer), plain, f"{OCI}.layer.v1.tar")
    bent = {k: v.replace(b"amd64", b"evil!") for k, v in blobs.files.items()}
    blobs.files = bent
    yield Case("a configuration of other bytes", archive(layout(blobs, right)), "sha256:")


def indexes() -> Iterator[Case]:
    """Indexes that turn in circles, go deep, or name each other many times over."""
    layer = tar(FILE)
    index = f"{OCI}.index.v1+json"

    def nested(depth: int, times: int = 1) -> bytes:
        blobs = Blobs()
        below = add_manifest(blobs, Image(layer), plain, f"{OCI}.layer.v1.tar")
        for _ in range(depth):
            below = blobs.add(build_index(*[below] * times), index)
        return archive(layout(blobs, below))

    yield Case("indexes three deep", nested(3), tree=A_FILE)
    yield Case("indexes a thousand deep", nested(1000), "deep|nested")
    yield Case(
        "ten indexes, each of which names the next a hundred times",
        nested(TEN_LEVELS, 100),
        "deep|nested|indexes|several|many",
    )
    name = "a" * 64
    looping = {"mediaType": index, "digest": f"sha256:{name}", "size": len(build_index({"digest": f"sha256:{name}"}))}
    for word, data in {"itself": build_index(looping), "itself twice": build_index(looping, looping)}.items():
        looping["size"] = len(data)
        files = layout(Blobs(), looping) | {f"blobs/sha256/{name}": build_index(looping)}
        yield Case(f"an index that names {word}", archive(files), "sha256:a|deep|circle|bytes")
    one, two = ("1" * 64, "2" * 64)
    sides = [{"mediaType": index, "digest": f"sha256:{each}", "size": 231} for each in (one, two)]
    files = {f"blobs/sha256/{one}": build_index(sides[1]), f"blobs/sha256/{two}": build_index(sides[0])}
    yield Case(
        "two indexes that name each other", archive(layout(Blobs(), sides[0]) | files), "sha256:1|deep|circle|bytes"
    )
    yield Case("an index of nothing", archive(layout(Blobs())), "index.json")
    many = [build_descriptor(b"", index) for _ in range(20_000)]
    yield Case("an index of twenty thousand", archive(layout(Blobs(), *many)), "index.json")
    blobs = Blobs()
    arms = add_manifest(blobs, Image(tar(member("arm"))), plain, f"{OCI}.layer.v1.tar")
    ours = add_manifest(blobs, Image(layer), plain, f"{OCI}.layer.v1.tar")
    platforms = [
        {**arms, "platform": {"os": "linux", "architecture": "arm64"}},
        {**ours, "platform": {"os": "linux", "architecture": "amd64"}},
    ]
    both = blobs.add(build_index(*platforms), index)
    yield Case("an index of two platforms, of which this is one", archive(layout(blobs, both)), tree=A_FILE)


def compressed() -> Iterator[Case]:
    """Layers that are compressed, and wrongly so."""
    layer = tar(FILE)

    def stored(data: bytes, suffix: str = "+gzip") -> bytes:
        blobs = Blobs()
        described = blobs.add(data, f"{OCI}.layer.v1.tar{suffix}")
        manifest = build_manifest(blobs.add(build_config([layer]), f"{OCI}.config.v1+json"), [described])
        return archive(layout(blobs, blobs.add(manifest, f"{OCI}.manifest.v1+json")))

    packed, zstandard_packed = gzip.compress(layer, mtime=0), zstd(layer)
    yield Case("gzip and zeros after it", stored(packed + bytes(512)), "layer 1.*gzip")
    yield Case("gzip and something else after it", stored(packed + b"more"), "layer 1")
    yield Case(
        "gzip with a name and a comment", stored(b"\x1f\x8b\x08\x18" + bytes(6) + b"n\0c\0" + packed[10:]), tree=A_FILE
    )
    yield Case("gzip of an unknown method", stored(b"\x1f\x8b\x07" + packed[3:]), "layer 1")
    yield Case("gzip of a wrong checksum", stored(packed[:-8] + bytes(4) + packed[-4:]), "layer 1")
    yield Case("gzip of a wrong length", stored(packed[:-4] + bytes(4)), "layer 1")
    yield Case("gzip that is bent", stored(packed[:20] + b"\xff" * 4 + packed[24:]), "layer 1")
    for cut in 1, 2, 9, 10, 11, len(packed) // 2, len(packed) - 9, len(packed) - 8, len(packed) - 1:
        yield Case(f"gzip that is cut after {cut} bytes", stored(packed[:cut]), "layer 1")
    for cut in 1, 3, 4, 5, len(zstandard_packed) // 2, len(zstandard_packed) - 1:
        yield Case(f"zstd that is cut after {cut} bytes", stored(zstandard_packed[:cut], "+zstd"), "layer 1")
    yield Case(
        "zstd that is bent", stored(zstandard_packed[:9] + b"\xff" * 9 + zstandard_packed[18:], "+zstd"), "layer 1"
    )
    # A frame (RFC 8878, 3.1.1) that asks for a window of 2 GiB and 64 GiB, and holds one raw block.
    for log in 31, 36:
        frame = b"\x28\xb5\x2f\xfd\x00" + bytes([(log - 10) << 3]) + (len(FILE) << 3 | 1).to_bytes(3, "little") + FILE
        yield Case(f"zstd that asks for a window of 2 to the {log}", stored(frame, "+zstd"), "layer 1")
    yield Case("gzip in gzip", stored(gzip.compress(packed)), "layer 1")
    yield Case("xz", stored(b"\xfd7zXZ\0" + bytes(100), "+xz"), "layer 1")
    yield Case("bzip2", stored(b"BZh91AY&SY" + bytes(100), "+bzip2"), "layer 1")
    yield Case("a plain layer that is called gzip", stored(layer), tree=A_FILE)
    yield Case("a layer that is encrypted", stored(b"\x93" * 999, "+encrypted"), "layer 1")


CASES: list[Case] = [
    case
    for group in (names, links, kinds, whiteouts, headers, sparse, documents, digests, indexes, compressed)
    for case in group()
]
assert len({case.name for case in CASES}) == len(CASES), "two cases have one name"
