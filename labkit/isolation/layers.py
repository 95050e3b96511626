"""Which directories are the layers of an image, and what does the image say of a container?

The engine's own directories are read where they are, as root: those of its graph driver, or of containerd's snapshots.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from labkit.errors import ContainerError, ImageError
from labkit.images.archives import open_layers
from labkit.images.containerd_store import find_containerd, read_containerd
from labkit.images.oci import parse_config
from labkit.images.store import list_drivers, read_store
from labkit.images.stored import GRAPHDRIVER, Store, StoredImage
from labkit.isolation.docker_defaults import docker_spec
from labkit.isolation.spec import Root, Spec, User
from labkit.isolation.unpacking import unpack_layers

__all__ = ["image_spec", "read_archive", "read_image"]

DATA_ROOT = Path("/var/lib/docker")
WHOLE = ("vfs", "btrfs")  # drivers whose directory of a layer has all layers below in it


def image_spec(image: str | Path, args: Sequence[str] = (), /, *, env: Sequence[str] = (), **changes: Any) -> Spec:
    """The container that `docker run` makes of an image of the engine: its layers, Env, WorkingDir, User, Entrypoint.

    Raises ContainerError for no such image.
    """
    root, config = read_archive(image) if isinstance(image, Path) else read_image(image)
    entrypoint, command = config.get("Entrypoint") or [], config.get("Cmd") or []
    said: dict[str, Any] = {
        "cwd": config.get("WorkingDir") or "/",
        "user": User(name=config.get("User") or "0"),
    } | changes
    all_env = [*(config.get("Env") or []), *env]
    return docker_spec(said.pop("root", root), [*entrypoint, *(args or command)], env=all_env, **said)


def read_image(name: str, data_root: Path = DATA_ROOT) -> tuple[Root, dict[str, Any]]:
    """The layers of an image in the engine's store, and what its configuration says of containers."""
    try:
        store = read_stores(data_root)
        image = store.image(name)
        return Root(layers=_directories(store, image)), dict(parse_config(image.config, name).config)
    except (ImageError, OSError) as error:
        raise ContainerError(f"There is no image to run: {error}") from error


def read_archive(path: Path) -> tuple[Root, dict[str, Any]]:
    """An image in a file that `docker save` has written, as the layers of a container, and what it says of one."""
    try:
        with path.open("rb", buffering=0) as file:
            config, _ = open_layers(file.fileno(), path.name)
    except (ImageError, OSError) as error:
        raise ContainerError(f"There is no image to run: {error}") from error
    return Root(archive=str(path.absolute()), unpack=_unpack), dict(config.config)


def _unpack(archive: int, place: str) -> tuple[str, ...]:
    return unpack_layers(open_layers(archive, "the archive")[1], place)


def read_stores(data_root: Path) -> Store:
    """What the engine has, whichever store it keeps its images in."""
    if list_drivers(data_root) or find_containerd(data_root) is None:
        return read_store(data_root)
    return read_containerd(data_root)


def _directories(store: Store, image: StoredImage) -> tuple[str, ...]:
    layers = [str(layer.directory) for layer in reversed(store.layers_of(image))]
    if store.kind == GRAPHDRIVER and store.driver in WHOLE:
        return tuple(layers[:1])
    return tuple(layers)
