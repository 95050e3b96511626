"""Does a machine boot where nothing is permitted: an ordinary user, no capabilities, no new privileges?"""

import os
import shutil
import subprocess
from pathlib import Path

from tests.machine.host import LABKIT

NOBODY = 1000


def test_a_container_runs_without_any_privilege(tmp_path: Path, state: Path) -> None:
    """`labkit run -- docker run --rm busybox echo hi` prints hi for uid 1000 with no capability left."""
    for directory in (tmp_path, state):
        shutil.chown(directory, NOBODY, NOBODY)
        directory.chmod(0o755)
    bare = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    bare += ["--no-new-privs", "--bounding-set=-all", "--inh-caps=-all"]

    done = subprocess.run(
        [*bare, LABKIT, "run", "--", "docker", "run", "--rm", "busybox", "echo", "hi"],
        cwd="/",
        env={**os.environ, "HOME": str(tmp_path)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=120,
        check=False,
    )

    assert (done.returncode, done.stdout) == (0, b"hi\n"), done.stderr.decode()
    assert list((state / f"labkit-{NOBODY}").iterdir()) == []
