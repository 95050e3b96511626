"""What does each layer do, what is the tree at any layer, and what is wasted?

A layer is a tar. An entry adds a path, or takes the place of what lower layers have there. A name that begins with
".wh." (a whiteout) hides the path without these letters; ".wh..wh..opq" (opaque) hides all that lower layers have in
its directory. Both hide what is *below*, never what their own layer gives.
Source: OCI image specification, `layer.md`.

    >>> base, change = Content(), Content()
    >>> base.add("etc/motd", "file", 100)
    >>> change.add("etc/.wh.motd", "file")
    >>> found = analyse([base, change])
    >>> found.layers[1].changes, found.wasted_bytes, sorted(found.tree(0)), sorted(found.tree(1))
    ((Change(path='etc/motd', kind='file', size_bytes=100, change='deleted'),), 100, ['etc', 'etc/motd'], ['etc'])

**Wasted bytes** are content bytes of regular files that the layers carry and the whole image does not show: each copy
that a later layer (or a later entry of the same layer) replaces or hides. So the sizes of all layers are the wasted
bytes and the sizes of the files in the whole tree together. A file with several names (hard links) is wasted when its
last name is gone. dive counts otherwise (`labkit.images.dive`), and its number is given beside.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from labkit.images.content import Content, Node
from labkit.images.dive import Dive
from labkit.images.merged import Change, Changes, Merged
from labkit.images.oci import ImageConfig, chain_ids
from labkit.images.paths import printable

__all__ = ["Analysis", "Change", "Content", "Layer", "Node", "Waste", "analyse"]


class Layer(NamedTuple):
    """One layer, and what it does to those below."""

    diff_id: str  # "sha256:...", of its tar; "" where it is not known
    chain_id: str
    digest: str  # of the blob as it is stored; "" where it is not known
    size_bytes: int  # content bytes of its regular files, as the engine keeps it in layerdb as "size"
    created_by: str  # the line of the history that made it; "" where there is none
    does: Changes

    @property
    def changes(self) -> tuple[Change, ...]:
        """All of them, sorted by path."""
        return self.does.by_path()

    @property
    def added(self) -> int:
        return len(self.does.added)

    @property
    def modified(self) -> int:
        return len(self.does.modified)

    @property
    def deleted(self) -> int:
        return len(self.does.deleted)


class Waste(NamedTuple):
    """Bytes that layers carry for this path and the image does not show."""

    path: str
    bytes: int
    times: int  # how many copies


class Analysis:
    """What `analyse` has found; `layers` bottom first, `wasted` most bytes first."""

    __slots__ = (
        "architecture",
        "dive_wasted_bytes",
        "efficiency",
        "image_id",
        "layers",
        "manifest_digest",
        "name",
        "wasted",
        "wasted_bytes",
        "_contents",
        "_tree",
    )

    def __init__(
        self,
        contents: Sequence[Content],
        layers: tuple[Layer, ...],
        wasted: tuple[Waste, ...],
        dive: tuple[int, float],
        *,
        name: str = "",
        image_id: str = "",
        architecture: str = "",
        manifest_digest: str = "",
    ) -> None:
        self.name, self.image_id, self.architecture = name, image_id, architecture
        self.manifest_digest = manifest_digest  # the ID of the image in a containerd store; "" where there is none
        self.layers, self.wasted = layers, wasted
        self.wasted_bytes = sum(each.bytes for each in wasted)
        self.dive_wasted_bytes, self.efficiency = dive
        self._contents = contents
        self._tree: Mapping[str, Node] | None = None

    def tree(self, depth: int) -> Mapping[str, Node]:
        """Give the merged tree after layers[0] to layers[depth], by path, sorted; the root itself is not in it."""
        if not 0 <= depth < len(self._contents):
            raise IndexError(f"there is no layer {depth}: the image has {len(self._contents)}, from 0")
        merged = Merged()
        for content in self._contents[: depth + 1]:
            merged.lay(content)
        return {node.path: node for node in sorted(merged.nodes())}

    def provider(self, path: str) -> int | None:
        """Give the index of the layer that gives this path in the whole image; None where the image has none such."""
        if self._tree is None:
            self._tree = self.tree(len(self._contents) - 1) if self._contents else {}
        found = self._tree.get(path.strip("/"))
        return found.layer if found else None

    def __repr__(self) -> str:
        return f"<Analysis of {printable(self.name) or 'an image'}: {len(self.layers)} layers>"


def analyse(
    contents: Sequence[Content],
    *,
    name: str = "",
    config: ImageConfig | None = None,
    digests: Sequence[str] = (),
    manifest_digest: str = "",
) -> Analysis:
    """Lay the contents on each other, bottom first, and say what each does.

    `config` gives names and history, `digests` those of the blobs. ImageError for a hard link to what is in no layer.
    """
    placed = [content.at(index) for index, content in enumerate(contents)]
    merged, dive = Merged(), Dive()
    changes = []
    for content in placed:
        dive.see(content, merged)
        changes.append(merged.lay(content))
    diff_ids = config.diff_ids if config else ("",) * len(contents)
    chain = chain_ids(diff_ids) if config else diff_ids
    history = config.created_by() if config else diff_ids
    layers = tuple(
        Layer(*each)
        for each in zip(
            diff_ids,
            chain,
            digests or ("",) * len(contents),
            (content.size_bytes for content in contents),
            history,
            changes,
            strict=True,
        )
    )
    wasted = sorted(
        (Waste(path, *lost) for path, lost in merged.lost.items()), key=lambda each: (-each.bytes, each.path)
    )
    return Analysis(
        placed,
        layers,
        tuple(wasted),
        dive.result(),
        name=name,
        image_id=config.digest if config else "",
        architecture=config.architecture if config else "",
        manifest_digest=manifest_digest,
    )
