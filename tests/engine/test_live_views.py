"""Do the live views follow a real engine: what a command says while it runs, and two consoles on one container?"""

import subprocess
import time
from collections.abc import Callable, Iterator

import pytest

from labkit.api.engine import Engine
from labkit.shell import sh, typed
from labkit.show.talk import Line, Row, lay_out, read_talks, settle
from labkit.show.wire import wire_text
from labkit.widgets.consoles import Consoles
from labkit.widgets.order import try_order
from labkit.widgets.wire import tap_wire
from tests.engine.daemon import IMAGE, PATIENCE_S, PrivateDaemon

REPEAT = "while read line; do echo heard $line; echo oops $line >&2; done"


@pytest.fixture
def engine(daemon: PrivateDaemon) -> Iterator[Engine]:
    with Engine(daemon.host, timeout_s=PATIENCE_S) as engine:
        yield engine


@pytest.fixture
def start(engine: Engine) -> Iterator[Callable[..., str]]:
    """Start containers that read their input, and remove them after the test."""
    made: list[str] = []

    def start(*command: str, tty: bool = False, once: bool = False) -> str:
        wanted = {"Image": IMAGE, "Cmd": command, "OpenStdin": True, "Tty": tty, "StdinOnce": once}
        wanted["HostConfig"] = {"NetworkMode": "none"}
        made.append(engine.post("/containers/create", json=wanted).json()["Id"])
        engine.post(f"/containers/{made[-1]}/start")
        return made[-1]

    yield start
    for name in made:
        engine.delete(f"/containers/{name}", query={"force": True})


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_the_wire_view_shows_a_command_while_it_runs(daemon: PrivateDaemon, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the container says is drawn before the command has ended; then the view holds the whole conversation."""
    monkeypatch.setenv("DOCKER_HOST", daemon.host)
    monkeypatch.setenv("PATH", daemon.path)
    line = ["docker", "run", "--rm", "-i", "--network=none", IMAGE, "sh", "-c", "echo one; read line; echo $line >&2"]
    pipe = subprocess.PIPE
    with tap_wire() as said, subprocess.Popen(line, stdin=pipe, stdout=pipe, stderr=pipe) as run:
        wait_until(lambda: ">one\\n<" in said._canvas.html)
        assert run.poll() is None and said.is_live
        _, words = run.communicate(b"two\n", timeout=PATIENCE_S)

    assert b"two\n" == words
    create, attach, wait, start = wire_text(said.exchanges, query=False).splitlines()[1:5]
    assert create.startswith("POST /containers/create  ->  201")
    assert attach.endswith("101 UPGRADED, then stdin 4 bytes, stdout 4 bytes, stderr 4 bytes")
    assert "wait" in wait and "start" in start
    assert repr(said) == wire_text(said.exchanges, query=False)
    assert not said.is_live


def test_the_wire_of_docker_run(daemon: PrivateDaemon, monkeypatch: pytest.MonkeyPatch) -> None:
    """Attach opens before wait before start, output lies after the start, and both tubes end with the container."""
    monkeypatch.setenv("DOCKER_HOST", daemon.host)
    monkeypatch.setenv("PATH", daemon.path)
    line = f"docker run --rm --network=none {IMAGE} sh -c 'echo one; sleep 0.3; echo two >&2; exit 3'"
    with tap_wire() as said:
        done = sh(line)
        since_s = said._said.opened_s
        talks = read_talks(said.exchanges)
    picture = lay_out(talks, [Line(one.line, one.began_s - since_s, None) for one in typed if one.began_s > since_s])

    tubes = {tube.talk.verb: tube for tube in picture.tubes}
    (life,) = picture.lives
    began = next(n for n, row in enumerate(picture.rows) if row.kind in ("request", "exchange") and is_start(row))
    said_at = {row.part.stream: n for n, row in enumerate(picture.rows) if row.part}
    states = {state: row for row, state in life.states}

    assert ("one\n", "two\n", 3, {"attach", "wait"}) == (done.out, done.err, done.status, set(tubes))
    assert line == picture.rows[0].line.text  # type: ignore[union-attr]
    assert states["created"] <= tubes["attach"].first < tubes["wait"].first < began
    assert began < said_at["stdout"] < said_at["stderr"]
    assert ["created", "starting", "running", "exited"] == [state for _, state in life.states]
    for tube in tubes.values():
        assert tube.last is not None and said_at["stderr"] < tube.last <= states["exited"]
    assert states["exited"] == tubes["wait"].last
    assert b'"StatusCode":3' in tubes["wait"].talk.one.answer.body
    settled = lay_out(*settle(talks), to_scale=False)
    assert ["attach", "wait"] == [row.talks[0].verb for row in settled.rows if row.kind == "end"]
    assert 2 == [row.kind for row in settled.rows].count("said")
    assert repr(said).startswith(f"$ {line}\n  HEAD /_ping  ->  200 OK\n  POST /containers/create  ->  201 Created\n")


def is_start(row: Row) -> bool:
    return row.talks[0].path.endswith("/start")


@pytest.mark.parametrize(
    ("order", "heard", "code"),
    [
        (("attach", "wait", "start"), "hello\n", 3),
        (("wait", "start", "attach"), "", 3),
        (("attach", "start", "wait"), "hello\n", None),
        (("start", "attach", "wait"), "", None),
    ],
)
def test_another_order_of_run_loses_something(
    daemon: PrivateDaemon, order: tuple[str, ...], heard: str, code: int | None
) -> None:
    """Who attaches after the end hears nothing, who waits after it is told nothing; neither is told that it is late."""
    outcome = try_order(daemon.host, order, IMAGE)

    assert (heard, code, {}) == (outcome.heard, outcome.code, outcome.refused)
    with Engine(daemon.host) as engine:
        assert outcome.wire and [] == engine.get("/containers/json", query={"all": True}).json()
    places = [outcome.wire.index(f"…/{step}<") for step in order]
    assert sorted(places) == places


def test_two_consoles_share_a_container(engine: Engine, start: Callable[..., str]) -> None:
    """What is typed in either window is answered in both, in frames of both streams; each frame is drawn once."""
    both = Consoles(engine, start("sh", "-c", REPEAT))
    for number, one in enumerate(both):
        one.type(f"from window {number}")
        for other in both:
            other.wait_for(f"heard from window {number}")
            other.wait_for(f"oops from window {number}")
    both.stop()

    for one in both:
        assert {"typed", "stdout", "stderr", "note"} == {piece.stream for piece in one.items}
        assert all(piece.header[4:] == len(piece.data).to_bytes(4) for piece in one.items if piece.header)
    assert repr(both).splitlines()[2:] == [
        *("you:", "  > from window 0", "  heard from window 0", "  stderr: oops from window 0"),
        *("  heard from window 1", "  stderr: oops from window 1", "  -- Both windows were hung up."),
        *("", "your colleague:", "  heard from window 0", "  stderr: oops from window 0"),
        *("  > from window 1", "  heard from window 1", "  stderr: oops from window 1"),
        "  -- Both windows were hung up.",
    ]
    assert 4 == both._canvas.html.count("to both windows and the log")


def test_a_terminal_is_resized_and_left(engine: Engine, start: Callable[..., str]) -> None:
    """A console tells the terminal its size; the detach keys end that window, and neither the other nor the shell."""
    name = start("sh", tty=True)
    both = Consoles(engine, name)
    left, right = both
    left.resize(20, 50)
    left.type("stty size")
    right.wait_for("20 50\n")
    left.detach()
    wait_until(lambda: not left.is_live)
    right.type("echo still $((40+2))")
    right.wait_for("still 42\n")

    assert "You typed Ctrl-P Ctrl-Q: the engine let go of this window, and the container goes on." == note(both, 0)
    assert engine.get(f"/containers/{name}/json").json()["State"]["Running"]
    assert not any(piece.header for piece in right.items)
    both.stop()


def test_a_console_ends_with_its_container(engine: Engine, start: Callable[..., str]) -> None:
    """A kill ends both windows, quietly, with the status; nobody is said to have done it."""
    both = Consoles(engine, start("cat"))
    left, right = both
    left.type("last words")
    right.wait_for("last words")
    engine.post(f"/containers/{both.container}/kill")
    wait_until(lambda: not left.is_live and not right.is_live)
    both.stop()

    assert "" == both._problem
    assert "The container has ended, with status 137, for both of you." == note(both, 0) == note(both, 1)


def test_the_shell_that_one_ends_is_over_for_both(engine: Engine, start: Callable[..., str]) -> None:
    """`exit`, key by key as a terminal sends them, and the status that it gives."""
    both = Consoles(engine, start("sh", tty=True))
    left, right = both
    for key in b"exit 3\r":
        right.send(bytes([key]))
    wait_until(lambda: not left.is_live and not right.is_live)
    both.stop()

    words = "Your colleague typed exit 3. The container has ended, with status 3, for both of you."
    assert words == note(both, 0) == note(both, 1)


@pytest.mark.parametrize("once", [False, True])
def test_the_end_of_input(engine: Engine, start: Callable[..., str], once: bool) -> None:
    """With StdinOnce the container reads end-of-file and ends; without, that window ends alone."""
    both = Consoles(engine, start("cat", once=once))
    left, right = both
    left.type("before")
    right.wait_for("before")
    left.end_input()
    wait_until(lambda: not left.is_live)

    wait_until(lambda: note(both, 0).startswith("You ended the input. "))
    if once:
        wait_until(lambda: not right.is_live)
        assert "The container has ended, with status 0, for both of you." == note(both, 1)
    else:
        right.type("after")
        right.wait_for("after")
    both.stop()


def note(both: Consoles, window: int) -> str:
    """What a window says of itself."""
    wait_until(lambda: bool(both._windows.said[window]))
    return str(both._windows.said[window])
