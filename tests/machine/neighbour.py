"""Is the host's own Docker the same before and after machines ran beside it? Prints {"before", "after", "said"}.

To be run as root in mount, network and PID namespaces of its own, which stand for the host: a dockerd with its
bridge, its firewall rules and its usual places (/var/lib/docker, /run/docker.sock), an image, a running container.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

from labkit.machine.inside.busybox import import_busybox
from tests.machine.host import KINDS, LABKIT, read_stat, wait_until

GROUP = f"ground-{os.urandom(4).hex()}"


def settle_in() -> subprocess.Popen[bytes]:
    """Start the host's engine, and a container on it."""
    for place in ("/run", "/var/lib/docker", "/etc/docker"):
        Path(place).mkdir(exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "none", place], check=True)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    engine = subprocess.Popen(["dockerd", f"--cgroup-parent=/{GROUP}"], stderr=Path("/run/log").open("wb"))
    assert wait_until(lambda: docker("version", "--format=up").returncode == 0, 30), Path("/run/log").read_text()
    import_busybox(Path("/run/docker.sock"))
    started = docker("run", "-d", "--name=mine", "--publish=8080:80", "busybox", "sleep", "1000")
    assert started.returncode == 0, started.stderr
    return engine


def docker(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["docker", *words], capture_output=True, text=True, check=False)


def look() -> dict[str, list[str]]:
    """Everything that could have been touched."""
    rules = subprocess.check_output(["iptables-save"], text=True)
    links = "".join(subprocess.check_output(["ip", "-o", *what], text=True) for what in (["link"], ["-4", "address"]))
    tops = [path for path in Path("/sys/fs/cgroup").iterdir() if path.is_dir()] + [Path("/sys/fs/cgroup")]
    return {
        "containers": docker("ps", "-a", "--no-trunc", "--format={{.ID}} {{.Names}} {{.State}}").stdout.splitlines(),
        "pid": docker("inspect", "--format={{.State.Pid}} {{.State.StartedAt}}", "mine").stdout.splitlines(),
        "images": docker("images", "-a", "--no-trunc", "--format={{.ID}} {{.Repository}}:{{.Tag}}").stdout.splitlines(),
        "networks": docker("network", "ls", "--no-trunc").stdout.splitlines(),
        "interfaces": links.splitlines(),
        "rules": [line for line in rules.splitlines() if line.startswith(("*", "-A"))],
        "mounts": Path("/proc/self/mountinfo").read_text().splitlines(),
        "groups": sorted(str(path) for top in tops for path in (top / GROUP).rglob("*") if path.is_dir()),
        "processes": sorted(f"{name} {stat[19]}" for name in os.listdir("/proc") if (stat := living(name))),
        "files": sorted(os.listdir("/run") + os.listdir("/var/lib/docker") + os.listdir("/etc/docker")),
    }


def living(name: str) -> list[str]:
    """The fields of a process's stat; nothing for a zombie."""
    stat = read_stat(int(name)) if name.isdigit() else []
    return stat if stat and stat[0] != "Z" else []


def leave(engine: subprocess.Popen[bytes]) -> None:
    docker("rm", "-f", "mine")
    engine.terminate()
    engine.wait(20)
    for top in [Path("/sys/fs/cgroup"), *Path("/sys/fs/cgroup").iterdir()]:
        for directory, _, _ in os.walk(top / GROUP, topdown=False):
            os.rmdir(directory)


def main() -> None:
    engine = settle_in()
    try:
        before = look()
        script = "docker run --rm busybox echo hi; docker ps -aq | wc -l; iptables -t nat -F; ip link delete docker0"
        commands = [[LABKIT, "run", "--machine", kind, "--", "sh", "-c", script] for kind in KINDS]
        machines = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for command in commands]
        said = [machine.communicate()[0] for machine in machines]
        print(json.dumps({"before": before, "after": look(), "said": said}))
    finally:
        leave(engine)


if __name__ == "__main__":
    sys.exit(main())
