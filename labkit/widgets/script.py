"""Which text does a page get as the script of a view?"""

from pathlib import Path

__all__ = ["read_script"]

HERE = Path(__file__).parent


def read_script(name: str) -> str:
    """A script of this directory, with the function `make` of make.js before it. A page's script is one module."""
    return (HERE / "make.js").read_text() + (HERE / name).read_text()
