"""Does each hostile archive get the right answer, or an error that says where, and is nothing else done?

`tests/hostile/cases.py` makes them. All are asked in one process, which may have little memory.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from labkit.errors import ImageError
from labkit.images.archives import analyse_file
from tests.hostile.ask import PATIENCE_S, Answer
from tests.hostile.cases import CASES, SECRET, Case

ROOT = Path(__file__).resolve().parents[2]
ADDRESS_SPACE = 600 * 2**20  # bytes; Python with what labkit imports has 100 MiB of addresses
GROWTH = 60 * 2**20  # bytes more than before, at most
RAW = re.compile(r"[^\n -~\u00a0-\U0010ffff]|[\u2028\u2029\u202a-\u202e\u2066-\u2069\u0080-\u009f]")
TRAPS = [case for case in CASES if case.tree is None]
TWINS = [case for case in CASES if case.tree is not None]
FORMATS = {"text": [], "JSON": ["--json"]}
Asked = dict[tuple[str, str], Answer]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory for the archives, with a file that none of them may make anybody read."""
    folder = tmp_path_factory.mktemp("cases")
    (folder / SECRET).write_text("secret")
    return folder


@pytest.fixture(scope="module")
def asked(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Asked:
    """What the command says of each archive, as text and as JSON."""
    files = {case.name: case.write(folder / f"{number}.tar") for number, case in enumerate(CASES)}
    wanted = [(name, word) for name in files for word in FORMATS]
    arguments = [[str(files[name]), *FORMATS[word]] for name, word in wanted]
    empty = tmp_path_factory.mktemp("empty")
    program = [sys.executable, "-m", "tests.hostile.ask", str(ADDRESS_SPACE)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(empty), "HOME": str(empty)}
    done = subprocess.run(
        program, cwd=empty, env=environment, input=json.dumps(arguments), capture_output=True, text=True, check=False
    )
    assert 0 == done.returncode, done.stderr[-3000:]
    assert [] == os.listdir(empty)
    return dict(zip(wanted, (Answer(*answer) for answer in json.loads(done.stdout)), strict=True))


def names(cases: list[Case]) -> list[str]:
    return [case.name for case in cases]


@pytest.mark.parametrize("word", FORMATS)
@pytest.mark.parametrize("case", TRAPS, ids=names(TRAPS))
def test_a_trap_is_refused_in_one_line_that_says_where(case: Case, word: str, asked: Asked) -> None:
    """The status is not 0, nothing comes to stdout, and one line without a raw code to stderr."""
    answer = asked[case.name, word]

    assert answer.status > 0, answer
    assert "" == answer.out
    assert 1 == answer.error.count("\n") and answer.error.endswith("\n"), answer.error
    assert re.search(case.refused, answer.error, re.IGNORECASE), answer.error
    assert not RAW.search(answer.error)
    assert len(answer.error) < 1000


@pytest.mark.parametrize("word", FORMATS)
@pytest.mark.parametrize("case", TWINS, ids=names(TWINS))
def test_a_benign_twin_passes(case: Case, word: str, asked: Asked) -> None:
    """The status is 0, nothing comes to stderr, and no raw code to stdout."""
    answer = asked[case.name, word]

    assert (0, "") == (answer.status, answer.error)
    assert not RAW.search(answer.out)
    if word == "JSON":
        assert {"layers", "wasted_bytes", "dive_wasted_bytes", "efficiency"} <= json.loads(answer.out).keys()


@pytest.mark.parametrize("case", TWINS, ids=names(TWINS))
def test_a_benign_twin_has_the_right_tree(case: Case, asked: Asked, folder: Path) -> None:
    """The whole image has what its makers put there."""
    found = analyse_file(folder / f"{CASES.index(case)}.tar")
    tree = found.tree(len(found.layers) - 1) if found.layers else {}

    assert case.tree is not None
    assert case.tree == {path: tree[path].kind if path in tree else "" for path in case.tree}
    assert not [path for path in tree if path == ".." or path.startswith(("/", "../")) or "/../" in path]


@pytest.mark.parametrize("case", CASES, ids=names(CASES))
def test_nothing_is_written_run_or_called(case: Case, asked: Asked) -> None:
    """An archive is read, and that is all that is done; no file beside it is opened."""
    for word in FORMATS:
        answer = asked[case.name, word]

        assert [] == answer.deeds
        assert not [path for path in answer.read if SECRET in path]


@pytest.mark.parametrize("case", CASES, ids=names(CASES))
def test_memory_and_time_are_bounded(case: Case, asked: Asked) -> None:
    """However much an archive claims."""
    for word in FORMATS:
        answer = asked[case.name, word]

        assert answer.grown_bytes < GROWTH
        assert answer.seconds < PATIENCE_S / 2


def test_the_watch_sees_what_is_written(tmp_path: Path) -> None:
    """A test that finds no deed says nothing, unless the watch would have seen one."""
    program = """
import os, sys
from tests.hostile.ask import seen, watch
sys.addaudithook(watch)
open("f", "w").close()
os.symlink("f", "l")
print(*[event for event, _ in seen if event != "read"])
"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}

    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )

    assert ["open", "w", "os.symlink"] == [word for word in done.stdout.split() if not word.isdigit()]


def test_the_error_says_where_as_a_value(folder: Path, asked: Asked) -> None:
    """A program asks the error itself for the place and for what is wrong there."""
    number = names(CASES).index("a name that leads out")

    with pytest.raises(ImageError) as caught:
        analyse_file(folder / f"{number}.tar")

    assert "layer 1" in caught.value.where and "entry 1" in caught.value.where
    assert "leads out of the image" in caught.value.what
