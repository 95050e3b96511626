"""Is an engine of an ordinary user one without rights, is it connected, and what is left of it, however it ends?"""

import json
import sys
from typing import Any

import pytest

from tests.machine.host import KINDS, run

PATIENCE_S = 240  # with Debian's user-mode kernel, on a busy computer
COMMON = """
import json, os, pwd, shutil, signal, subprocess, sys, time
from pathlib import Path
from labkit.api.engine import Engine
from labkit.daemons.daemon import engine_answers
from labkit.daemons.rootless import start_rootless
from labkit.errors import MachineError
from labkit.linux.proc import pids, read_stat

def sh(line):
    return subprocess.run(line, shell=True, capture_output=True, text=True, stdin=subprocess.DEVNULL)

def owner(pid):
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return sorted({int(uid) for line in lines if line.startswith("Uid:") for uid in line.split()[1:]})

def owned():
    # Processes of ordinary users, of whom a machine has no others; not those that have ended and are to be waited for.
    found = []
    for pid in pids():
        try:
            found += [pid] if owner(pid) != [0] and read_stat(pid).state != "Z" else []
        except (AttributeError, FileNotFoundError, ProcessLookupError):
            pass
    return found

def wait_until(is_true, patience_s=30):
    deadline = time.monotonic() + patience_s
    while not is_true() and time.monotonic() < deadline:
        time.sleep(0.05)
    return is_true()

FILES = ("/etc/passwd", "/etc/group", "/etc/subuid", "/etc/subgid")

def snapshot():
    texts = [Path(file).read_text() if Path(file).exists() else "" for file in FILES]
    patterns = ("home/*", "run/user/*", "sys/class/net/*", "tmp/rootlesskit*")
    places = [sorted(map(str, Path("/").glob(pattern))) for pattern in patterns]
    groups = [path for path, _, _ in os.walk("/sys/fs/cgroup")]
    return texts, places, groups, Path("/proc/self/mounts").read_text(), owned()
"""
FACTS = """
key = Path("/srv/key")
key.write_text("of root")
key.chmod(0o600)
web = subprocess.Popen([sys.executable, "-m", "http.server", "8123", "--directory", "/usr/share/doc/rootlesskit"],
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
said = {}
with start_rootless("rosa") as rosa:
    docker = f"docker --host {rosa.host}"
    said["loaded"] = sh(f"docker save busybox | {docker} load").stdout.strip()
    said["started"] = sh(f"{docker} run --detach --name box --volume /:/host busybox sleep 600").returncode
    with Engine(rosa.host) as engine:
        info = engine.get("/info").json()
    pid = rosa.find_process("box")
    said["rootless"] = "name=rootless" in info["SecurityOptions"] and info["DockerRootDir"] == str(rosa.data)
    said["driver"] = info["Driver"]
    said["the same engine"] = info["ServerVersion"] == Engine().get("/info").json()["ServerVersion"]
    said["inside"] = sh(f"{docker} exec box id -u").stdout.strip()
    said["outside"] = owner(pid) == [rosa.user.uid]
    said["further"] = sh(f"{docker} exec --user 1000 --detach box sleep 601").returncode
    said["further outside"] = wait_until(lambda: [200999] in map(owner, owned()))
    said["map"] = [list(map(int, line.split())) for line in Path(f"/proc/{pid}/uid_map").read_text().splitlines()]
    said["uid"] = rosa.user.uid
    said["all"] = sorted({uid for pid in owned() for uid in owner(pid)}) == [rosa.user.uid, 200999]
    said["owners"] = [path.stat().st_uid == rosa.user.uid for path in (rosa.data, rosa.user.runtime / "docker.sock")]
    said["key"] = sh(f"{docker} exec box cat /host/srv/key").stderr.strip()
    address = sh("ip -4 -o addr show scope global | head -n 1").stdout.split()[3].partition("/")[0]
    said["machine"] = sh(f"{docker} exec box wget -q -O - http://{address}:8123/").returncode
    said["loopback"] = sh(f"{docker} exec box nc -w 3 10.0.3.2 5678").returncode
    said["log"] = "API listen on" in rosa.log.read_text()
    try:
        rosa.find_process("box")
        sh(f"{docker} kill box")
        rosa.find_process("box")
    except MachineError as error:
        said["no container"] = str(error)
    try:
        start_rootless("rosa")
    except MachineError as error:
        said["a second"] = str(error)
web.kill()
print(json.dumps(said))
"""
ENDS = """
before = snapshot()
said = {}
docker = "docker --host {}"

def start():
    rosa = start_rootless("rosa")
    line = docker.format(rosa.host)
    sh(f"docker save busybox | {line} load; {line} run --detach busybox sleep 600")
    return rosa

rosa = start()
said["runs"] = len(owned()) > 5
rosa.close()
rosa.close()
said["closed"] = snapshot() == before

rosa = start()
os.kill(rosa.pid, signal.SIGKILL)
said["killed"] = wait_until(lambda: not owned())
rosa.close()
said["killed and closed"] = snapshot() == before

holder = subprocess.Popen([sys.executable, "-c", HOLDER], stdout=subprocess.PIPE)
holder.stdout.readline()
said["held"] = len(owned()) > 3
holder.kill()
said["whoever started it is killed"] = wait_until(lambda: not owned())
sh("sed -i /^rosa:/d " + " ".join(FILES))
shutil.rmtree("/home/rosa")
shutil.rmtree("/run/user/4000", ignore_errors=True)

real = shutil.which
shutil.which = lambda program, *rest: None if program == "newuidmap" else real(program, *rest)
try:
    start_rootless("rosa")
except MachineError as error:
    said["missing"] = str(error)
shutil.which = real
from labkit.daemons import rootless
rootless.DOCKERD = "exec dockerd --rootless --storage-driver=nosuch"
try:
    start_rootless("rosa")
except MachineError as error:
    said["refused"] = str(error)
said["refused and gone"] = snapshot() == before
print(json.dumps(said))
"""
HOLDER = """
import time
from labkit.daemons.rootless import start_rootless
rosa = start_rootless("rosa")
print("ready", flush=True)
time.sleep(1000)
"""


def ask(kind: str, script: str) -> dict[str, Any]:
    """What the script says in a machine of that kind."""
    code = f"{COMMON}\nHOLDER = {HOLDER!r}\n{script}"
    done = run(kind, sys.executable, "-c", code, timeout=PATIENCE_S)
    assert done.returncode == 0, done.stderr.decode()
    said: dict[str, Any] = json.loads(done.stdout)
    return said


@pytest.mark.parametrize("kind", KINDS)
def test_root_inside_is_an_ordinary_user_outside(kind: str) -> None:
    """All is the user's or of the user's range; the machine is reached by slirp4netns, and root's engine is not."""
    said = ask(kind, FACTS)

    assert said.pop("uid") == said["map"][0][1]
    assert {
        "loaded": "Loaded image: busybox:latest",
        "started": 0,
        "rootless": True,
        "driver": "vfs",
        "the same engine": True,
        "inside": "0",
        "outside": True,
        "further": 0,
        "further outside": True,
        "map": [[0, said["map"][0][1], 1], [1, 200000, 65536]],
        "all": True,
        "owners": [True, True],
        "key": "cat: can't open '/host/srv/key': Permission denied",
        "machine": 0,
        "loopback": 1,
        "log": True,
        "no container": "The container box does not run: start it first.",
        "a second": "This machine has a user rosa already: choose another name.",
    } == said


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_left(kind: str) -> None:
    """After close, kill -9 of rootlesskit and of who started it no process is left, and after close no file either."""
    said = ask(kind, ENDS)

    missing, refused = said.pop("missing"), said.pop("refused")
    assert [] == [name for name, is_true in said.items() if not is_true]
    assert missing.startswith("Missing for a rootless engine: newuidmap. Run: apt-get install uidmap (or `make setup`)")
    assert refused.startswith("The engine of rosa ended while it started. Its last words: ")
    assert "specified both as a flag and in the configuration file: storage-driver" in refused
