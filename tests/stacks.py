"""Which images do the tests of the layer stack look at? Made-up ones: no archive is read."""

from labkit.images.layers import Analysis, Content, analyse
from labkit.images.oci import History, ImageConfig

__all__ = ["APP", "MANY", "HOSTILE_NAME", "make_app", "make_many", "make_stack"]

APP = (
    "/bin/sh -c #(nop) ADD file:" + 64 * "a" + " in / ",
    "/bin/sh -c apt-get update && apt-get install -y python3",
    "COPY dir:" + 64 * "b" + " in /app ",
    "RUN /bin/sh -c rm -rf /var/lib/apt/lists /app/tests # buildkit",
    "RUN /bin/sh -c chown -R app /app # buildkit",
)
HOSTILE_NAME = "a\x1b[31m<b>&\u202egpj"
MANY = 20_000  # files in one folder of `make_many`


def make_stack(contents: list[Content], lines: tuple[str, ...], name: str) -> Analysis:
    """Lay contents on each other as the layers of an image with this history."""
    diff_ids = tuple(f"sha256:{number:064x}" for number in range(len(contents)))
    history = tuple(History(line, False) for line in lines)
    config = ImageConfig("sha256:" + 64 * "c", "amd64", "linux", diff_ids, history, {})
    return analyse(contents, name=name, config=config)


def make_app() -> Analysis:
    """An image of a Dockerfile of five lines: what the second leaves is tidied up too late, the last changes owners."""
    base, install, copy, tidy, owners = (Content() for _ in range(5))
    for path, size in (("bin/busybox", 1_900_000), ("etc/passwd", 340), ("etc/group", 300), ("etc/motd", 286)):
        base.add(path, "file", size)
    base.add("bin/sh", "symlink", target="busybox")
    for number in range(40):
        base.add(f"usr/share/doc/package-{number:02}/copyright", "file", 1200 + 37 * number)
    for number in range(12):
        install.add(f"var/lib/apt/lists/deb.example_main_{number:02}", "file", 1_400_000 + 9000 * number)
        install.add(f"usr/lib/python3/part_{number:02}.py", "file", 42_000 + 512 * number)
    install.add("usr/bin/python3", "file", 6_600_000)
    install.add("etc/passwd", "file", 390)
    copy.add("app/main.py", "file", 4_100)
    copy.add("app/model.bin", "file", 12_500_000)
    copy.add("app/tests/test_main.py", "file", 9_000)
    copy.add(f"app/{HOSTILE_NAME}", "file", 12)
    tidy.add("var/lib/apt/.wh.lists", "file")
    tidy.add("app/.wh.tests", "file")
    owners.add("app", "directory")
    owners.add("app/main.py", "file", 4_100)
    owners.add("app/model.bin", "file", 12_500_000)
    return make_stack([base, install, copy, tidy, owners], APP, "shop:1.4")


def make_many(entries: int = 100_000, layers: int = 12) -> Analysis:
    """An image of so many entries: 20,000 files in one folder, the others in folders of a hundred; each layer acts."""
    contents = [Content() for _ in range(layers)]
    for number in range(MANY):
        contents[0].add(f"srv/many/file-{number:05}.txt", "file", number % 4096)
    for number in range(entries - MANY):
        path = f"usr/lib/part-{number // 10_000:02}/folder-{number // 100 % 100:02}/file-{number % 100:02}.so"
        contents[number % (layers - 1)].add(path, "file", 100 + number % 5000)
    for layer in range(1, layers):
        for number in range(0, MANY, 50 * layer):
            contents[layer].add(f"srv/many/file-{number:05}.txt", "file", 4096)
        contents[layer].add(f"usr/lib/part-00/folder-{layer:02}/.wh.file-00.so", "file")
    return make_stack(
        contents, tuple(f"RUN /bin/sh -c make part-{number} # buildkit" for number in range(layers)), "many:1"
    )
