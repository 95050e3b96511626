"""How does a learner write a program part by part, each in a cell?

    program = open_program()      the cell magic `%%part B` puts a cell's text into /root/mydocker as part B

`labkit.check.program` says how parts become a program, and what stands in for those that are missing.
"""

from typing import Any

from IPython.core.getipython import get_ipython

from labkit.check.program import LESSONS, MINE, Program

__all__ = ["open_program"]


def open_program() -> Program:
    """Give this notebook's cells the magic %%part; what it says of a part, it prints. Returns the program."""
    program = Program()
    program.begin()
    shell: Any = get_ipython()
    if shell is not None:
        shell.register_magic_function(lambda line, text: _write(program, line, text), "cell", "part")
    return program


def _write(program: Program, line: str, text: str) -> None:
    program.write(line.strip().upper(), text)
    owners = program.owners()
    said = [f"{who}: {', '.join(part for part, owner in owners.items() if owner == who)}" for who in (MINE, LESSONS)]
    print(f"{program.path} has these parts: {'; '.join(words for words in said if not words.endswith(': '))}")
