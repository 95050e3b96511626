"""Is what strace wrote of an exec read right: cut calls, threads, processes, and their steps?"""

import pytest

from labkit.isolation.tracing import Call, Process, Step, parse_trace, read_processes
from labkit.show.entering import count_threads, entering_html, entering_svg, entering_text

THREAD = "CLONE_VM|CLONE_FS|CLONE_FILES|CLONE_SIGHAND|CLONE_THREAD|CLONE_SYSVSEM"
# Of runc 1.1.5, shortened: `runc exec` of a program that is there, and of one that is not.
BEGIN = f"""\
10    execve("/usr/sbin/runc", ["runc", "--root", "/run/x", "exec", "0123", "PROGRAM"], 0x7ff /* 9 vars */) = 0
10    clone3({{flags={THREAD}, exit_signal=0}} => {{parent_tid=[11]}}, 88) = 11
11    clone(child_stack=NULL, flags=CLONE_VM|CLONE_VFORK|SIGCHLD <unfinished ...>
12    execve("/proc/self/exe", ["runc", "init"], 0xc000212180 /* 6 vars */ <unfinished ...>
11    <... clone resumed>)              = 12
12    <... execve resumed>)             = 0
12    clone(child_stack=0x7ffebd2d3b00, flags=CLONE_PARENT|SIGCHLD) = 13
13    setns(6, CLONE_NEWIPC)            = 0
13    setns(9, CLONE_NEWUTS)            = 0
13    setns(12, CLONE_NEWNS)            = 0
13    clone(child_stack=0x7ffebd2d3b00, flags=CLONE_PARENT|SIGCHLD) = 14
13    +++ exited with 0 +++
11    --- SIGCHLD {{si_signo=SIGCHLD, si_code=CLD_EXITED, si_pid=13, si_status=0}} ---
14    clone3({{flags={THREAD}, exit_signal=0}} => {{parent_tid=[15]}}, 88) = 15
15    clone3({{flags={THREAD}, exit_signal=0}} => {{parent_tid=[16]}}, 88) = 16
14    newfstatat(AT_FDCWD, "/usr/bin/PROGRAM", 0xc0000caed8, 0) = -1 ENOENT (No such file or directory)
"""
FOUND = BEGIN.replace("PROGRAM", "true") + '14 execve("/bin/true", ["true"], 0xc000024800 /* 3 vars */) = 0\n'
LOST = (
    BEGIN.replace("PROGRAM", "nosuch")
    + '15    write(3, "{\\"message\\":\\"nosuch: executable file not found in $PATH\\"}", 66) = 66\n'
    + '10    write(2, "level=error msg=\\"executable file not found in $PATH\\"", 147) = 147\n'
)


def processes_of(text: str) -> list[Process]:
    return read_processes(parse_trace(text))


def test_a_child_that_did_nothing_is_left_out() -> None:
    """A newer Go runtime tries clone(2) out, with a child that ends at once."""
    tried = "11    clone(child_stack=NULL, flags=CLONE_VM|CLONE_PIDFD|CLONE_VFORK|SIGCHLD) = 99\n"
    first, _, rest = FOUND.partition("11    clone(")

    assert processes_of(f"{first}{tried}11    clone({rest}") == processes_of(FOUND)


def test_the_processes_of_an_exec_are_told_apart() -> None:
    """Four, each made by the one before; threads belong to the process that started them."""
    found = processes_of(FOUND)

    assert [(1, 0), (2, 1), (3, 2), (4, 3)] == [(one.number, one.parent) for one in found]
    assert [True, False, False, True] == [one.did("thread") for one in found]
    assert Step("setns", "ipc uts mnt") == found[2].steps[0]
    assert (Step("thread", ""), Step("execve", "true")) == found[3].steps


def test_a_program_that_is_not_there_was_looked_for() -> None:
    """The search is a step where nothing came of it; the error is told from the inside, then by runc."""
    found = processes_of(LOST)

    assert (Step("thread", ""), Step("look", "nosuch"), Step("write", "3")) == found[3].steps
    assert Step("write", "2") == found[0].steps[-1]


@pytest.mark.parametrize("line", ["", "what?", "7 setns(3, CLONE_NEWUTS", "7 <... fork resumed>) = 8", "+++ x +++"])
def test_a_line_that_is_no_call_is_left_out(line: str) -> None:
    """Signals, ends, and half lines of a trace that was cut."""
    assert [] == parse_trace(line)


def test_a_refused_call_is_no_step() -> None:
    """Who was not let in did not join."""
    assert [Process(1, 0, ())] == processes_of("7 setns(3, CLONE_NEWUSER) = -1 EINVAL (Invalid argument)\n")
    assert [] == processes_of("")


def test_a_call_that_never_returned_is_told() -> None:
    """A process that was killed in it."""
    assert [Call(7, "clone", "flags=SIGCHLD", "?")] == parse_trace("7 clone(flags=SIGCHLD <unfinished ...>\n")


def test_the_text_tells_each_process() -> None:
    """Who is C, who is Go, and in which order; not which namespaces, in which engines differ."""
    assert """\
1. runc exec (Go: several threads)
     execve  becomes runc exec
     clone   threads: Go starts
     clone   makes process 2
     write   prints the error
2. runc init (C: one thread)
     execve  becomes runc init
     clone   makes process 3
3. runc init (C: one thread)
     setns   joins namespaces of the container
     clone   makes process 4
4. runc init (Go: several threads)
     clone   threads: Go starts
     stat    finds no nosuch in PATH
     write   the error, into a pipe""" == entering_text(processes_of(LOST))
    assert "C: one thread" == count_threads(processes_of(LOST)[2])


def test_what_is_inside_has_the_colour_of_the_container() -> None:
    """From setns on, and what comes of that process; trouble has its own."""
    page = entering_html(processes_of(LOST))
    steps = page.split('<div class="lke-step ')[1:]

    assert ["engine", "trouble", "container"] == [
        next(step for step in steps if words in step).split('"')[0].removeprefix("lk-fill-")
        for words in ("becomes runc init", "finds no nosuch", "joins ipc uts mnt")
    ]
    assert 'style="grid-column:4' in page
    assert "red steps" in page and "red steps" not in entering_html(processes_of(FOUND))


def test_the_error_is_told_last_and_from_the_inside_first() -> None:
    """Its rows are below all others."""
    page = entering_html(processes_of(LOST))
    rows = [int(step.split("grid-row:")[1].split('"')[0]) for step in page.split('<div class="lke-step ')[1:]]
    errors = [
        (int(step.split("grid-column:")[1].split(";")[0]), int(step.split("grid-row:")[1].split('"')[0]))
        for step in page.split('<div class="lke-step ')[1:]
        if "the error" in step
    ]

    assert [(4, max(rows) - 1), (1, max(rows))] == errors


def test_the_still_picture_is_whole() -> None:
    """It names the kinds, in which engines differ: so it is not compared."""
    drawn = entering_svg(processes_of(FOUND))

    assert 'data-differs="1"' in drawn and "joins ipc uts mnt" in drawn
    assert drawn.count("<rect") == 1 + sum(len(one.steps) for one in processes_of(FOUND))
