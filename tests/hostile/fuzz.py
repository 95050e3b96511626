"""How long can the layer inspection be fed with bent images until it says something wrong?

    python -m tests.hostile.fuzz SECONDS

runs the tests of test_fuzz.py again and again, each time with a seed of its own and many examples. It ends with status
1 at the first failure, of which pytest has then shown the smallest example and the seed.
"""

import random
import subprocess
import sys
import time

__all__ = ["run"]

COMMAND = ["-m", "pytest", "-q", "--no-header", "--hypothesis-profile=long", "tests/hostile/test_fuzz.py"]


def run(seconds: float) -> int:
    """Run for that long, and to the end of the round that is then under way; return the exit status."""
    end, rounds = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        seed = random.randrange(2**32)
        print(f"round {rounds + 1}, --hypothesis-seed={seed}", flush=True)
        if status := subprocess.run([sys.executable, *COMMAND, f"--hypothesis-seed={seed}"], check=False).returncode:
            return status
        rounds += 1
    return 0


if __name__ == "__main__":
    sys.exit(run(float(sys.argv[1])))
