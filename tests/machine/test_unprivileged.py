"""Does a machine boot where nothing is permitted: an ordinary user, no capabilities, no new privileges?"""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.machine.host import LABKIT, open_the_way

NOBODY = 1000


@pytest.mark.parametrize("kind", ["uml"])
def test_a_container_runs_without_any_privilege(kind: str, tmp_path: Path, state: Path) -> None:
    """`labkit run -- docker run --rm busybox echo hi` prints hi for an ordinary user with no capability left."""
    bare = ["setpriv", "--no-new-privs", "--inh-caps=-all"]
    user = os.getuid()
    if user == 0:
        user = NOBODY
        for directory in (tmp_path, state):
            shutil.chown(directory, user, user)
            directory.chmod(0o755)
        bare += [f"--reuid={user}", f"--regid={user}", "--clear-groups", "--bounding-set=-all"]
        bare = ["unshare", "--mount", "sh", "-euc", f'{open_the_way()}\nexec "$@"', "sh", *bare]

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
    assert list((state / f"labkit-{user}").iterdir()) == []
