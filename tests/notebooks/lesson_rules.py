"""What makes a notebook a lesson? Its parts, its sentences, and the Python that a beginner reads at once.

docs/writing-a-lesson.md gives the rules in words. Each rule here takes a notebook and names its faults.
"""

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from IPython.core.inputtransformer2 import TransformerManager

__all__ = ["COLUMNS", "lesson_faults", "split_sentences"]

MEAN_WORDS = 16  # a sentence
MOST_WORDS = 30  # in one sentence
COLUMNS = ("native", "uml", "uml, Debian's kernel")  # of tests/notebooks/seconds.json
SUBJECT = "subject"  # the tag of a cell whose Python is what the lesson is about
MOST_THREADS = 1  # made by hand, in a lesson
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)

FIRST_CELL = {
    "a title": r"\A# \S",
    "links to all lessons, and how long it takes": r"^.*\[all lessons\]\(home\.md\).*about \d+ minutes",
    "the map": r"^!\[[^\]]+\]\(pictures/map-\w+\.svg\)$",
    "the trouble": r"^\*\*Trouble\*\*: \S",
    "a question in bold": r"^\*\*[^*]+\?\*\*$",
    "what you can do at the end": r"^(?:\*\*)?At the end you can\b",
}
BEAT = re.compile(r"^## (\d+)\. .+$", re.M)
MINUTES = re.compile(r"\(\d+ minutes?\)$")
KEEP = re.compile(r"^> \*\*Keep\*\*: \S", re.M)

FENCE = re.compile(r"^```.*?^```", re.M | re.S)
NOTES = re.compile(r"^> \*\*From the notes\*\*(?:.*\n?)(?:^>.*\n?)*", re.M)  # other people's words
BLOCK = re.compile(r"\n\s*\n|\n(?=\s*(?:[*-]|\d+\.) )|<summary>|</summary>|</?details>")
SENTENCE_END = re.compile(r"(?<=[.!?])[)*\"]*\s+")


def lesson_faults(notebook: Any, number: str, seconds: Mapping[str, float], teaching: Path) -> list[str]:
    """Name each fault of a lesson; `seconds` is its entry in seconds.json, `teaching` where the teacher's pages lie."""
    return [
        *first_cell_faults(notebook),
        *beat_faults(notebook),
        *prediction_faults(notebook),
        *prose_faults(notebook),
        *python_faults(notebook),
        *([] if (teaching / f"{number}.md").is_file() else [f"it has no teacher's page, docs/teaching/{number}.md"]),
        *(f"seconds.json has no seconds of it for {column!r}" for column in COLUMNS if column not in seconds),
    ]


def first_cell_faults(notebook: Any) -> list[str]:
    """What a learner sees before anything has run."""
    text = notebook.cells[0].source if notebook.cells and notebook.cells[0].cell_type == "markdown" else ""
    return [f"its first cell has not: {part}" for part, form in FIRST_CELL.items() if not re.search(form, text, re.M)]


def beat_faults(notebook: Any) -> list[str]:
    """Beats are numbered in their order, name their minutes, and have a box with a sentence to keep."""
    text = "\n\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    found = []
    beats = list(BEAT.finditer(text))
    if [int(beat[1]) for beat in beats] != list(range(1, len(beats) + 1)) or not beats:
        found.append("its beats are not numbered 1, 2, 3 and so on")
    for beat in beats:
        rest = text[beat.end() :]
        following = re.search(r"^## ", rest, re.M)
        if not MINUTES.search(beat[0]):
            found.append(f"beat {beat[1]} does not name its minutes")
        if not KEEP.search(rest[: following.start()] if following else rest):
            found.append(f"beat {beat[1]} has no box to keep")
    return found


def prediction_faults(notebook: Any) -> list[str]:
    """Each prediction has a name, and a verdict in a later cell."""
    code = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    trees = [_parse(source) for source in code]
    found = []
    for place, tree in enumerate(trees):
        asked = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and _name_of(node.func) == "predict"]
        named = {
            id(node.value): node.targets[0].id
            for node in ast.walk(tree)
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
        }
        for call in asked:
            name = named.get(id(call), "")
            later = {_name_of(node.func) for tree in trees[place + 1 :] for node in _calls(tree)}
            if f"{name}.verdict" not in later:
                found.append(f"cell {place}: the prediction {name or ast.unparse(call)} has no verdict in a later cell")
    return found


def prose_faults(notebook: Any) -> list[str]:
    """Sentences are short: on the average, and each of them."""
    said = [
        sentence for cell in notebook.cells if cell.cell_type == "markdown" for sentence in split_sentences(cell.source)
    ]
    mean = sum(map(_count_words, said)) / max(1, len(said))
    found = [f"its sentences have {mean:.1f} words on the average"] if mean > MEAN_WORDS else []
    return found + [f"a sentence of {_count_words(one)} words: {one}" for one in said if _count_words(one) > MOST_WORDS]


def split_sentences(text: str) -> list[str]:
    """The sentences of a cell's prose: without code, tables, headings, pictures, links' addresses and quoted notes."""
    text = NOTES.sub("", FENCE.sub("", text))
    text = re.sub(r"^(?:#|\||!?\[).*$", "", text, flags=re.M)  # headings, tables, lines of links
    text = re.sub(r"^> ?", "", text, flags=re.M)
    text = re.sub(r"`[^`]+`", "code", text)
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text)
    blocks = [re.sub(r"<[^>]+>|^\s*(?:[*-]|\d+\.) ", "", block) for block in BLOCK.split(text)]
    found = [" ".join(one.split()) for block in blocks for one in SENTENCE_END.split(block)]
    return [one for one in found if _count_words(one) > 1]


def python_faults(notebook: Any) -> list[str]:
    """Cells are written in a beginner's Python, unless they are tagged as what the lesson is about."""
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    trees = {
        place: _parse(cell.source) for place, cell in enumerate(cells) if SUBJECT not in cell.metadata.get("tags", [])
    }
    found = [f"cell {place}: {what}" for place, tree in trees.items() for what in sorted(set(_hard_python(tree)))]
    threads = [call for tree in trees.values() for call in _calls(tree) if _name_of(call.func).endswith("Thread")]
    return found + [f"it makes {len(threads)} threads by hand"] * (len(threads) > MOST_THREADS)


def _hard_python(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.NamedExpr):
            yield "a walrus"
        elif isinstance(node, ast.Starred):
            yield "star-unpacking"
        elif isinstance(node, ast.Lambda):
            yield "a lambda"
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names = {alias.name for alias in node.names} | {getattr(node, "module", None)}
            if "struct" in names:
                yield "it imports struct"
        elif isinstance(node, COMPREHENSIONS):
            inner = [one for one in ast.walk(node) if isinstance(one, COMPREHENSIONS)]
            if len(node.generators) > 1 or len(inner) > 1:
                yield "a nested comprehension"
            if node.end_lineno != node.lineno:
                yield "a comprehension of more than one line"


def _parse(source: str) -> ast.Module:
    """A cell's Python; lines for the shell and for IPython become calls. One that runs alone is Python all the same."""
    source = re.sub(r"\A%%alone\b.*\n", "", source)
    return ast.parse(TransformerManager().transform_cell(source))


def _calls(tree: ast.AST) -> Iterator[ast.Call]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.Call))


def _name_of(function: ast.expr) -> str:
    return ast.unparse(function)


def _count_words(sentence: str) -> int:
    return len(re.findall(r"[\w'’-]*\w[\w'’-]*", sentence))
