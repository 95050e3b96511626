"""How does a user-mode machine get a dockerd that starts sooner? `make kernel` makes it of the one that is there.

    python -m tools.dockerd             make it, if it is not made yet, for machines to find
    python -m tools.dockerd --remove    remove what was made (make clean KERNEL=1)

With LABKIT_ENGINE=DIR it is made of the dockerd there. Where it cannot be made, that is said: machines then execute
dockerd as it is, and nothing else is different.
"""

import argparse
import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from labkit.machine.engine_programs import find_dockerd  # noqa: E402  # after the path that leads there
from labkit.machine.outside.dockerd import DockerdUnfit, keep_relocated, shelf  # noqa: E402


def main() -> int:
    """Make it, or remove it; return the exit status."""
    parser = argparse.ArgumentParser(prog="make kernel", description="Relocate dockerd beforehand.")
    parser.add_argument("--remove", action="store_true", help="remove what was made")
    if parser.parse_args().remove:
        shutil.rmtree(shelf(), ignore_errors=True)
        return 0
    dockerd = find_dockerd()
    if dockerd is None:
        print("dockerd: there is none yet; run `make kernel` again when Docker is installed")
        return 0
    try:
        made = keep_relocated(dockerd)
    except DockerdUnfit as error:
        print(f"dockerd: {error}; `uml` machines execute it as it is")
        return 0
    print(f"dockerd: `uml` machines execute {made}, made of {dockerd}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
