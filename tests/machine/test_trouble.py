"""Is an error of a cell one line on a real machine, whatever the cell did before, and has the cell failed?"""

import re
import shutil
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from tests.machine.host import KINDS

LESSON = Path(__file__).resolve().parents[2] / "notebooks/13-attach-logs-events.ipynb"
OPEN = """from labkit.lesson import open_lesson, sh
from labkit.linux import syscalls
lesson = open_lesson("13-attach-logs-events")
engine = lesson.engine"""
CREATE = 'engine.post("/containers/create", query={"name": "again"}, json={"Image": "busybox"})'
INTERRUPT_SOON = "import threading; threading.Timer(3, os.kill, (os.getpid(), signal.SIGINT)).start()"
# What a cell does, and the words that its one line holds; "": it succeeds; None: Python's own traceback.
CELLS: list[tuple[str, str | None]] = [
    ("lesson.close()", "NameError: Choose Run > Run All Above Selected Cell. (`lesson` is made by the set-up cell"),
    ("typo", None),
    (OPEN, ""),
    ('engine.get("/containers/nobody/json")', "404: No such container: nobody"),
    (CREATE, ""),
    (CREATE, 'lesson.remove("again") removes that container'),
    ('lesson.remove("again")', ""),
    ('assert 1 == 2, "one is not two"', "AssertionError: one is not two"),
    ("assert 1 == 2", None),
    ('syscalls.umount2("/nowhere")', "FileNotFoundError: [Errno 2] No such file or directory: '/nowhere'"),
    ('open("/nowhere")', None),
    ('sh("echo one; sleep 60", timeout_s=0.5)', "`echo one; sleep 60` had not ended after 0.5 s"),
    ("import os, signal, time; os.kill(os.getpid(), signal.SIGINT); time.sleep(9)", "You stopped this cell."),
    (f"{INTERRUPT_SOON}\n!docker run -it --name left busybox sh", ""),
    ("assert 'docker run' not in sh('ps -eo args').out, 'the command goes on'", ""),
    ('syscalls.mount("x", "/run", "tmpfs"); engine.close()', ""),
    ("lesson.events()", "Something else lies at /run now"),
    ('syscalls.umount2("/run"); sh("docker ps")', ""),
    (
        "syscalls.unshare(syscalls.CLONE_NEWUSER)",
        "OSError: unshare: Invalid argument. This Python has several threads.",
    ),
    ("%%alone\nsyscalls.unshare(syscalls.CLONE_NEWUSER)", ""),
    ("%%alone\nengine.get('/info')", "ExperimentError: `engine` stays in the notebook's own process"),
    ("%%alone\nsyscalls.umount2('/nowhere')", "FileNotFoundError: [Errno 2] No such file or directory: '/nowhere'"),
    ("%%alone\nmade_by_no_cell + 1", None),
    ("from labkit.isolation import helper; helper.close()", ""),
    ("syscalls.unshare(syscalls.CLONE_NEWPID)", ""),
    ('sh("true")', ""),
    ('sh("true")', "Cannot allocate memory. This Python has put its children into a new PID namespace"),
    ("%%alone\nprint(1)", "No helper process can be started for experiments"),
    ('os.chroot("/mnt"); engine.close()', ""),
    ("engine.get('/info')", "another root directory (chroot)"),
]


@pytest.mark.parametrize("kind", KINDS)
def test_each_error_is_one_line(kind: str, state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It names the cure; where it came from is folded; a mistake that is none of labkit's is shown as Python does."""
    monkeypatch.setenv("LABKIT_MACHINE", kind)
    shutil.copy(LESSON, tmp_path)
    sources = [source for source, _ in CELLS]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in sources])
    resources = {"metadata": {"path": str(tmp_path)}}
    client = NotebookClient(notebook, kernel_name="docker-lab", timeout=60, allow_errors=True, resources=resources)
    with client.setup_kernel():
        for number, cell in enumerate(notebook.cells):
            client.execute_cell(cell, number)

    told = [(source, words, tell(cell.outputs)) for (source, words), cell in zip(CELLS, notebook.cells, strict=True)]
    assert [] == [one for one in told if not agrees(*one[1:])]


def agrees(words: str | None, found: str | None) -> bool:
    """Is what was told what was to be told? Both are None for a traceback and "" for success."""
    return words in found if words and found else words == found


def tell(outputs: list[nbformat.NotebookNode]) -> str | None:
    """The one line of an error, below which there is a fold; None: a traceback; "": there was no error."""
    for output in outputs:
        if output.output_type == "error":
            if len(output.traceback) > 1:
                return None
            folds = [one.data["text/html"] for one in outputs if "text/html" in one.get("data", {})]
            assert "Where it happened" in "".join(folds)
            return re.sub(r"\x1b\[[0-9;]*m", "", output.traceback[0])
    return ""
