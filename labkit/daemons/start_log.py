"""What does dockerd do between its first line and "API listen on", as its log tells it?

dockerd writes a line for each thing that it does, in the form of logfmt: time="..." level=info msg="...". With --debug
it tells more. containerd, which dockerd starts, writes into the same log.

    steps = find_steps(parse_log(Path(place, "log").read_text()))
    [step.name for step in steps]
"""

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

__all__ = ["LogLine", "Step", "StepKind", "STEPS", "find_routes", "find_steps", "parse_line", "parse_log"]

PAIR = re.compile(r'([\w.()-]+)=("(?:[^"\\]|\\.)*"|\S*)')
ESCAPE = re.compile(r"\\(.)")
ESCAPES = {"n": "\n", "t": "\t", "r": "\r"}
LONGEST_LINE = 64 * 1024  # characters; a longer one is none of dockerd's
ROUTE = re.compile(r"Registering ([A-Z]+), (/\S*)")  # 20.10; newer engines give method and path of their own


class LogLine(NamedTuple):
    """A line of the log: seconds since 1970, `info`, `debug` or another level, the message, and all other pairs."""

    time_s: float
    level: str
    message: str
    fields: dict[str, str]


class StepKind(NamedTuple):
    """A step of the start: how it is called here, what dockerd does, and with what the message begins that tells it."""

    name: str
    what: str
    messages: tuple[str, ...]


class Step(NamedTuple):
    """A step that the log tells: its kind, when it was told (seconds since the log's first line), and the line."""

    kind: StepKind
    at_s: float
    line: LogLine

    @property
    def name(self) -> str:
        return self.kind.name


STEPS = (
    StepKind("begin", "dockerd has read its flags and its daemon.json", ("Starting up",)),
    StepKind("listener", "it opens its socket: from now on a client can connect", ("Listener created for HTTP",)),
    StepKind(
        "containerd",
        "it starts its own containerd",
        ("libcontainerd: started new containerd process", "started new containerd process"),
    ),
    StepKind("containerd ready", "containerd has loaded its parts, and answers", ("containerd successfully booted",)),
    StepKind(
        "storage",
        "it chooses the storage driver",
        ("Initialized graph driver", "[graphdriver] using", "Starting daemon with containerd snapshotter"),
    ),
    StepKind(
        "containers",
        "it reads which containers there are, and makes the networks ready",
        ("Loading containers: start",),
    ),
    StepKind("containers ready", "all containers are known again", ("Loading containers: done",)),
    StepKind("routes", "it gives each method and path a function: this is the API", ("Registering routers",)),
    StepKind("initialised", "the daemon is complete", ("Daemon has completed initialization",)),
    StepKind("API", "it begins to answer requests", ("API listen on",)),
)


def parse_line(text: str) -> LogLine | None:
    r"""Read one line; None for what is no line of dockerd's or containerd's, such as a program's own cry.

    >>> line = parse_line(r'time="2024-05-01T10:00:00.5Z" level=info msg="API listen on \"/s\"" pid=3')
    >>> line.level, line.message, line.fields
    ('info', 'API listen on "/s"', {'pid': '3'})
    """
    if len(text) > LONGEST_LINE:
        return None
    pairs = {name: _unquote(value) for name, value in PAIR.findall(text)}
    time, level, message = (pairs.pop(name, "") for name in ("time", "level", "msg"))
    if not (time and level and message):
        return None
    try:
        moment = datetime.fromisoformat(_microseconds(time))
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return LogLine(moment.timestamp(), level, message, pairs)


def _unquote(value: str) -> str:
    if len(value) < 2 or not value.startswith('"'):
        return value
    return ESCAPE.sub(lambda escape: ESCAPES.get(escape[1], escape[1]), value[1:-1])


def _microseconds(time: str) -> str:
    """Go writes nanoseconds, and Python reads at most microseconds."""
    return re.sub(r"(\.\d{6})\d+", r"\1", time)


def parse_log(text: str) -> tuple[LogLine, ...]:
    """Read a whole log; lines of another form are left out. A last line that is still being written is one of them."""
    lines = (parse_line(line) for line in text.splitlines())
    return tuple(line for line in lines if line is not None)


def find_steps(lines: Sequence[LogLine], kinds: Iterable[StepKind] = STEPS) -> tuple[Step, ...]:
    """The steps that a log tells, in the order in which it tells them; each kind once, where it is told first."""
    found = []
    for kind in kinds:
        told = next((line for line in lines if line.message.startswith(kind.messages)), None)
        if told is not None:
            found.append(Step(kind, told.time_s - lines[0].time_s, told))
    return tuple(sorted(found, key=lambda step: step.at_s))


def find_routes(lines: Iterable[LogLine]) -> tuple[tuple[str, str], ...]:
    """Method and path of each route that the log names; only with --debug it names them. A path holds {parameters}."""
    routes = []
    for line in lines:
        if line.message == "Registering route" and {"method", "path"} <= line.fields.keys():
            routes.append((line.fields["method"], line.fields["path"]))
        elif match := ROUTE.fullmatch(line.message):
            routes.append((match[1], match[2]))
    return tuple(routes)
