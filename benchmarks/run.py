"""Measure every registered row, print the table, and store it as results.json.

python -m benchmarks.run            all rows
python -m benchmarks.run import     the benches whose function's name holds the word
"""

import sys
from pathlib import Path

import benchmarks.engine
import benchmarks.images
import benchmarks.isolation
import benchmarks.machine
import benchmarks.swarm  # noqa: F401  # imported for the rows that it registers
from benchmarks.table import BENCHES, Row, format_table, write_results

RESULTS = Path(__file__).with_name("results.json")


def main(words: list[str]) -> int:
    """Run the benches; a missed goal is shown, and only a broken measurement raises."""
    chosen = [b for b in BENCHES if not words or any(word in b.__name__ for word in words)]
    rows: list[Row] = []
    for measure in chosen:
        print(f"{measure.__name__}: {(measure.__doc__ or '').splitlines()[0]}", flush=True)
        rows += measure()
    print("\n" + format_table(rows))
    if not words:
        write_results(rows, RESULTS)
    return 0 if rows else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
