"""Run notebooks on fresh lab machines and store their outputs, as the tests will compare them.

usage: python tools/store_outputs.py notebooks/01-engine-api.ipynb ...
"""

import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

from labkit.desk.home import draw_home

CELL_TIMEOUT_S = 120
NOTEBOOKS = Path(__file__).resolve().parent.parent / "notebooks"


def store(path: Path) -> None:
    """Run every cell in order and write the notebook back; raises CellExecutionError where a cell fails."""
    notebook = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    client = NotebookClient(
        notebook,
        kernel_name="docker-lab",
        timeout=CELL_TIMEOUT_S,
        resources={"metadata": {"path": str(path.parent)}},
        coalesce_streams=True,
        record_timing=False,
        store_widget_state=False,
    )
    client.execute()
    notebook.metadata = {
        "kernelspec": {"display_name": "Docker Lab", "language": "python", "name": "docker-lab"},
        "language_info": {"name": "python"},
    }
    nbformat.write(notebook, path)  # type: ignore[no-untyped-call]


if __name__ == "__main__":
    for name in sys.argv[1:]:
        store(Path(name))
        print(f"stored {name}")
    # The page to which lessons link is a learner's own; on the web it is that of somebody who has not begun.
    for file, text in draw_home(NOTEBOOKS, {}).items():
        (NOTEBOOKS / file).write_text(text)
