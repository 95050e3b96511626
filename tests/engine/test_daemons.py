"""Does a further engine meet no other, say why it does not start, and leave nothing?"""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from labkit.api.engine import Engine
from labkit.daemons import daemon as daemons
from labkit.daemons.daemon import remove_groups, run_daemon
from labkit.errors import MachineError
from labkit.linux import cgroups
from tests.engine.daemon import reason_to_skip
from tests.machine.host import wait_until

pytestmark = pytest.mark.skipif(bool(reason_to_skip()) and os.environ.get("CI") != "true", reason=str(reason_to_skip()))


def groups(place: Path) -> list[Path]:
    name = (place / daemons.GROUP).read_text()
    return [top / name for top in cgroups.hierarchies() if (top / name).exists()]


def test_two_engines_are_two(tmp_path: Path) -> None:
    """Each has an identity, settings and a network of its own; at the end nothing of either is left."""
    places = [tmp_path / name for name in ("one", "two")]
    for place in places:
        place.mkdir()
    with run_daemon(places[0]) as one, run_daemon(places[1], settings={"labels": ["who=two"]}) as two:
        with Engine(one.host) as first, Engine(two.host) as second:
            infos = [client.get("/info").json() for client in (first, second)]
        assert infos[0]["ID"] != infos[1]["ID"]
        assert [[], ["who=two"]] == [info["Labels"] or [] for info in infos]
        assert 3 == len({os.readlink(path) for path in ("/proc/self/ns/net", one.network, two.network)})
        pids = one.pid, two.pid

    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)
    assert [[], []] == [groups(place) for place in places]


def test_it_may_end_by_itself(tmp_path: Path) -> None:
    """It is told to end, and has ended in its own way before anything is killed; unless no time is given for that."""
    for name, end_s in (("told", 10.0), ("killed", 0.0)):
        (tmp_path / name).mkdir()
        with run_daemon(tmp_path / name, options=["--debug"], end_s=end_s):
            pass

    logs = [(tmp_path / name / "log").read_text() for name in ("told", "killed")]
    assert [True, False] == ["Clean shutdown succeeded" in log for log in logs]


def test_one_that_does_not_start(tmp_path: Path) -> None:
    """Its own words are told."""
    with pytest.raises(MachineError, match="dockerd ended while it started. Its last words: .*driver not supported"):  # noqa: SIM117
        with run_daemon(tmp_path, options=["--storage-driver=no-such-driver"]):
            pass

    assert [] == groups(tmp_path)


def test_whoever_started_it_is_killed(tmp_path: Path) -> None:
    """The engine goes with it; the control group that is left is removed by who finds its place."""
    code = f"""
from pathlib import Path
from time import sleep
from labkit.daemons.daemon import run_daemon
with run_daemon(Path({str(tmp_path)!r})) as daemon:
    print(daemon.pid, flush=True)
    sleep(100)
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as starter:
        assert starter.stdout is not None
        pid = int(starter.stdout.readline())
        starter.send_signal(signal.SIGKILL)

    assert wait_until(lambda: not Path(f"/proc/{pid}").exists(), 10)
    remove_groups(tmp_path)
    assert [] == groups(tmp_path)
