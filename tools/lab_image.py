"""What does `make lab` do where no lab machine is possible, but containers are? It opens the lab in its own image.

An engine of Docker or Podman that answers builds the image of binder/Dockerfile and runs it without privileges: the
machines inside are of the kind `uml`. On arm64, which has no User-Mode Linux, the kind is `native`, and the container
has to be privileged. JupyterLab is reached on 127.0.0.1 alone, and asks for its token. Where no engine answers, exit
status 1 says that nothing was opened; the doctor has named the cure.
"""

import os
import platform
import shutil
import socket
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tools.kernel import lend_to_image  # noqa: E402  # after the path that leads there

IMAGE = "labkit-lab"
DESK = Path(os.environ.get("LABKIT_DESK") or Path.home() / "docker-lab").absolute()
ENGINES = ("docker", "podman")
FIRST_PORT = 8888


def main() -> int:
    """Build the image and become the command that serves the lab; return only if that is not possible, with 1."""
    engine = find_engine()
    if engine is None:
        print(
            "lab: no lab machine is possible here, for the reasons above, and neither docker nor podman answers, in\n"
            "     whose containers the lab could run: start Docker Desktop, Docker or Podman, or use Binder.",
            file=sys.stderr,
        )
        return 1
    print(f"lab: no lab machine is possible here, so the lab opens in a container of its own, by {engine}", flush=True)
    print("lab: building the image (the first time it takes some minutes and 1.3 GB) ...", flush=True)
    build = [engine, "build", "--file", str(ROOT / "binder/Dockerfile"), "--tag", IMAGE, str(ROOT)]
    with lend_to_image():
        built = subprocess.run(build, check=False)
    if built.returncode:
        print(f"lab: {engine} could not build the image; its own words are above", file=sys.stderr)
        return 1
    command = run_command(engine, read_processor(engine), find_port())
    print("lab: opening JupyterLab; its address is printed below, and Ctrl-C ends it", flush=True)
    os.execvp(command[0], command)  # so that Ctrl-C is the engine's to pass on


def find_engine() -> str | None:
    """The first engine that is installed and answers."""
    for name in ENGINES:
        if shutil.which(name) and not subprocess.run([name, "info"], capture_output=True, check=False).returncode:
            return name
    return None


def read_processor(engine: str) -> str:
    """The processor of the computer that containers run on, which on a Mac is a virtual one."""
    wanted = "{{.Architecture}}" if engine == "docker" else "{{.Host.Arch}}"
    done = subprocess.run([engine, "info", "--format", wanted], stdout=subprocess.PIPE, text=True, check=True)
    return {"amd64": "x86_64", "arm64": "aarch64"}.get(done.stdout.strip(), done.stdout.strip())


def find_port() -> int:
    """The first port from 8888 on that is free on 127.0.0.1."""
    for port in range(FIRST_PORT, FIRST_PORT + 100):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    sys.exit(
        f"lab: no port from {FIRST_PORT} to {FIRST_PORT + 99} is free on 127.0.0.1: stop a server that you do not need"
    )


def run_command(engine: str, processor: str, port: int) -> list[str]:
    """The command line that serves the lab. The port is the same inside, so that the address printed there is right."""
    command = [engine, "run", "--rm", "--interactive", "--publish", f"127.0.0.1:{port}:{port}"]
    server = ["jupyter", "lab", "--ip=0.0.0.0", f"--port={port}", "--ServerApp.port_retries=0", "--no-browser"]
    if sys.stdin.isatty():
        command += ["--tty"]
    if processor == "aarch64":
        print(
            "lab: on arm64 the container is privileged: what runs in it is root of the computer that runs it",
            flush=True,
        )
        return [*command, "--privileged", "--user=0:0", IMAGE, *server, "--allow-root"]
    command += ["--cap-drop=ALL", "--security-opt=no-new-privileges"]
    if os.getuid() != 0:  # then what a learner writes can be kept, by the learner's own number
        DESK.mkdir(exist_ok=True)  # by us: the engine would make it as root
        command += ["--volume", f"{DESK}:/home/jovyan/docker-lab"]
        on_linux = platform.system() == "Linux"
        command += [f"--user={os.getuid()}:{os.getgid()}"] if on_linux else []
        command += ["--userns=keep-id", "--security-opt=label=disable"] if on_linux and engine == "podman" else []
    return [*command, IMAGE, *server]


if __name__ == "__main__":
    sys.exit(main())
