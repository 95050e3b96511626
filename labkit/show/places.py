"""Which lines has the notes' tree of the data root, what stands there today, and how does a name lead there?

The notes are those of one engineer, of a time when AUFS was the usual storage driver. Their `layer` is AUFS's `layers`.
"""

from typing import NamedTuple

from labkit.images.stored import Store

__all__ = ["PLACES", "Place", "Trail", "follow_choices", "follow_trail", "key_of", "short"]

SHORT = 8  # letters of an id
MOST_FOLLOWED = 6


class Place(NamedTuple):
    """A line of the notes' tree, and what stands there today."""

    key: str
    notes: str  # the path in the notes' tree
    today: str  # the path below a data root; DRIVER is the storage driver
    containerd: str  # where containerd's store has the same
    role: str  # of labkit.show.look
    quote: str  # the words of the notes
    says: str


class Trail(NamedTuple):
    """How a name leads to directories: the steps to the layers, and for each layer, the topmost first, its names."""

    steps: tuple[tuple[str, str], ...]  # what it is, and its short form
    layers: tuple[tuple[str, str, str, str], ...]  # which one it is, diff_id, chain_id, cache_id; "" where it has none


PLACES = (
    Place(
        "diff",
        "aufs/diff",
        "DRIVER/CACHE-ID/diff",
        "snapshots/N/fs",
        "engine",
        "aufs文件系统的所有层的存储目录",
        "The files of each layer: of images, and of containers.",
    ),
    Place(
        "lower",
        "aufs/layers",
        "DRIVER/CACHE-ID/lower",
        "meta.db: parent",
        "engine",
        "存储aufs层之间关系等元数据",
        "Which layers lie below a layer. The notes write `layer`; on the disk it was `layers`.",
    ),
    Place(
        "merged",
        "aufs/mnt",
        "DRIVER/MOUNT-ID/merged",
        "rootfs/overlayfs/ID",
        "kernel",
        "aufs文件系统挂载点",
        "The root of each container, while it runs: all its layers, mounted as one.",
    ),
    Place(
        "containers",
        "containers",
        "containers",
        "containers",
        "container",
        "容器配置文件目录",
        "What was asked for with `docker run`, and the log.",
    ),
    Place(
        "imagedb",
        "image/aufs/imagedb",
        "image/DRIVER/imagedb",
        "content/blobs",
        "engine",
        "存储所有镜像的元数据",
        "The configuration of each image, in a file that has the image's id for its name.",
    ),
    Place(
        "layerdb",
        "image/aufs/layerdb",
        "image/DRIVER/layerdb",
        "meta.db: snapshots",
        "engine",
        "存储镜像层和容器层的元数据",
        "A record for each layer, named by its chain id, and one for each container.",
    ),
    Place(
        "repositories",
        "image/aufs/repositories.json",
        "image/DRIVER/repositories.json",
        "meta.db: images",
        "engine",
        "镜像仓库中所有镜像的源和tag",
        "The names of images. Each name leads to an id.",
    ),
    Place(
        "distribution",
        "image/aufs/distribution",
        "image/DRIVER/distribution",
        "content/blobs: labels",
        "engine",
        "",
        "Which blob of a registry is which layer. The notes only name this directory.",
    ),
    Place(
        "volumes",
        "volumes",
        "volumes",
        "volumes",
        "container",
        "存放volumes数据和元数据",
        "The files of volumes. They are in no layer.",
    ),
)


def short(identity: str) -> str:
    """Give the first letters of an id.

    >>> short("sha256:0123456789abcdef"), short("0123456789abcdef-init")
    ('01234567', '01234567-init')
    """
    name, dash, end = identity.removeprefix("sha256:").partition("-")
    return name[:SHORT] + dash + end


def follow_choices(store: Store) -> list[tuple[str, str, str]]:
    """Give what can be followed: images with most layers first, then containers; a key, a name and a role for each."""
    named = [image for image in store.images.values() if image.names]
    images = sorted(named, key=lambda image: (-len(image.diff_ids), image.names))[:MOST_FOLLOWED]
    mounted = sorted(
        (one for one in store.containers.values() if one.container_id in store.mounts), key=lambda one: one.name
    )
    choices = [(key_of(image.config_digest), image.names[0].removesuffix(":latest"), "engine") for image in images]
    return choices + [(key_of(one.container_id), one.name, "container") for one in mounted[:MOST_FOLLOWED]]


def follow_trail(store: Store, key: str) -> Trail:
    """Follow what `follow_choices` gave the key for, from its name to its directories."""
    steps: list[tuple[str, str]] = []
    layers: list[tuple[str, str, str, str]] = []
    for container_id, one in store.containers.items():
        if key_of(container_id) == key and container_id in store.mounts:
            mount = store.mounts[container_id]
            steps += [("container", one.name), ("container id", short(container_id))]
            layers += [(f"what {one.name} writes", "", "", short(mount.mount_id))]
            layers += [("for its start", "", "", short(mount.init_id))] if mount.init_id else []
            key = key_of(one.image_id)
    for image in store.images.values():
        if key_of(image.config_digest) == key:
            steps += [("image", image.names[0] if image.names else "(no name)"), ("image id", short(image.image_id))]
            known = [store.layers[chain_id] for chain_id in reversed(image.chain_ids) if chain_id in store.layers]
            layers += [
                (_level(place, len(known)), short(each.diff_id), short(each.chain_id), short(each.cache_id))
                for place, each in enumerate(known)
            ]
    return Trail(tuple(steps), tuple(layers))


def _level(place: int, count: int) -> str:
    return "topmost" if place == 0 else "lowest" if place == count - 1 else ""


def key_of(identity: str) -> str:
    """Give the word by which what belongs to an image or a container is marked."""
    return f"lks-{identity.removeprefix('sha256:')[:16]}"
