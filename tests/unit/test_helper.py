"""Does the helper do each experiment in a process of its own, and end it with all that it has started?"""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from labkit.errors import ExperimentError
from labkit.isolation import helper
from labkit.isolation.helper import Source, call, run_source, start
from labkit.isolation.resident import Resident
from labkit.isolation.running import Outcome, Running
from labkit.linux.proc import pids, read_comm, read_stat

NONSENSE = """
import os
for name in os.listdir('/proc/self/fd'):
    if os.path.exists('/proc/self/fd/' + name) and int(name) > 2:
        os.write(int(name), {words!r}.encode())
"""
LEAVES_A_CHILD = "import os, time\npid = os.fork()\nif pid == 0:\n    {}\n    time.sleep(300)\n"


@pytest.fixture(autouse=True, scope="module")
def _closed() -> Iterator[None]:
    yield
    helper.close()


def children(of: int) -> list[int]:
    return [pid for pid in pids() if (stat := read_stat(pid)) is not None and stat.ppid == of and stat.state != "Z"]


def is_gone(pid: int, patience_s: float = 5.0) -> bool:
    deadline = time.monotonic() + patience_s
    while (stat := read_stat(pid)) is not None and stat.state != "Z":
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def test_an_experiment_has_a_process_and_a_thread_of_its_own() -> None:
    """Neither this process nor the helper is it."""
    found = call("os:getpid").value

    assert found not in (os.getpid(), helper.pid()) and is_gone(found)
    assert ["lab-helper", "alone"] == [read_comm(helper.pid()), call("labkit.linux.proc:read_comm", ["self"]).value]
    assert ["MainThread"] == run_source(
        Source("import threading\nnames = [one.name for one in threading.enumerate()]", wanted=["names"])
    ).value["names"]


def test_a_cell_gets_what_it_needs_and_gives_what_is_wanted() -> None:
    """Values, imports and functions go in; prints and values come out."""
    source = Source(
        "print(twice(number))\nimport sys\nprint('wrong', file=sys.stderr)\nname = path.basename('/a/b')\nother = 1",
        values={"number": 4},
        imports={"path": ("os.path", "")},
        functions=["def twice(one):\n    return 2 * one\n"],
        wanted=["name", "missing"],
    )

    assert Outcome({"name": "b"}, b"8\n", b"wrong\n", 0) == run_source(source)


def test_a_refusal_of_the_kernel_is_raised_here() -> None:
    """With its errno, and the text of the line that has attempted it."""
    with pytest.raises(OSError) as raised:
        run_source(Source("from labkit.linux.syscalls import setns\n\nsetns(0, 0x20000)"))
    assert (22, "setns(0, 0x20000)") == (raised.value.errno, raised.value.filename)

    with pytest.raises(FileNotFoundError) as missing:
        call("os:rmdir", ["/no/such"])
    assert "/no/such" == missing.value.filename


@pytest.mark.parametrize(
    ("text", "kind", "words"),
    [
        ("x = 1\nx / 0", ExperimentError, r"ZeroDivisionError.*line 2: x / 0"),
        ("print(unknown)", NameError, "unknown"),
        ("assert False, 'so it is'", AssertionError, "so it is"),
        ("x = object()", ExperimentError, "x cannot leave its process: it is object"),
        ("x = []\nx.append(x)", ExperimentError, "x cannot leave"),
        ("def deep(): deep()\ndeep()", ExperimentError, "RecursionError"),
    ],
)
def test_other_errors_are_told_in_words(text: str, kind: type[Exception], words: str) -> None:
    """What it was, and in which line."""
    with pytest.raises(kind, match=words):
        run_source(Source(text, wanted=["x"]))


def test_a_name_error_names_the_name() -> None:
    """So that a lesson can say which cell makes it."""
    with pytest.raises(NameError) as raised:
        run_source(Source("unknown"))
    assert "unknown" == raised.value.name


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("import sys; sys.exit(3)", 3),
        ("import sys; sys.exit()", 0),
        ("import os; os._exit(4)", 4),
        ("import os; os.execvp('sh', ['sh', '-c', 'exit 5'])", 5),
        ("import os; os.kill(os.getpid(), 9)", -9),
    ],
)
def test_the_exit_status_is_told(text: str, status: int) -> None:
    """Whichever way it has ended; a program that it has become counts, too."""
    assert status == run_source(Source(text)).status


@pytest.mark.parametrize("fork", ["os.fork()", "clone(0)", "clone3(0)"])
def test_a_forked_child_ends_at_the_end_of_the_text(fork: str) -> None:
    """It prints, and gives nothing: only the first process answers."""
    text = (
        f"import os\nfrom labkit.linux.syscalls import clone, clone3\npid = {fork}\n"
        "x = 'child' if pid == 0 else 'first'\nif pid: os.waitpid(pid, 0)\nprint(x)"
    )

    assert Outcome({"x": "first"}, b"child\nfirst\n", b"", 0) == run_source(Source(text, wanted=["x"]))


def test_a_childs_error_is_told_on_stderr() -> None:
    """And is not the experiment's."""
    done = run_source(Source("import os\nif os.fork() == 0:\n    1 / 0\nelse:\n    os.wait()"))

    assert 0 == done.status and b"ZeroDivisionError" in done.err


@pytest.mark.parametrize("escape", ["pass", "os.setsid()", "os.setpgid(0, 0)"])
def test_nothing_of_an_experiment_goes_on(escape: str) -> None:
    """Not a child, nor one that has left its group or its session."""
    left = run_source(Source(LEAVES_A_CHILD.format(escape), wanted=["pid"])).value["pid"]

    assert is_gone(left)
    assert [] == children(helper.pid())


def test_one_that_goes_on_is_not_ended_by_another() -> None:
    """Nor are its children, as long as it runs."""
    text = LEAVES_A_CHILD.format("os.setsid()") + "else:\n    time.sleep(300)\n"
    running = start("builtins:exec", [text])
    while not children(running.pid):
        time.sleep(0.01)
    (child,) = children(running.pid)
    call("os:getpid")

    assert not is_gone(running.pid, 0.2) and not is_gone(child, 0.2)
    running.end()
    assert is_gone(running.pid) and is_gone(child)


def test_several_run_at_once() -> None:
    """From several threads."""
    found: list[object] = []
    threads = [
        threading.Thread(target=lambda number=number: found.append(call("builtins:abs", [-number]).value))
        for number in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert list(range(20)) == sorted(found)  # type: ignore[type-var]


def test_streams_are_passed() -> None:
    """An experiment reads and writes the very files that are given."""
    reading, writing = os.pipe()
    asked, asking = os.pipe()
    os.write(asking, b"hello\n")
    os.close(asking)
    outcome = call("os:system", ["cat"], stdin=asked, stdout=writing)
    os.close(writing)

    assert (b"hello\n", b"") == (os.read(reading, 100), outcome.out)
    os.close(reading)
    os.close(asked)
    with pytest.raises(TypeError, match="stdon"):
        call("os:getpid", stdon=1)


def test_no_descriptor_leaks() -> None:
    """Neither here nor in the helper, nor into the experiment."""
    call("os:getpid")
    before = [len(os.listdir(f"/proc/{pid}/fd")) for pid in (os.getpid(), helper.pid())]
    for _ in range(5):
        call("os:getpid")
        with pytest.raises(ExperimentError):
            run_source(Source("1 / 0"))
        with pytest.raises(ExperimentError):
            call("time:sleep", [300], timeout_s=0.01)
    deadline = time.monotonic() + 30  # the helper closes after it has told
    while before < (after := [len(os.listdir(f"/proc/{pid}/fd")) for pid in (os.getpid(), helper.pid())]):
        assert time.monotonic() < deadline, (before, after)
    inside = call("os:listdir", ["/proc/self/fd"]).value
    assert 5 == len(inside)  # the standard ones, the channel, and the directory itself


def test_time_has_a_limit() -> None:
    """What is not over in time is ended."""
    with pytest.raises(ExperimentError, match=r"not ended after 0\.1 s"):
        call("time:sleep", [300], timeout_s=0.1)
    assert [] == children(helper.pid())


@pytest.mark.parametrize("text", ["while True: print('x' * 1000)", "x = 'x' * (17 << 20)"])
def test_what_is_written_has_a_limit(text: str) -> None:
    """On an output as in an answer."""
    with pytest.raises(ExperimentError, match="16 MiB"):
        run_source(Source(text, wanted=["x"]))
    assert 1 == call("builtins:abs", [-1]).value


@pytest.mark.parametrize("word", ['{"ended": 1}', '{"pid": "x"}', "[]", "nonsense", "\\0" * 100, '{"error": 7}'])
def test_nonsense_on_the_channel_harms_nobody(word: str) -> None:
    """An experiment that writes to its channel gets an answer or an error; the next one is as good as ever."""
    try:
        run_source(Source(NONSENSE.format(words=f"\n{word}\n")), timeout_s=5)
    except (ExperimentError, OSError) as error:
        assert str(error)
    assert 1 == call("builtins:abs", [-1]).value


def interrupt_at_first(heard: list[bytes], data: bytes) -> None:
    """Keep what an experiment printed, and press Ctrl-C a moment after its first words."""
    if not heard:
        threading.Timer(0.05, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
    heard.append(data)


def test_ctrl_c_ends_the_experiment_and_not_the_helper() -> None:
    """The experiment hears it as Python does; what it then prints is heard."""
    resident = helper.pid()
    heard: list[bytes] = []
    text = (
        "import time\ntry:\n    print('sleeps', flush=True)\n    time.sleep(300)\n"
        "except KeyboardInterrupt:\n    print('interrupted')\n    raise"
    )
    with pytest.raises(KeyboardInterrupt):
        run_source(Source(text), lambda _, data: interrupt_at_first(heard, data))

    assert b"sleeps\ninterrupted\n" == b"".join(heard)
    assert resident == helper.pid() and [] == children(resident)


def test_one_that_ignores_ctrl_c_is_killed() -> None:
    """After half a second."""
    text = "import signal, time\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nprint(1, flush=True)\ntime.sleep(300)"
    with pytest.raises(KeyboardInterrupt):
        run_source(Source(text), lambda _, data: interrupt_at_first([], data))
    assert [] == children(helper.pid())


def test_a_dead_helper_is_started_again_with_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    """The next experiment is done by a new one."""
    before = helper.pid()
    os.kill(before, signal.SIGKILL)
    assert is_gone(before)

    assert 1 == call("builtins:abs", [-1]).value
    assert "A new one is started." in capsys.readouterr().out
    assert before != helper.pid()


def test_a_helper_that_dies_under_an_experiment_says_so() -> None:
    """The experiment dies with it."""
    running = start("time:sleep", [300])
    os.kill(helper.pid(), signal.SIGKILL)

    with pytest.raises(ExperimentError, match="Run the cell again"):
        running.wait(10)
    assert is_gone(running.pid)


def test_a_helper_that_dies_before_it_has_heard_all_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Though there is more to say than a socket holds."""
    ask = helper._ask

    def ask_and_kill(descriptors: list[int]) -> None:
        ask(descriptors)
        os.kill(helper.pid(), signal.SIGKILL)

    monkeypatch.setattr(helper, "_ask", ask_and_kill)
    with pytest.raises(ExperimentError, match="Run the cell again"):
        start("builtins:len", ["x" * (8 << 20)])


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_nothing_outlives_the_kernel(number: int) -> None:
    """The helper, an experiment, and what that has started end with who has started the helper."""
    text = LEAVES_A_CHILD.format("os.setsid()") + "else:\n    time.sleep(300)\n"
    program = (
        "import time\nfrom labkit.isolation import helper\n"
        f"running = helper.start('builtins:exec', [{text!r}])\n"
        "print(helper.pid(), running.pid, flush=True)\ntime.sleep(300)"
    )
    root = Path(__file__).resolve().parents[2]
    kernel = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, cwd=root)
    assert kernel.stdout is not None
    resident, experiment = map(int, kernel.stdout.readline().split())
    while not children(experiment):
        time.sleep(0.01)
    (child,) = children(experiment)
    kernel.send_signal(number)
    kernel.wait()
    kernel.stdout.close()

    assert [True] * 3 == [is_gone(pid) for pid in (resident, experiment, child)]


def test_the_helper_outlives_the_thread_that_has_started_it() -> None:
    """Though the kernel sends the signal of a parent's death when that thread ends."""
    helper.close()
    thread = threading.Thread(target=helper.pid)
    thread.start()
    thread.join()
    resident = helper.pid()
    time.sleep(0.1)

    assert 1 == call("builtins:abs", [-1]).value and resident == helper.pid()


def test_a_fork_of_the_kernel_has_a_helper_of_its_own() -> None:
    """Two processes do not share a socket to one."""
    resident = helper.pid()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            status = int(helper.pid() == resident)
            helper.close()
        finally:
            os._exit(status)
    assert 0 == os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert 1 == call("builtins:abs", [-1]).value and resident == helper.pid()


def test_a_request_that_is_none_ends_the_helper() -> None:
    """A byte without descriptors comes from nobody who knows the protocol."""
    ours, theirs = socket.socketpair()
    program = helper.PROGRAM.format(path=sys.path, fd=theirs.fileno(), parent=os.getpid())
    resident = subprocess.Popen([sys.executable, "-S", "-c", program], pass_fds=[theirs.fileno()])
    theirs.close()
    ours.send(b"+")

    assert 0 == resident.wait(10)
    ours.close()


def test_a_fork_that_is_refused_is_told_and_the_helper_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where there are too many processes: OSError, with the kernel's errno."""

    def refuse() -> int:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    requests, theirs = socket.socketpair()
    resident = Resident(theirs)
    ours, channel = socket.socketpair()
    null = os.open(os.devnull, os.O_RDWR)
    socket.send_fds(requests, [b"+"], [channel.fileno(), null, null, null])
    channel.close()
    monkeypatch.setattr(os, "fork", refuse)

    assert resident._fork()
    with pytest.raises(BlockingIOError, match=r"fork\(\)"):
        Running(0, ours, {}).wait(5)
    os.close(null)
    requests.close()
    theirs.close()


def test_a_false_pid_is_not_believed() -> None:
    """Ctrl-C would go to the group of that number; 0 is one's own."""
    text = NONSENSE.format(words='\n{"pid": 1}\n')
    running = start("builtins:exec", [text + "import time\ntime.sleep(300)\n"])
    pid = running.pid
    with pytest.raises(ExperimentError):
        running.wait(0.5)

    assert pid == running.pid > 1


def test_arguments_must_be_simple() -> None:
    """Nothing is started for others."""
    with pytest.raises(TypeError):
        call("builtins:abs", [object()])
    assert [1, {"a": None}] == call("json:loads", [json.dumps([1, {"a": None}])]).value
    assert 100_000 == call("builtins:len", [["x" * 10] * 100_000]).value
