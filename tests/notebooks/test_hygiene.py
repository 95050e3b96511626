"""Does every stored notebook leave nbval something to compare?

nbval passes a cell that was stored unexecuted, a cell tagged `raises-exception` without its stored error, and
outputs that were stripped. These rules close those ways. One more keeps a lesson whole on every engine. The rules that
make a notebook a lesson are in tests/notebooks/lesson_rules.py; here every lesson is held to them, too.
"""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest

from tests.notebooks.lesson_rules import COLUMNS, lesson_faults, split_sentences

ROOT = Path(__file__).resolve().parents[2]
TEACHING = ROOT / "docs/teaching"
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
SECONDS = json.loads((ROOT / "tests/notebooks/seconds.json").read_text())
IDENTITY = re.compile(r"\b[0-9a-f]{12,64}\b|/(?:tmp|home|root|work)/\w|0x[0-9a-f]{6,}")
UNCOMPARED = {"nbval-ignore-output", "nbval-skip", "pytest-validate-ignore-output", "nbval-raises-exception"}
INDEXED = re.compile(
    r"\bexchanges\s*\["
)  # one generation of docker asks more than another, and what comes first differs
LEARNERS = "application/vnd.labkit."  # a learner's JupyterLab writes such types into a copy of a lesson
ALONE = re.compile(r"\A%%alone\b.*\n")
MARKER = re.compile(r"^\s*#+\s*(?:NBVAL_|PYTEST_VALIDATE_)\w+", re.MULTILINE)  # nbval obeys these as it obeys tags


def faults(notebook: Any) -> list[str]:
    """Name each fault of a notebook, with the number of its cell."""
    found = []
    if notebook.metadata.get("kernelspec", {}).get("name") != "docker-lab":
        found.append("its kernel is not docker-lab")
    if "widgets" in notebook.metadata:
        found.append("it was saved with its widgets: tools/store_outputs.py stores it without")
    code = [cell for cell in notebook.cells if cell.cell_type == "code" and cell.source.strip()]
    if any(kind.startswith(LEARNERS) for cell in code for output in cell.outputs for kind in output.get("data", {})):
        found.append("it holds what a learner saw: tools/store_outputs.py stores it without")
    kinds = "".join(cell.cell_type[0] for cell in notebook.cells)
    if "ccc" in kinds:
        found.append(f"more than two code cells in a row, from cell {kinds.index('ccc')} on")
    if not any(cell.outputs for cell in code):
        found.append("no cell has an output")
    for number, cell in enumerate(code):
        found += [f"cell {number}: {fault}" for fault in cell_faults(cell, number)]
    return found


def cell_faults(cell: Any, number: int) -> list[str]:
    tags = set(cell.metadata.get("tags", []))
    raised = any(output.output_type == "error" for output in cell.outputs)
    text = "\n".join(words(output) for output in cell.outputs)
    rules = {
        "stored unexecuted, or out of order": cell.execution_count != number + 1,
        "an error that is not tagged raises-exception": raised and "raises-exception" not in tags,
        "tagged raises-exception, without the error": "raises-exception" in tags and not raised,
        "its output is not compared": bool(tags & UNCOMPARED),
        "a comment tells nbval what to do: use a tag": bool(MARKER.search(cell.source)),
        "an exchange is taken by its place: use find(method, path)": bool(INDEXED.search(cell.source)),
        f"an identity in its output: {IDENTITY.findall(text)[:1]}": bool(IDENTITY.search(text)),
    }
    return [fault for fault, broken in rules.items() if broken]


def words(output: Any) -> str:
    """All that nbval compares of one output."""
    shown = [text for kind, text in output.get("data", {}).items() if kind.startswith(("text/", "image/svg"))]
    return "\n".join([output.get("text", ""), output.get("evalue", ""), *shown])


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_a_notebook_has_no_fault(path: Path) -> None:
    """Every shipped notebook is stored as it ran, and shows relations instead of identities."""
    assert faults(nbformat.read(path, as_version=4)) == []


def lint_alone(notebook: Any, place: Path) -> str:
    """What ruff says of a notebook's names, where cells that run alone are Python like the others; "": nothing."""
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.source = ALONE.sub("", cell.source)
    nbformat.write(notebook, place / "copy.ipynb")
    ruff = [str(Path(sys.executable).with_name("ruff")), "check", "--isolated", "--quiet", "--select=F"]
    return subprocess.run([*ruff, str(place / "copy.ipynb")], capture_output=True, text=True).stdout


@pytest.mark.parametrize("path", [path for path in NOTEBOOKS if "%%alone" in path.read_text()], ids=lambda p: p.name)
def test_names_of_cells_that_run_alone_are_there(path: Path, tmp_path: Path) -> None:
    """None is missing, and no import is left over."""
    assert "" == lint_alone(nbformat.read(path, 4), tmp_path)


def test_a_name_that_is_missing_in_a_cell_that_runs_alone_is_seen(tmp_path: Path) -> None:
    """As ruff says it."""
    notebook = lesson("%%alone a\na = b")

    assert "Undefined name `b`" in lint_alone(notebook, tmp_path)


def test_there_are_notebooks() -> None:
    """The test above says nothing about an empty directory."""
    assert NOTEBOOKS


def test_no_solution_takes_an_exchange_by_its_place() -> None:
    """What a lesson must not do, its solutions do not show."""
    solutions = sorted((NOTEBOOKS[0].parent / "solutions").glob("*.py"))

    assert solutions
    assert [] == [path.name for path in solutions if INDEXED.search(path.read_text())]


def make(
    count: int | None = 1,
    text: str = "fine\n",
    tags: tuple[str, ...] = (),
    error: str | None = None,
    source: str = "print()",
    kernel: str = "docker-lab",
) -> Any:
    cell = nbformat.v4.new_code_cell(source, execution_count=count)
    cell.metadata["tags"] = list(tags)
    cell.outputs = [nbformat.v4.new_output("stream", name="stdout", text=text)]
    if error is not None:
        cell.outputs.append(nbformat.v4.new_output("error", ename="E", evalue=error, traceback=[]))
    notebook = nbformat.v4.new_notebook(cells=[cell])
    notebook.metadata["kernelspec"] = {"name": kernel, "display_name": "", "language": "python"}
    return notebook


@pytest.mark.parametrize(
    "wrong",
    [
        make(count=None),
        make(count=2),
        make(tags=("raises-exception",)),
        make(error="no"),
        make(error="no /home/me", tags=("raises-exception",)),
        make(source="# NBVAL_IGNORE_OUTPUT\nprint()"),
        make(source="# NBVAL_SKIP\nprint()"),
        make(source="said.exchanges[1].request"),
        make(source="print(engine.exchanges [-1:])"),
        make(kernel="python3"),
        make(tags=("nbval-skip",)),
        make(text="f00dfeedf00d\n"),
        make(text="/tmp/x\n"),
    ],
)
def test_each_fault_is_seen(wrong: Any) -> None:
    """A notebook with one fault is refused, for that fault alone."""
    assert len(faults(wrong)) == 1


def test_a_sound_notebook_passes() -> None:
    """The rules do not refuse everything."""
    assert faults(make()) == []
    assert faults(make(error="expected", tags=("raises-exception",))) == []


def test_three_code_cells_in_a_row_are_seen() -> None:
    """Between two steps there is a word on what was seen."""
    notebook = make()
    notebook.cells += [make(count=number).cells[0] for number in (2, 3)]

    assert faults(notebook) == ["more than two code cells in a row, from cell 0 on"]


def test_a_notebook_saved_in_jupyterlab_is_seen() -> None:
    """What its widgets showed on a machine that is gone is nothing that others can compare."""
    notebook = make()
    notebook.metadata["widgets"] = {"application/vnd.jupyter.widget-state+json": {"state": {}}}

    assert faults(notebook) == ["it was saved with its widgets: tools/store_outputs.py stores it without"]


def test_what_a_learner_saw_is_a_fault() -> None:
    """JupyterLab writes it into a learner's copy; the repository's notebook is the same for everybody."""
    notebook = nbformat.read(NOTEBOOKS[0], as_version=4)
    shown = next(output for cell in notebook.cells for output in cell.get("outputs", []) if "data" in output)
    shown.data["application/vnd.labkit.seen+json"] = {"when": "", "svg": ""}

    assert faults(notebook) == ["it holds what a learner saw: tools/store_outputs.py stores it without"]


def test_stripped_outputs_are_seen() -> None:
    """A notebook without any output would be compared with nothing."""
    notebook = make()
    notebook.cells[0].outputs = []

    assert faults(notebook) == ["no cell has an output"]


# --- what makes a notebook a lesson ----------------------------------------------------------------------------------

MEASURED = dict.fromkeys(COLUMNS, 10.0)
OPENING = """\
# Look at a thing

[‹ 00 Start here](00-start-here.ipynb) | [all lessons](home.md) | about 20 minutes

![where we are](pictures/map-00.svg)

**Trouble**: A thing is lost. You look for it.

**Where is the thing?**

**At the end you can**

* find the thing.
"""
BEAT = """\
## 1. Where is it? (3 minutes)

You look at the thing. The thing looks back.

> **Keep**: The thing is where it was.
"""


def lesson(
    *code: str,
    opening: str = OPENING,
    beat: str = BEAT,
    prose: str = "Look here, then go on.",
    tags: tuple[str, ...] = (),
) -> Any:
    """A lesson of one beat: its opening, its code, what is said of it."""
    markdown = nbformat.v4.new_markdown_cell
    cells = [nbformat.v4.new_code_cell(source, metadata={"tags": list(tags)}) for source in code]
    return nbformat.v4.new_notebook(cells=[markdown(opening), *cells, markdown(beat), markdown(prose)])


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_a_lesson_has_no_fault(path: Path) -> None:
    """Every lesson has its parts, short sentences, easy Python, and an answer to each prediction."""
    number = path.name.partition("-")[0]

    assert lesson_faults(nbformat.read(path, as_version=4), number, MEASURED, TEACHING) == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_a_lesson_has_its_seconds(path: Path) -> None:
    """Every lesson has been measured on each sort of machine."""
    assert [] == [column for column in COLUMNS if column not in SECONDS.get(path.stem, {})]


ASK = 'q = predict("Where?", "here", "there")'
TELL = 'q.verdict("here", "We looked.")'
LONG = " ".join(["word"] * 31)
MISTAKES = {
    "no title": (lesson(opening=OPENING.replace("# Look", "Look")), "a title"),
    "no links": (lesson(opening=OPENING.replace("[all lessons](home.md)", "all lessons")), "links to all lessons"),
    "no minutes": (lesson(opening=OPENING.replace("about 20 minutes", "")), "how long it takes"),
    "no map": (lesson(opening=OPENING.replace("map-00.svg", "cat.svg")), "the map"),
    "no trouble": (lesson(opening=OPENING.replace("**Trouble**", "Trouble")), "the trouble"),
    "no question": (lesson(opening=OPENING.replace("**Where is the thing?**", "")), "a question"),
    "no aim": (lesson(opening=OPENING.replace("At the end you can", "You will")), "at the end"),
    "numbered from 2": (lesson(beat=BEAT.replace("## 1.", "## 2.")), "not numbered"),
    "no beat": (lesson(beat="## Exercises"), "not numbered"),
    "a beat without minutes": (lesson(beat=BEAT.replace(" (3 minutes)", "")), "beat 1 does not name its minutes"),
    "a beat without a box": (lesson(beat=BEAT.replace("> **Keep**", "**Keep**")), "beat 1 has no box to keep"),
    "a box in the next part": (
        lesson(beat=BEAT.replace("> **Keep**", "## The end\n\n> **Keep**")),
        "beat 1 has no box to keep",
    ),
    "no verdict": (lesson(ASK), "the prediction q has no verdict"),
    "the verdict in the same cell": (lesson(f"{ASK}\n{TELL}"), "the prediction q has no verdict"),
    "another's verdict": (lesson(ASK, TELL.replace("q.", "p.")), "the prediction q has no verdict"),
    "a prediction without a name": (lesson('predict("Where?", "here", "there")', TELL), "has no verdict"),
    "a long sentence": (lesson(prose=f"{LONG}."), "a sentence of 31 words"),
    "a long line of a list": (lesson(prose=f"Look:\n\n* {LONG}\n* here it is"), "a sentence of 31 words"),
    "long sentences": (lesson(prose=f"{LONG[:-5]}. " * 9), "words on the average"),
    "a walrus": (lesson("if (n := 1):\n    print(n)"), "a walrus"),
    "a star": (lesson("first, *rest = [1, 2]"), "star-unpacking"),
    "a star in a call": (lesson("print(*[1, 2])"), "star-unpacking"),
    "a lambda": (lesson("sorted([1], key=lambda one: -one)"), "a lambda"),
    "struct": (lesson("import struct"), "it imports struct"),
    "from struct": (lesson("from struct import unpack"), "it imports struct"),
    "two loops": (lesson("[a for a in x for b in a]"), "a nested comprehension"),
    "a comprehension in another": (lesson("[[b for b in a] for a in x]"), "a nested comprehension"),
    "two lines": (lesson("[\n    a\n    for a in x\n]"), "a comprehension of more than one line"),
    "two threads": (lesson("Thread(target=a)\nthreading.Thread(target=b)"), "it makes 2 threads by hand"),
}


@pytest.mark.parametrize(("wrong", "named"), MISTAKES.values(), ids=MISTAKES.keys())
def test_each_fault_of_a_lesson_is_seen(wrong: Any, named: str) -> None:
    """A lesson with one mistake is refused, in words that name it."""
    found = lesson_faults(wrong, "00", MEASURED, TEACHING)

    assert 1 == len(found) and named in found[0], found


def test_a_lesson_without_its_files_is_seen(tmp_path: Path) -> None:
    """A teacher's page, and the seconds on each sort of machine, belong to a lesson."""
    found = lesson_faults(lesson(), "00", {"uml": 10.0}, tmp_path)

    assert [
        "it has no teacher's page, docs/teaching/00.md",
        "seconds.json has no seconds of it for 'native'",
        'seconds.json has no seconds of it for "uml, Debian\'s kernel"',
    ] == found


def test_a_sound_lesson_passes() -> None:
    """The rules do not refuse everything: what is tagged as the subject may be hard, the shell is no Python."""
    sound = lesson(ASK, f"!ls | head -1\n{TELL}", "%%sh\ncd / && ls", "names = [one.name for one in x]")

    assert [] == lesson_faults(sound, "00", MEASURED, TEACHING)
    assert [] == lesson_faults(lesson("import struct\nf = lambda: 0", tags=("subject",)), "00", MEASURED, TEACHING)


def test_what_is_no_prose_is_not_counted() -> None:
    """Code, tables, headings, links' addresses and quoted notes are not the lesson's sentences."""
    text = f"""\
# A heading of four words

Look at [the page](https://example.org/a/b). `a b c` is <abbr title="{LONG}">short</abbr>!

> **From the notes**: {LONG}
> {LONG}

| {LONG} |
|---|

```sh
{LONG}
```

* One point
* Another point"""

    assert ["Look at the page.", "code is short!", "One point", "Another point"] == split_sentences(text)
