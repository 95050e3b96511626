"""Does the image that Binder builds keep what it promises, under what Binder permits? `make binder` tries it.

    python tools/binder.py [--data DIR]

The very Dockerfile is built. The image runs as uid 1000, without capabilities, without new privileges, under Docker's
own seccomp profile, with 2 GB and with 1 GB of memory, and without a network. Each goal is reported with what was
measured; the exit status is 1 if one is missed. `--data` keeps the layers of an engine that is started here.
"""

import argparse
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.notebooks.budget import find_factor, measure  # noqa: E402  # after the path that leads there
from tools.container_engine import ContainerEngine, container_engine  # noqa: E402
from tools.kernel import lend_to_image  # noqa: E402

BASE = "debian:trixie-slim"
IMAGE = "labkit-lab"
PERMITTED = ["--user=1000:1000", "--cap-drop=ALL", "--security-opt=no-new-privileges", "--network=none"]
# What a hub starts, spelled as BinderHub and repo2docker spell it.
SERVER = ["jupyter", "lab", "--ip=0.0.0.0", "--port=8888", "--ServerApp.base_url=/user/somebody/", "--no-browser"]
SOON = ["--MappingKernelManager.cull_idle_timeout=4", "--MappingKernelManager.cull_interval=1"]
LESSONS = sorted(path.stem for path in (ROOT / "notebooks").glob("*.ipynb"))
QUIET = ["--quiet", "--override-ini=addopts=", "-p", "no:cacheprovider"]
PROMPT = "until curl -s -o /dev/null http://127.0.0.1:8888/user/somebody/api; do sleep 0.05; done"
GOAL_ANSWER_S = 5
GOAL_LESSON_S = 90
GOAL_MB = 1150  # unpacked


class Report:
    """The goals, met and missed."""

    def __init__(self) -> None:
        self.missed = 0

    def judge(self, is_met: bool, goal: str, found: str) -> None:
        """Print a goal with what was found."""
        self.missed += not is_met
        print(f"{'ok    ' if is_met else 'MISSED'}  {goal}: {found}", flush=True)


def main() -> int:
    """Build, rehearse, report; return the exit status."""
    parser = argparse.ArgumentParser(prog="make binder")
    parser.add_argument("--data", type=Path, help="where the engine that is started here keeps its layers")
    options = parser.parse_args()
    report = Report()
    with container_engine(options.data) as engine:
        build(engine, report)
        starts: list[float] = []
        rehearse_lessons(engine, starts, report)
        with server(engine, "2g", starts) as name:
            show_commands(engine, name, report)
            judge_client(engine, name, report)
        with server(engine, "1g", starts) as name:
            judge_crowd(ask(engine, name, "crowd", "1"), 1, "1 GB", report)
        with server(engine, "2g", starts) as name:
            judge_crowd(ask(engine, name, "crowd", "3"), 3, "2 GB", report)
        with server(engine, "2g", starts, *SOON) as name:
            judge_culling(ask(engine, name, "cull", "30"), report)
        judge_fallback(engine, report)
    goal = f"JupyterLab answers within {GOAL_ANSWER_S} s of docker run (median of {len(starts)})"
    report.judge(statistics.median(starts) <= GOAL_ANSWER_S, goal, ", ".join(f"{seconds:.1f} s" for seconds in starts))
    print(f"\n{report.missed} goals missed" if report.missed else "\nevery goal met")
    return int(report.missed > 0)


def build(engine: ContainerEngine, report: Report) -> None:
    """Build the image, on the base itself or, where that cannot be pulled, on one that stands in for it; weigh it."""
    began = time.monotonic()
    if (
        engine.docker("image", "inspect", BASE, check=False).returncode
        and (pull := engine.docker("pull", "--quiet", BASE, check=False)).returncode
    ):
        print(f"{BASE} cannot be pulled ({pull.stderr.strip()[:90]}...): a base is made that stands in for it")
        subprocess.run([ROOT / "tools/stand-in-base", BASE], env=engine.environment, check=True)
    with lend_to_image():
        engine.docker("build", "--network=host", "--file", str(ROOT / "binder/Dockerfile"), "--tag", IMAGE, str(ROOT))
    size = int(engine.docker("image", "inspect", "--format={{.Size}}", IMAGE).stdout)
    report.judge(size <= GOAL_MB * 1e6, f"the image weighs at most {GOAL_MB} MB", f"{size / 1e6:.0f} MB")
    print(f"built in {time.monotonic() - began:.0f} s; the layers of more than 1 MB:")
    for line in engine.docker("history", "--format={{.Size}}\t{{.CreatedBy}}", "--no-trunc", IMAGE).stdout.splitlines():
        if "MB" in line.split("\t")[0]:
            print(f"  {line.removeprefix('/bin/sh -c ')[:110]}")


@contextmanager
def server(engine: ContainerEngine, memory: str, starts: list[float], *options: str, cpus: str = "") -> Iterator[str]:
    """The name of a container with JupyterLab, under the limits, once it answers; adds the seconds that it took.

    `cpus` are the processors that it may use, as `--cpuset-cpus` names them; all, if it is empty.
    """
    os.sync()  # what the build or the last server still had to write is not this start's
    began = time.monotonic()
    limits = [f"--memory={memory}", f"--cpuset-cpus={cpus}"]
    name = engine.docker("run", "--detach", *PERMITTED, *limits, IMAGE, *SERVER, *options).stdout.strip()
    try:
        engine.docker("exec", name, "timeout", "60", "sh", "-c", PROMPT)
        starts.append(time.monotonic() - began)
        yield name
    except subprocess.CalledProcessError:
        print(engine.docker("logs", name).stderr[-3000:], file=sys.stderr)
        raise
    finally:
        engine.docker("rm", "--force", name)


def ask(engine: ContainerEngine, name: str, *words: str) -> dict[str, Any]:
    """Run the client of the rehearsal beside the server."""
    script = (ROOT / "tools/rehearse.py").read_text()
    command = ["docker", "exec", "--interactive", name, "python", "-", *words]
    done = subprocess.run(command, env=engine.environment, input=script, stdout=subprocess.PIPE, text=True, check=True)
    findings: dict[str, Any] = json.loads(done.stdout)
    return findings


def show_commands(engine: ContainerEngine, name: str, report: Report) -> None:
    """The other commands that hubs start, the limits in force, and whose the files are."""
    for command in ("jupyter notebook", "jupyterhub-singleuser"):
        done = engine.docker("exec", name, "start-lab", *command.split(), "--version", check=False)
        report.judge(done.returncode == 0, f"{command} can be started", (done.stdout or done.stderr).strip()[-80:])
    limits = "id -u; stat -c %u $HOME/notebooks; grep -E '^(CapEff|NoNewPrivs|Seccomp):' /proc/self/status"
    found = engine.docker("exec", name, "sh", "-c", limits).stdout.split()
    expected = ["1000", "1000", "CapEff:", "0000000000000000", "NoNewPrivs:", "1", "Seccomp:", "2"]
    report.judge(found == expected, "uid 1000, its files, no capability, no new privileges, seccomp", " ".join(found))


def rehearse_lessons(engine: ContainerEngine, starts: list[float], report: Report) -> None:
    """Every lesson once, one after the other in a container of one processor, and as many containers as processors."""
    processors = sorted(os.sched_getaffinity(0))

    def rehearse(place: int) -> dict[str, Any]:
        with server(engine, "2g", starts, cpus=str(processors[place])) as name:
            return ask(engine, name, "run", *LESSONS[place :: len(processors)])

    measured = [measure()]
    with ThreadPoolExecutor(len(processors)) as pool:
        found = list(pool.map(rehearse, range(len(processors))))
    measured.append(measure())
    for findings in found:
        judge_lessons(findings, GOAL_LESSON_S * find_factor(measured), report)


def judge_lessons(findings: dict[str, Any], goal_s: float, report: Report) -> None:
    """Lessons that ran one after the other. Where all takes longer than it should, `goal_s` is as much higher."""
    for lesson in findings["lessons"]:
        seconds = lesson["seconds"]
        boot = ", ".join(f"{stage} after {at} s" for stage, at in lesson["boot"].items())
        report.judge(
            seconds <= goal_s,
            f"{lesson['lesson']} runs within {goal_s:.0f} s",
            f"{seconds} s; {boot}",
        )
    judge_outputs(findings, report)
    report.judge(findings["oom_kills"] == 0, "one lesson at a time in 2 GB", f"at most {findings['peak_mib']} MiB held")


def judge_client(engine: ContainerEngine, name: str, report: Report) -> None:
    """The engine client's own tests, against the engine of this image: two generations of engines have to pass them."""
    test = [
        "env",
        "LABKIT_TEST_HOST=unix:///run/docker.sock",
        "python",
        "-m",
        "pytest",
        *QUIET,
        "tests/engine/test_real.py",
    ]
    done = engine.docker("exec", name, "labkit", "run", "--machine=uml", "--", *test, check=False)
    last = (done.stdout.strip().splitlines() or [done.stderr])[-1]
    report.judge(done.returncode == 0, "the client passes its tests on this engine", last)
    if done.returncode:
        print(done.stdout[-5000:], done.stderr[-2000:])


def judge_outputs(findings: dict[str, Any], report: Report) -> None:
    """What the cells gave is what is stored."""
    for lesson in findings["lessons"]:
        differences = lesson["differences"]
        words = f"{lesson['cells']} cells" if not differences else json.dumps(differences, indent=1)[:3000]
        report.judge(lesson["cells"] > 0 and not differences, f"{lesson['lesson']} gives its stored outputs", words)


def judge_crowd(findings: dict[str, Any], number: int, memory: str, report: Report) -> None:
    """So many lessons at once fit, and the next one is told why it does not."""
    judge_outputs(findings, report)
    alive = findings["answers"].count([["stdout", "still here\r\n"]])
    report.judge(
        alive == number and findings["oom_kills"] == 0,
        f"{number} at once in {memory}",
        f"{alive} answer at the end, {findings['oom_kills']} killed, at most {findings['peak_mib']} MiB held",
    )
    words = " ".join(map(str, findings["one more"][0])) if findings["one more"] else "nothing"
    is_refused = words.startswith("error MachineError There is no memory for another machine")
    report.judge(is_refused, f"one more in {memory} is refused in words", words)


def judge_culling(findings: dict[str, Any], report: Report) -> None:
    """The machine of a closed lesson ends by itself; an open lesson keeps its own, however idle."""
    before, after = findings["kernels"]
    is_kept = findings["answer"] == [["text/plain", "2"]]
    report.judge(
        (before, after, is_kept) == (2, 1, True),
        "of a closed and an open lesson, the open one stays",
        f"{before}, then {after}",
    )


def judge_fallback(engine: ContainerEngine, report: Report) -> None:
    """`make lab` where no machine is possible: the image is served on 127.0.0.1, to who has its token."""
    command = [*engine.enter, sys.executable, "-u", str(ROOT / "tools/lab_image.py")]
    before = engine.docker("ps", "--quiet").stdout
    with tempfile.TemporaryFile("w+") as said:
        lab = subprocess.Popen(
            command, env=engine.environment, stdin=subprocess.DEVNULL, stdout=said, stderr=said, start_new_session=True
        )
        address = _wait_for_address(said, lab)
        answers = [_status(engine, f"{address.split('/lab')[0]}/api/kernels{rest}") for rest in ("", _token(address))]
        report.judge(
            answers == ["403", "200"], "make lab's own container serves, with its token only", " ".join(answers)
        )
        os.killpg(lab.pid, signal.SIGINT)
        ending = f"ended with {lab.wait(30)}"
    left = engine.docker("ps", "--quiet").stdout.replace(before, "")
    report.judge(not left, "Ctrl-C ends and removes it", left or ending)


def _wait_for_address(said: IO[str], lab: "subprocess.Popen[bytes]") -> str:
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline and lab.poll() is None:
        said.seek(0)
        if found := re.search(r"http://127\.0\.0\.1:\d+/lab\S*", said.read()):
            return found[0]
        time.sleep(0.2)
    said.seek(0)
    sys.exit(f"tools/lab_image.py printed no address:\n{said.read()[-3000:]}")


def _token(address: str) -> str:
    return "?" + address.partition("?")[2]


def _status(engine: ContainerEngine, url: str) -> str:
    command = [*engine.enter, "curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", url]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False).stdout


if __name__ == "__main__":
    sys.exit(main())
