"""What did the processes of a command do, as strace saw it?

sh(f"strace -f -s 200 -e trace={CALLS} -o trace ...")
calls = parse_trace(Path("trace").read_text())     what strace has written
for process in read_processes(calls):              each process with what it did, in order, its threads put together
    print(process.number, process.parent, process.steps)

Source: strace(1), clone(2).
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

from labkit.isolation.namespaces import KINDS

__all__ = ["CALLS", "Call", "Process", "Step", "parse_trace", "read_processes"]

_WHOLE = re.compile(r"^(\d+) +(\w+)\((.*)\) += (-?\w+|\?)(.*)$")
_BEGUN = re.compile(r"^(\d+) +(\w+)\((.*?),? *<unfinished \.\.\.>$")
_ENDED = re.compile(r"^(\d+) +<\.\.\. (\w+) resumed>(.*)\) += (-?\w+|\?)(.*)$")
_STRING = re.compile(r'"((?:[^"\\]|\\.)*)"')
_KINDS = {kind.constant: kind.name for kind in KINDS}
_MAKERS = ("clone", "clone3", "fork", "vfork")
_LOOKS = ("newfstatat", "stat", "faccessat", "faccessat2")
# What strace has to be asked for; the question mark: where the processor has such a call.
CALLS = ",".join(f"?{name}" for name in ("execve", "setns", "capset", "write", *_MAKERS, *_LOOKS))


class Call(NamedTuple):
    """One system call: `thread` made it; `result` is a number as text, or "?" where it never came back."""

    thread: int
    name: str
    arguments: str
    result: str


class Step(NamedTuple):
    """What a process did; `words` say which.

    "thread": it started threads. "process": `words` is the number of the new one. "setns": the kinds of namespace that
    it joined. "capset": it gave up capabilities. "execve": the words of a command line. "look": it looked in the
    directories of PATH for a program that is in none of them. "write": it told that, to a descriptor.
    """

    what: str
    words: str


class Process(NamedTuple):
    """A process with its threads; `number` counts from 1 on in the order of their births, `parent` is 0 for the first.

    `parent` is who called clone(2): with CLONE_PARENT the kernel calls another one the parent.
    """

    number: int
    parent: int
    steps: Sequence[Step]

    def did(self, what: str) -> bool:
        """Has it made a step of this kind?"""
        return any(step.what == what for step in self.steps)


def parse_trace(text: str) -> list[Call]:
    """The system calls in the order in which they began; a call that was cut in two by another thread's is one again.

    Lines on signals and ends are left out.

    >>> parse_trace("7 setns(3, CLONE_NEWUTS) = 0\\n7 fork( <unfinished ...>\\n8 +++ exited with 0 +++\\n"
    ...             "7 <... fork resumed>) = 8\\n")
    [Call(thread=7, name='setns', arguments='3, CLONE_NEWUTS', result='0'), \
Call(thread=7, name='fork', arguments='', result='8')]
    """
    calls: list[Call] = []
    open_calls: dict[tuple[int, str], int] = {}
    for line in text.splitlines():
        if match := _WHOLE.match(line):
            calls.append(Call(int(match[1]), match[2], match[3], match[4]))
        elif match := _BEGUN.match(line):
            open_calls[int(match[1]), match[2]] = len(calls)
            calls.append(Call(int(match[1]), match[2], match[3], "?"))
        elif match := _ENDED.match(line):
            place = open_calls.pop((int(match[1]), match[2]), None)
            if place is not None:
                calls[place] = calls[place]._replace(arguments=calls[place].arguments + match[3], result=match[4])
    return calls


def read_processes(calls: Sequence[Call]) -> list[Process]:
    """Put the calls of all threads of a process together, in the order of births; what it did again is no new step."""
    owner: dict[int, int] = {}  # thread: the process that it belongs to
    parents: dict[int, int] = {}
    for call in calls:
        owner.setdefault(call.thread, call.thread)
        if call.name in _MAKERS and call.result.isdigit():
            made = int(call.result)
            if "CLONE_THREAD" in call.arguments:
                owner[made] = owner[call.thread]
            else:
                owner[made] = made
                parents[made] = owner[call.thread]
    # A child that made none of these calls is left out: a newer Go runtime makes one to try out clone(2), which ends.
    active = {owner[call.thread] for call in calls}
    born = [pid for pid in dict.fromkeys([owner[calls[0].thread], *parents]) if pid in active] if calls else []
    numbers = {pid: number for number, pid in enumerate(born, 1)}
    steps: dict[int, list[Step]] = {pid: [] for pid in born}
    wanted = _last_word(calls[0]) if calls else ""
    for call in calls:
        step, mine = _read_step(call, numbers, wanted), steps.get(owner[call.thread])
        if step is None or mine is None or step in mine:
            continue
        if step.what == "setns" and mine and mine[-1].what == "setns":
            mine[-1] = Step("setns", f"{mine[-1].words} {step.words}")
        else:
            mine.append(step)
    return [Process(numbers[pid], numbers.get(parents.get(pid, 0), 0), _drop_found(steps[pid])) for pid in born]


def _drop_found(steps: Sequence[Step]) -> tuple[Step, ...]:
    """Without the search for a program that was found in the end: then the next execve tells it."""
    last = steps[-1] if steps else None
    return tuple(step for step in steps if step.what != "look" or (last and last.what != "execve"))


def _read_step(call: Call, numbers: dict[int, int], wanted: str) -> Step | None:
    """The step that a call is; None: one that is of no interest, or was refused."""
    if call.name in _MAKERS and call.result.isdigit():
        if "CLONE_THREAD" in call.arguments:
            return Step("thread", "")
        made = numbers.get(int(call.result))
        return Step("process", str(made)) if made else None
    if call.name == "setns" and call.result == "0":
        kinds = [kind for flag, kind in _KINDS.items() if re.search(rf"\b{flag}\b", call.arguments)]
        return Step("setns", " ".join(kinds))
    if call.name == "execve" and call.result == "0":
        return Step("execve", " ".join(_words(call)))
    if call.name in _LOOKS and call.result == "-1" and wanted and f'/{wanted}"' in call.arguments:
        return Step("look", wanted)
    if call.name == "write" and "not found in $PATH" in call.arguments:
        return Step("write", call.arguments.partition(",")[0])
    if call.name == "capset" and call.result == "0":
        return Step("capset", "")
    return None


def _words(call: Call) -> list[str]:
    """The command line in the arguments of execve."""
    return _STRING.findall(call.arguments.partition("[")[2].partition("]")[0])


def _last_word(call: Call) -> str:
    """The program that a traced `runc exec ID PROGRAM` is to run."""
    return ([""] + _words(call))[-1] if call.name == "execve" else ""
