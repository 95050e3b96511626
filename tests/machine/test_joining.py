"""Does the Go program that lesson 10 shows enter a container?"""

import re
import shutil
from pathlib import Path

import nbformat
import pytest

from tests.machine.host import run

LESSON = Path(__file__).resolve().parents[2] / "notebooks/10-docker-exec.ipynb"


@pytest.mark.parametrize("kind", ["native"])
@pytest.mark.skipif(shutil.which("go") is None, reason="there is no Go compiler here")
def test_the_go_original_enters(kind: str, state: Path, tmp_path: Path) -> None:
    """What lesson 10 shows in a fold is compiled as it stands there, and prints what is said of it."""
    cells = nbformat.read(LESSON, 4).cells
    (text,) = (match[1] for cell in cells if (match := re.search(r"```go\n(.*?)```", cell.source, re.S)))
    (tmp_path / "enter.go").write_text(text)
    line = (
        "docker run -d --name box --hostname box busybox sleep 600 >/dev/null; "
        f"cd {tmp_path} && go mod init enter && go build && ./enter && "
        "ENTER_PID=$(docker inspect -f '{{.State.Pid}}' box) ENTER_NS=uts,mnt ./enter"
    )
    done = run(kind, "sh", "-c", line, timeout=240)

    assert ["lab", "box"] == [words.split()[0] for words in done.stdout.decode().splitlines()], done.stderr.decode()
