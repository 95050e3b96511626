"""What is given to a learner's program before a check, and taken away after it?"""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from labkit.check.runs import IMAGE, NAMES, ROOT, sweep
from labkit.isolation.layers import read_image

__all__ = ["prepared"]


@contextmanager
def prepared() -> Iterator[None]:
    """Give the program the image busybox, with one layer above; remove afterwards what containers of a check have left.

    The layer of busybox is the engine's own directory. Raises ContainerError where the engine has no busybox.
    """
    sweep()
    root, config = read_image("busybox")
    layers = Path(ROOT) / "layers"
    top = layers / f"{NAMES}top"
    top.mkdir(parents=True, exist_ok=True)
    names = [*(f"{NAMES}{number}" for number in range(len(root.layers))), top.name]
    for name, directory in zip(names, reversed(root.layers), strict=False):
        (layers / name).unlink(missing_ok=True)
        (layers / name).symlink_to(directory)
    (top / "bin").mkdir(exist_ok=True)
    (top / "bin/vi").write_text("above\n")  # it covers busybox's own
    image = {"name": IMAGE, "layers": names, "config": config}
    place = Path(ROOT) / "images" / f"{IMAGE.replace('/', '_')}.json"
    place.parent.mkdir(exist_ok=True)
    place.write_text(json.dumps(image))
    before = _addresses()
    try:
        yield
    finally:
        sweep()
        for address in _addresses() - before:
            shutil.rmtree(Path(ROOT) / "addresses" / address, ignore_errors=True)
        place.unlink(missing_ok=True)
        for name in names[:-1]:
            (layers / name).unlink(missing_ok=True)
        shutil.rmtree(top, ignore_errors=True)


def _addresses() -> set[str]:
    place = Path(ROOT) / "addresses"
    return set(os.listdir(place)) if place.is_dir() else set()
