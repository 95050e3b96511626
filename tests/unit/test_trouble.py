"""Does an error of a cell become one line that says what happened, and the way out?"""

import errno
import os
import threading
from traceback import FrameSummary

import pytest

from labkit.cells import Cell
from labkit.errors import EngineRefusal, MachineError
from labkit.linux.place import Place, count_threads, explain_change, explain_threads, read_place
from labkit.show.trouble import explain_error, fold_html
from labkit.widgets.trouble import warn_of_waiting

PAGE = (
    Cell(1, "", "from labkit.lesson import sh"),
    Cell(2, "Nobody listens", 'engine.post("/containers/create", query={"name": "shared"})\npid = 1'),
    Cell(3, "3. A build", 'sh("docker build -t shared:mytag /build")'),
    Cell(4, "4. Names", '\nsh("docker tag busybox shared:first && docker tag busybox shared:latest")'),
    Cell(5, "Later", "print(pid)"),
    Cell(6, "Last", "end = 1"),
)
ABOVE = "Choose Run > Run All Above Selected Cell."
FIRST_LINE = 'engine.post("/containers/create", query={"name": "shared"})'
CELL_2 = f'{ABOVE} (`@` is made under the heading "Nobody listens" by the cell that begins with `{FIRST_LINE}`.)'
CELL_4 = (
    f'{ABOVE} (`shared:latest` is made under the heading "4. Names" by the cell that begins with '
    '`sh("docker tag busybox shared:first && docker tag busybox sh ...`.)'
)
NO_SHARED = EngineRefusal(404, "No such container: shared", "GET", "/containers/shared/json")
TAKEN = EngineRefusal(
    409, 'Conflict. The container name "/shared" is already in use by container "ad40".', "POST", "/containers/create"
)


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (NameError("no", name="pid"), CELL_2.replace("@", "pid")),
        (
            NameError("no", name="sh"),
            f"{ABOVE} (`sh` is made by the set-up cell, the first code cell of this notebook.)",
        ),
        (
            NameError("no", name="end"),
            '`end` is made further down, under the heading "Last" by the cell that begins with `end = 1`. '
            "Run that cell first.",
        ),
        (NameError("no", name="typo"), ""),
        (NO_SHARED, f"GET /containers/shared/json: 404: No such container: shared. {CELL_2.replace('@', 'shared')}"),
        (
            EngineRefusal(404, "no such image: shared:latest: No such image: shared:latest", "GET", "/images/x/json"),
            f"GET /images/x/json: 404: No such image: shared:latest. {CELL_4}",
        ),
        (
            EngineRefusal(404, "no such image: mine:latest: No such image: mine:latest", "GET", "/images/x/json"),
            "GET /images/x/json: 404: No such image: mine:latest",
        ),
        (
            TAKEN,
            "There is a container named shared already: this cell, or another one, ran before. "
            'lesson.remove("shared") removes that container. Then run this cell again.',
        ),
        (EngineRefusal(500, "no idea", "GET", "/x"), "GET /x: 500: no idea"),
        (MachineError("The engine\nis gone."), "The engine is gone."),
        (AssertionError("one is not two"), "one is not two"),
        (AssertionError(), ""),
        (KeyboardInterrupt(), "You stopped this cell."),
        (ValueError("of the learner's"), ""),
    ],
)
def test_the_sentence(error: BaseException, sentence: str) -> None:
    """One line for what labkit knows, and nothing for what Python says better."""
    assert sentence == explain_error(error, PAGE, running=5)


def test_a_refusal_by_the_kernel() -> None:
    """Where labkit made the system call, its error is one line; where the learner did, it is Python's."""
    error = PermissionError(1, "Operation not permitted", "/x")

    assert "[Errno 1] Operation not permitted: '/x'" == explain_error(error, ours=True)
    assert "" == explain_error(error)


def test_the_fold() -> None:
    """It holds the way to the error and its own words, escaped, and is closed at first."""
    page = fold_html([FrameSummary("Cell In[3]", 2, "<module>", line="a < b")], "E: no")

    assert "Cell In[3], line 2, in &lt;module&gt;\n    a &lt; b\nE: no" in page
    assert page.startswith("<details ") and " open" not in page


HERE = Place((1, 2), (1, 3), shares_pids=True)


@pytest.mark.parametrize(
    ("now", "words"),
    [
        (Place((9, 2), (1, 3), True), "chroot"),
        (Place((1, 2), (9, 3), True), "/run"),
        (Place((1, 2), None, True), "/run"),
        (Place((1, 2), (1, 3), False), "PID namespace"),
    ],
)
def test_what_an_experiment_has_changed(now: Place, words: str) -> None:
    """The sentence says which, and names the cure."""
    assert words in explain_change(HERE, now) and explain_change(HERE, now).endswith("gives a new machine.")


def test_a_place_that_has_not_changed() -> None:
    """Nothing is said, on a made-up place and here."""
    assert "" == explain_change(HERE, HERE) == explain_change(read_place(), read_place())


@pytest.mark.parametrize(
    ("source", "waits"),
    [
        ("!docker attach parrot", True),
        ("x = 1\n  ! echo hello | docker attach parrot", True),
        ("!docker run -it busybox sh", True),
        ("!docker run --name x -i busybox cat", True),
        ("!docker logs -f x", True),
        ("!docker events", True),
        ("!docker run --rm busybox true", False),
        ("!docker run -d --name x --init busybox sleep 600", False),
        ("!docker ps", False),
        ('sh("docker attach parrot")', False),
    ],
)
def test_a_line_that_may_wait_for_ever(source: str, waits: bool) -> None:
    """Said before it runs: nobody can say it after."""
    assert waits is bool(warn_of_waiting(source))


@pytest.mark.parametrize(
    ("call", "number", "threads", "is_explained"),
    [
        ("unshare", errno.EINVAL, 13, True),
        ("setns", errno.EINVAL, 2, True),
        ("setns", errno.EUSERS, 2, True),
        ("setns", errno.EINVAL, 1, False),
        ("setns", errno.EPERM, 2, False),
        ("mount", errno.EINVAL, 2, False),
    ],
)
def test_a_refusal_to_several_threads_is_explained(call: str, number: int, threads: int, is_explained: bool) -> None:
    """With the way out; a refusal that has another reason is not."""
    words = explain_threads(call, number, threads)

    assert is_explained is ("%%alone" in words)
    assert not is_explained or words.startswith(f"{call}: {os.strerror(number)}.")


def test_threads_are_counted() -> None:
    """Those of this process."""
    before, waiting = count_threads(), threading.Event()
    thread = threading.Thread(target=waiting.wait)
    thread.start()
    now = count_threads()
    waiting.set()
    thread.join()

    assert before + 1 == now
