"""What lies in each directory of a data root, how would AUFS have had it, and what do its bytes prove?"""

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from labkit.images.oci import digest_of
from labkit.images.stored import CONTAINERD, Store, StoredImage
from labkit.show.places import Place, key_of, short

__all__ = ["Entry", "Opened", "Proof", "open_place"]


class Entry(NamedTuple):
    """Something in a directory; `keys` are those of what it belongs to, as `follow_choices` gives them."""

    name: str
    says: str
    keys: tuple[str, ...] = ()


class Proof(NamedTuple):
    """What was recomputed, and for how many of how many things it came out right."""

    words: str
    right: int
    all: int

    def __str__(self) -> str:
        return f"{self.words}: {self.right} of {self.all}."


class Opened(NamedTuple):
    """A directory that was opened: what lies in it, how AUFS would have had it, what was recomputed, and a count."""

    entries: tuple[Entry, ...]
    old: tuple[Entry, ...] = ()
    proof: "Proof | str" = ""  # what was recomputed, or else a sentence
    counted: str = ""


def open_place(place: Place, store: Store) -> Opened:
    """Open a directory of a store: what lies in it, and what can be recomputed from it."""
    table = _CONTAINERD if store.kind == CONTAINERD else _GRAPHDRIVER
    return table[place.key](store)


def _count(number: int, what: str) -> str:
    plural = what if number == 1 else what.replace("directory", "directories") if what == "directory" else f"{what}s"
    return f"{number} {plural}"


def _owners(store: Store) -> dict[str, list[str]]:
    """Give for each chain_id the keys of the images and the containers that stand on it."""
    found: dict[str, list[str]] = {}
    for image in store.images.values():
        keys = [key_of(image.config_digest)] + [
            key_of(mount.container_id)
            for mount in store.mounts.values()
            if image.chain_ids and mount.parent == image.chain_ids[-1]
        ]
        for chain_id in image.chain_ids:
            found.setdefault(chain_id, []).extend(key for key in keys if key not in found.get(chain_id, ()))
    return found


def _names(store: Store) -> Mapping[str, str]:
    """Give for each chain_id the names of the images whose topmost layer it is."""
    tops: dict[str, list[str]] = {}
    for image in store.images.values():
        if image.chain_ids:
            tops.setdefault(image.chain_ids[-1], []).extend(name.removesuffix(":latest") for name in image.names)
    return {chain_id: ", ".join(sorted(names)) for chain_id, names in tops.items()}


def _container_name(store: Store, container_id: str) -> str:
    return store.containers[container_id].name if container_id in store.containers else short(container_id)


def _diff(store: Store) -> Opened:
    owners, names = _owners(store), _names(store)
    entries = [
        Entry(
            short(layer.cache_id),
            _layer_words(layer.size_bytes, names.get(chain_id, "")),
            tuple(owners.get(chain_id, ())),
        )
        for chain_id, layer in store.layers.items()
    ]
    for mount in store.mounts.values():
        name, key = _container_name(store, mount.container_id), (key_of(mount.container_id),)
        if mount.init_id:
            entries.append(Entry(short(mount.init_id), f"files for the start of {name}", key))
        entries.append(Entry(short(mount.mount_id), f"what {name} writes", key))
    entries.sort()
    recorded = {one for mount in store.mounts.values() for one in (mount.init_id, mount.mount_id)}
    recorded |= {layer.cache_id for layer in store.layers.values()}
    known = sum(name in recorded for name in store.links.values())
    proof: Proof | str = Proof(f"layerdb has a record of each directory in {store.driver}", known, len(store.links))
    if store.kind == CONTAINERD:
        proof = (
            f"The directories have numbers: {len(entries)} directories. Here bytes are whole blocks of the disk:"
            " 4 bytes count as 4,096."
        )
    return Opened(tuple(entries), (), proof, _count(len(entries), "directory"))


def _layer_words(size_bytes: int, names: str) -> str:
    return f"a layer, {size_bytes:,} bytes" + (f"; top of {names}" if names else "")


def _lower(store: Store) -> Opened:
    owners = _owners(store)
    stacks = [(layer.cache_id, layer.lower, owners.get(layer.chain_id, [])) for layer in store.layers.values()]
    for mount in store.mounts.values():
        key = [key_of(mount.container_id)]
        stacks += [(mount.mount_id, mount.lower, key), (mount.init_id, mount.lower[1:], key)]
    stacks = sorted(stack for stack in stacks if stack[1])
    entries = tuple(
        Entry(short(name), ":".join(f"l/{each[:5]}" for each in lower), tuple(keys)) for name, lower, keys in stacks
    )
    old = tuple(
        Entry(short(name), " ".join(short(store.links.get(each, "?")) for each in lower), tuple(keys))
        for name, lower, keys in stacks
    )
    shorts = [each for _, lower, _ in stacks for each in lower]
    known = sum(each in store.links for each in shorts)
    proof = Proof(f"Each short name is a link in {store.driver}/l, which leads to a directory", known, len(shorts))
    return Opened(entries, old, proof if store.links else "", _count(len(entries), "file"))


def _merged(store: Store) -> Opened:
    entries = tuple(
        Entry(short(mount.mount_id), f"root of {_container_name(store, container_id)}", (key_of(container_id),))
        for container_id, mount in sorted(store.mounts.items(), key=lambda item: item[1].mount_id)
    )
    proof = "While a container runs, the kernel's mount table has its directory `merged`. Afterwards it is not mounted."
    return Opened(entries, entries if store.kind != CONTAINERD else (), proof, _count(len(entries), "mount point"))


def _containers(store: Store) -> Opened:
    entries = tuple(
        Entry(
            short(container_id),
            f"{one.name}, made from {short(one.image_id)}",
            (key_of(container_id), key_of(one.image_id)),
        )
        for container_id, one in sorted(store.containers.items(), key=lambda item: item[1].name)
    )
    known = sum(one.image_id in store.images for one in store.containers.values())
    proof = Proof("config.v2.json names the id of an image that is in this store", known, len(entries))
    return Opened(entries, (), proof, _count(len(entries), "container"))


def _imagedb(store: Store) -> Opened:
    images = sorted(store.images.values(), key=_by_name)
    entries = tuple(
        Entry(
            short(image.image_id),
            f"{', '.join(image.names) or '(no name)'}: {len(image.diff_ids)} diff_ids",
            (key_of(image.config_digest),),
        )
        for image in images
    )
    right = sum(image.config_digest == image.image_id for image in images)
    proof = Proof("sha256 of the bytes of the file is the name of the file", right, len(images))
    return Opened(entries, (), proof, _count(len(entries), "image"))


def _layerdb(store: Store) -> Opened:
    owners = _owners(store)
    layers = sorted(store.layers.values(), key=lambda layer: (len(layer.lower), layer.chain_id))
    entries = [
        Entry(
            short(layer.chain_id),
            f"diff {short(layer.diff_id)}, cache-id {short(layer.cache_id)}",
            tuple(owners.get(layer.chain_id, ())),
        )
        for layer in layers
    ]
    entries += [
        Entry(f"mounts/{short(mount.container_id)}", f"mount-id {short(mount.mount_id)}", (key_of(mount.container_id),))
        for mount in store.mounts.values()
    ]
    made = (digest_of(f"{one.parent} {one.diff_id}".encode()) if one.parent else one.diff_id for one in layers)
    right = sum(name == layer.chain_id for name, layer in zip(made, layers, strict=True))
    proof = Proof("sha256 of “parent diff” is the chain id, and at the bottom the diff is", right, len(layers))
    return Opened(tuple(entries), (), proof, f"{_count(len(layers), 'layer')}, {_count(len(store.mounts), 'mount')}")


def _repositories(store: Store) -> Opened:
    entries = tuple(
        Entry(
            name, short(image_id), (key_of(store.images[image_id].config_digest),) if image_id in store.images else ()
        )
        for name, image_id in sorted(store.names.items())
    )
    known = sum(image_id in store.images for image_id in store.names.values())
    proof = Proof("Each name leads to a file in imagedb", known, len(entries))
    return Opened(entries, (), proof, _count(len(entries), "name"))


def _distribution(store: Store) -> Opened:
    entries = tuple(
        Entry(short(digest), f"is the layer {short(diff_id)}") for digest, diff_id in store.diff_ids.items()
    )
    entries += tuple(Entry(short(diff_id), f"came from {', '.join(names)}") for diff_id, names in store.sources.items())
    proof = "" if entries else "It is empty: nothing was pulled or pushed here. There is no internet in this lesson."
    return Opened(entries, (), proof, _count(len(store.diff_ids), "blob"))


def _volumes(store: Store) -> Opened:
    entries = tuple(Entry(name, f"{name}/_data") for name in sorted(store.volumes))
    return Opened(
        entries,
        (),
        "No id at all: a volume is named by you. Its files belong to no image.",
        _count(len(entries), "volume"),
    )


def _by_name(image: StoredImage) -> tuple[str, ...]:
    return image.names or ("~",)


def _snapshot_parents(store: Store) -> Opened:
    owners = _owners(store)
    entries = tuple(
        Entry(
            f"snapshot {layer.cache_id}",
            f"on {short(layer.parent)}" if layer.parent else "on nothing",
            tuple(owners.get(chain_id, ())),
        )
        for chain_id, layer in sorted(store.layers.items(), key=lambda item: int(item[1].cache_id))
    )
    return Opened(entries, (), "", _count(len(entries), "snapshot"))


def _blobs(store: Store) -> Opened:
    configs = {image.config_digest: image for image in store.images.values()}
    layers = {diff_id: key_of(image.config_digest) for image in store.images.values() for diff_id in image.diff_ids}
    entries = []
    for digest, blob in store.blobs.items():
        if digest in store.images:
            entries.append(
                Entry(
                    short(digest),
                    "manifest: the image's id in this store",
                    (key_of(store.images[digest].config_digest),),
                )
            )
        elif digest in configs:
            entries.append(Entry(short(digest), "configuration: the image's id in the other store", (key_of(digest),)))
        else:
            diff_id = blob.labels.get("containerd.io/uncompressed", "")
            words = f"a layer, {blob.size_bytes:,} bytes" if diff_id else f"{blob.size_bytes:,} bytes"
            entries.append(Entry(short(digest), words, (layers[diff_id],) if diff_id in layers else ()))
    right = sum(digest in store.blobs for digest in configs)
    proof = Proof("sha256 of a configuration is the name of its blob", right, len(configs))
    return Opened(tuple(entries), (), proof, _count(len(entries), "blob"))


def _snapshots(store: Store) -> Opened:
    owners = _owners(store)
    entries = tuple(
        Entry(short(chain_id), f"directory {layer.cache_id}", tuple(owners.get(chain_id, ())))
        for chain_id, layer in sorted(store.layers.items(), key=lambda item: int(item[1].cache_id))
    )
    right = sum(chain_id in owners for chain_id in store.layers)
    proof = Proof("The name of a snapshot is the chain id, made of the same diff_ids", right, len(entries))
    return Opened(entries, (), proof, _count(len(entries), "snapshot"))


def _labels(store: Store) -> Opened:
    labels: Iterable[tuple[str, str]] = (
        (digest, f"{key.rpartition('/')[2]} = {value}")
        for digest, blob in store.blobs.items()
        for key, value in blob.labels.items()
        if "distribution.source" in key
    )
    entries = tuple(Entry(short(digest), words) for digest, words in labels)
    return Opened(entries, (), "", _count(len(entries), "label"))


def _names_of(store: Store) -> Opened:
    return _repositories(store)._replace(proof="Each name leads to a manifest, or to an index of manifests.")


_Open = Callable[[Store], Opened]
_GRAPHDRIVER: Mapping[str, _Open] = {
    "diff": _diff,
    "lower": _lower,
    "merged": _merged,
    "containers": _containers,
    "imagedb": _imagedb,
    "layerdb": _layerdb,
    "repositories": _repositories,
    "distribution": _distribution,
    "volumes": _volumes,
}
_CONTAINERD: Mapping[str, _Open] = {
    **_GRAPHDRIVER,
    "lower": _snapshot_parents,
    "imagedb": _blobs,
    "layerdb": _snapshots,
    "repositories": _names_of,
    "distribution": _labels,
}
