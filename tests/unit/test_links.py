"""Does every link of the texts lead somewhere?"""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TEXTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
FENCE = re.compile(r"^(```+|~~~+).*?^\1", re.M | re.S)
CODE = re.compile(r"`[^`\n]*`")
LINK = re.compile(r"\]\(([^)\s]+)(?:\s+\"[^\"]*\")?\)")
HEADING = re.compile(r"^#+ +(.+?)\s*$", re.M)


def find_links(text: str) -> list[str]:
    """What a text links to; what stands in code is no link."""
    return LINK.findall(CODE.sub("", FENCE.sub("", text)))


def find_anchors(text: str) -> set[str]:
    """The names of a text's headings as GitHub makes them: small letters, hyphens for spaces, no punctuation."""
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in HEADING.findall(text)}


def dead_links(path: Path, root: Path = ROOT) -> Iterator[str]:
    """The links of a text that lead to no file, out of the repository, or to no heading."""
    for link in find_links(path.read_text()):
        name, _, anchor = link.partition("#")
        if re.match(r"[a-z]+:", name):
            continue  # on the web: not ours to keep
        target = (path.parent / name).resolve() if name else path
        is_there = target.exists() and target.is_relative_to(root)
        if not is_there or (anchor and (target.suffix != ".md" or anchor not in find_anchors(target.read_text()))):
            yield link


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_somewhere(path: Path) -> None:
    """A text names only files and headings that are there."""
    assert [] == list(dead_links(path))


def test_links_were_found() -> None:
    """The test above says nothing about texts without links."""
    assert sum(len(find_links(path.read_text())) for path in TEXTS) > 20


@pytest.mark.parametrize(
    ("text", "dead"),
    [
        ("[a](gone.md)", ["gone.md"]),
        ("[a](there.md#gone)", ["there.md#gone"]),
        ("[a](#gone)", ["#gone"]),
        ("![a](gone.png)", ["gone.png"]),
        ("[a](../outside.md)", ["../outside.md"]),
        ("[a](there.md#a-heading-its-code) and [b](#here)", []),
        ("[a](https://example.org/gone), `[b](gone.md)`\n```md\n[c](gone.md)\n```", []),
    ],
)
def test_a_dead_link_is_named(text: str, dead: list[str], tmp_path: Path) -> None:
    """Exactly the links that lead nowhere are found."""
    root = tmp_path / "root"
    root.mkdir()
    (tmp_path / "outside.md").write_text("# There, but not ours")
    (root / "there.md").write_text("# A heading: its `code`\n")
    path = root / "text.md"
    path.write_text(f"## Here\n\n{text}\n")

    assert dead == list(dead_links(path, root))
